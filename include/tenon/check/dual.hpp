// SPDX-License-Identifier: Apache-2.0
// Dual numbers v + d·ε, ε² = 0, as the scalar of a layer: its forward then gives its derivative along the direction d, with no
// step size and no error but rounding. Comparisons look at v, and remember how close they came to a tie, for at a tie there is no
// derivative. Touches no memory but that number.
#pragma once
#include <cmath>
#include <concepts>
#include <limits>
#include <type_traits>
#include "tenon/check/prime_field.hpp"
namespace tenon {
namespace detail {
/// The smallest distance, in this thread, between two different duals that were compared or rounded.
inline constinit thread_local long double smallest_gap = std::numeric_limits<long double>::max();
template <class F>
void note_gap(const F& distance) {
  if constexpr (std::floating_point<F>) {
    const long double g = distance < 0 ? -static_cast<long double>(distance) : static_cast<long double>(distance);
    if (g < smallest_gap) smallest_gap = g;
  }
}
}  // namespace detail

/// v + d·ε over F. `dual` computes in long double, so that rounding inside a layer stays below what a check allows.
template <class F>
struct basic_dual {
  F v{}, d{};
  constexpr basic_dual() = default;
  template <class N>
    requires(std::is_arithmetic_v<N> || std::same_as<N, F>)
  constexpr basic_dual(N n) : v(static_cast<F>(n)) {}
  constexpr basic_dual(const F& value, const F& derivative) : v(value), d(derivative) {}

  friend constexpr basic_dual operator+(const basic_dual& a, const basic_dual& b) { return {a.v + b.v, a.d + b.d}; }
  friend constexpr basic_dual operator-(const basic_dual& a, const basic_dual& b) { return {a.v - b.v, a.d - b.d}; }
  friend constexpr basic_dual operator-(const basic_dual& a) { return {-a.v, -a.d}; }
  friend constexpr basic_dual operator+(const basic_dual& a) { return a; }
  friend constexpr basic_dual operator*(const basic_dual& a, const basic_dual& b) { return {a.v * b.v, a.v * b.d + a.d * b.v}; }
  friend constexpr basic_dual operator/(const basic_dual& a, const basic_dual& b) {
    const F q = a.v / b.v;
    return {q, (a.d - q * b.d) / b.v};
  }
  constexpr basic_dual& operator+=(const basic_dual& o) { return *this = *this + o; }
  constexpr basic_dual& operator-=(const basic_dual& o) { return *this = *this - o; }
  constexpr basic_dual& operator*=(const basic_dual& o) { return *this = *this * o; }
  constexpr basic_dual& operator/=(const basic_dual& o) { return *this = *this / o; }

  friend constexpr bool operator==(const basic_dual& a, const basic_dual& b) { return a.v == b.v; }
  friend bool operator<(const basic_dual& a, const basic_dual& b) { return noted(a, b), a.v < b.v; }
  friend bool operator>(const basic_dual& a, const basic_dual& b) { return noted(a, b), a.v > b.v; }
  friend bool operator<=(const basic_dual& a, const basic_dual& b) { return noted(a, b), a.v <= b.v; }
  friend bool operator>=(const basic_dual& a, const basic_dual& b) { return noted(a, b), a.v >= b.v; }

  friend basic_dual exp(const basic_dual& a) {
    using std::exp;
    const F e = exp(a.v);
    return {e, a.d * e};
  }
  friend basic_dual expm1(const basic_dual& a) {
    using std::exp, std::expm1;
    return {expm1(a.v), a.d * exp(a.v)};
  }
  friend basic_dual log(const basic_dual& a) {
    using std::log;
    return {log(a.v), a.d / a.v};
  }
  friend basic_dual log1p(const basic_dual& a) {
    using std::log1p;
    return {log1p(a.v), a.d / (F(1) + a.v)};
  }
  friend basic_dual sqrt(const basic_dual& a) {
    using std::sqrt;
    const F r = sqrt(a.v);
    return {r, a.d / (F(2) * r)};
  }
  friend basic_dual tanh(const basic_dual& a) {
    using std::tanh;
    const F t = tanh(a.v);
    return {t, a.d * (F(1) - t * t)};
  }
  friend basic_dual sinh(const basic_dual& a) {
    using std::cosh, std::sinh;
    return {sinh(a.v), a.d * cosh(a.v)};
  }
  friend basic_dual cosh(const basic_dual& a) {
    using std::cosh, std::sinh;
    return {cosh(a.v), a.d * sinh(a.v)};
  }
  friend basic_dual sin(const basic_dual& a) {
    using std::cos, std::sin;
    return {sin(a.v), a.d * cos(a.v)};
  }
  friend basic_dual cos(const basic_dual& a) {
    using std::cos, std::sin;
    return {cos(a.v), -a.d * sin(a.v)};
  }
  friend basic_dual atan(const basic_dual& a) {
    using std::atan;
    return {atan(a.v), a.d / (F(1) + a.v * a.v)};
  }
  friend basic_dual erf(const basic_dual& a) {
    using std::erf, std::exp;
    return {erf(a.v), a.d * F(two_over_root_pi) * exp(-a.v * a.v)};
  }
  friend basic_dual erfc(const basic_dual& a) {
    using std::erfc, std::exp;
    return {erfc(a.v), -a.d * F(two_over_root_pi) * exp(-a.v * a.v)};
  }
  friend basic_dual floor(const basic_dual& a) {
    using std::floor;
    return stepped(a, floor(a.v), a.v);
  }
  friend basic_dual ceil(const basic_dual& a) {
    using std::ceil;
    return stepped(a, ceil(a.v), a.v);
  }
  friend basic_dual trunc(const basic_dual& a) {
    using std::trunc;
    return stepped(a, trunc(a.v), a.v);
  }
  friend basic_dual round(const basic_dual& a) {
    using std::round;
    return stepped(a, round(a.v), a.v + F(0.5));
  }
  friend basic_dual abs(const basic_dual& a) { return a < basic_dual() ? -a : a; }
  friend basic_dual fabs(const basic_dual& a) { return abs(a); }
  friend basic_dual pow(const basic_dual& a, const basic_dual& b) {
    using std::log, std::pow;
    const F p = pow(a.v, b.v), along = a.d * b.v * pow(a.v, b.v - F(1));
    return {p, b.d == F(0) ? along : along + b.d * p * log(a.v)};
  }
  friend basic_dual max(const basic_dual& a, const basic_dual& b) { return a < b ? b : a; }
  friend basic_dual min(const basic_dual& a, const basic_dual& b) { return b < a ? b : a; }
  friend basic_dual fmax(const basic_dual& a, const basic_dual& b) { return max(a, b); }
  friend basic_dual fmin(const basic_dual& a, const basic_dual& b) { return min(a, b); }
  friend constexpr basic_dual fma(const basic_dual& a, const basic_dual& b, const basic_dual& c) { return a * b + c; }
  friend bool isnan(const basic_dual& a) { return a.v != a.v; }
  friend bool isfinite(const basic_dual& a) { return a.v - a.v == F(0); }
  friend bool isinf(const basic_dual& a) { return !isfinite(a) && !isnan(a); }

 private:
  static constexpr long double two_over_root_pi = 1.128379167095512573896158903121545172L;
  // The same number on both sides is no tie.
  static void noted(const basic_dual& a, const basic_dual& b) {
    if (!(a.v == b.v && a.d == b.d)) detail::note_gap(a.v - b.v);
  }
  // A step function: flat, with a jump where `at` is whole.
  static basic_dual stepped(const basic_dual& a, const F& value, const F& at) {
    using std::round;
    if (!(a.d == F(0))) detail::note_gap(at - round(at));
    return {value, F(0)};
  }
};
using dual = basic_dual<long double>;
/// Derivatives in the prime field: exact for every layer made of + − · /.
using dual_gf61 = basic_dual<gf61>;
}  // namespace tenon

template <class F>
struct std::numeric_limits<tenon::basic_dual<F>> : std::numeric_limits<F> {
  static tenon::basic_dual<F> min() { return std::numeric_limits<F>::min(); }
  static tenon::basic_dual<F> max() { return std::numeric_limits<F>::max(); }
  static tenon::basic_dual<F> lowest() { return std::numeric_limits<F>::lowest(); }
  static tenon::basic_dual<F> infinity() { return std::numeric_limits<F>::infinity(); }
  static tenon::basic_dual<F> quiet_NaN() { return std::numeric_limits<F>::quiet_NaN(); }
  static tenon::basic_dual<F> epsilon() { return std::numeric_limits<F>::epsilon(); }
};
