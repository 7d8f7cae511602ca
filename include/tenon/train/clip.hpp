// SPDX-License-Identifier: Apache-2.0
// Gradient clipping, between backward and update. Reads and scales the gradients of a model on the host, in parameter order, so
// that the same gradients give the same bits.
#pragma once
#include "tenon/core/maths.hpp"
#include "tenon/core/precision.hpp"
#include "tenon/train/targets.hpp"
namespace tenon {
#if TENON_EXCEPTIONS
namespace detail {
/// f(T* elements, n) with the element type of a dense array of real numbers. Errors: device, null_data, not_dense, dtype.
template <class F>
auto with_real_elements(const array_ref& a, const char* operation, const char* argument, const F& f) {
  if (failure e; check_host(a, operation, argument, e) != errc::ok) raise(e);
  if (!a.dense()) raise(errc::not_dense, operation, {.argument = argument});
  const extent n = a.shape.numel();
  if (a.dtype == float32) return f(static_cast<float*>(a.data), n);
  if (a.dtype == float64) return f(static_cast<double*>(a.data), n);
  if (a.dtype == bfloat16_dtype) return f(static_cast<bfloat16*>(a.data), n);
  raise(errc::dtype, operation, {.argument = argument, .got = a.dtype.packed(), .expected = float32.packed()});
}
/// Σ (scale·g)² in four partial sums, and the largest finite |g|.
struct magnitude {
  double squares = 0, largest = 0;
  bool finite = true;
};
template <class T>
magnitude magnitude_of(const T* g, extent n, double scale) noexcept {
  double sum[4]{};
  magnitude r;
  for (extent i = 0; i < n; ++i) {
    const double v = static_cast<double>(static_cast<compute_of_t<T>>(g[i])) * scale;
    sum[i % 4] += v * v;
  }
  r.squares = (sum[0] + sum[1]) + (sum[2] + sum[3]);
  if (maths::is_finite(r.squares)) return r;
  for (extent i = 0; i < n; ++i) {
    const double size = maths::abs(static_cast<double>(static_cast<compute_of_t<T>>(g[i])));
    r.finite = r.finite && maths::is_finite(size);
    r.largest = size > r.largest ? size : r.largest;
  }
  return r;
}
/// A number given by the user that must be ≥ 0.
inline void expect_not_negative(double v, const char* operation, const char* argument) {
  if (!(v >= 0))
    raise(errc::value, operation,
          {.argument = argument, .got = v < 0 ? -1 : 0, .expected = 0, .relation = "a number of at least "});
}
}  // namespace detail

/// Scales all gradients by max / (norm + 1e-6) where their norm together is above max, as torch.nn.utils.clip_grad_norm_. Gives
/// the norm before. Errors: not_finite (names the first parameter with a NaN or infinite gradient; nothing was scaled), value.
template <class Model>
double clip_gradient_norm(Model& m, double max) {
  constexpr const char* name = "clip_gradient_norm";
  detail::expect_not_negative(max, name, "max");
  const auto parameters = m.parameters();
  const auto measure = [&](double scale) {
    detail::magnitude all;
    for (const auto& p : parameters) {
      if (!p.grad) continue;
      const auto one = detail::with_real_elements(p.grad.describe(), name, p.name.c_str(),
                                                  [&](auto* g, extent n) { return detail::magnitude_of(g, n, scale); });
      if (!one.finite)
        detail::raise(errc::not_finite, name, {.argument = p.name, .remedy = "Its gradient holds a NaN or an infinity."});
      all.squares += one.squares;
      all.largest = one.largest > all.largest ? one.largest : all.largest;
    }
    return all;
  };
  detail::magnitude all = measure(1);
  double norm = detail::maths::sqrt(all.squares);
  if (!detail::maths::is_finite(norm))
    norm = all.largest * detail::maths::sqrt(measure(1 / all.largest).squares);  // doubles above 1e154: squares overflow
  if (const double factor = max / (norm + 1e-6); factor < 1)
    for (const auto& p : parameters)
      if (p.grad)
        detail::with_real_elements(p.grad.describe(), name, p.name.c_str(), [&](auto* g, extent n) {
          using C = compute_of_t<std::remove_pointer_t<decltype(g)>>;
          for (extent i = 0; i < n; ++i) g[i] = static_cast<C>(g[i]) * static_cast<C>(factor);
        });
  return norm;
}

/// Brings each element of each gradient into [−limit, limit]; NaN stays. Errors: value (limit).
template <class Model>
void clip_gradient_value(Model& m, double limit) {
  constexpr const char* name = "clip_gradient_value";
  detail::expect_not_negative(limit, name, "limit");
  for (const auto& p : m.parameters())
    if (p.grad)
      detail::with_real_elements(p.grad.describe(), name, p.name.c_str(), [&](auto* g, extent n) {
        using T = std::remove_pointer_t<decltype(g)>;
        const auto top = static_cast<T>(limit), bottom = static_cast<T>(-limit);
        for (extent i = 0; i < n; ++i) g[i] = g[i] > top ? top : g[i] < bottom ? bottom : g[i];
      });
}
#endif
}  // namespace tenon
