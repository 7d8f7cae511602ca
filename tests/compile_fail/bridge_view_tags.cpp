// SPDX-License-Identifier: Apache-2.0
// What a view promises begins with its extents.
// expect: [view] the extents come first: tenon::view<T, tenon::extents<…>, …>
// expect-max-lines: 24
// control: -DFIXED
#include <tenon/tensor/typed_view.hpp>
#ifdef FIXED
using rows = tenon::view<float, tenon::extents<tenon::dyn, 3>, tenon::layout_right>;
#else
using rows = tenon::view<float, tenon::layout_right, tenon::extents<tenon::dyn, 3>>;
#endif
float first(rows v) { return v(0, 0); }
