// SPDX-License-Identifier: Apache-2.0
// Packed numbers of a tensor that dies at the end of the line.
// expect: what it would view is let go at the end of the line: name the tensor first
// expect-max-lines: 16
// control: -DFIXED
#include <tenon/tensor/packed.hpp>
float first(const tenon::tensor<>& t) {
#ifdef FIXED
  return tenon::as_packed<const tenon::float4_e2m1fn>(t)[0];
#else
  return tenon::as_packed<const tenon::float4_e2m1fn>(tenon::tensor<>(t))[0];
#endif
}
