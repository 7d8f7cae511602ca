// SPDX-License-Identifier: Apache-2.0
// Sixteen-bit floating types that store: arithmetic happens in float. Touches no memory.
#pragma once
#include <bit>
#include <concepts>
#include <cstdint>
#include <limits>
#include <type_traits>
namespace tenon {
namespace detail {
// What a float cannot hold is cut to an odd last bit, so that the second rounding sees on which side of a tie it was.
template <class N>
constexpr float to_float(N n) {
  const auto f = static_cast<float>(n);
  if constexpr (std::numeric_limits<N>::digits > std::numeric_limits<float>::digits) {
    using wide = long double;  // holds every integer and double
    const wide exact = static_cast<wide>(n), near = static_cast<wide>(f);
    if (near == exact || exact != exact) return f;
    auto u = std::bit_cast<std::uint32_t>(f);
    if (exact < 0 ? near < exact : near > exact) --u;  // towards zero
    return std::bit_cast<float>(u | 1u);
  } else {
    return f;
  }
}
}  // namespace detail

/// The upper half of a float: 8 exponent bits, 7 of mantissa. Rounds to nearest, ties to even; NaN stays NaN.
struct bfloat16 {
  std::uint16_t bits = 0;

  constexpr bfloat16() = default;
  template <class N>
    requires std::is_arithmetic_v<N>
  constexpr bfloat16(N n) : bits(rounded(detail::to_float(n))) {}
  constexpr operator float() const { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }
  static constexpr bfloat16 from_bits(std::uint16_t b) {
    bfloat16 r;
    r.bits = b;
    return r;
  }

  friend constexpr bfloat16& operator+=(bfloat16& a, float b) { return a = bfloat16(static_cast<float>(a) + b); }
  friend constexpr bfloat16& operator-=(bfloat16& a, float b) { return a = bfloat16(static_cast<float>(a) - b); }
  friend constexpr bfloat16& operator*=(bfloat16& a, float b) { return a = bfloat16(static_cast<float>(a) * b); }
  friend constexpr bfloat16& operator/=(bfloat16& a, float b) { return a = bfloat16(static_cast<float>(a) / b); }

 private:
  static constexpr std::uint16_t rounded(float f) {
    const auto u = std::bit_cast<std::uint32_t>(f);
    if ((u & 0x7fffffffu) > 0x7f800000u)
      return static_cast<std::uint16_t>(u >> 16 | 0x40u);  // quiet, and never rounded to infinity
    return static_cast<std::uint16_t>((u + 0x7fffu + (u >> 16 & 1u)) >> 16);
  }
};
static_assert(sizeof(bfloat16) == 2);
}  // namespace tenon
