// SPDX-License-Identifier: Apache-2.0
// Convolution in two dimensions (cross-correlation, as in PyTorch and ONNX Conv): x is [n, c, h, w], y is [n, o, i, j],
// w is [o, c/groups, kh, kw]. Writes the first argument and scratch; float goes through im2col and the blocked product.
#pragma once
#include "tenon/ops/cpu/conv.hpp"
#include "tenon/ops/gemm.hpp"
namespace tenon::ops {
/// Kernel, stride, padding and dilation of each axis, and how many groups of channels do not see each other.
struct window {
  extent kh = 1, kw = 1, sh = 1, sw = 1, ph = 0, pw = 0, dh = 1, dw = 1, groups = 1;
};
}  // namespace tenon::ops

namespace tenon::detail {
/// The numbers that all convolution loops need.
struct conv_sizes : ops::window {
  extent n, c, h, w, o, i, j, cg, og;  // cg, og: channels of x and y in a group
  conv_sizes(const shape& x, const shape& y, const ops::window& k)
      : window(k), n(x[0]), c(x[1]), h(x[2]), w(x[3]), o(y[1]), i(y[2]), j(y[3]), cg(x[1] / k.groups), og(y[1] / k.groups) {}
  /// `samples` samples of one group.
  conv_shape of_group(extent samples) const { return {samples, cg, h, w, og, kh, kw, sh, sw, ph, pw, i, j, dh, dw}; }
};
/// Compute scalars of scratch a thread that the float kernels use, whatever the batch; without it they are the reference loops.
constexpr extent conv_scratch(const shape& x, const shape& y, const ops::window& k) {
  constexpr extent large = extent{1} << 30;
  const extent c = x[1] / k.groups, out = y[1] / k.groups,
               rows = saturating_add(saturating_mul(saturating_mul(c, k.kh), k.kw), out);
  if (rows > large || saturating_mul(y[2], y[3]) > large) return extent_limit;
  return conv_workspace_floats({large, c, x[2], x[3], out, k.kh, k.kw, k.sh, k.sw, k.ph, k.pw, y[2], y[3], k.dh, k.dw});
}
/// Which output sees input `at` by tap `r`: −1 where none does.
constexpr extent output_of(extent at, extent r, extent stride, extent padding, extent dilation, extent outputs) {
  const extent from = at + padding - r * dilation;
  return from >= 0 && from % stride == 0 && from / stride < outputs ? from / stride : -1;
}

inline namespace TENON_KERNELS {
// The float kernels know no groups: each group of each sample is a convolution of its own.
inline void conv_float(int threads, float* y, const float* x, const float* w, const float* b, const conv_sizes& z, float* work,
                       extent room) {
  if (z.groups == 1) return conv_forward(threads, y, x, w, b, z.of_group(z.n), work);
  parallel(threads, z.n * z.groups, 1, [=](extent begin, extent end, int worker) noexcept {
    for (extent g = begin; g < end; ++g) {
      const extent o = g % z.groups * z.og;
      conv_forward(1, y + g * z.og * z.i * z.j, x + g * z.cg * z.h * z.w, w + o * z.cg * z.kh * z.kw, b ? b + o : nullptr,
                   z.of_group(1), work + worker * room);
    }
  });
}
inline void conv_dx_float(int threads, float* dx, const float* dy, const float* w, const conv_sizes& z, float* work,
                          extent room) {
  if (z.groups == 1) return conv_backward_data(threads, dx, dy, w, z.of_group(z.n), work);
  parallel(threads, z.n * z.groups, 1, [=](extent begin, extent end, int worker) noexcept {
    for (extent g = begin; g < end; ++g)
      conv_backward_data(1, dx + g * z.cg * z.h * z.w, dy + g * z.og * z.i * z.j, w + g % z.groups * z.og * z.cg * z.kh * z.kw,
                         z.of_group(1), work + worker * room);
  });
}
inline void conv_dw_float(int threads, float* dw, const float* dy, const float* x, const conv_sizes& z, float* work,
                          extent room) {
  if (z.groups == 1) return conv_backward_weight(threads, dw, dy, x, true, z.of_group(z.n), work);
  parallel(threads, z.groups, 1, [=](extent begin, extent end, int worker) noexcept {
    for (extent g = begin; g < end; ++g)
      for (extent n = g; n < z.n * z.groups; n += z.groups)
        conv_backward_weight(1, dw + g * z.og * z.cg * z.kh * z.kw, dy + n * z.og * z.i * z.j, x + n * z.cg * z.h * z.w, true,
                             z.of_group(1), work + worker * room);
  });
}
}  // namespace TENON_KERNELS
}  // namespace tenon::detail

namespace tenon::ops {
inline namespace TENON_KERNELS {
/// y[n,o,i,j] = b[o] + Σ x[n, c, i·sh − ph + r·dh, j·sw − pw + s·dw] · w[o,c,r,s], zero outside x; b may be empty.
struct conv_op : op<conv_op> {
  template <class Ex, class S>
  static void host(const Ex& ex, view<S> y, in<S> x, in<S> w, in<S> b, const window& k) {
    using C = typename Ex::compute;
    const tenon::detail::conv_sizes z(x.shape(), y.shape(), k);
    const S *const px = x.data(), *const pw = w.data(), *const pb = b.data();
    S* const py = y.data();
    if constexpr (tenon::detail::all_float<C, S>) {
      const extent room = tenon::detail::conv_workspace_floats(z.of_group(z.n));
      if (float* work = tenon::detail::float_scratch(ex, room))
        return tenon::detail::conv_float(ex.threads(), py, px, pw, pb, z, work, room);
    }
    tenon::detail::parallel(ex.threads(), z.n * z.o, 1, [=](extent begin, extent end, int) noexcept {
      for (extent no = begin; no < end; ++no) {
        const extent o = no % z.o, first = no / z.o * z.c + o / z.og * z.cg;
        S* to = py + no * z.i * z.j;
        for (extent i = 0; i < z.i; ++i)
          for (extent j = 0; j < z.j; ++j) {
            C sum = pb ? C(pb[o]) : C(0);
            for (extent c = 0; c < z.cg; ++c)
              for (extent r = 0; r < z.kh; ++r) {
                const extent a = i * z.sh - z.ph + r * z.dh;
                if (a < 0 || a >= z.h) continue;
                const S *const row = px + ((first + c) * z.h + a) * z.w, *const taps = pw + ((o * z.cg + c) * z.kh + r) * z.kw;
                for (extent s = 0, q = j * z.sw - z.pw; s < z.kw; ++s, q += z.dw)
                  if (q >= 0 && q < z.w) sum += C(row[q]) * C(taps[s]);
              }
            *to++ = S(sum);
          }
      }
    });
  }
};
inline constexpr conv_op conv{};

/// dx = the transposed convolution of dy: each input gathers from the outputs that saw it.
struct conv_dx_op : op<conv_dx_op> {
  template <class Ex, class S>
  static void host(const Ex& ex, view<S> dx, in<S> dy, in<S> w, const window& k) {
    using C = typename Ex::compute;
    const tenon::detail::conv_sizes z(dx.shape(), dy.shape(), k);
    const S *const pg = dy.data(), *const pw = w.data();
    S* const px = dx.data();
    if constexpr (tenon::detail::all_float<C, S>) {
      const extent room = tenon::detail::conv_workspace_floats(z.of_group(z.n));
      if (float* work = tenon::detail::float_scratch(ex, room))
        return tenon::detail::conv_dx_float(ex.threads(), px, pg, pw, z, work, room);
    }
    tenon::detail::parallel(ex.threads(), z.n * z.c, 1, [=](extent begin, extent end, int) noexcept {
      using tenon::detail::output_of;
      for (extent nc = begin; nc < end; ++nc) {
        const extent c = nc % z.c, o0 = c / z.cg * z.og;
        S* to = px + nc * z.h * z.w;
        for (extent a = 0; a < z.h; ++a)
          for (extent q = 0; q < z.w; ++q) {
            C sum(0);
            for (extent r = 0; r < z.kh; ++r) {
              const extent i = output_of(a, r, z.sh, z.ph, z.dh, z.i);
              if (i < 0) continue;
              for (extent s = 0; s < z.kw; ++s) {
                const extent j = output_of(q, s, z.sw, z.pw, z.dw, z.j);
                if (j < 0) continue;
                for (extent o = o0; o < o0 + z.og; ++o)
                  sum += C(pg[((nc / z.c * z.o + o) * z.i + i) * z.j + j]) * C(pw[((o * z.cg + c % z.cg) * z.kh + r) * z.kw + s]);
              }
            }
            *to++ = S(sum);
          }
      }
    });
  }
};
inline constexpr conv_dx_op conv_dx{};

/// dw[o,c,r,s] += Σ dy[n,o,i,j] · x[n, c, i·sh − ph + r·dh, j·sw − pw + s·dw]
struct conv_dw_op : op<conv_dw_op> {
  template <class Ex, class A, class S>
  static void host(const Ex& ex, view<A> dw, view<S> dy, in<S> x, const window& k) {
    using C = typename Ex::compute;
    const tenon::detail::conv_sizes z(x.shape(), dy.shape(), k);
    const auto *const pg = dy.data(), *const px = x.data();
    A* const pw = dw.data();
    if constexpr (tenon::detail::all_float<C, A, S>) {
      const extent room = tenon::detail::conv_workspace_floats(z.of_group(z.n));
      if (float* work = tenon::detail::float_scratch(ex, room))
        return tenon::detail::conv_dw_float(ex.threads(), pw, pg, px, z, work, room);
    }
    tenon::detail::parallel(ex.threads(), z.o, 1, [=](extent begin, extent end, int) noexcept {
      for (extent o = begin; o < end; ++o)
        for (extent c = 0; c < z.cg; ++c)
          for (extent r = 0; r < z.kh; ++r)
            for (extent s = 0; s < z.kw; ++s) {
              C sum(0);
              for (extent n = 0; n < z.n; ++n)
                for (extent i = 0; i < z.i; ++i) {
                  const extent a = i * z.sh - z.ph + r * z.dh;
                  if (a < 0 || a >= z.h) continue;
                  const auto* const row = px + ((n * z.c + o / z.og * z.cg + c) * z.h + a) * z.w;
                  const auto* const g = pg + ((n * z.o + o) * z.i + i) * z.j;
                  for (extent j = 0, q = s * z.dw - z.pw; j < z.j; ++j, q += z.sw)
                    if (q >= 0 && q < z.w) sum += C(g[j]) * C(row[q]);
                }
              pw[((o * z.cg + c) * z.kh + r) * z.kw + s] += A(sum);
            }
    });
  }
};
inline constexpr conv_dw_op conv_dw{};
}  // namespace TENON_KERNELS
}  // namespace tenon::ops
