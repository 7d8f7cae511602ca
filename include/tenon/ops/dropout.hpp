// SPDX-License-Identifier: Apache-2.0
// Dropout by counted random numbers: the mask is a function of the key and the index, so that backward draws it again.
// Reads x, writes y, which may be the same memory.
#pragma once
#include "tenon/ops/cpu/threads.hpp"
#include "tenon/ops/op.hpp"
#include "tenon/ops/random.hpp"
namespace tenon::ops {
inline namespace TENON_KERNELS {
/// y = x · [draw ≥ rate] / (1 − rate), with rate in [0, 1); it is its own backward. 0 · NaN = NaN: a dropped NaN shows.
struct drop_op : op<drop_op> {
  template <class Ex, class S>
  static void host(const Ex& ex, const view<S>& y, in<S> x, const random_key& key, double rate) {
    using C = typename Ex::compute;
    const extent n = y.numel();
    const auto cut = static_cast<std::uint64_t>(rate * 0x1p32);  // of 2³² draws so many are dropped
    const S* const px = x.data();
    S* const py = y.data();
    tenon::detail::parallel(ex.threads(), (n + 3) / 4, 1024, [=](extent begin, extent end, int) noexcept {
      const C factor[2]{C(0), C(1) / (C(1) - C(rate))};
      for (extent b = begin; b < end; ++b) {
        const random_block draws = key.block(static_cast<std::uint64_t>(b));
        const extent last = n - 4 * b < 4 ? n - 4 * b : 4;
        for (extent k = 0; k < last; ++k) py[4 * b + k] = S(C(px[4 * b + k]) * factor[draws.v[k] >= cut]);
      }
    });
  }
};
inline constexpr drop_op drop{};
}  // namespace TENON_KERNELS
}  // namespace tenon::ops
