// SPDX-License-Identifier: Apache-2.0
// The elements of an array of any type and strides, as numbers. Reads host memory that was checked before.
#pragma once
#include <cstdint>
#include "tenon/tensor/view.hpp"
namespace tenon::detail {
constexpr bool is_integer(dtype d) {
  return d.lanes == 1 && (d.code == dtype_code::int_ || d.code == dtype_code::uint_ || d.code == dtype_code::bool_);
}
constexpr bool is_real(dtype d) { return d == float32 || d == float64 || d == bfloat16_dtype; }

/// The elements of an array as numbers, in row-major order. Refers to the description; whether it is dense is asked once.
class numbers {
  const array_ref& a_;
  bool flat_;

  extent at(extent i) const noexcept { return flat_ ? i : offset_of(i, a_.shape, a_.strides); }
  template <class T>
  T get(extent at) const noexcept {
    return static_cast<const T*>(a_.data)[at];
  }

 public:
  explicit numbers(const array_ref& a) noexcept : a_(a), flat_(a.dense()) {}
  numbers(array_ref&&) = delete;  // it refers to the description
  /// An element of integer type; unsigned ones above INT64_MAX come out negative.
  [[gnu::noinline]] std::int64_t integer(extent i) const noexcept {
    const bool is_signed = a_.dtype.code == dtype_code::int_;
    i = at(i);
    switch (a_.dtype.bits) {
      case 8: return is_signed ? get<std::int8_t>(i) : get<std::uint8_t>(i);
      case 16: return is_signed ? get<std::int16_t>(i) : get<std::uint16_t>(i);
      case 32: return is_signed ? get<std::int32_t>(i) : std::int64_t{get<std::uint32_t>(i)};
      default: return get<std::int64_t>(i);
    }
  }
  /// An element of real type.
  [[gnu::noinline]] double real(extent i) const noexcept {
    i = at(i);
    if (a_.dtype == float32) return static_cast<double>(get<float>(i));
    if (a_.dtype == float64) return get<double>(i);
    return static_cast<double>(static_cast<float>(get<bfloat16>(i)));
  }
};

/// An element that is out of range: its place in row-major order, −1 for none, and its value.
struct outlier {
  extent at = -1;
  std::int64_t value = 0;
  explicit operator bool() const noexcept { return at >= 0; }
};
/// The first of the first n elements of an integer array that is not in [least, limit).
[[gnu::noinline]] inline outlier first_outside(const array_ref& a, extent n, std::int64_t least, std::int64_t limit) noexcept {
  const numbers all(a);
  if (a.dtype.code == dtype_code::uint_ && a.dtype.bits == 64 && least < 0)
    least = 0;  // what is negative here was above INT64_MAX
  for (extent i = 0; i < n; ++i)
    if (const std::int64_t v = all.integer(i); v < least || v >= limit) return {i, v};
  return {};
}
}  // namespace tenon::detail
