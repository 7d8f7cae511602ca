// SPDX-License-Identifier: Apache-2.0
// The functions of <cmath> that Tenon needs, for float and double, without the time it takes to compile <cmath>: 0.05 s
// in each file that includes Tenon. Use them as those of std: `using detail::maths::exp; exp(c)`.
#pragma once
namespace tenon::detail::maths {
inline constexpr double infinity = __builtin_huge_val();
inline float exp(float x) { return __builtin_expf(x); }
inline double exp(double x) { return __builtin_exp(x); }
inline float log(float x) { return __builtin_logf(x); }
inline double log(double x) { return __builtin_log(x); }
inline float log1p(float x) { return __builtin_log1pf(x); }
inline double log1p(double x) { return __builtin_log1p(x); }
inline float tanh(float x) { return __builtin_tanhf(x); }
inline double tanh(double x) { return __builtin_tanh(x); }
inline float sqrt(float x) { return __builtin_sqrtf(x); }
inline double sqrt(double x) { return __builtin_sqrt(x); }
inline double cos(double x) { return __builtin_cos(x); }
inline double pow(double x, double y) { return __builtin_pow(x, y); }
inline double abs(double x) { return __builtin_fabs(x); }
inline bool is_finite(double x) { return __builtin_isfinite(x); }

/// False for scalars that cannot say so.
template <class C>
constexpr bool is_nan(const C& c) {
  if constexpr (requires { c != c ? 1 : 0; }) return c != c;
  else return false;
}
}  // namespace tenon::detail::maths
