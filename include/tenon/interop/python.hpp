// SPDX-License-Identifier: Apache-2.0
// The Python door, for extension modules of any binding library or none: arrays in as arguments or as owning tensors, tensors out to NumPy
// and torch, and what a type of one's own needs to speak DLPack. Needs CPython's API only; compile against your interpreter's Python.h.
#pragma once
#include "tenon/interop/python/argument.hpp"
#include "tenon/interop/python/give.hpp"
#include "tenon/interop/python/import.hpp"
#include "tenon/interop/python/producer.hpp"
