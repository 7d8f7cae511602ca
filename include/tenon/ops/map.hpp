// SPDX-License-Identifier: Apache-2.0
// Ops that work element by element: fill, copy, add, accumulate, relu, tanh, sigmoid and their derivatives. Each reads its inputs
// and writes its first argument, which may be the same memory as an input of the same type.
#pragma once
#include <cstring>
#include "tenon/ops/cpu/threads.hpp"
#include "tenon/ops/maths.hpp"
namespace tenon::detail {
inline namespace TENON_KERNELS {
/// Floats of one element-wise op; one function drives all of them.
struct float_map {
  void (*run)(float* y, const float* a, const float* b, extent n) noexcept;
  float* y;
  const float *a, *b;  // b may be null
};
[[gnu::noinline]] inline void map_floats(int threads, extent n, const float_map& all) {
  const auto part = [](const void* f, extent begin, extent end, int) noexcept {
    const float_map& m = *static_cast<const float_map*>(f);
    m.run(m.y + begin, m.a + begin, m.b ? m.b + begin : nullptr, end - begin);
  };
  parallel_call(threads, n, map_grain, part, &all);
}
/// y[i] = f(a[i], b[i]…) for i < n on up to `threads` threads, computed in C; y may be one of the inputs. F is generic and without
/// state: for floats it gets four of them at a time.
template <class C, class S, class F, class A, class... B>
void map(int threads, extent n, S* y, F, const A* a, const B*... b) {
  if constexpr (all_float<C, S, A, B...>) {
    const auto run = [](float* to, const float* p, [[maybe_unused]] const float* q, extent count) noexcept {
      if constexpr (sizeof...(B) == 0) map_lanes(to, count, F{}, p);
      else map_lanes(to, count, F{}, p, q);
    };
    const float* const second[]{b..., nullptr};
    map_floats(threads, n, {run, y, a, second[0]});
  } else {
    parallel(threads, n, map_grain, [=](extent begin, extent end, int) noexcept {
      for (extent i = begin; i < end; ++i) y[i] = S(F{}(C(a[i]), C(b[i])...));
    });
  }
}
}  // namespace TENON_KERNELS
}  // namespace tenon::detail

namespace tenon::ops {
inline namespace TENON_KERNELS {
/// y = value
struct fill_op : op<fill_op> {
  template <class Ex, class S, class V>
  static void host(const Ex& ex, const view<S>& y, const V& v) {
    tenon::detail::parallel(ex.threads(), y.numel(), tenon::detail::map_grain,
                            [p = y.data(), value = static_cast<S>(v)](extent i, extent end, int) noexcept {
                              for (; i < end; ++i) p[i] = value;
                            });
  }
};
inline constexpr fill_op fill{};

/// y = x, of the same number of elements; nothing to do where they are the same memory.
struct copy_op : op<copy_op> {
  template <class Ex, class S>
  static void host(const Ex& ex, const view<S>& y, in<S> x) {
    S* const to = y.data();
    const S* const from = x.data();
    if (to == from) return;
    tenon::detail::parallel(ex.threads(), y.numel(), 4 * tenon::detail::map_grain, [=](extent begin, extent end, int) noexcept {
      if constexpr (std::is_trivially_copyable_v<S>)
        std::memcpy(to + begin, from + begin, static_cast<std::size_t>(end - begin) * sizeof(S));
      else
        for (extent i = begin; i < end; ++i) to[i] = from[i];
    });
  }
};
inline constexpr copy_op copy{};

/// y = a + b, all of one shape.
struct add_op : op<add_op> {
  template <class Ex, class S>
  static void host(const Ex& ex, const view<S>& y, in<S> a, in<S> b) {
    using C = typename Ex::compute;
    tenon::detail::map<C>(
        ex.threads(), y.numel(), y.data(), [](const auto& p, const auto& q) noexcept { return p + q; }, a.data(), b.data());
  }
};
inline constexpr add_op add{};

/// y += x; x may have another type (an activation's gradient into an accumulator).
struct accumulate_op : op<accumulate_op> {
  template <class Ex, class A, class S>
  static void host(const Ex& ex, const view<A>& y, const view<S>& x) {
    using C = compute_of_t<A>;
    const A* const old = y.data();
    tenon::detail::map<C>(
        ex.threads(), y.numel(), y.data(), [](const auto& p, const auto& q) noexcept { return p + q; }, old, x.data());
  }
};
inline constexpr accumulate_op accumulate{};

/// y = max(x, 0); relu(NaN) = NaN.
struct relu_op : op<relu_op> {
  template <class Ex, class S>
  static void host(const Ex& ex, const view<S>& y, in<S> x) {
    using C = typename Ex::compute;
    S* const py = y.data();
    const S* const px = x.data();
    if constexpr (tenon::detail::all_float<C, S>) {
      tenon::detail::map_floats(
          ex.threads(), y.numel(),
          {[](float* to, const float* from, const float*, extent n) noexcept { tenon::detail::relu(to, from, n); }, py, px,
           nullptr});
    } else {
      tenon::detail::parallel(ex.threads(), y.numel(), tenon::detail::map_grain, [=](extent begin, extent end, int) noexcept {
        for (extent i = begin; i < end; ++i) py[i] = C(0) > C(px[i]) ? S(0) : px[i];
      });
    }
  }
};
inline constexpr relu_op relu{};

/// dx = y ≤ 0 ? 0 : dy, for y = relu(x); a NaN in y lets dy pass, as in PyTorch.
struct relu_dx_op : op<relu_dx_op> {
  template <class Ex, class S>
  static void host(const Ex& ex, const view<S>& dx, in<S> dy, in<S> y) {
    using C = typename Ex::compute;
    S* const to = dx.data();
    const S *const g = dy.data(), *const kept = y.data();
    if constexpr (tenon::detail::all_float<C, S>) {
      tenon::detail::map_floats(ex.threads(), dx.numel(), {&tenon::detail::relu_back, to, g, kept});
    } else {
      tenon::detail::parallel(ex.threads(), dx.numel(), tenon::detail::map_grain, [=](extent begin, extent end, int) noexcept {
        for (extent i = begin; i < end; ++i) to[i] = C(kept[i]) > C(0) || tenon::detail::maths::is_nan(C(kept[i])) ? g[i] : S(0);
      });
    }
  }
};
inline constexpr relu_dx_op relu_dx{};

/// y = tanh(x)
struct tanh_op : op<tanh_op> {
  template <class Ex, class S>
  static void host(const Ex& ex, const view<S>& y, in<S> x) {
    using C = typename Ex::compute;
    S* const py = y.data();
    const S* const px = x.data();
    tenon::detail::parallel(ex.threads(), y.numel(), 1024, [=](extent begin, extent end, int) noexcept {
      using tenon::detail::maths::tanh;
      for (extent i = begin; i < end; ++i) py[i] = S(tanh(C(px[i])));
    });
  }
};
inline constexpr tanh_op tanh{};

/// dx = dy · (1 − y²), for y = tanh(x).
struct tanh_dx_op : op<tanh_dx_op> {
  template <class Ex, class S>
  static void host(const Ex& ex, const view<S>& dx, in<S> dy, in<S> y) {
    using C = typename Ex::compute;
    tenon::detail::map<C>(
        ex.threads(), dx.numel(), dx.data(), [](const auto& g, const auto& v) noexcept { return g * (C(1) - v * v); }, dy.data(),
        y.data());
  }
};
inline constexpr tanh_dx_op tanh_dx{};

/// y = 1 / (1 + exp(−x))
struct sigmoid_op : op<sigmoid_op> {
  template <class Ex, class S>
  static void host(const Ex& ex, const view<S>& y, in<S> x) {
    using C = typename Ex::compute;
    S* const py = y.data();
    const S* const px = x.data();
    tenon::detail::parallel(ex.threads(), y.numel(), 1024, [=](extent begin, extent end, int) noexcept {
      using tenon::detail::maths::exp;
      for (extent i = begin; i < end; ++i) py[i] = S(C(1) / (C(1) + exp(C(0) - C(px[i]))));
    });
  }
};
inline constexpr sigmoid_op sigmoid{};

/// dx = dy · y · (1 − y), for y = sigmoid(x).
struct sigmoid_dx_op : op<sigmoid_dx_op> {
  template <class Ex, class S>
  static void host(const Ex& ex, const view<S>& dx, in<S> dy, in<S> y) {
    using C = typename Ex::compute;
    tenon::detail::map<C>(
        ex.threads(), dx.numel(), dx.data(), [](const auto& g, const auto& v) noexcept { return g * v * (C(1) - v); }, dy.data(),
        y.data());
  }
};
inline constexpr sigmoid_dx_op sigmoid_dx{};
}  // namespace TENON_KERNELS
}  // namespace tenon::ops
