// SPDX-License-Identifier: Apache-2.0
// One step of an LSTM (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000; torch.nn.LSTMCell).
// x is [b, in], h and c are [b, n], wi is [4n, in], wh is [4n, n], bi and bh are [4n]; gates in the order i, f, g, o. Writes the
// first arguments and scratch. The gradient of the gates is made where it is used, from what forward saved: no op needs memory
// of the batch's size.
#pragma once
#include "tenon/ops/gemm.hpp"
namespace tenon::ops {
/// What the backward ops read: the activated gates [b, 4n] and tanh(c') [b, n] of forward, its input c, and the gradients of h'
/// and c', either of which may be empty.
template <class S, class A, class D = cpu>
struct lstm_tape {
  view<const A, D> gates, tanh_c;
  view<const S, D> c, dh, dc;
};
}  // namespace tenon::ops

namespace tenon::detail {
inline constexpr extent lstm_rows = 16;  // samples whose gates are in scratch at a time
/// Compute scalars of scratch a thread that the float kernels use; without it they are the reference loops.
constexpr extent lstm_scratch(extent n) { return saturating_add(gemm_scratch, saturating_mul(4 * lstm_rows, n)); }

inline namespace TENON_KERNELS {
/// The backward formulas of one element.
template <class C, class S, class A>
struct lstm_gradient {
  const A *gates, *tanh_c;
  const S *c, *dh, *dc;
  extent n;
  lstm_gradient(const ops::lstm_tape<S, A>& t)
      : gates(t.gates.data()), tanh_c(t.tanh_c.data()), c(t.c.data()), dh(t.dh.data()), dc(t.dc.data()), n(t.tanh_c.shape()[1]) {}
  C gate(extent b, extent kind, extent j) const { return C(gates[(b * 4 + kind) * n + j]); }
  C of_h(extent b, extent j) const { return dh ? C(dh[b * n + j]) : C(0); }
  /// ∂/∂c' = dc' + dh' · o · (1 − tanh²c')
  C of_c(extent b, extent j) const {
    const C t = C(tanh_c[b * n + j]), own = of_h(b, j) * gate(b, 3, j) * (C(1) - t * t);
    return dc ? own + C(dc[b * n + j]) : own;
  }
  /// ∂/∂ of what goes into gate q = kind · n + j.
  C of_gate(extent b, extent q) const {
    const extent kind = q / n, j = q % n;
    const C a = gate(b, kind, j);
    if (kind == 0) return of_c(b, j) * gate(b, 2, j) * a * (C(1) - a);
    if (kind == 1) return of_c(b, j) * C(c[b * n + j]) * a * (C(1) - a);
    if (kind == 2) return of_c(b, j) * gate(b, 0, j) * (C(1) - a * a);
    return of_h(b, j) * C(tanh_c[b * n + j]) * a * (C(1) - a);
  }
  /// The gradients of all gates of samples [begin, end).
  void fill(C* to, extent begin, extent end) const {
    for (extent b = begin; b < end; ++b)
      for (extent q = 0; q < 4 * n; ++q) *to++ = of_gate(b, q);
  }
};
}  // namespace TENON_KERNELS
}  // namespace tenon::detail

namespace tenon::ops {
inline namespace TENON_KERNELS {
/// i, f, o = σ(x·wiᵀ + bi + h·whᵀ + bh), g = tanh of the same; c' = f·c + i·g, h' = o·tanh(c'). gates and tanh_c may be empty.
struct lstm_op : op<lstm_op> {
  template <class Ex, class S, class A>
  static void host(const Ex& ex, const view<S>& h1, const view<S>& c1, const view<A>& gates, const view<A>& tanh_c, in<S> x,
                   in<S> h, in<S> c, in<S> wi, in<S> wh, in<S> bi, in<S> bh) {
    using Cs = typename Ex::compute;
    const extent n = wh.shape()[1], m = wi.shape()[1], batch = c.shape()[0];
    const S *const px = x.data(), *const ph = h.data(), *const pc = c.data();
    const S *const pwi = wi.data(), *const pwh = wh.data(), *const pbi = bi.data(), *const pbh = bh.data();
    S *const to_h = h1.data(), *const to_c = c1.data();
    A *const to_gates = gates.data(), *const to_tanh = tanh_c.data();
    const auto finish = [=](extent b, extent j, const Cs& in0, const Cs& in1, const Cs& in2, const Cs& in3) noexcept {
      using tenon::detail::maths::exp, tenon::detail::maths::tanh;
      const auto sigma = [](const Cs& v) { return Cs(1) / (Cs(1) + exp(Cs(0) - v)); };
      const Cs i = sigma(in0), f = sigma(in1), g = tanh(in2), o = sigma(in3), next = f * Cs(pc[b * n + j]) + i * g,
               t = tanh(next);
      to_c[b * n + j] = S(next);
      to_h[b * n + j] = S(o * t);
      if (to_gates) {
        A* const k = to_gates + b * 4 * n + j;
        k[0] = A(i);
        k[n] = A(f);
        k[2 * n] = A(g);
        k[3 * n] = A(o);
      }
      if (to_tanh) to_tanh[b * n + j] = A(t);
    };
    if constexpr (tenon::detail::all_float<Cs, S>) {
      using namespace tenon::detail;
      if (float* const work = float_scratch(ex, lstm_scratch(n))) {
        parallel(ex.threads(), (batch + lstm_rows - 1) / lstm_rows, 1,
                 [=, room = lstm_scratch(n)](extent begin, extent end, int worker) noexcept {
                   float* const pre = work + worker * room;
                   float* const rest = pre + 4 * lstm_rows * n;
                   for (extent b0 = begin * lstm_rows, last = smaller(batch, end * lstm_rows); b0 < last; b0 += lstm_rows) {
                     const extent rows = smaller(lstm_rows, last - b0);
                     gemm(rows, 4 * n, m, {px + b0 * m, m, 1}, {pwi, 1, m}, pre, 4 * n, {false, pbi}, rest);
                     gemm(rows, 4 * n, n, {ph + b0 * n, n, 1}, {pwh, 1, n}, pre, 4 * n, {true, pbh}, rest);
                     for (extent b = 0; b < rows; ++b)
                       for (extent j = 0; j < n; ++j) {
                         const float* const k = pre + b * 4 * n + j;
                         finish(b0 + b, j, k[0], k[n], k[2 * n], k[3 * n]);
                       }
                   }
                 });
        return;
      }
    }
    tenon::detail::parallel(ex.threads(), batch, 1, [=](extent begin, extent end, int) noexcept {
      const auto before = [=](extent b, extent q) {
        Cs sum = Cs(pbi[q]) + Cs(pbh[q]);
        for (extent k = 0; k < m; ++k) sum += Cs(px[b * m + k]) * Cs(pwi[q * m + k]);
        for (extent k = 0; k < n; ++k) sum += Cs(ph[b * n + k]) * Cs(pwh[q * n + k]);
        return sum;
      };
      for (extent b = begin; b < end; ++b)
        for (extent j = 0; j < n; ++j) finish(b, j, before(b, j), before(b, n + j), before(b, 2 * n + j), before(b, 3 * n + j));
    });
  }
};
inline constexpr lstm_op lstm{};

/// dc = the gradient of c: that of c' times the forget gate.
struct lstm_dc_op : op<lstm_dc_op> {
  template <class Ex, class S, class A>
  static void host(const Ex& ex, const view<S>& dc, const lstm_tape<S, A>& tape) {
    using C = typename Ex::compute;
    const tenon::detail::lstm_gradient<C, S, A> g(tape);
    S* const to = dc.data();
    tenon::detail::parallel(ex.threads(), dc.numel(), 1024, [=](extent begin, extent end, int) noexcept {
      for (extent i = begin; i < end; ++i) to[i] = S(g.of_c(i / g.n, i % g.n) * g.gate(i / g.n, 1, i % g.n));
    });
  }
};
inline constexpr lstm_dc_op lstm_dc{};

/// dx[b,k] = dgates[b,4n] · w[4n,k]: the gradient of x by wi, of h by wh.
struct lstm_dx_op : op<lstm_dx_op> {
  template <class Ex, class S, class A>
  static void host(const Ex& ex, const view<S>& dx, const lstm_tape<S, A>& tape, in<S> w) {
    using C = typename Ex::compute;
    const tenon::detail::lstm_gradient<C, S, A> g(tape);
    const extent batch = dx.shape()[0], k = dx.shape()[1], q = 4 * g.n;
    S* const to = dx.data();
    const S* const pw = w.data();
    if constexpr (tenon::detail::all_float<C, S, A>) {
      using namespace tenon::detail;
      if (float* const work = float_scratch(ex, lstm_scratch(g.n))) {
        parallel(ex.threads(), (batch + lstm_rows - 1) / lstm_rows, 1,
                 [=, room = lstm_scratch(g.n)](extent begin, extent end, int worker) noexcept {
                   float* const mine = work + worker * room;
                   for (extent b0 = begin * lstm_rows, last = smaller(batch, end * lstm_rows); b0 < last; b0 += lstm_rows) {
                     const extent rows = smaller(lstm_rows, last - b0);
                     g.fill(mine, b0, b0 + rows);
                     gemm(rows, k, q, {mine, q, 1}, {pw, k, 1}, to + b0 * k, k, {}, mine + lstm_rows * q);
                   }
                 });
        return;
      }
    }
    tenon::detail::parallel(ex.threads(), batch, 1, [=](extent begin, extent end, int) noexcept {
      for (extent b = begin; b < end; ++b)
        for (extent j = 0; j < k; ++j) {
          C sum(0);
          for (extent i = 0; i < q; ++i) sum += g.of_gate(b, i) * C(pw[i * k + j]);
          to[b * k + j] = S(sum);
        }
    });
  }
};
inline constexpr lstm_dx_op lstm_dx{};

/// dw[4n,k] += dgates[b,4n]ᵀ · x[b,k]: the gradient of wi by x, of wh by h.
struct lstm_dw_op : op<lstm_dw_op> {
  template <class Ex, class G, class S, class A>
  static void host(const Ex& ex, const view<G>& dw, const lstm_tape<S, A>& tape, in<S> x) {
    using C = typename Ex::compute;
    const tenon::detail::lstm_gradient<C, S, A> g(tape);
    const extent batch = x.shape()[0], k = x.shape()[1], q = 4 * g.n;
    G* const to = dw.data();
    const S* const px = x.data();
    if constexpr (tenon::detail::all_float<C, G, S, A>) {
      using namespace tenon::detail;
      if (float* const work = float_scratch(ex, lstm_scratch(g.n))) {
        for (extent b0 = 0; b0 < batch; b0 += lstm_rows) {
          const extent rows = smaller(lstm_rows, batch - b0);
          g.fill(work, b0, b0 + rows);
          parallel_gemm(ex.threads(), q, k, rows, {work, 1, q}, {px + b0 * k, k, 1}, to, k, {.accumulate = true},
                        work + lstm_rows * q);
        }
        return;
      }
    }
    tenon::detail::parallel(ex.threads(), q, 1, [=](extent begin, extent end, int) noexcept {
      for (extent i = begin; i < end; ++i)
        for (extent j = 0; j < k; ++j) {
          C sum(0);
          for (extent b = 0; b < batch; ++b) sum += g.of_gate(b, i) * C(px[b * k + j]);
          to[i * k + j] += G(sum);
        }
    });
  }
};
inline constexpr lstm_dw_op lstm_dw{};

/// db[4n] += Σ dgates[b,4n] over the batch: the gradient of either bias.
struct lstm_db_op : op<lstm_db_op> {
  template <class Ex, class G, class S, class A>
  static void host(const Ex& ex, const view<G>& db, const lstm_tape<S, A>& tape) {
    using C = typename Ex::compute;
    const tenon::detail::lstm_gradient<C, S, A> g(tape);
    const extent batch = tape.tanh_c.shape()[0];
    G* const to = db.data();
    tenon::detail::parallel(ex.threads(), 4 * g.n, 256, [=](extent begin, extent end, int) noexcept {
      for (extent q = begin; q < end; ++q) {
        C sum(0);
        for (extent b = 0; b < batch; ++b) sum += g.of_gate(b, q);
        to[q] += G(sum);
      }
    });
  }
};
inline constexpr lstm_db_op lstm_db{};
}  // namespace TENON_KERNELS
}  // namespace tenon::ops
