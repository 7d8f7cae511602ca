// SPDX-License-Identifier: Apache-2.0
// What the infer functions of the layers share. No arithmetic here overflows or divides by zero, whatever a user wrote into the
// fields: it would stop the compiler before the fault could be reported. Touches no memory.
#pragma once
#include "tenon/layers/spec.hpp"
namespace tenon::detail {
/// The one scalar input of a layer.
constexpr shape only_input(const inputs& x) {
  const shape s = x[0].expect_kind(kind::scalar);
  return x.n == 1 ? s : s.failed({errc::arity, -1, x.n, 1});
}
constexpr shape expect_rank_least(const shape& s, int r) { return s.rank() >= r ? s : s.failed({errc::rank, -1, s.rank(), r}); }
/// A size that may be left to be inferred.
constexpr shape expect_positive_or_dyn(const shape& s, extent field) {
  return s.expect_value(field == dyn || field > 0, field, 1);
}

/// An axis counted from the front, or −1 where there is none such.
constexpr int axis_of(extent axis, int rank) {
  return axis >= -rank && axis < rank ? static_cast<int>(axis < 0 ? rank + axis : axis) : -1;
}
/// An axis that is there, and is not the batch.
constexpr shape expect_inner_axis(const shape& s, extent axis) { return s.expect_value(axis_of(axis, s.rank()) >= 1, axis, 1); }

/// One axis of `s` after a window has slid along it: ⌊(length + 2·padding − dilation·(kernel − 1) − 1) / stride⌋ + 1.
/// Faults: the kernel left out, a padding, stride or dilation out of range, a kernel larger than the padded axis.
constexpr shape slide(const shape& s, int axis, extent kernel, extent stride, extent padding, extent dilation) {
  shape r = s.expect_given(kernel)
                .expect_value(stride > 0, stride, 1)
                .expect_value(padding >= 0, padding, 0)
                .expect_value(dilation > 0, dilation, 1);
  if (!r.ok()) return r;
  const extent reach = saturating_add(saturating_mul(dilation, kernel - 1), 1), both = saturating_mul(2, padding);
  r = r.expect_least(axis, reach - both);
  const extent length = r[axis];
  return !r.ok() || length == dyn ? r : r.with(axis, (saturating_add(length, both) - reach) / stride + 1);
}
}  // namespace tenon::detail
