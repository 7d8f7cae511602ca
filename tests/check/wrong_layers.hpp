// SPDX-License-Identifier: Apache-2.0
// Layers with one disease each, and their healthy twins (`none`): what check_layer must reject, and accept.
// Each loop is written out, so that a disease is one line.
#pragma once
#include <cmath>
#include <concepts>
#include <type_traits>
#include "tenon/layers/layer.hpp"
namespace wrong {
using tenon::extent;

enum class disease {
  none,
  wrong_sign,
  stores_dp,
  adds_to_dx,
  transposed_weight,
  no_bias_gradient,
  factor_two,
  stale_dp,
  half_batch,  // affine
  border_forward,
  border_dx,
  border_dw,
  reads_outside,                                                             // conv
  no_mean_term,
  no_variance_term,
  writes_state,
  commit_twice,
  wrong_saved,                                         // norm
  diagonal,
  not_over_x,                                                                                            // softmax
  ignores_mask,
  other_mask,
  other_in_inference,                                                                    // drop
  swapped_inputs,
  forgets_second,                                                                                  // product
  adds_to_y,
  writes_x,
  beyond_y,
  before_dx,
  float_only,
  overflows_float,
  needs_both,
  dirty_scratch,
  not_alias,     // square
  fixed_gap,                                                                                                       // clip
};
template <class Pass>
using scalar_of = typename std::remove_reference_t<Pass>::scalar;

/// y = x · weightᵀ + bias; x is [batch, in].
template <disease D>
struct affine {
  extent out = 3;
  static constexpr auto name = "affine";
  constexpr tenon::spec infer(tenon::inputs x) const {
    return tenon::spec{x[0].expect_rank(2).with(1, out)}
        .parameter("weight", {out, x[0][1]}, tenon::uniform_fan_in(x[0][1]))
        .parameter("bias", {out})
        .reads(tenon::keep::input);
  }
  void forward(auto& pass) const {
    auto x = pass.x();
    auto y = pass.y();
    const extent k = x.shape()[1];
    for (extent b = 0; b < pass.batch(); ++b)
      for (extent o = 0; o < out; ++o) {
        auto sum = scalar_of<decltype(pass)>(pass.p(1)[o]);
        for (extent j = 0; j < k; ++j) sum += x(b, j) * pass.p(0)(o, j);
        y(b, o) = sum;
      }
  }
  void backward(auto& pass) const {
    using C = scalar_of<decltype(pass)>;
    auto x = pass.x();
    auto dy = pass.dy();
    const extent k = x.shape()[1], samples = D == disease::half_batch ? (pass.batch() + 1) / 2 : pass.batch();
    if (auto dx = pass.dx())
      for (extent b = 0; b < pass.batch(); ++b)
        for (extent j = 0; j < k; ++j) {
          C sum(0);
          for (extent o = 0; o < out; ++o)
            sum += dy(b, o) * (D == disease::transposed_weight ? pass.p(0)[(j * out + o)] : pass.p(0)(o, j));
          if (D == disease::wrong_sign) sum = -sum;
          if (D == disease::factor_two) sum = 2 * sum;
          if (D == disease::adds_to_dx) dx(b, j) += sum;
          else dx(b, j) = sum;
        }
    if (auto dw = pass.dp(0))
      for (extent o = 0; o < out; ++o)
        for (extent j = 0; j < k; ++j) {
          C sum(0);
          for (extent b = 0; b < samples; ++b) sum += dy(b, o) * x(b, j);
          if (D == disease::stores_dp) dw(o, j) = sum;
          else if (D == disease::stale_dp) dw(o, j) = dw(o, j) + dw(o, j) + sum;
          else dw(o, j) += sum;
        }
    if (auto db = pass.dp(1); db && D != disease::no_bias_gradient)
      for (extent b = 0; b < pass.batch(); ++b)
        for (extent o = 0; o < out; ++o) db[o] += dy(b, o);
  }
};

/// y[i] = Σ x[i + r − 1] · w[r], zero outside x; x is [batch, n], three taps.
template <disease D>
struct conv {
  static constexpr auto name = "conv";
  constexpr tenon::spec infer(tenon::inputs x) const {
    return tenon::spec{x[0].expect_rank(2)}.parameter("taps", {3}, tenon::uniform_fan_in(3)).reads(tenon::keep::input);
  }
  void forward(auto& pass) const {
    auto x = pass.x();
    auto y = pass.y();
    const extent n = x.shape()[1], end = D == disease::border_forward ? n - 1 : n;
    for (extent b = 0; b < pass.batch(); ++b)
      for (extent i = 0; i < n; ++i) {
        scalar_of<decltype(pass)> sum(0);
        for (extent r = 0; r < 3; ++r)
          if (const extent at = i + r - 1; D == disease::reads_outside || (at >= 0 && at < end))
            sum += x[b * n + at] * pass.p(0)[r];
        y(b, i) = sum;
      }
  }
  void backward(auto& pass) const {
    auto x = pass.x();
    auto dy = pass.dy();
    auto dx = pass.dx();
    auto dw = pass.dp(0);
    const extent n = x.shape()[1];
    if (dx)
      for (auto& e : dx) e = 0;
    for (extent b = 0; b < pass.batch(); ++b)
      for (extent i = 0; i < n; ++i)
        for (extent r = 0; r < 3; ++r) {
          const extent at = i + r - 1;
          if (at < 0 || at >= n) continue;
          if (dx && (D != disease::border_dx || at > 0)) dx(b, at) += dy(b, i) * pass.p(0)[r];
          if (dw && (D != disease::border_dw || i < n - 1)) dw[r] += dy(b, i) * x(b, at);
        }
  }
};

/// Normalises each channel over the batch; x is [batch, channels].
template <disease D>
struct norm {
  static constexpr auto name = "norm";
  constexpr tenon::spec infer(tenon::inputs x) const {
    const tenon::shape c{x[0][1]};
    return tenon::spec{x[0].expect_rank(2)}.state("running", c, 1).saves("mean", c).saves("inverse", c).reads(tenon::keep::input);
  }
  void forward(auto& pass) const {
    using std::sqrt;
    using C = scalar_of<decltype(pass)>;
    auto x = pass.x();
    auto y = pass.y();
    const extent m = pass.batch(), n = x.shape()[1];
    for (extent c = 0; c < n; ++c) {
      C mean(0), square(0);
      for (extent b = 0; b < m; ++b) mean += x(b, c) / C(m);
      for (extent b = 0; b < m; ++b) square += (x(b, c) - mean) * (x(b, c) - mean) / C(m);
      const C inverse = 1 / sqrt(square + C(0.01));
      for (extent b = 0; b < m; ++b) y(b, c) = (x(b, c) - mean) * inverse * (pass.training() ? C(1) : C(pass.state(0)[c]));
      if (auto s = pass.saved(0)) s[c] = mean;
      if (auto s = pass.saved(1)) s[c] = inverse;
      if (D == disease::writes_state && pass.training()) const_cast<C&>(pass.state(0)[c]) = inverse;
    }
  }
  void backward(auto& pass) const {
    using C = scalar_of<decltype(pass)>;
    auto x = pass.x();
    auto dy = pass.dy();
    auto dx = pass.dx();
    if (!dx) return;
    const extent m = pass.batch(), n = x.shape()[1];
    for (extent c = 0; c < n; ++c) {
      const C mean = pass.saved(0)[c], inverse = pass.saved(D == disease::wrong_saved ? 0 : 1)[c];
      C sum(0), along(0);
      for (extent b = 0; b < m; ++b) sum += dy(b, c) / C(m), along += dy(b, c) * (x(b, c) - mean) * inverse / C(m);
      if (D == disease::no_mean_term) sum = 0;
      if (D == disease::no_variance_term) along = 0;
      for (extent b = 0; b < m; ++b) dx(b, c) = inverse * (dy(b, c) - sum - (x(b, c) - mean) * inverse * along);
    }
  }
  void commit(auto& pass) const {
    using C = scalar_of<decltype(pass)>;
    for (extent c = 0; c < pass.state(0).numel(); ++c) {
      pass.state(0)[c] = C(0.5) * pass.state(0)[c] + C(0.5) * pass.saved(1)[c];
      if (D == disease::commit_twice) const_cast<C&>(pass.saved(1)[c]) = C(0);
    }
  }
};

/// y = exp(x) / Σ exp(x); x is [batch, n].
template <disease D>
struct softmax {
  static constexpr auto name = "softmax";
  constexpr tenon::spec infer(tenon::inputs x) const {
    return tenon::spec{x[0].expect_rank(2)}.reads(tenon::keep::output).overwrites(0);
  }
  void forward(auto& pass) const {
    using std::exp;
    auto x = pass.x();
    auto y = pass.y();
    const extent n = x.shape()[1];
    for (extent b = 0; b < pass.batch(); ++b) {
      scalar_of<decltype(pass)> sum(0);
      for (extent i = 0; i < n; ++i) {
        if (D == disease::not_over_x) y(b, i) = exp(x(b, i));
        sum += exp(x(b, i));
      }
      for (extent i = 0; i < n; ++i) y(b, i) = exp(x(b, i)) / sum;
    }
  }
  void backward(auto& pass) const {
    auto y = pass.y();
    auto dy = pass.dy();
    auto dx = pass.dx();
    if (!dx) return;
    const extent n = y.shape()[1];
    for (extent b = 0; b < pass.batch(); ++b) {
      scalar_of<decltype(pass)> along(0);
      for (extent i = 0; i < n; ++i) along += dy(b, i) * y(b, i);
      for (extent i = 0; i < n; ++i) dx(b, i) = y(b, i) * (D == disease::diagonal ? dy(b, i) * (1 - y(b, i)) : dy(b, i) - along);
    }
  }
};

/// y = 2x for about half of the elements, else 0.
template <disease D>
struct drop {
  static constexpr auto name = "drop";
  constexpr tenon::spec infer(tenon::inputs x) const { return tenon::spec{x[0]}.reads(tenon::keep::nothing); }
  static auto factor(auto& pass, extent i) {
    return scalar_of<decltype(pass)>(pass.rng().bits(static_cast<std::uint64_t>(i)) & 1u ? 2 : 0);
  }
  void forward(auto& pass) const {
    auto x = pass.x();
    auto y = pass.y();
    for (extent i = 0; i < y.numel(); ++i) y[i] = pass.training() ? x[i] * factor(pass, i) : x[i];
  }
  void backward(auto& pass) const {
    auto dy = pass.dy();
    if (auto dx = pass.dx())
      for (extent i = 0; i < dx.numel(); ++i)
        dx[i] = D == disease::ignores_mask ? dy[i] : dy[i] * factor(pass, D == disease::other_mask ? i + 1 : i);
  }
};

/// y = x(0) · x(1), of one shape.
template <disease D>
struct product {
  static constexpr auto name = "product";
  static constexpr int arity = 2;
  constexpr tenon::spec infer(tenon::inputs x) const { return tenon::spec{x[0].expect(1, x[1][1])}.reads(tenon::keep::input); }
  void forward(auto& pass) const {
    auto a = pass.x(0), b = pass.x(1);
    auto y = pass.y();
    for (extent i = 0; i < y.numel(); ++i) y[i] = a[i] * b[i];
  }
  void backward(auto& pass) const {
    auto dy = pass.dy();
    for (int k = 0; k < (D == disease::forgets_second ? 1 : 2); ++k)
      if (auto dx = pass.dx(k)) {
        auto other = pass.x(D == disease::swapped_inputs ? k : 1 - k);
        for (extent i = 0; i < dx.numel(); ++i) dx[i] = dy[i] * other[i];
      }
  }
};

/// y = x², with the diseases of memory.
template <disease D>
struct square {
  static constexpr auto name = "square";
  constexpr tenon::spec infer(tenon::inputs x) const {
    tenon::spec s{x[0]};
    s.reads(tenon::keep::input).scratch(4);
    return D == disease::not_alias ? s.aliases(0) : s;
  }
  void forward(auto& pass) const {
    using C = scalar_of<decltype(pass)>;
    auto x = pass.x();
    auto y = pass.y();
    const extent n = y.numel();
    for (extent i = 0; i < n; ++i) {
      const C v = x[i] * x[i];
      if (D == disease::adds_to_y) y[i] += v;
      else if (D == disease::other_in_inference) y[i] = pass.training() ? v : v + v;
      else if (D == disease::overflows_float) y[i] = v * C(1e30f) * C(1e30f) / C(1e30f) / C(1e30f);
      else y[i] = v;
    }
    if (D == disease::writes_x) const_cast<C&>(x[n - 1]) = C(0);
    if (D == disease::beyond_y) y.data()[n] = C(1);
    if (D == disease::dirty_scratch) y[0] += pass.scratch()[0];
    if constexpr (D == disease::float_only && std::same_as<C, float>) y[n - 1] = x[n - 1];
  }
  void backward(auto& pass) const {
    auto x = pass.x();
    auto dy = pass.dy();
    auto dx = pass.dx();
    if (!dx) return;
    for (extent i = 0; i < dx.numel(); ++i) dx[i] = 2 * dy[i] * x[i];
    if (D == disease::before_dx) dx.data()[-1] = dx[0];
  }
};

/// y = x with slope 1 above 0 and ½ below, and a weight that scales all; fused gradients.
template <disease D>
struct leaky {
  static constexpr auto name = "leaky";
  constexpr tenon::spec infer(tenon::inputs x) const {
    return tenon::spec{x[0]}.parameter("scale", {1}, tenon::constant(1)).reads(tenon::keep::input);
  }
  void forward(auto& pass) const {
    using std::max;
    using C = scalar_of<decltype(pass)>;
    auto x = pass.x();
    auto y = pass.y();
    for (extent i = 0; i < y.numel(); ++i) y[i] = pass.p(0)[0] * max(C(x[i]), C(x[i] * C(0.5f)));
  }
  void backward(auto& pass) const {
    using C = scalar_of<decltype(pass)>;
    auto x = pass.x();
    auto dy = pass.dy();
    auto dx = pass.dx();
    auto dp = pass.dp(0);
    if (D == disease::needs_both && !(dx && dp)) return;
    for (extent i = 0; i < dy.numel(); ++i) {
      const C slope = D == disease::fixed_gap ? C(1) : x[i] > C(0) ? C(1) : C(0.5f);
      if (dp) dp[0] += dy[i] * x[i] * slope;
      if (dx) dx[i] = dy[i] * slope * pass.p(0)[0];
    }
  }
};
}  // namespace wrong
