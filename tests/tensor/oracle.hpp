// SPDX-License-Identifier: Apache-2.0
// What must become of a described array, in 128-bit integers and without a thought for speed: the judge of the doors' arithmetic.
#pragma once
#include <tenon/core/error.hpp>
#include <tenon/core/shape.hpp>

namespace oracle {
__extension__ typedef __int128 wide;
using tenon::errc;

struct sample {
  std::int64_t ndim = 0, shape[tenon::max_rank]{}, strides[tenon::max_rank]{};
  bool strided = false;
  std::uint64_t base = 0, offset = 0;
  std::int64_t width = 4, alignment = 1;
  std::int64_t bits = 0;  // of an element, where elements share bytes: `width` then says nothing
  std::uint64_t known_bytes = 0;  // behind base; 0: nobody knows
};

/// The strides that an accepted array has: those given, row-major ones for axes of one element, and for all where there is no element.
inline wide stride(const sample& s, int axis) {
  bool empty = false;
  wide dense = 1;
  for (int i = 0; i < s.ndim; ++i) empty |= s.shape[i] == 0;
  for (int i = static_cast<int>(s.ndim) - 1; i > axis; --i) dense *= s.shape[i] ? s.shape[i] : 1;
  return empty || !s.strided || s.shape[axis] == 1 ? dense : wide{s.strides[axis]};
}
inline bool row_major(const sample& s) {
  wide step = 1;
  for (int i = 0; i < s.ndim; ++i)
    if (s.shape[i] == 0) return true;
  for (int i = static_cast<int>(s.ndim) - 1; i >= 0; --i) {
    if (s.shape[i] != 1 && stride(s, i) != step) return false;
    step *= s.shape[i];
  }
  return true;
}

/// Errors: negative_extent, overflow, not_dense, null_data, alignment. `address` is that of the first element, 0 where there is none.
inline errc judge(const sample& s, std::uint64_t& address) {
  const wide int_max = INT64_MAX, int_min = INT64_MIN, word_max = ~std::uint64_t{0};
  const wide width = s.bits ? s.bits : s.width;
  address = 0;
  bool empty = false;
  for (int i = 0; i < s.ndim; ++i) {
    if (s.shape[i] < 0) return errc::negative_extent;
    empty |= s.shape[i] == 0;
  }
  if (empty) return errc::ok;
  wide bytes = width;
  for (int i = 0; i < s.ndim; ++i)
    if ((bytes *= s.shape[i]) > int_max) return errc::overflow;
  if (s.bits && !row_major(s)) return errc::not_dense;
  if (s.base == 0) return errc::null_data;
  wide low = 0, high = 0, step = 1;
  for (int i = static_cast<int>(s.ndim) - 1; i >= 0; --i) {
    const wide reach = (wide{s.shape[i]} - 1) * (s.strided ? wide{s.strides[i]} : step) * width;
    (reach < 0 ? low : high) += reach;
    step *= s.shape[i];
  }
  high += width - 1;
  if (s.bits) low = 0, high = (bytes - 1) / 8;  // bits until here
  const wide offset = s.offset;
  if (offset > int_max || low < int_min || high > int_max || high + offset > int_max) return errc::overflow;
  const wide first = wide{s.base} + offset + low, last = wide{s.base} + offset + high;
  if (first < 0 || last > word_max) return errc::overflow;
  const auto half = [](wide at) { return at >> 63 & 1; };  // programs and kernels have one each: no array crosses
  if (half(first) != half(s.base) || half(last) != half(s.base)) return errc::overflow;
  if (s.known_bytes && (low + offset < 0 || high + offset >= wide{s.known_bytes})) return errc::overflow;
  address = s.base + s.offset;
  return address % static_cast<std::uint64_t>(s.alignment) ? errc::alignment : errc::ok;
}
}  // namespace oracle
