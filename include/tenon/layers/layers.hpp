// SPDX-License-Identifier: Apache-2.0
// All layers.
#pragma once
#include "tenon/layers/activation.hpp"
#include "tenon/layers/batch_norm.hpp"
#include "tenon/layers/combine.hpp"
#include "tenon/layers/conv2d.hpp"
#include "tenon/layers/dropout.hpp"
#include "tenon/layers/embedding.hpp"
#include "tenon/layers/linear.hpp"
#include "tenon/layers/pool2d.hpp"
#include "tenon/layers/recurrent.hpp"
#include "tenon/layers/reshape.hpp"
#include "tenon/layers/softmax.hpp"
