// SPDX-License-Identifier: Apache-2.0
// A typed view that is refused, and why.
#pragma once
#include <tenon/tensor/view_as.hpp>

#include "catch.hpp"

using rows_of_three = tenon::view<const float, tenon::extents<tenon::dyn, 3>>;
template <class V, class P>
tenon::failure refused(P& p, const tenon::import_options& o = {}) {
  V v;
  tenon::failure why;
  const tenon::errc c = try_view_as(p.dl(), v, why, o);
  CHECK((c == tenon::errc::ok) == !why);
  CHECK((c == tenon::errc::ok || !v));
  return why;
}
