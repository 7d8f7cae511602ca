// SPDX-License-Identifier: Apache-2.0
// Optimizers as pure rules over elements: parameter, gradient and slots are given, nothing else is touched. Formulas are
// PyTorch's. Scalars are worked out in double, elements in their compute type, sixteen bytes at a time; an element's result does
// not depend on how a parameter is cut into pieces.
#pragma once
#include <cstring>
#include <type_traits>
#include "tenon/core/maths.hpp"
#include "tenon/ops/update.hpp"
#include "tenon/train/real.hpp"
namespace tenon {
namespace detail {
inline namespace TENON_KERNELS {
/// Sixteen bytes of C; element i of a vector is an element of the array.
template <class C>
struct lanes {
  typedef C vector __attribute__((vector_size(16)));
  static constexpr int count = 16 / sizeof(C);

  template <class S>
  [[gnu::always_inline]] static vector load(const S* p, int n) noexcept {
    vector v{};
    if constexpr (std::is_same_v<S, C>) std::memcpy(&v, p, static_cast<std::size_t>(n) * sizeof(C));
    else
      for (int i = 0; i < n; ++i) v[i] = static_cast<C>(p[i]);
    return v;
  }
  template <class S>
  [[gnu::always_inline]] static void store(S* p, vector v, int n) noexcept {
    if constexpr (std::is_same_v<S, C>) std::memcpy(p, &v, static_cast<std::size_t>(n) * sizeof(C));
    else
      for (int i = 0; i < n; ++i) p[i] = static_cast<S>(v[i]);
  }
  [[gnu::always_inline]] static vector square_root(vector v) noexcept {
#if defined(__clang__)
    return __builtin_elementwise_sqrt(v);
#elif defined(__SSE2__)
    if constexpr (std::is_same_v<C, float>) return __builtin_ia32_sqrtps(v);
    else return __builtin_ia32_sqrtpd(v);
#else
    for (int i = 0; i < count; ++i) v[i] = maths::sqrt(v[i]);
    return v;
#endif
  }
};

/// f(w, g, s) on vectors of the parameter, its gradient and its slots; w and s are written back.
template <int Slots, class W, class G, class F>
[[gnu::always_inline]] inline void each_lanes(W* w, const G* g, W* const* slots, extent n, const F& f) noexcept {
  using L = lanes<compute_of_t<W>>;
  const auto step = [&](extent i, int rest) __attribute__((always_inline)) {
    typename L::vector wv = L::load(w + i, rest), s[std::size_t{Slots > 0 ? Slots : 1}];
    for (int k = 0; k < Slots; ++k) s[k] = L::load(slots[k] + i, rest);
    f(wv, L::load(g + i, rest), s);
    L::store(w + i, wv, rest);
    for (int k = 0; k < Slots; ++k) L::store(slots[k] + i, s[k], rest);
  };
  extent i = 0;
  for (; i + L::count <= n; i += L::count) step(i, L::count);
  if (i < n) step(i, static_cast<int>(n - i));
}
}  // namespace TENON_KERNELS
}  // namespace detail

/// Stochastic gradient descent as torch.optim.SGD: g += weight_decay·w; b = momentum·b + (1 − dampening)·g (b = g at step 1);
/// nesterov: g += momentum·b, else g = b; w −= lr·g. Slot 0 is b.
struct sgd {
  real lr = 0.01, momentum = 0, dampening = 0, weight_decay = 0;
  bool nesterov = false;
  static constexpr const char* name = "sgd";
  static constexpr int slots = 1;

  /// w, g and slots[0] are n elements each. No errors.
  template <class W, class G>
  void apply(const step_info& info, W* w, const G* g, W* const* s, extent n) const noexcept {
    using C = compute_of_t<W>;
    using V = typename detail::lanes<C>::vector;
    const C rate = static_cast<C>(lr * static_cast<double>(info.lr)),
            decay = static_cast<C>(weight_decay * static_cast<double>(info.decay));
    if (momentum == 0) return detail::each_lanes<0>(w, g, s, n, [=](V& wv, V gv, V*) { wv -= rate * (gv + decay * wv); });
    const C keep = static_cast<C>(momentum), take = info.step > 1 ? static_cast<C>(1 - dampening) : C(1);
    const C ahead = nesterov ? keep : C(0), now = nesterov ? C(1) : C(0), buffer = nesterov ? ahead : C(1);
    detail::each_lanes<1>(w, g, s, n, [=](V& wv, V gv, V* b) {
      const V d = gv + decay * wv;
      b[0] = keep * b[0] + take * d;
      wv -= rate * (now * d + buffer * b[0]);
    });
  }
};

namespace detail {
/// m += (1 − β1)(g − m); v = β2·v + (1 − β2)·g²; w −= lr·(decoupled·w + m / (1 − β1^t) / (√(v / (1 − β2^t)) + ε)),
/// where coupled·w was added to g before.
template <bool Coupled, class W, class G>
void adam_step(const step_info& info, double lr, double beta1, double beta2, double epsilon, double coupled, double decoupled,
               W* w, const G* g, W* const* s, extent n) noexcept {
  using C = compute_of_t<W>;
  using V = typename lanes<C>::vector;
  const double t = static_cast<double>(info.step), rate = lr * static_cast<double>(info.lr);
  const C scale = static_cast<C>(rate / (1 - maths::pow(beta1, t))), shrink = static_cast<C>(rate * decoupled);
  const C root = static_cast<C>(1 / maths::sqrt(1 - maths::pow(beta2, t))), eps = static_cast<C>(epsilon),
          l2 = static_cast<C>(coupled);
  const C take1 = static_cast<C>(1 - beta1), keep2 = static_cast<C>(beta2), take2 = static_cast<C>(1 - beta2);
  each_lanes<2>(w, g, s, n, [=](V& wv, V gv, V* mv) {
    if constexpr (Coupled) gv += l2 * wv;
    mv[0] += take1 * (gv - mv[0]);
    mv[1] = keep2 * mv[1] + take2 * gv * gv;
    wv -= shrink * wv + scale * mv[0] / (lanes<C>::square_root(mv[1]) * root + eps);
  });
}
}  // namespace detail

/// As torch.optim.Adam: Kingma & Ba 2015, algorithm 1; weight_decay is L2, added to the gradient. Slots are the two moments.
struct adam {
  real lr = 1e-3, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 0;
  static constexpr const char* name = "adam";
  static constexpr int slots = 2;

  /// w, g, slots[0] and slots[1] are n elements each. No errors.
  template <class W, class G>
  void apply(const step_info& info, W* w, const G* g, W* const* s, extent n) const noexcept {
    const double l2 = weight_decay * static_cast<double>(info.decay);
    if (l2 == 0)  // not with l2 = 0: an infinite weight times zero would be NaN
      return detail::adam_step<false>(info, lr, beta1, beta2, epsilon, 0, 0, w, g, s, n);
    detail::adam_step<true>(info, lr, beta1, beta2, epsilon, l2, 0, w, g, s, n);
  }
};

/// As torch.optim.AdamW: Loshchilov & Hutter 2019, algorithm 2; weights shrink by lr·weight_decay beside the step.
struct adamw {
  real lr = 1e-3, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 0.01;
  static constexpr const char* name = "adamw";
  static constexpr int slots = 2;

  /// w, g, slots[0] and slots[1] are n elements each. No errors.
  template <class W, class G>
  void apply(const step_info& info, W* w, const G* g, W* const* s, extent n) const noexcept {
    detail::adam_step<false>(info, lr, beta1, beta2, epsilon, 0, weight_decay * static_cast<double>(info.decay), w, g, s, n);
  }
};
static_assert(update_rule<sgd> && update_rule<adam> && update_rule<adamw>);
}  // namespace tenon
