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
  [[gnu::noinline]] conv_sizes(const shape& x, const shape& y, const ops::window& k)
      : window(k), n(x[0]), c(x[1]), h(x[2]), w(x[3]), o(y[1]), i(y[2]), j(y[3]), cg(x[1] / k.groups), og(y[1] / k.groups) {}
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
/// What a float convolution writes: y from x and w, dx from dy and w, dw from dy and x.
enum class conv_of : int { y, dx, dw };

/// The convolution of floats one product at a time, for where there is no scratch.
[[gnu::noinline]] inline void conv_slowly(conv_of what, float* to, const float* p, const float* q, const float* bias,
                                          const conv_sizes& z) {
  const extent image = z.c * z.h * z.w, pixels = z.i * z.j;
  if (what == conv_of::dx)
    for (extent i = 0; i < z.n * image; ++i) to[i] = 0;
  for (extent no = 0; no < z.n * z.o; ++no)
    for (extent ij = 0; ij < pixels; ++ij) {
      const extent o = no % z.o, c0 = no / z.o * z.c + o / z.og * z.cg, yi = no * pixels + ij;
      if (what == conv_of::y) to[yi] = bias ? bias[o] : 0;
      for (extent wi = o * z.cg * z.kh * z.kw, k = 0; k < z.cg * z.kh * z.kw; ++k, ++wi) {
        const extent a = ij / z.j * z.sh - z.ph + k / z.kw % z.kh * z.dh, b = ij % z.j * z.sw - z.pw + k % z.kw * z.dw;
        if (a < 0 || a >= z.h || b < 0 || b >= z.w) continue;
        const extent xi = ((c0 + k / (z.kh * z.kw)) * z.h + a) * z.w + b;
        if (what == conv_of::y) to[yi] += p[xi] * q[wi];
        else if (what == conv_of::dx) to[xi] += p[yi] * q[wi];
        else to[wi] += p[yi] * q[xi];
      }
    }
}
/// Convolutions of floats; `room` bytes of `work` for each thread, null where there is none.
[[gnu::noinline]] inline void conv_float(conv_of what, int threads, std::byte* work, std::size_t room, float* to, const float* p,
                                         const float* q, const float* bias, const conv_sizes& z) {
  const conv_shape s{z.n, z.cg, z.h, z.w, z.og, z.kh, z.kw, z.sh, z.sw, z.ph, z.pw, z.i, z.j, z.dh, z.dw, z.groups};
  if (!work || room < static_cast<std::size_t>(conv_workspace_floats(s)) * sizeof(float))
    return conv_slowly(what, to, p, q, bias, z);
  float* const scratch = reinterpret_cast<float*>(work);
  if (what == conv_of::y) conv_forward(threads, to, p, q, bias, s, scratch);
  else if (what == conv_of::dx) conv_backward_data(threads, to, p, q, s, scratch);
  else conv_backward_weight(threads, to, p, q, true, s, scratch);
}
}  // namespace TENON_KERNELS
}  // namespace tenon::detail

namespace tenon::ops {
inline namespace TENON_KERNELS {
/// y[n,o,i,j] = b[o] + Σ x[n, c, i·sh − ph + r·dh, j·sw − pw + s·dw] · w[o,c,r,s], zero outside x; b may be empty.
struct conv_op : op<conv_op> {
  template <class Ex, class S>
  static void host(const Ex& ex, const view<S>& y, in<S> x, in<S> w, in<S> b, const window& k) {
    using C = typename Ex::compute;
    const tenon::detail::conv_sizes z(x.shape(), y.shape(), k);
    const S *const px = x.data(), *const pw = w.data(), *const pb = b.data();
    S* const py = y.data();
    if constexpr (tenon::detail::all_float<C, S>) {
      tenon::detail::conv_float(tenon::detail::conv_of::y, ex.threads(), ex.scratch, ex.per_thread, py, px, pw, pb, z);
    } else {
      tenon::detail::parallel(ex.threads(), z.n * z.o, 1, [=, &z](extent begin, extent end, int) noexcept {
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
  }
};
inline constexpr conv_op conv{};

/// dx = the transposed convolution of dy: each input gathers from the outputs that saw it.
struct conv_dx_op : op<conv_dx_op> {
  template <class Ex, class S>
  static void host(const Ex& ex, const view<S>& dx, in<S> dy, in<S> w, const window& k) {
    using C = typename Ex::compute;
    const tenon::detail::conv_sizes z(dx.shape(), dy.shape(), k);
    const S *const pg = dy.data(), *const pw = w.data();
    S* const px = dx.data();
    if constexpr (tenon::detail::all_float<C, S>) {
      tenon::detail::conv_float(tenon::detail::conv_of::dx, ex.threads(), ex.scratch, ex.per_thread, px, pg, pw, nullptr, z);
    } else {
      tenon::detail::parallel(ex.threads(), z.n * z.c, 1, [=, &z](extent begin, extent end, int) noexcept {
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
                    sum +=
                        C(pg[((nc / z.c * z.o + o) * z.i + i) * z.j + j]) * C(pw[((o * z.cg + c % z.cg) * z.kh + r) * z.kw + s]);
                }
              }
              *to++ = S(sum);
            }
        }
      });
    }
  }
};
inline constexpr conv_dx_op conv_dx{};

/// dw[o,c,r,s] += Σ dy[n,o,i,j] · x[n, c, i·sh − ph + r·dh, j·sw − pw + s·dw]
struct conv_dw_op : op<conv_dw_op> {
  template <class Ex, class A, class S>
  static void host(const Ex& ex, const view<A>& dw, const view<S>& dy, in<S> x, const window& k) {
    using C = typename Ex::compute;
    const tenon::detail::conv_sizes z(x.shape(), dy.shape(), k);
    const auto *const pg = dy.data(), *const px = x.data();
    A* const pw = dw.data();
    if constexpr (tenon::detail::all_float<C, A, S>) {
      tenon::detail::conv_float(tenon::detail::conv_of::dw, ex.threads(), ex.scratch, ex.per_thread, pw, pg, px, nullptr, z);
    } else {
      tenon::detail::parallel(ex.threads(), z.o, 1, [=, &z](extent begin, extent end, int) noexcept {
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
  }
};
inline constexpr conv_dw_op conv_dw{};
}  // namespace TENON_KERNELS
}  // namespace tenon::ops
