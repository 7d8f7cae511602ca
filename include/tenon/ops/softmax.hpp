// SPDX-License-Identifier: Apache-2.0
// Softmax along one axis (≥ 0), and its true Jacobian. Writes the first argument, which may be the memory of x, or of dy.
#pragma once
#include <concepts>
#include "tenon/ops/maths.hpp"
#include "tenon/ops/reduce.hpp"
namespace tenon::ops {
inline namespace TENON_KERNELS {
/// y = exp(x − max x) / Σ exp(x − max x) along `axis`; a NaN, or +∞, makes its whole row NaN, as in PyTorch.
struct softmax_op : op<softmax_op> {
  template <class Ex, class S>
  static void host(const Ex& ex, const view<S>& y, in<S> x, int axis) {
    using C = typename Ex::compute;
    using tenon::detail::maths::exp;
    const tenon::detail::around a(x.shape(), axis);
    const S* const px = x.data();
    S* const py = y.data();
    tenon::detail::parallel(
        ex.threads(), a.outer * a.inner, 2048 / (a.length + 1) + 1, [=](extent begin, extent end, int) noexcept {
          for (extent row = begin; row < end; ++row) {
            const extent first = row / a.inner * a.length * a.inner + row % a.inner, last = first + a.length * a.inner;
            C most = C(px[first]), sum(0);
            for (extent i = first; i < last; i += a.inner)
              if (const C e = C(px[i]); e > most) most = e;
            for (extent i = first; i < last; i += a.inner) {
              const C e = exp(C(px[i]) - most);
              if constexpr (std::same_as<S, C>) py[i] = e;
              sum += e;
            }
            for (extent i = first; i < last; i += a.inner)
              if constexpr (std::same_as<S, C>) py[i] = py[i] / sum;
              else py[i] = S(exp(C(px[i]) - most) / sum);
          }
        });
  }
};
inline constexpr softmax_op softmax{};

/// dx = y · (dy − Σ dy·y) along `axis`, for y = softmax(x).
struct softmax_dx_op : op<softmax_dx_op> {
  template <class Ex, class S>
  static void host(const Ex& ex, const view<S>& dx, in<S> dy, in<S> y, int axis) {
    using C = typename Ex::compute;
    const tenon::detail::around a(y.shape(), axis);
    const S *const pg = dy.data(), *const py = y.data();
    S* const to = dx.data();
    tenon::detail::parallel(
        ex.threads(), a.outer * a.inner, 2048 / (a.length + 1) + 1, [=](extent begin, extent end, int) noexcept {
          for (extent row = begin; row < end; ++row) {
            const extent first = row / a.inner * a.length * a.inner + row % a.inner, last = first + a.length * a.inner;
            C along(0);
            for (extent i = first; i < last; i += a.inner) along += C(pg[i]) * C(py[i]);
            for (extent i = first; i < last; i += a.inner) to[i] = S(C(py[i]) * (C(pg[i]) - along));
          }
        });
  }
};
inline constexpr softmax_dx_op softmax_dx{};
}  // namespace TENON_KERNELS
}  // namespace tenon::ops
