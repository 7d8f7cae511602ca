// SPDX-License-Identifier: Apache-2.0
// The same through an adapter.
// expect: [view] this temporary owns its elements and dies at the end of the line: name it first
// expect-max-lines: 16
// control: -DFIXED
#include <tenon/tensor/view.hpp>
#include <vector>
#ifdef FIXED
std::vector<float> named(6);
auto v = tenon::as_view(named);
#else
auto v = tenon::as_view(std::vector<float>(6));
#endif
