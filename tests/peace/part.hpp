// SPDX-License-Identifier: Apache-2.0
// What a translation unit of the header-peace program offers to the others: ways in and out through the structs of the dlpack.h that
// it saw. They cross as void*, for no two files need to agree on what a DLManagedTensor is. Tenon's own types cross as they are.
#pragma once
#include <tenon/tensor/tensor.hpp>

using matrix = tenon::tensor<>;  // whether it may be written is what the struct said

struct part {
  const char* name;
  void* (*give_legacy)(const tenon::tensor<float>&);
  matrix (*take_legacy)(void*);
  void* (*give_versioned)(const matrix&);  // null where the header has no versioned struct
  matrix (*take_versioned)(void*);
  bool (*fields)();  // a struct filled in and read by the header's own names, on both sides of a door
};
