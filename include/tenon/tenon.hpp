// SPDX-License-Identifier: Apache-2.0
// What training and handing on tensors takes, from floors 0–6, with the standard library alone. Included by name, so that nobody
// compiles what he does not use: train/trainer.hpp, train/checkpoint.hpp, graph/by_name.hpp, check/, io/, interop/.
#pragma once
#include "tenon/core/config.hpp"
#include "tenon/core/device.hpp"
#include "tenon/core/dtype.hpp"
#include "tenon/core/error.hpp"
#include "tenon/core/float16.hpp"
#include "tenon/core/precision.hpp"
#include "tenon/core/shape.hpp"

// First, for what refuses to compile is here: a compiler lists how it came to a header, and this way is the shortest.
#include "tenon/layers/layer.hpp"

#include "tenon/graph/shape_check.hpp"

#include "tenon/graph/fixed.hpp"
#include "tenon/graph/graph.hpp"
#include "tenon/graph/model.hpp"
#include "tenon/graph/summary.hpp"
#include "tenon/layers/layers.hpp"
#include "tenon/tensor/export.hpp"
#include "tenon/tensor/import.hpp"
#include "tenon/tensor/tensor.hpp"
#include "tenon/tensor/typed_tensor.hpp"
#include "tenon/train/clip.hpp"
#include "tenon/train/loss.hpp"
#include "tenon/train/optimizer.hpp"
#include "tenon/train/schedule.hpp"
