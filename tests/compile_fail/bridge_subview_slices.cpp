// SPDX-License-Identifier: Apache-2.0
// More slices than the type of a view has axes.
// expect: [subview] more slices than axes
// expect-max-lines: 16
// control: -DFIXED
#include <tenon/tensor/subview.hpp>
auto part(tenon::view<float, tenon::extents<tenon::dyn, 3>> v) {
#ifdef FIXED
  return tenon::subview(v, 0, 1);
#else
  return tenon::subview(v, 0, 1, 2);
#endif
}
