// SPDX-License-Identifier: Apache-2.0
// A part of a container that dies at the end of the line.
// expect: [subview] this temporary owns its elements and dies at the end of the line: name it first
// expect-max-lines: 16
// control: -DFIXED
#include <tenon/tensor/subview.hpp>
#include <vector>
#ifdef FIXED
std::vector<float> named(6);
auto part = tenon::subview(named, tenon::range{1, 3});
#else
auto part = tenon::subview(std::vector<float>(6), tenon::range{1, 3});
#endif
