// SPDX-License-Identifier: Apache-2.0
// Rows of a table by index, and parts of an axis. Reads the inputs, writes the first argument. Indices are below the number of
// rows: the door has looked.
#pragma once
#include "tenon/ops/reduce.hpp"
namespace tenon::ops {
inline namespace TENON_KERNELS {
/// y[r, :] = w[index[r], :]; y is [r…, out], w is [rows, out].
struct gather_op : op<gather_op> {
  template <class Ex, class S, class I>
  static void host(const Ex& ex, const view<S>& y, in<S> w, const view<I>& index) {
    const extent out = w.shape()[1];
    const S* const pw = w.data();
    S* const py = y.data();
    const I* const at = index.data();
    tenon::detail::parallel(ex.threads(), index.numel(), 16384 / (out + 1) + 1, [=](extent begin, extent end, int) noexcept {
      for (extent r = begin; r < end; ++r) {
        const S* const from = pw + static_cast<extent>(at[r]) * out;
        for (extent j = 0; j < out; ++j) py[r * out + j] = from[j];
      }
    });
  }
};
inline constexpr gather_op gather{};

/// dw[index[r], :] += dy[r, :], in the order of r for any number of threads: each has columns of its own.
struct gather_dw_op : op<gather_dw_op> {
  template <class Ex, class A, class S, class I>
  static void host(const Ex& ex, const view<A>& dw, const view<S>& dy, const view<I>& index) {
    using C = typename Ex::compute;
    const extent out = dw.shape()[1], n = index.numel();
    const S* const pg = dy.data();
    A* const pw = dw.data();
    const I* const at = index.data();
    tenon::detail::parallel(ex.threads(), out, 16384 / (n + 1) + 16, [=](extent begin, extent end, int) noexcept {
      for (extent r = 0; r < n; ++r) {
        A* const to = pw + static_cast<extent>(at[r]) * out;
        for (extent j = begin; j < end; ++j) to[j] += A(C(pg[r * out + j]));
      }
    });
  }
};
inline constexpr gather_dw_op gather_dw{};

/// y = x[…, begin : begin + y's length, …] along `axis` (≥ 0).
struct slice_op : op<slice_op> {
  template <class Ex, class S>
  static void host(const Ex& ex, const view<S>& y, in<S> x, int axis, extent begin) {
    const tenon::detail::around whole(x.shape(), axis);
    const extent row = whole.length * whole.inner, part = y.shape()[axis] * whole.inner, skip = begin * whole.inner;
    const S* const px = x.data();
    S* const py = y.data();
    tenon::detail::parallel(ex.threads(), whole.outer, 16384 / (part + 1) + 1, [=](extent from, extent to, int) noexcept {
      for (extent o = from; o < to; ++o)
        for (extent i = 0; i < part; ++i) py[o * part + i] = px[o * row + skip + i];
    });
  }
};
inline constexpr slice_op slice{};

/// y[…, begin : begin + length, …] = x along `axis` (≥ 0), zeros where x is empty; the rest of y stays as it is.
struct place_op : op<place_op> {
  template <class Ex, class S>
  static void host(const Ex& ex, const view<S>& y, in<S> x, int axis, extent begin, extent length) {
    const tenon::detail::around whole(y.shape(), axis);
    const extent row = whole.length * whole.inner, part = length * whole.inner, skip = begin * whole.inner;
    const S* const px = x.data();
    S* const py = y.data();
    tenon::detail::parallel(ex.threads(), whole.outer, 16384 / (part + 1) + 1, [=](extent from, extent to, int) noexcept {
      for (extent o = from; o < to; ++o)
        for (extent i = 0; i < part; ++i) py[o * row + skip + i] = px ? px[o * part + i] : S(0);
    });
  }
};
inline constexpr place_op place{};
}  // namespace TENON_KERNELS
}  // namespace tenon::ops
