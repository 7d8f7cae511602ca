// SPDX-License-Identifier: Apache-2.0
// What ops share: loops over runs of elements that use vectors for float. Touches what it is given.
#pragma once
#include <concepts>
#include "tenon/core/maths.hpp"
#include "tenon/ops/cpu/vector_math.hpp"
#include "tenon/ops/op.hpp"
namespace tenon::detail {
/// Whether all is float: only then is there another kernel than the reference loops.
template <class C, class... T>
inline constexpr bool all_float = std::same_as<C, float> && (std::same_as<std::remove_const_t<T>, float> && ...);

inline namespace TENON_KERNELS {
inline constexpr extent map_grain = 16384;  // elements worth a thread

/// y[i] = f(x[i]…) for i < n, computed in C; y may be one of x. f is generic: for floats it gets four of them at a time.
template <class C, class S, class F, class... X>
void map_run(S* y, extent n, const F& f, const X*... x) {
  if constexpr (all_float<C, S, X...>) map_lanes(y, n, f, x...);
  else
    for (extent i = 0; i < n; ++i) y[i] = S(f(C(x[i])...));
}
/// Σ f(x[i]…) for i < n, in C. For floats f gets four at a time: sixteen partial sums, so that errors grow slowly.
template <class C, class F, class... X>
C sum_run(extent n, const F& f, const X*... x) {
  C total(0);
  extent i = 0;
  if constexpr (all_float<C, X...>) {
    four_floats s[4]{};
    for (; i + 16 <= n; i += 16) {
      s[0] += f(load4(x + i)...);
      s[1] += f(load4(x + i + 4)...);
      s[2] += f(load4(x + i + 8)...);
      s[3] += f(load4(x + i + 12)...);
    }
    s[0] = (s[0] + s[1]) + (s[2] + s[3]);
    total = (s[0][0] + s[0][2]) + (s[0][1] + s[0][3]);
  }
  for (; i < n; ++i) total += f(C(x[i])...);
  return total;
}
}  // namespace TENON_KERNELS
}  // namespace tenon::detail
