// SPDX-License-Identifier: Apache-2.0
// Normalisation of channels: x is [n, c, …], statistics are over all axes but the second (Ioffe and Szegedy 2015, ONNX
// BatchNormalization). Reads inputs twice or thrice, writes the first arguments; one channel is one thread's.
#pragma once
#include "tenon/ops/reduce.hpp"
namespace tenon::ops {
inline namespace TENON_KERNELS {
/// mean[c] and variance[c] of x, the latter biased: Σ (x − mean)² / count, in two passes.
struct moments_op : op<moments_op> {
  template <class Ex, class A, class S>
  static void host(const Ex& ex, const view<A>& mean, const view<A>& variance, const view<S>& x) {
    using C = typename Ex::compute;
    const tenon::detail::around a(x.shape(), 1);
    const S* const px = x.data();
    A *const pm = mean.data(), *const pv = variance.data();
    tenon::detail::parallel(
        ex.threads(), a.length, 8192 / (a.outer * a.inner + 1) + 1, [=](extent begin, extent end, int) noexcept {
          const C count = C(a.outer * a.inner);
          for (extent c = begin; c < end; ++c) {
            C sum(0), squares(0);
            for (extent o = 0; o < a.outer; ++o)
              sum +=
                  tenon::detail::sum_run<C>(a.inner, [](const auto& v) noexcept { return v; }, px + (o * a.length + c) * a.inner);
            const C m = sum / count;
            for (extent o = 0; o < a.outer; ++o)
              squares += tenon::detail::sum_run<C>(
                  a.inner, [m](const auto& v) noexcept { return (v - m) * (v - m); }, px + (o * a.length + c) * a.inner);
            pm[c] = A(m);
            pv[c] = A(squares / count);
          }
        });
  }
};
inline constexpr moments_op moments{};

/// y = (x − mean) / √(variance + epsilon) · w + b
struct normalise_op : op<normalise_op> {
  template <class Ex, class S, class A>
  static void host(const Ex& ex, const view<S>& y, in<S> x, const view<A>& mean, in<A> variance, in<S> w, in<S> b,
                   double epsilon) {
    using C = typename Ex::compute;
    using tenon::detail::maths::sqrt;
    const tenon::detail::around a(x.shape(), 1);
    const S *const px = x.data(), *const pw = w.data(), *const pb = b.data();
    S* const py = y.data();
    const A* const pm = mean.data();
    const A* const pv = variance.data();
    tenon::detail::parallel(
        ex.threads(), a.length, 8192 / (a.outer * a.inner + 1) + 1, [=](extent begin, extent end, int) noexcept {
          for (extent c = begin; c < end; ++c) {
            const C scale = C(pw[c]) / sqrt(C(pv[c]) + C(epsilon)), m = C(pm[c]), shift = C(pb[c]);
            for (extent o = 0; o < a.outer; ++o) {
              const extent first = (o * a.length + c) * a.inner;
              tenon::detail::map_run<C>(
                  py + first, a.inner, [=](const auto& v) noexcept { return (v - m) * scale + shift; }, px + first);
            }
          }
        });
  }
};
inline constexpr normalise_op normalise{};

/// Backward through the batch's own statistics; with z = (x − mean) / √(variance + epsilon):
/// dw += Σ dy·z, db += Σ dy, dx = w / √(variance + epsilon) · (dy − (Σ dy + z · Σ dy·z) / count). dx, dw and db may be empty.
struct normalise_back_op : op<normalise_back_op> {
  template <class Ex, class S, class G, class A>
  static void host(const Ex& ex, const view<S>& dx, const view<G>& dw, const view<G>& db, in<S> dy, in<S> x, const view<A>& mean,
                   in<A> variance, in<S> w, double epsilon) {
    using C = typename Ex::compute;
    using tenon::detail::maths::sqrt;
    const tenon::detail::around a(x.shape(), 1);
    const S *const pg = dy.data(), *const px = x.data(), *const pw = w.data();
    S* const to = dx.data();
    G *const pdw = dw.data(), *const pdb = db.data();
    const A* const pm = mean.data();
    const A* const pv = variance.data();
    tenon::detail::parallel(
        ex.threads(), a.length, 8192 / (a.outer * a.inner + 1) + 1, [=](extent begin, extent end, int) noexcept {
          const C count = C(a.outer * a.inner);
          for (extent c = begin; c < end; ++c) {
            const C inverse = C(1) / sqrt(C(pv[c]) + C(epsilon)), m = C(pm[c]);
            C sum(0), along(0);
            for (extent o = 0; o < a.outer; ++o) {
              const S *const g = pg + (o * a.length + c) * a.inner, *const p = px + (o * a.length + c) * a.inner;
              sum += tenon::detail::sum_run<C>(a.inner, [](const auto& d) noexcept { return d; }, g);
              along +=
                  tenon::detail::sum_run<C>(a.inner, [m](const auto& d, const auto& v) noexcept { return d * (v - m); }, g, p);
            }
            along = along * inverse;
            if (pdw) pdw[c] += G(along);
            if (pdb) pdb[c] += G(sum);
            if (!to) continue;
            const C scale = C(pw[c]) * inverse, mean_dy = sum / count, slope = along * inverse / count;
            for (extent o = 0; o < a.outer; ++o) {
              const extent first = (o * a.length + c) * a.inner;
              tenon::detail::map_run<C>(
                  to + first, a.inner,
                  [=](const auto& d, const auto& v) noexcept { return (d - mean_dy - (v - m) * slope) * scale; }, pg + first,
                  px + first);
            }
          }
        });
  }
};
inline constexpr normalise_back_op normalise_back{};

/// running = (1 − momentum) · running + momentum · factor · value
struct fold_op : op<fold_op> {
  template <class Ex, class A>
  static void host(const Ex&, const view<A>& running, in<A> value, double momentum, double factor) {
    using C = compute_of_t<A>;
    A* const to = running.data();
    const A* const from = value.data();
    for (extent i = 0, n = running.numel(); i < n; ++i)
      to[i] = A((C(1) - C(momentum)) * C(to[i]) + C(momentum) * (C(from[i]) * C(factor)));
  }
};
inline constexpr fold_op fold{};
}  // namespace TENON_KERNELS
}  // namespace tenon::ops
