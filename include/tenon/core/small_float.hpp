// SPDX-License-Identifier: Apache-2.0
// Floating types of sixteen bits and fewer, as DLPack names them: they store, arithmetic happens in float. Touches no memory.
// Formats: IEEE 754, OCP 8-bit and Microscaling specifications, and ml_dtypes for the fnuz ones.
#pragma once
#include <bit>
#include <cstdint>
#include <type_traits>
#include "tenon/core/dtype.hpp"
namespace tenon {
namespace detail {
/// What the codes above the finite numbers mean.
enum class small_special {
  ieee,       // the topmost exponent is infinity and NaN
  only_nan,   // no infinity; all bits set (but the sign) is NaN
  nan_at_minus_zero,  // no infinity, no −0; its code is NaN
  none,       // finite numbers alone
};
struct small_format {
  dtype_code code;
  int exponent, mantissa, bias;
  small_special special;
  constexpr int bits() const { return 1 + exponent + mantissa; }
  /// The largest finite number, as a code without sign.
  constexpr unsigned largest() const {
    const unsigned all = (1u << (exponent + mantissa)) - 1;
    return special == small_special::ieee ? all - (1u << mantissa) : special == small_special::only_nan ? all - 1 : all;
  }
};
constexpr float power_of_two(int e) {  // −149 to 127
  return e >= -126 ? std::bit_cast<float>(static_cast<std::uint32_t>(e + 127) << 23)
                   : std::bit_cast<float>(std::uint32_t{1} << (e + 149));
}
constexpr float quiet_nan() { return std::bit_cast<float>(std::uint32_t{0x7fc00000}); }
constexpr float small_to_float(small_format f, unsigned code) {
  const unsigned sign = code >> (f.exponent + f.mantissa) & 1, rest = code & ((1u << (f.exponent + f.mantissa)) - 1);
  if (f.special == small_special::nan_at_minus_zero && sign && rest == 0) return quiet_nan();
  if (rest > f.largest()) {
    if (f.special == small_special::ieee && rest == f.largest() + 1)
      return std::bit_cast<float>(std::uint32_t{0x7f800000} | sign << 31);
    return quiet_nan();
  }
  const int e = static_cast<int>(rest >> f.mantissa);
  const auto m = static_cast<float>(rest & ((1u << f.mantissa) - 1));
  const float whole = static_cast<float>(1u << f.mantissa);
  const float value = e == 0 ? m * power_of_two(1 - f.bias - f.mantissa) : (m + whole) * power_of_two(e - f.bias - f.mantissa);
  return sign ? -value : value;
}
/// To nearest, ties to even. Too large: infinity, else NaN, else the largest number; NaN without a code for it: the largest, too.
constexpr unsigned small_from_float(small_format f, float v) {
  const auto u = std::bit_cast<std::uint32_t>(v);
  const unsigned sign = u >> 31 << (f.exponent + f.mantissa);
  const std::uint32_t bits = u & 0x7fffffffu;
  const bool uz = f.special == small_special::nan_at_minus_zero;
  const unsigned nan = f.special == small_special::ieee   ? f.largest() + 1 + (1u << (f.mantissa - 1))
                       : f.special == small_special::none ? f.largest()
                       : uz                               ? 1u << (f.exponent + f.mantissa)
                                                          : f.largest() + 1;
  const unsigned beyond = f.special == small_special::ieee ? f.largest() + 1 : nan;
  if (bits > 0x7f800000u) return uz ? nan : sign | nan;
  if (bits == 0x7f800000u) return uz ? nan : sign | beyond;
  // The value as a multiple of the format's smallest step at its size.
  int e = static_cast<int>(bits >> 23) - 127;
  std::uint64_t m = bits & 0x7fffffu;
  if (e == -127) ++e;  // denormal
  else m |= 0x800000u;
  int drop = 23 - f.mantissa;  // bits of m below the format's last one
  if (e < 1 - f.bias) drop += 1 - f.bias - e, e = 1 - f.bias;  // denormal there
  if (drop > 40) return uz ? 0 : sign;
  const std::uint64_t kept = m >> drop, rest = m & ((std::uint64_t{1} << drop) - 1), half = std::uint64_t{1} << (drop - 1);
  const std::uint64_t rounded = kept + (rest > half || (rest == half && (kept & 1)));
  // A carry out of the mantissa runs on into the exponent, as it should.
  const auto code = static_cast<std::int64_t>(rounded) + (static_cast<std::int64_t>(e + f.bias - 1) << f.mantissa);
  if (code > static_cast<std::int64_t>(f.largest())) return uz ? nan : sign | beyond;
  return uz && code == 0 ? 0 : sign | static_cast<unsigned>(code);
}
}  // namespace detail

/// One small floating number in a byte of its own, or two. In DLPack's packed form several share a byte: see `packed` (tensor/packed.hpp).
template <detail::small_format F>
struct small_float {
  using code = std::conditional_t<(F.bits() > 8), std::uint16_t, std::uint8_t>;
  code bits = 0;
  constexpr small_float() = default;
  template <class N>
    requires std::is_arithmetic_v<N>
  constexpr explicit small_float(N n) : bits(static_cast<code>(detail::small_from_float(F, detail::to_float(n)))) {}
  constexpr operator float() const { return detail::small_to_float(F, bits); }
  static constexpr small_float from_bits(code b) {
    small_float r;
    r.bits = b;
    return r;
  }
};
using float16 = small_float<detail::small_format{dtype_code::float_, 5, 10, 15, detail::small_special::ieee}>;
using float8_e3m4 = small_float<detail::small_format{dtype_code::f8_e3m4, 3, 4, 3, detail::small_special::ieee}>;
using float8_e4m3 = small_float<detail::small_format{dtype_code::f8_e4m3, 4, 3, 7, detail::small_special::ieee}>;
using float8_e4m3b11fnuz =
    small_float<detail::small_format{dtype_code::f8_e4m3b11fnuz, 4, 3, 11, detail::small_special::nan_at_minus_zero}>;
using float8_e4m3fn = small_float<detail::small_format{dtype_code::f8_e4m3fn, 4, 3, 7, detail::small_special::only_nan}>;
using float8_e4m3fnuz =
    small_float<detail::small_format{dtype_code::f8_e4m3fnuz, 4, 3, 8, detail::small_special::nan_at_minus_zero}>;
using float8_e5m2 = small_float<detail::small_format{dtype_code::f8_e5m2, 5, 2, 15, detail::small_special::ieee}>;
using float8_e5m2fnuz =
    small_float<detail::small_format{dtype_code::f8_e5m2fnuz, 5, 2, 16, detail::small_special::nan_at_minus_zero}>;
using float6_e2m3fn = small_float<detail::small_format{dtype_code::f6_e2m3fn, 2, 3, 1, detail::small_special::none}>;
using float6_e3m2fn = small_float<detail::small_format{dtype_code::f6_e3m2fn, 3, 2, 3, detail::small_special::none}>;
using float4_e2m1fn = small_float<detail::small_format{dtype_code::f4_e2m1fn, 2, 1, 1, detail::small_special::none}>;

/// A power of two without a sign: the scale of a block in microscaling formats. 255 is NaN; there is no zero.
struct float8_e8m0fnu {
  std::uint8_t bits = 0;
  constexpr float8_e8m0fnu() = default;
  constexpr operator float() const { return bits == 255 ? detail::quiet_nan() : detail::power_of_two(int{bits} - 127); }
  static constexpr float8_e8m0fnu from_bits(std::uint8_t b) {
    float8_e8m0fnu r;
    r.bits = b;
    return r;
  }
};

/// Those of whole bytes are elements; smaller ones share bytes, so that a pointer to one says nothing.
template <detail::small_format F>
  requires(F.bits() % 8 == 0)
struct dtype_of<small_float<F>> {
  static constexpr dtype value{F.code, static_cast<std::uint8_t>(F.bits()), 1};
};
template <>
struct dtype_of<float8_e8m0fnu> {
  static constexpr dtype value{dtype_code::f8_e8m0fnu, 8, 1};
};
}  // namespace tenon
