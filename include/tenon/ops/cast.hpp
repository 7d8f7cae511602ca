// SPDX-License-Identifier: Apache-2.0
// The one op whose views have different element types and that changes no value but by rounding. Reads x, writes y.
#pragma once
#include "tenon/ops/cpu/threads.hpp"
#include "tenon/ops/op.hpp"
namespace tenon::ops {
inline namespace TENON_KERNELS {
/// y = x, converted element by element; both have the same number of elements.
struct cast_op : op<cast_op> {
  template <class Ex, class T, class S>
  static void host(const Ex& ex, const view<T>& y, const view<S>& x) {
    const S* const px = x.data();
    T* const py = y.data();
    tenon::detail::parallel(ex.threads(), y.numel(), 32768, [=](extent begin, extent end, int) noexcept {
      for (extent i = begin; i < end; ++i) py[i] = static_cast<T>(static_cast<compute_of_t<S>>(px[i]));
    });
  }
};
inline constexpr cast_op cast{};
}  // namespace TENON_KERNELS
}  // namespace tenon::ops
