// SPDX-License-Identifier: Apache-2.0
// Floating numbers of four and six bits as numbers, where several share a byte: number i has the bits from i · width on, the lowest bit
// of the first byte first (DLPack 1.1). Borrows; reads and writes one or two bytes of host memory a number.
#pragma once
#include <concepts>
#include <cstdint>
#include <type_traits>
#include "tenon/core/small_float.hpp"
#include "tenon/tensor/tensor.hpp"
namespace tenon {
namespace detail {
template <class>
inline constexpr bool is_sub_byte = false;
template <small_format F>
inline constexpr bool is_sub_byte<small_float<F>> = F.bits() < 8;
template <class>
struct format_of;
template <small_format F>
struct format_of<small_float<F>> {
  static constexpr small_format value = F;
};
}  // namespace detail

/// `packed<float4_e2m1fn>` reads and writes numbers, `packed<const float4_e2m1fn>` reads them. Neighbours share bytes: two threads must not
/// write to the same array.
template <class T>
  requires detail::is_sub_byte<std::remove_const_t<T>>
class packed {
  using bytes_type = std::conditional_t<std::is_const_v<T>, const std::uint8_t, std::uint8_t>;
  static constexpr detail::small_format format = detail::format_of<std::remove_const_t<T>>::value;
  static constexpr unsigned width = static_cast<unsigned>(format.bits()), mask = (1u << width) - 1;
  bytes_type* data_ = nullptr;
  extent n_ = 0;
  tenon::shape shape_{};
  unsigned step_ = width;

  constexpr bool over(extent i) const noexcept { return bit(i) + width > 8; }
  constexpr bytes_type* byte(extent i) const noexcept {
    const auto step = static_cast<extent>(step_);
    return data_ + (i / 8 * step + i % 8 * step / 8);
  }
  constexpr unsigned bit(extent i) const noexcept { return static_cast<unsigned>(i % 8) * step_ % 8; }

 public:
  using element_type = T;
  constexpr packed() = default;
  /// Of bytes that hold s.numel() numbers; `padded`: each in a byte of its own, which has the number in its lowest bits.
  constexpr packed(bytes_type* bytes, const tenon::shape& s, bool padded = false) noexcept
      : data_(bytes), n_(s.numel()), shape_(s), step_(padded ? 8 : width) {}
  constexpr packed(bytes_type* bytes, extent n, bool padded = false) noexcept : packed(bytes, tenon::shape{n}, padded) {}
  template <class U>
    requires std::same_as<const U, T>
  constexpr packed(const packed<U>& o) noexcept : packed(o.data(), o.shape(), o.padded()) {}

  constexpr explicit operator bool() const noexcept { return data_ != nullptr; }
  constexpr bytes_type* data() const noexcept { return data_; }
  constexpr extent numel() const noexcept { return n_; }
  /// Of the numbers, not of pairs of them.
  constexpr const tenon::shape& shape() const noexcept { return shape_; }
  constexpr bool padded() const noexcept { return step_ == 8; }
  /// The bytes of n numbers.
  static constexpr extent bytes_of(extent n) noexcept { return n / 8 * width + (n % 8 * width + 7) / 8; }

  /// Number i in row-major order, as its code.
  constexpr unsigned code(extent i) const noexcept {
    const bytes_type* p = byte(i);
    return static_cast<unsigned>(over(i) ? p[0] | p[1] << 8 : p[0]) >> bit(i) & mask;
  }
  constexpr float operator[](extent i) const noexcept { return detail::small_to_float(format, code(i)); }
  constexpr void set_code(extent i, unsigned code) const noexcept
    requires(!std::is_const_v<T>)
  {
    bytes_type* p = byte(i);
    const unsigned shift = bit(i), hole = ~(mask << shift), filled = (code & mask) << shift;
    p[0] = static_cast<std::uint8_t>((p[0] & hole) | filled);
    if (over(i)) p[1] = static_cast<std::uint8_t>((p[1] & hole >> 8) | filled >> 8);
  }
  /// v to the nearest number, ties to even; what is too large, and NaN, becomes the largest.
  constexpr void set(extent i, float v) const noexcept
    requires(!std::is_const_v<T>)
  {
    set_code(i, detail::small_from_float(format, v));
  }
};

/// A tensor of such numbers as imported: packed, in pairs (torch's float4_e2m1fn_x2: the last extent counts pairs, and is doubled here), or
/// one a byte. Errors: dtype, read_only (ask for `const T`), not_dense, overflow; `to` is then untouched.
template <class T>
[[nodiscard]] errc try_as_packed(const tensor<void>& t, packed<T>& to, failure& why) noexcept {
  constexpr detail::small_format f = detail::format_of<std::remove_const_t<T>>::value;
  constexpr const char* op = "as_packed";
  const array_ref& a = t.describe();
  constexpr dtype wanted{f.code, static_cast<std::uint8_t>(f.bits()), 1};
  dtype one = a.dtype;
  one.lanes = 1;
  if (one != wanted)
    return detail::fail(why, errc::dtype, op, {.argument = "this tensor", .got = a.dtype.packed(), .expected = wanted.packed()});
  if constexpr (!std::is_const_v<T>)
    if (a.read_only)
      return detail::fail(why, errc::read_only, op, {.argument = "this tensor", .remedy = "Ask for as_packed<const T>(t)."});
  if (!a.dense())
    return detail::fail(why, errc::not_dense, op,
                        {.argument = "this tensor", .remedy = "Take a dense copy with tenon::copy(t)."});
  shape s = a.shape;
  const extent lanes = a.dtype.lanes;
  if (lanes > 1) {
    if (s.rank_ == 0) s = {1};
    extent& last = s.d[s.rank_ - 1];
    extent n = 0;
    if (__builtin_mul_overflow(last, lanes, &last) || __builtin_mul_overflow(a.shape.numel(), lanes, &n))
      return detail::fail(why, errc::overflow, op,
                          {.argument = "numbers", .got = INT64_MAX, .expected = INT64_MAX, .relation = "below "});
  }
  using bytes = std::conditional_t<std::is_const_v<T>, const std::uint8_t, std::uint8_t>;
  to = packed<T>(static_cast<bytes*>(a.data), s, a.padded);
  return errc::ok;
}
template <class T>
errc try_as_packed(const tensor<void>&&, packed<T>&, failure&) = delete;  // it dies at the end of the line: name it first
#if TENON_EXCEPTIONS
/// As try_as_packed, throwing tenon::error: `as_packed<const float4_e2m1fn>(t)[i]`.
template <class T>
[[nodiscard]] packed<T> as_packed(const tensor<void>& t) {
  packed<T> p;
  failure f;
  detail::check(try_as_packed(t, p, f), f);
  return p;
}
template <class T>
packed<T> as_packed(const tensor<void>&&) = delete;  // what it would view is let go at the end of the line: name the tensor first
#endif
}  // namespace tenon
