// SPDX-License-Identifier: Apache-2.0
// A view owns nothing that an export could keep alive.
// expect: a view owns nothing: export a tensor, or tenon::borrow(view, keep_alive)
// expect-max-lines: 16
// control: -DFIXED
#include <tenon/tensor/export.hpp>
auto out(const tenon::view<float>& v) {
#ifdef FIXED
  return tenon::to_dlpack(tenon::borrow(v, 0));
#else
  return tenon::to_dlpack(v);
#endif
}
