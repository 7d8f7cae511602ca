// SPDX-License-Identifier: Apache-2.0
// Writing into a const container.
// expect: those of a const container make a view<const T>
// expect-max-lines: 16
// control: -DFIXED
#include <tenon/tensor/view.hpp>
#include <vector>
const std::vector<float> constant(6);
#ifdef FIXED
tenon::view<const float> v(constant, {2, 3});
#else
tenon::view<float> v(constant, {2, 3});
#endif
