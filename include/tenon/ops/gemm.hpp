// SPDX-License-Identifier: Apache-2.0
// The matrix products of a linear layer. Rows of x are all its axes but the last: x is [m, k], y is [m, n], w is [n, k].
// Writes the first argument and scratch; float goes through the blocked product of cpu/gemm.hpp, other scalars through the loops.
#pragma once
#include "tenon/ops/cpu/gemm.hpp"
#include "tenon/ops/maths.hpp"
namespace tenon::detail {
/// Compute scalars of scratch that the products below use, for each thread.
inline constexpr extent gemm_scratch = gemm_workspace_floats;

/// The scratch of all threads, or null where `each` floats a thread were not planned: then parallel_gemm brings its own, for one thread.
template <class Ex>
float* float_scratch(const Ex& ex, extent each) {
  return ex.scratch && ex.per_thread >= static_cast<std::size_t>(each) * sizeof(float) ? reinterpret_cast<float*>(ex.scratch)
                                                                                       : nullptr;
}
}  // namespace tenon::detail

namespace tenon::ops {
inline namespace TENON_KERNELS {
/// y[m,n] = x[m,k] · w[n,k]ᵀ + b[n]; b may be empty.
struct affine_op : op<affine_op> {
  template <class Ex, class S>
  static void host(const Ex& ex, const view<S>& y, in<S> x, in<S> w, in<S> b) {
    using C = typename Ex::compute;
    const extent n = w.shape()[0], k = w.shape()[1], m = y.numel() / n;
    const S *const px = x.data(), *const pw = w.data(), *const pb = b.data();
    S* const py = y.data();
    if constexpr (tenon::detail::all_float<C, S>) {
      tenon::detail::parallel_gemm(ex.threads(), m, n, k, {px, k, 1}, {pw, 1, k}, py, n, {false, pb},
                                   tenon::detail::float_scratch(ex, tenon::detail::gemm_scratch));
    } else {
      tenon::detail::parallel(ex.threads(), m, 1, [=](extent begin, extent end, int) noexcept {
        for (extent i = begin; i < end; ++i)
          for (extent o = 0; o < n; ++o) {
            C sum = pb ? C(pb[o]) : C(0);
            for (extent j = 0; j < k; ++j) sum += C(px[i * k + j]) * C(pw[o * k + j]);
            py[i * n + o] = S(sum);
          }
      });
    }
  }
};
inline constexpr affine_op affine{};

/// dx[m,k] = dy[m,n] · w[n,k]
struct affine_dx_op : op<affine_dx_op> {
  template <class Ex, class S>
  static void host(const Ex& ex, const view<S>& dx, in<S> dy, in<S> w) {
    using C = typename Ex::compute;
    const extent n = w.shape()[0], k = w.shape()[1], m = dy.numel() / n;
    const S *const pg = dy.data(), *const pw = w.data();
    S* const px = dx.data();
    if constexpr (tenon::detail::all_float<C, S>) {
      tenon::detail::parallel_gemm(ex.threads(), m, k, n, {pg, n, 1}, {pw, k, 1}, px, k, {},
                                   tenon::detail::float_scratch(ex, tenon::detail::gemm_scratch));
    } else {
      tenon::detail::parallel(ex.threads(), m, 1, [=](extent begin, extent end, int) noexcept {
        for (extent i = begin; i < end; ++i)
          for (extent j = 0; j < k; ++j) {
            C sum(0);
            for (extent o = 0; o < n; ++o) sum += C(pg[i * n + o]) * C(pw[o * k + j]);
            px[i * k + j] = S(sum);
          }
      });
    }
  }
};
inline constexpr affine_dx_op affine_dx{};

/// dw[n,k] += dy[m,n]ᵀ · x[m,k]
struct affine_dw_op : op<affine_dw_op> {
  template <class Ex, class A, class S>
  static void host(const Ex& ex, const view<A>& dw, const view<S>& dy, in<S> x) {
    using C = typename Ex::compute;
    const extent n = dw.shape()[0], k = dw.shape()[1], m = dy.numel() / n;
    const auto *const pg = dy.data(), *const px = x.data();
    A* const pw = dw.data();
    if constexpr (tenon::detail::all_float<C, A, S>) {
      tenon::detail::parallel_gemm(ex.threads(), n, k, m, {pg, 1, n}, {px, k, 1}, pw, k, {.accumulate = true},
                                   tenon::detail::float_scratch(ex, tenon::detail::gemm_scratch));
    } else {
      tenon::detail::parallel(ex.threads(), n, 1, [=](extent begin, extent end, int) noexcept {
        for (extent o = begin; o < end; ++o)
          for (extent j = 0; j < k; ++j) {
            C sum(0);
            for (extent i = 0; i < m; ++i) sum += C(pg[i * n + o]) * C(px[i * k + j]);
            pw[o * k + j] += A(sum);
          }
      });
    }
  }
};
inline constexpr affine_dw_op affine_dw{};
}  // namespace TENON_KERNELS
}  // namespace tenon::ops
