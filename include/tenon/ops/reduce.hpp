// SPDX-License-Identifier: Apache-2.0
// Sums over all axes but one, and how a dense array is seen from one axis. Reads the inputs, writes the first argument.
#pragma once
#include "tenon/ops/cpu/threads.hpp"
#include "tenon/ops/maths.hpp"
namespace tenon::detail {
/// A dense array as [outer, length, inner] around one axis ≥ 0.
struct around {
  extent outer = 1, length = 1, inner = 1;
  [[gnu::noinline]] constexpr around(const shape& s, int axis) : length(s[axis]) {
    for (int i = 0; i < s.rank(); ++i)
      if (i != axis) (i < axis ? outer : inner) *= s.d[i];
  }
};
}  // namespace tenon::detail

namespace tenon::ops {
inline namespace TENON_KERNELS {
/// db[c] += Σ dy[…, c, …] over all axes but `axis` (negative counts from the back): the gradient of a bias.
struct channel_sum_op : op<channel_sum_op> {
  template <class Ex, class A, class S>
  static void host(const Ex& ex, const view<A>& db, const view<S>& dy, int axis) {
    using C = typename Ex::compute;
    const tenon::detail::around a(dy.shape(), axis < 0 ? dy.rank() + axis : axis);
    A* const to = db.data();
    const S* const from = dy.data();
    const extent grain = 16384 / (a.outer * a.inner + 1) + 1;
    tenon::detail::parallel(ex.threads(), a.length, grain, [=](extent begin, extent end, int) noexcept {
      extent c = begin;
      if (a.inner == 1) {  // rows: eight neighbouring columns at a time
        constexpr extent wide = 8;
        for (; c + wide <= end; c += wide) {
          C part[wide]{C(0), C(0), C(0), C(0), C(0), C(0), C(0), C(0)};
          const S* p = from + c;
          for (extent o = 0; o < a.outer; ++o, p += a.length)
            for (extent k = 0; k < wide; ++k) part[k] += C(p[k]);
          for (extent k = 0; k < wide; ++k) to[c + k] += A(part[k]);
        }
      }
      for (; c < end; ++c) {
        C sum(0);
        for (extent o = 0; o < a.outer; ++o)
          sum +=
              tenon::detail::sum_run<C>(a.inner, [](const auto& v) noexcept { return v; }, from + (o * a.length + c) * a.inner);
        to[c] += A(sum);
      }
    });
  }
};
inline constexpr channel_sum_op channel_sum{};
}  // namespace TENON_KERNELS
}  // namespace tenon::ops
