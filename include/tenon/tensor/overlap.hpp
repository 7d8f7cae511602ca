// SPDX-License-Identifier: Apache-2.0
// Which addresses strided arrays reach: whether two elements of one array share memory, and whether two arrays may. Reads shapes
// and strides, never elements.
#pragma once
#include <cstddef>
#include <cstdint>
#include "tenon/tensor/tensor.hpp"
namespace tenon {
/// Of the elements of one array: each has memory of its own, some share theirs, or finding out would take too long.
enum class overlap : std::uint8_t { none, some, unknown };

namespace detail {
struct overlap_axis {
  extent most, step;  // index distance, and the elements of memory to a neighbour; both above 0
};
/// Whether Σ d·step = target for some d with |d| ≤ most on each axis from here on; at most `budget` tries. `reach` is the largest sum
/// from here on, and behind it those of the axes that follow: behind the last it is 0, which leaves no other target but 0.
inline overlap reaches(extent target, const overlap_axis* axes, const extent* reach, int& budget) noexcept {
  if (target == 0) return overlap::some;
  if (target < 0) target = -target;
  const auto [most, step] = *axes;
  const extent above = target - reach[1], from = above > 0 ? (above + step - 1) / step : above / step;
  const extent last = (target + reach[1]) / step;
  for (extent d = from < -most ? -most : from; d <= (last < most ? last : most); ++d) {
    if (--budget < 0) return overlap::unknown;
    if (const overlap behind = reaches(target - d * step, axes + 1, reach + 1, budget); behind != overlap::none) return behind;
  }
  return overlap::none;
}
/// The exact answer where the order of the axes does not give it away.
[[gnu::noinline]] inline overlap overlap_by_search(const shape& s, const strides& st) noexcept {
  overlap_axis axes[max_rank];
  int n = 0;
  for (int i = 0; i < s.rank(); ++i) {
    if (s.d[i] < 2) continue;
    if (st.d[i] == 0) return overlap::some;
    overlap_axis a{s.d[i] - 1, st.d[i] < 0 ? -st.d[i] : st.d[i]};
    int at = n++;
    for (; at > 0 && axes[at - 1].step < a.step; --at) axes[at] = axes[at - 1];
    axes[at] = a;
  }
  extent reach[max_rank + 1]{};  // of axis i and those behind it; that of the first is not asked for
  for (int i = n - 1; i > 0; --i) reach[i] = reach[i + 1] + axes[i].most * axes[i].step;
  int budget = 1 << 14;
  // The first axis on which two indices differ: by d there, and by what sums to d·step behind it.
  for (int i = 0; i < n; ++i)
    for (extent d = 1; d <= axes[i].most && d * axes[i].step <= reach[i + 1]; ++d) {
      if (--budget < 0) return overlap::unknown;
      const overlap here = reaches(d * axes[i].step, axes + i + 1, reach + i + 1, budget);
      if (here != overlap::none) return here;
    }
  return overlap::none;
}
}  // namespace detail

/// Whether elements of one array share memory: broadcast axes and sliding windows do. Strides must have been checked (no overflow).
inline overlap self_overlap(const shape& s, const strides& st) noexcept {
  if (s.numel() < 2) return overlap::none;
  extent reach = 0;  // of the axes behind: a step above it meets none of their elements
  for (int i = s.rank() - 1; i >= 0; --i) {
    if (s.d[i] == 1) continue;
    const extent step = st.d[i] < 0 ? -st.d[i] : st.d[i];
    if (step <= reach) return detail::overlap_by_search(s, st);
    reach += (s.d[i] - 1) * step;
  }
  return overlap::none;
}

/// The bytes from the first that an array reaches to behind the last; both null for an empty one.
struct address_range {
  const std::byte* first = nullptr;
  const std::byte* last = nullptr;
  constexpr bool empty() const { return first == last; }
};
namespace detail {
inline address_range range_of(const array_ref& a) noexcept {
  if (!a.data) return {};
  extent low = 0, high = 0;
  for (int i = 0; i < a.shape.rank(); ++i) {
    if (a.shape.d[i] == 0) return {};
    const extent reach = (a.shape.d[i] - 1) * a.strides.d[i];
    (reach < 0 ? low : high) += reach;
  }
  const auto* p = static_cast<const std::byte*>(a.data);
  const extent bits = a.bits_each(), width = bits / 8;
  if (bits % 8 != 0) return {p, p + a.bytes()};  // elements that share bytes have no gaps
  return {p + low * width, p + (high + 1) * width};
}
}  // namespace detail

/// Of a tensor, a view, or anything adaptable. Its strides must have been checked (no overflow).
template <class X>
address_range address_range_of(const X& x) noexcept {
  return detail::range_of(detail::describe(x));
}
/// Whether some byte may belong to both: false is certain.
constexpr bool may_overlap(const address_range& a, const address_range& b) noexcept {
  return !a.empty() && !b.empty() && a.first < b.last && b.first < a.last;
}
}  // namespace tenon
