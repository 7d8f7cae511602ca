// SPDX-License-Identifier: Apache-2.0
// Element types as DLPack writes them: code, bits, lanes. Touches no memory.
#pragma once
#include <concepts>
#include <cstdint>
#include <string>
#include <type_traits>
#include "tenon/core/float16.hpp"
#include "tenon/core/text.hpp"
namespace tenon {

enum class dtype_code : std::uint8_t {
  int_ = 0,
  uint_ = 1,
  float_ = 2,
  opaque = 3,
  bfloat = 4,
  complex = 5,
  bool_ = 6,
  f8_e3m4 = 7,
  f8_e4m3 = 8,
  f8_e4m3b11fnuz = 9,
  f8_e4m3fn = 10,
  f8_e4m3fnuz = 11,
  f8_e5m2 = 12,
  f8_e5m2fnuz = 13,
  f8_e8m0fnu = 14,
  f6_e2m3fn = 15,
  f6_e3m2fn = 16,
  f4_e2m1fn = 17,
};

/// What one element is. Layout and numbers are DLPack's.
struct dtype {
  dtype_code code = dtype_code::float_;
  std::uint8_t bits = 32;
  std::uint16_t lanes = 1;
  friend constexpr bool operator==(dtype, dtype) = default;

  /// As one number, the form in which a failure carries it.
  constexpr std::int64_t packed() const {
    return static_cast<std::int64_t>(code) | std::int64_t{bits} << 8 | std::int64_t{lanes} << 16;
  }
  static constexpr dtype unpacked(std::int64_t v) {
    return {static_cast<dtype_code>(v & 0xff), static_cast<std::uint8_t>(v >> 8 & 0xff),
            static_cast<std::uint16_t>(v >> 16 & 0xffff)};
  }
  /// Bytes an element, for types of whole bytes.
  constexpr std::int64_t bytes() const { return std::int64_t{bits} * lanes / 8; }
  /// Whether DLPack 1.3 knows such a type, and its elements have a size.
  constexpr bool known() const {
    if (lanes == 0) return false;
    switch (code) {
      case dtype_code::int_:
      case dtype_code::uint_: return bits == 8 || bits == 16 || bits == 32 || bits == 64;
      case dtype_code::float_: return bits == 16 || bits == 32 || bits == 64;
      case dtype_code::opaque: return false;
      case dtype_code::bfloat: return bits == 16;
      case dtype_code::complex: return bits == 32 || bits == 64 || bits == 128;
      case dtype_code::bool_: return bits == 8;
      case dtype_code::f6_e2m3fn:
      case dtype_code::f6_e3m2fn: return bits == 6;
      case dtype_code::f4_e2m1fn: return bits == 4;
      default: return code <= dtype_code::f8_e8m0fnu && bits == 8;
    }
  }
};

inline constexpr dtype float32{dtype_code::float_, 32, 1}, float64{dtype_code::float_, 64, 1},
    bfloat16_dtype{dtype_code::bfloat, 16, 1}, int32{dtype_code::int_, 32, 1}, int64{dtype_code::int_, 64, 1},
    uint8{dtype_code::uint_, 8, 1}, boolean{dtype_code::bool_, 8, 1};

/// Which dtype a C++ type is: specialise it for an element type of your own.
template <class T>
struct dtype_of {};
template <std::integral T>
  requires(!std::same_as<T, bool>)
struct dtype_of<T> {
  static constexpr dtype value{std::signed_integral<T> ? dtype_code::int_ : dtype_code::uint_, sizeof(T) * 8, 1};
};
template <>
struct dtype_of<float> {
  static constexpr dtype value = float32;
};
template <>
struct dtype_of<double> {
  static constexpr dtype value = float64;
};
template <>
struct dtype_of<bool> {
  static constexpr dtype value = boolean;
};
template <>
struct dtype_of<bfloat16> {
  static constexpr dtype value = bfloat16_dtype;
};
namespace detail {
// std::complex and its like (thrust, cuda::std): two floating numbers, the real one first. Known by their shape, for <complex> is slow.
template <class C>
concept complex_number =
    std::floating_point<typename C::value_type> && sizeof(C) == 2 * sizeof(typename C::value_type) && requires(const C& c) {
      { c.real() } -> std::convertible_to<typename C::value_type>;
      { c.imag() } -> std::convertible_to<typename C::value_type>;
    };
}  // namespace detail
template <detail::complex_number C>
struct dtype_of<C> {
  static constexpr dtype value{dtype_code::complex, sizeof(C) * 8, 1};
};
/// A type that can be the element of a view that crosses a door.
template <class T>
concept element = requires {
  { dtype_of<std::remove_const_t<T>>::value } -> std::convertible_to<dtype>;
};

namespace detail {
[[gnu::noinline]] inline text_buffer& operator<<(text_buffer& to, dtype d) noexcept {
  constexpr const char* stems[] = {"int",  "uint",     "float",   "opaque",      "bfloat", "complex",
                                   "bool", "e3m4",     "e4m3",    "e4m3b11fnuz", "e4m3fn", "e4m3fnuz",
                                   "e5m2", "e5m2fnuz", "e8m0fnu", "e2m3fn",      "e3m2fn", "e2m1fn"};
  const auto code = static_cast<unsigned>(d.code);
  if (code > static_cast<unsigned>(dtype_code::f4_e2m1fn)) {
    to << "code " << static_cast<std::int64_t>(code) << ", " << static_cast<std::int64_t>(d.bits) << " bits";
  } else if (d.code > dtype_code::bool_) {
    to << "float" << static_cast<std::int64_t>(d.bits) << "_" << stems[code];
  } else {
    to << stems[code];
    if (d.code != dtype_code::bool_ || d.bits != 8) to << static_cast<std::int64_t>(d.bits);
  }
  if (d.lanes != 1) to << (d.code > dtype_code::bool_ ? "_x" : "x") << static_cast<std::int64_t>(d.lanes);
  return to;
}
}  // namespace detail
/// "float32", "bfloat16", "int64", "bool", "float32x4", "float8_e4m3fn", "code 99, 8 bits" …
[[gnu::noinline]] inline std::string name(dtype d) {
  detail::text_buffer b;
  return (b << d).c_str();
}
}  // namespace tenon
