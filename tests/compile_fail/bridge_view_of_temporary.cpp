// SPDX-License-Identifier: Apache-2.0
// A view of a container that dies at the end of the line.
// expect: a view of a temporary would dangle: name the container first
// expect-max-lines: 16
// control: -DFIXED
#include <tenon/tensor/view.hpp>
#include <vector>
#ifdef FIXED
std::vector<float> named(6);
auto v = tenon::view(named, {2, 3});
#else
auto v = tenon::view(std::vector<float>(6), {2, 3});
#endif
