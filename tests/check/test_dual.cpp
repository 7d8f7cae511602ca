// SPDX-License-Identifier: Apache-2.0
// Duals against central differences in long double, and against exact values.
#include <cmath>
#include "../catch.hpp"
#include "tenon/check/dual.hpp"

using tenon::dual, tenon::dual_gf61, tenon::gf61;

namespace {
template <class F>
void agrees(F f, long double at) {
  const long double h = 0x1p-18L, slope = (f(dual(at + h)).v - f(dual(at - h)).v) / (2 * h);
  const dual y = f(dual(at, 1));
  CHECK(static_cast<double>(y.d) == Approx(static_cast<double>(slope)).epsilon(1e-9));
  CHECK(y.v == f(dual(at)).v);
}
}  // namespace

TEST_CASE("derivatives of all functions") {
  using std::pow;
  for (const long double x : {0.3L, 0.9L, 1.7L}) {
    agrees([](dual a) { return exp(a); }, x);
    agrees([](dual a) { return expm1(a); }, x);
    agrees([](dual a) { return log(a); }, x);
    agrees([](dual a) { return log1p(a); }, x);
    agrees([](dual a) { return sqrt(a); }, x);
    agrees([](dual a) { return tanh(a); }, x);
    agrees([](dual a) { return sinh(a); }, x);
    agrees([](dual a) { return cosh(a); }, x);
    agrees([](dual a) { return sin(a); }, x);
    agrees([](dual a) { return cos(a); }, x);
    agrees([](dual a) { return atan(a); }, x);
    agrees([](dual a) { return erf(a); }, x);
    agrees([](dual a) { return erfc(a); }, x);
    agrees([](dual a) { return abs(-a); }, x);
    agrees([](dual a) { return pow(a, 2.5); }, x);
    agrees([](dual a) { return pow(a, a); }, x);
    agrees([](dual a) { return pow(2, a); }, x);
    agrees([](dual a) { return 1 / (1 + exp(-2.0f * a)); }, x);
    agrees([](dual a) { return max(a, dual(1)) * min(a, dual(1)) - floor(a) + fma(a, a, a); }, x);
  }
  CHECK((pow(dual(-2, 1), 3)).d == 12);
}

TEST_CASE("comparisons look at the value and remember the nearest miss") {
  auto gap = [](auto&& f) {
    tenon::detail::smallest_gap = 1000;
    f();
    return static_cast<double>(tenon::detail::smallest_gap);
  };
  const dual a(1, 5), b(1.25L, -5);
  CHECK(gap([&] { CHECK(a < b); }) == 0.25);
  CHECK(gap([&] { CHECK(max(a, b) == 1.25); }) == 0.25);
  CHECK(gap([&] { CHECK(abs(dual(-0.5L, 1)) > dual(-1)); }) == 0.5);
  CHECK(gap([&] { CHECK(a <= a); }) == 1000);           // the same number is no tie
  CHECK(gap([&] { CHECK(a <= dual(1, 6)); }) == 0);     // equal values that move differently are one
  CHECK(gap([&] { CHECK(floor(b) == 1); }) == 0.25);
  CHECK(gap([&] { CHECK(round(b) == 1); }) == 0.25);
  CHECK(std::numeric_limits<dual>::lowest() < dual(-1e300));
}

TEST_CASE("derivatives in the prime field are exact") {
  gf61::left_field = false;
  const dual_gf61 x(gf61(3), gf61(1));
  const dual_gf61 y = x * x / (x + 1);  // (x² + 2x) / (x + 1)²
  CHECK(y.v == gf61(9) / 4);
  CHECK(y.d == gf61(15) / 16);
  CHECK_FALSE(gf61::left_field);
  (void)exp(x);
  CHECK(gf61::left_field);
}
