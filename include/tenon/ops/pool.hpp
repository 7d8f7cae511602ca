// SPDX-License-Identifier: Apache-2.0
// Pooling in two dimensions: x is [n, c, h, w], y is [n, c, i, j]. Writes the first argument, and argmax where it is wanted.
// Every window holds at least one element of x: layers refuse a padding above half the kernel.
#pragma once
#include "tenon/ops/conv.hpp"
#include "tenon/ops/maths.hpp"
namespace tenon::detail {
/// Part of one axis of x that window `i` covers: [begin, end).
struct span_of_window {
  extent begin, end;
  constexpr span_of_window(extent i, extent kernel, extent stride, extent padding, extent length)
      : begin(i * stride - padding), end(begin + kernel < length ? begin + kernel : length) {
    if (begin < 0) begin = 0;
  }
};
/// Windows that cover element `at` of one axis: [begin, end).
struct windows_of_element {
  extent begin, end;
  constexpr windows_of_element(extent at, extent kernel, extent stride, extent padding, extent outputs)
      : begin(at + padding < kernel ? 0 : (at + padding - kernel) / stride + 1), end((at + padding) / stride + 1) {
    if (end > outputs) end = outputs;
  }
};

/// What all loops over planes need; x is [n, c, h, w], y is [n, c, rows, cols].
struct pool_sizes {
  extent h, w, rows, cols, planes, grain;
  [[gnu::noinline]] pool_sizes(const shape& x, const shape& y)
      : h(x[2]), w(x[3]), rows(y[2]), cols(y[3]), planes(y[0] * y[1]), grain(8192 / (h * w + 1) + 1) {}
};

inline namespace TENON_KERNELS {
/// One plane of max_pool with 2 x 2 windows side by side, at least four to a row: four at a time; the comparisons of the reference
/// in the same order.
[[gnu::noinline]] inline void max_pool_2x2(float* y, std::int32_t* argmax, const float* x, extent w, extent rows,
                                           extent cols) noexcept {
  typedef std::int32_t four_ints __attribute__((vector_size(16)));
  for (extent i = 0; i < rows; ++i, y += cols)
    for (extent next = 0; next < cols; next += 4) {
      const extent j = next + 4 <= cols ? next : cols - 4;  // the last four may be made twice
      const extent first = 2 * i * w + 2 * j;
      const float *const p = x + first, *const q = p + w;
      const four_floats a = load4(p), b = load4(p + 4), c = load4(q), d = load4(q + 4);
      const four_floats value[4]{__builtin_shufflevector(a, b, 0, 2, 4, 6), __builtin_shufflevector(a, b, 1, 3, 5, 7),
                                 __builtin_shufflevector(c, d, 0, 2, 4, 6),
                                 __builtin_shufflevector(c, d, 1, 3, 5, 7)};  // the four places in each window
      four_floats best = value[0];
      const auto down = static_cast<std::int32_t>(w);
      const four_ints base = four_ints{0, 2, 4, 6} + static_cast<std::int32_t>(first);
      four_ints at = base;
      for (int k = 1; k < 4; ++k) {
        const auto better = (value[k] > best) | (value[k] != value[k]);
        best = better ? value[k] : best;
        at = better ? base + (k / 2 * down + k % 2) : at;
      }
      store4(y + j, best);
      if (argmax) __builtin_memcpy(argmax + i * cols + j, &at, sizeof at);
    }
}
}  // namespace TENON_KERNELS
}  // namespace tenon::detail

namespace tenon::ops {
inline namespace TENON_KERNELS {
/// y = largest element of each window, NaN if one is NaN (the first of equals, the last of NaNs, as PyTorch); padding is −∞.
/// argmax (may be empty) = its place in the plane [h, w] of its channel.
struct max_pool_op : op<max_pool_op> {
  template <class Ex, class S, class O>
  static void host(const Ex& ex, const view<S>& y, const view<O>& argmax, in<S> x, const window& k) {
    using C = typename Ex::compute;
    const tenon::detail::pool_sizes z(x.shape(), y.shape());
    const S* const px = x.data();
    S* const py = y.data();
    O* const pa = argmax.data();
    tenon::detail::parallel(ex.threads(), z.planes, z.grain, [=, &z, &k](extent begin, extent end, int) noexcept {
      const extent h = z.h, w = z.w, rows = z.rows, cols = z.cols;
      using tenon::detail::span_of_window;
      for (extent p = begin; p < end; ++p) {
        const S* const plane = px + p * h * w;
        extent to = p * rows * cols;
        if constexpr (tenon::detail::all_float<C, S> && std::same_as<O, std::int32_t>)
          if (k.kh == 2 && k.kw == 2 && k.sh == 2 && k.sw == 2 && k.ph == 0 && k.pw == 0 && cols >= 4) {
            tenon::detail::max_pool_2x2(py + to, pa ? pa + to : nullptr, plane, w, rows, cols);
            continue;
          }
        for (extent i = 0; i < rows; ++i) {
          const span_of_window v(i, k.kh, k.sh, k.ph, h);
          for (extent j = 0; j < cols; ++j, ++to) {
            const span_of_window u(j, k.kw, k.sw, k.pw, w);
            extent at = v.begin * w + u.begin;
            C best = C(plane[at]);
            for (extent r = v.begin; r < v.end; ++r)
              for (extent q = r * w + u.begin; q < r * w + u.end; ++q)
                if (const C e = C(plane[q]); e > best || tenon::detail::maths::is_nan(e)) {
                  best = e;
                  at = q;
                }
            py[to] = S(best);
            if (pa) pa[to] = static_cast<O>(at);
          }
        }
      }
    });
  }
};
inline constexpr max_pool_op max_pool{};

/// dx = for each element the sum of dy of the windows of which it was the largest.
struct max_pool_dx_op : op<max_pool_dx_op> {
  template <class Ex, class S, class O>
  static void host(const Ex& ex, const view<S>& dx, in<S> dy, const view<O>& argmax, const window& k) {
    using C = typename Ex::compute;
    const tenon::detail::pool_sizes z(dx.shape(), dy.shape());
    const S* const pg = dy.data();
    S* const px = dx.data();
    const O* const pa = argmax.data();
    tenon::detail::parallel(ex.threads(), z.planes, z.grain, [&](extent begin, extent end, int) noexcept {
      const extent h = z.h, w = z.w, rows = z.rows, cols = z.cols;
      using tenon::detail::windows_of_element;
      for (extent p = begin; p < end; ++p) {
        S* const plane = px + p * h * w;
        const extent from = p * rows * cols;
        if constexpr (tenon::detail::all_float<C, S>) {  // scatter: the same additions in the same order
          for (extent q = 0; q < h * w; ++q) plane[q] = 0;
          for (extent o = from; o < from + rows * cols; ++o) plane[pa[o]] += pg[o];
        } else {
          for (extent a = 0; a < h; ++a) {
            const windows_of_element v(a, k.kh, k.sh, k.ph, rows);
            for (extent b = 0; b < w; ++b) {
              const windows_of_element u(b, k.kw, k.sw, k.pw, cols);
              C sum(0);
              for (extent i = v.begin; i < v.end; ++i)
                for (extent o = from + i * cols + u.begin; o < from + i * cols + u.end; ++o)
                  if (pa[o] == a * w + b) sum += C(pg[o]);
              plane[a * w + b] = S(sum);
            }
          }
        }
      }
    });
  }
};
inline constexpr max_pool_dx_op max_pool_dx{};

/// y = sum of each window / (kh · kw): padding counts as zeros, as PyTorch's default.
struct avg_pool_op : op<avg_pool_op> {
  template <class Ex, class S>
  static void host(const Ex& ex, const view<S>& y, in<S> x, const window& k) {
    using C = typename Ex::compute;
    const tenon::detail::pool_sizes z(x.shape(), y.shape());
    const S* const px = x.data();
    S* const py = y.data();
    tenon::detail::parallel(ex.threads(), z.planes, z.grain, [=, &z, &k](extent begin, extent end, int) noexcept {
      const extent h = z.h, w = z.w, rows = z.rows, cols = z.cols;
      using tenon::detail::span_of_window;
      const C count = C(k.kh * k.kw);
      for (extent p = begin; p < end; ++p)
        for (extent i = 0; i < rows; ++i) {
          const span_of_window v(i, k.kh, k.sh, k.ph, h);
          for (extent j = 0; j < cols; ++j) {
            const span_of_window u(j, k.kw, k.sw, k.pw, w);
            C sum(0);
            for (extent r = v.begin; r < v.end; ++r)
              for (extent q = u.begin; q < u.end; ++q) sum += C(px[(p * h + r) * w + q]);
            py[(p * rows + i) * cols + j] = S(sum / count);
          }
        }
    });
  }
};
inline constexpr avg_pool_op avg_pool{};

/// dx = for each element the sum of dy / (kh · kw) of the windows that cover it.
struct avg_pool_dx_op : op<avg_pool_dx_op> {
  template <class Ex, class S>
  static void host(const Ex& ex, const view<S>& dx, in<S> dy, const window& k) {
    using C = typename Ex::compute;
    const tenon::detail::pool_sizes z(dx.shape(), dy.shape());
    const S* const pg = dy.data();
    S* const px = dx.data();
    tenon::detail::parallel(ex.threads(), z.planes, z.grain, [=, &z, &k](extent begin, extent end, int) noexcept {
      const extent h = z.h, w = z.w, rows = z.rows, cols = z.cols;
      using tenon::detail::span_of_window, tenon::detail::windows_of_element;
      const C count = C(k.kh * k.kw);
      for (extent p = begin; p < end; ++p) {
        if constexpr (tenon::detail::all_float<C, S>) {  // scatter: terms in the same order
          S* const plane = px + p * h * w;
          for (extent q = 0; q < h * w; ++q) plane[q] = 0;
          for (extent i = 0, o = p * rows * cols; i < rows; ++i)
            for (extent j = 0; j < cols; ++j, ++o) {
              const span_of_window v(i, k.kh, k.sh, k.ph, h), u(j, k.kw, k.sw, k.pw, w);
              const float share = pg[o] / count;
              for (extent r = v.begin; r < v.end; ++r)
                for (extent q = r * w + u.begin; q < r * w + u.end; ++q) plane[q] += share;
            }
          continue;
        }
        for (extent a = 0; a < h; ++a) {
          const windows_of_element v(a, k.kh, k.sh, k.ph, rows);
          for (extent b = 0; b < w; ++b) {
            const windows_of_element u(b, k.kw, k.sw, k.pw, cols);
            C sum(0);
            for (extent i = v.begin; i < v.end; ++i)
              for (extent j = u.begin; j < u.end; ++j) sum += C(pg[(p * rows + i) * cols + j]);
            px[(p * h + a) * w + b] = S(sum / count);
          }
        }
      }
    });
  }
};
inline constexpr avg_pool_dx_op avg_pool_dx{};
}  // namespace TENON_KERNELS
}  // namespace tenon::ops
