// SPDX-License-Identifier: Apache-2.0
// Integers modulo 2^61 − 1 as the scalar of a layer: sums and products are exact in any order, so equality is the test.
// What is no arithmetic of a field (exp, sqrt, an ordering) gives some fixed value and raises a flag: the body still compiles
// and runs, and the caller learns that its result means nothing. Touches no memory but that flag.
#pragma once
#include <bit>
#include <concepts>
#include <cstdint>
#include <limits>
#include <type_traits>
namespace tenon {
/// An integer modulo 2^61 − 1. Integers and floating numbers convert exactly (2^61 = 1, so ½ = 2^60); nothing converts back.
class gf61 {
  static constexpr std::uint64_t reduced(std::uint64_t u) {
    u = (u & modulus) + (u >> 61);
    return u >= modulus ? u - modulus : u;
  }
  // finite d = ±m · 2^e with whole m
  static constexpr gf61 exactly(double d) {
    const auto u = std::bit_cast<std::uint64_t>(d);
    const auto e = static_cast<int>(u >> 52 & 0x7ff);
    if (e == 0x7ff) return outside(u);
    const std::uint64_t m = (u & ((std::uint64_t{1} << 52) - 1)) | (e ? std::uint64_t{1} << 52 : 0);
    const int power = ((e ? e : 1) - 1075) % 61;
    const gf61 r = raw(m) * raw(std::uint64_t{1} << (power < 0 ? power + 61 : power));
    return u >> 63 ? gf61{} - r : r;
  }
  // something else for each argument, never 0
  static constexpr std::uint64_t mixed(std::uint64_t u) {
    u = (u ^ u >> 30) * 0xBF58476D1CE4E5B9u;
    u = (u ^ u >> 27) * 0x94D049BB133111EBu;
    return (u ^ u >> 31) % (modulus - 1) + 1;
  }

 public:
  static constexpr std::uint64_t modulus = (std::uint64_t{1} << 61) - 1;
  std::uint64_t v = 0;
  /// Raised in this thread by every operation that a field does not have; whoever wants to know clears it first.
  static inline constinit thread_local bool left_field = false;

  constexpr gf61() = default;
  template <std::integral I>
  constexpr gf61(I i)
      : v(i < 0 ? reduced(modulus - reduced(std::uint64_t{0} - static_cast<std::uint64_t>(i)))
                : reduced(static_cast<std::uint64_t>(i))) {}
  template <std::floating_point F>
  constexpr gf61(F f) {
    const auto high = static_cast<double>(f);
    *this = exactly(high);
    if constexpr (std::numeric_limits<F>::digits > 53)
      if (high - high == 0) *this = *this + exactly(static_cast<double>(f - static_cast<F>(high)));
  }
  static constexpr gf61 raw(std::uint64_t u) {
    gf61 r;
    r.v = reduced(u);
    return r;
  }
  /// What an operation that is not the field's gives: some fixed value.
  static gf61 outside(std::uint64_t a, std::uint64_t b = 0) {
    left_field = true;
    return raw(mixed(a + mixed(b)));
  }

  friend constexpr gf61 operator+(gf61 a, gf61 b) { return raw(a.v + b.v); }
  friend constexpr gf61 operator-(gf61 a, gf61 b) { return raw(a.v + (modulus - b.v)); }
  friend constexpr gf61 operator-(gf61 a) { return gf61{} - a; }
  friend constexpr gf61 operator+(gf61 a) { return a; }
  friend constexpr gf61 operator*(gf61 a, gf61 b) {
    __extension__ using wide = unsigned __int128;
    const wide t = static_cast<wide>(a.v) * b.v;
    return raw((static_cast<std::uint64_t>(t) & modulus) + static_cast<std::uint64_t>(t >> 61));
  }
  /// a · b^(p − 2); a / 0 = 0.
  friend constexpr gf61 operator/(gf61 a, gf61 b) {
    for (std::uint64_t e = modulus - 2; e; e >>= 1, b = b * b)
      if (e & 1) a = a * b;
    return a;
  }
  constexpr gf61& operator+=(gf61 o) { return *this = *this + o; }
  constexpr gf61& operator-=(gf61 o) { return *this = *this - o; }
  constexpr gf61& operator*=(gf61 o) { return *this = *this * o; }
  constexpr gf61& operator/=(gf61 o) { return *this = *this / o; }
  friend constexpr bool operator==(gf61, gf61) = default;

  // no field has what follows
  friend bool operator<(gf61 a, gf61 b) { return left_field = true, a.v < b.v; }
  friend bool operator>(gf61 a, gf61 b) { return b < a; }
  friend bool operator<=(gf61 a, gf61 b) { return !(b < a); }
  friend bool operator>=(gf61 a, gf61 b) { return !(a < b); }
  friend gf61 exp(gf61 a) { return outside(a.v, 1); }
  friend gf61 expm1(gf61 a) { return outside(a.v, 2); }
  friend gf61 log(gf61 a) { return outside(a.v, 3); }
  friend gf61 log1p(gf61 a) { return outside(a.v, 4); }
  friend gf61 sqrt(gf61 a) { return outside(a.v, 5); }
  friend gf61 tanh(gf61 a) { return outside(a.v, 6); }
  friend gf61 sinh(gf61 a) { return outside(a.v, 7); }
  friend gf61 cosh(gf61 a) { return outside(a.v, 8); }
  friend gf61 sin(gf61 a) { return outside(a.v, 9); }
  friend gf61 cos(gf61 a) { return outside(a.v, 10); }
  friend gf61 atan(gf61 a) { return outside(a.v, 11); }
  friend gf61 erf(gf61 a) { return outside(a.v, 12); }
  friend gf61 erfc(gf61 a) { return outside(a.v, 13); }
  friend gf61 floor(gf61 a) { return outside(a.v, 14); }
  friend gf61 ceil(gf61 a) { return outside(a.v, 15); }
  friend gf61 round(gf61 a) { return outside(a.v, 16); }
  friend gf61 trunc(gf61 a) { return outside(a.v, 17); }
  friend gf61 abs(gf61 a) { return outside(a.v, 18); }
  friend gf61 fabs(gf61 a) { return abs(a); }
  friend gf61 pow(gf61 a, gf61 b) { return outside(a.v, b.v + 19); }
  friend gf61 max(gf61 a, gf61 b) { return a < b ? b : a; }
  friend gf61 min(gf61 a, gf61 b) { return b < a ? b : a; }
  friend gf61 fmax(gf61 a, gf61 b) { return max(a, b); }
  friend gf61 fmin(gf61 a, gf61 b) { return min(a, b); }
  friend constexpr gf61 fma(gf61 a, gf61 b, gf61 c) { return a * b + c; }
  friend constexpr bool isnan(gf61) { return false; }
  friend constexpr bool isinf(gf61) { return false; }
  friend constexpr bool isfinite(gf61) { return true; }
};
}  // namespace tenon

template <>
struct std::numeric_limits<tenon::gf61> {
  static constexpr bool is_specialized = true, is_signed = true, is_integer = false, is_exact = true, has_infinity = true;
  static constexpr int digits = 60;
  static tenon::gf61 min() { return tenon::gf61::outside(21); }
  static tenon::gf61 max() { return tenon::gf61::outside(22); }
  static tenon::gf61 lowest() { return tenon::gf61::outside(23); }
  static tenon::gf61 infinity() { return tenon::gf61::outside(24); }
  static tenon::gf61 quiet_NaN() { return tenon::gf61::outside(25); }
  static constexpr tenon::gf61 epsilon() { return {}; }
};
