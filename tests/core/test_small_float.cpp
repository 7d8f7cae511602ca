// SPDX-License-Identifier: Apache-2.0
// Every code of every small format against its definition, and rounding against a search for the nearest.
#include <tenon/core/small_float.hpp>

#include <cmath>
#include <complex>
#include <limits>
#include <random>

#include "catch.hpp"

using namespace tenon;

namespace {
struct facts {
  int exponent, mantissa, bias;
  double largest, smallest;
  bool infinite, nan;
};
template <class T>
facts of;
template <>
facts of<float16>{5, 10, 15, 65504, std::ldexp(1, -24), true, true};
template <>
facts of<float8_e3m4>{3, 4, 3, 15.5, std::ldexp(1, -6), true, true};
template <>
facts of<float8_e4m3>{4, 3, 7, 240, std::ldexp(1, -9), true, true};
template <>
facts of<float8_e4m3b11fnuz>{4, 3, 11, 30, std::ldexp(1, -13), false, true};
template <>
facts of<float8_e4m3fn>{4, 3, 7, 448, std::ldexp(1, -9), false, true};
template <>
facts of<float8_e4m3fnuz>{4, 3, 8, 240, std::ldexp(1, -10), false, true};
template <>
facts of<float8_e5m2>{5, 2, 15, 57344, std::ldexp(1, -16), true, true};
template <>
facts of<float8_e5m2fnuz>{5, 2, 16, 57344, std::ldexp(1, -17), false, true};
template <>
facts of<float6_e2m3fn>{2, 3, 1, 7.5, 0.125, false, false};
template <>
facts of<float6_e3m2fn>{3, 2, 3, 28, 0.0625, false, false};
template <>
facts of<float4_e2m1fn>{2, 1, 1, 6, 0.5, false, false};

template <class T>
double defined(unsigned code) {
  const facts f = of<T>;
  const unsigned m = code & ((1u << f.mantissa) - 1), e = code >> f.mantissa & ((1u << f.exponent) - 1);
  const double v =
      e ? std::ldexp(1 + m / std::ldexp(1, f.mantissa), static_cast<int>(e) - f.bias) : std::ldexp(m, 1 - f.bias - f.mantissa);
  return code >> (f.mantissa + f.exponent) ? -v : v;
}
template <class T>
T at(unsigned code) {
  return T::from_bits(static_cast<typename T::code>(code));
}
}  // namespace

TEMPLATE_TEST_CASE("every code has the value of its definition, and comes back", "", float16, float8_e3m4, float8_e4m3,
                   float8_e4m3b11fnuz, float8_e4m3fn, float8_e4m3fnuz, float8_e5m2, float8_e5m2fnuz, float6_e2m3fn, float6_e3m2fn,
                   float4_e2m1fn) {
  const facts f = of<TestType>;
  const unsigned codes = 1u << (1 + f.exponent + f.mantissa);
  double largest = 0, smallest = 1e9;
  int nans = 0, infinities = 0;
  for (unsigned code = 0; code < codes; ++code) {
    const float v = at<TestType>(code);
    if (std::isnan(v)) {
      ++nans;
      CHECK(std::isnan(static_cast<float>(TestType(v))));
      continue;
    }
    CHECK(TestType(v).bits == code);
    if (std::isinf(v)) {
      ++infinities;
      CHECK((code >> (f.exponent + f.mantissa) != 0) == std::signbit(v));
      continue;
    }
    CHECK(static_cast<double>(v) == defined<TestType>(code));
    largest = std::fmax(largest, static_cast<double>(v));
    if (v > 0) smallest = std::fmin(smallest, static_cast<double>(v));
  }
  CHECK(largest == f.largest);
  CHECK(smallest == f.smallest);
  CHECK((infinities == 2) == f.infinite);
  CHECK((nans > 0) == f.nan);
}

TEMPLATE_TEST_CASE("rounding is to the nearest, ties to even", "", float16, float8_e3m4, float8_e4m3, float8_e4m3b11fnuz,
                   float8_e4m3fn, float8_e4m3fnuz, float8_e5m2, float8_e5m2fnuz, float6_e2m3fn, float6_e3m2fn, float4_e2m1fn) {
  const facts f = of<TestType>;
  std::mt19937 random(7);
  // Between every two neighbours: a bit above the lower one, the middle, a bit below the upper one.
  for (unsigned code = 0; defined<TestType>(code) < f.largest; ++code) {
    const double a = defined<TestType>(code), b = defined<TestType>(code + 1), middle = (a + b) / 2;
    const auto mid = static_cast<float>(middle);
    REQUIRE(static_cast<double>(mid) == middle);
    for (const float sign : {1.0f, -1.0f}) {
      const unsigned top = sign < 0 ? 1u << (f.exponent + f.mantissa) : 0;
      const bool no_minus_zero =
          !f.infinite && f.nan && std::isnan(static_cast<float>(at<TestType>(1u << (f.exponent + f.mantissa))));
      const auto same = [&](float v, unsigned expected) {
        const unsigned want = expected == 0 && no_minus_zero ? 0 : top | expected;
        if (TestType(sign * v).bits != want) FAIL(sign * v << " became " << +TestType(sign * v).bits << ", not " << want);
      };
      same(mid, code + (code & 1));
      same(std::nextafter(mid, 0.0f), code);
      same(std::nextafter(mid, 1e30f), code + 1);
      same(static_cast<float>(a), code);
    }
  }
  const float beyond = TestType(1e30f), below = TestType(-1e30f);
  if (f.infinite) {
    CHECK(beyond == std::numeric_limits<float>::infinity());
    CHECK(below == -std::numeric_limits<float>::infinity());
  } else if (f.nan) {
    CHECK(std::isnan(beyond));
  } else {
    CHECK(static_cast<double>(beyond) == f.largest);
    CHECK(static_cast<double>(below) == -f.largest);
  }
  CHECK(TestType(1e-40f).bits == 0);
}

TEST_CASE("e8m0: powers of two without a sign or a zero") {
  CHECK(static_cast<float>(float8_e8m0fnu::from_bits(127)) == 1);
  CHECK(static_cast<float>(float8_e8m0fnu::from_bits(0)) == std::ldexp(1.0f, -127));
  CHECK(static_cast<float>(float8_e8m0fnu::from_bits(254)) == std::ldexp(1.0f, 127));
  CHECK(std::isnan(static_cast<float>(float8_e8m0fnu::from_bits(255))));
}

TEST_CASE("F7 F8 F9 element types are those of DLPack 1.3; what it does not know is no element") {
  CHECK(dtype_of<float16>::value == dtype{dtype_code::float_, 16, 1});
  CHECK(dtype_of<float8_e4m3fn>::value == dtype{dtype_code::f8_e4m3fn, 8, 1});
  CHECK(dtype_of<float8_e8m0fnu>::value == dtype{dtype_code::f8_e8m0fnu, 8, 1});
  CHECK(dtype_of<std::complex<float>>::value == dtype{dtype_code::complex, 64, 1});
  CHECK(dtype_of<std::complex<double>>::value == dtype{dtype_code::complex, 128, 1});
  static_assert(!element<float4_e2m1fn> && !element<float6_e2m3fn> && element<float16>);
  static_assert(!element<long double> && !element<char*>);
  CHECK(name(dtype_of<float16>::value) == "float16");
  CHECK(name(dtype_of<float8_e5m2fnuz>::value) == "float8_e5m2fnuz");
}
