// SPDX-License-Identifier: Apache-2.0
// bfloat16 rounds to the nearest, ties to even, from any number type, against an oracle that compares distances.
#include <tenon/core/float16.hpp>

#include <cmath>
#include <limits>
#include <random>

#include "catch.hpp"

using tenon::bfloat16;

namespace {
/// The nearest of all finite patterns in long double, ties to the even one; beyond the middle to 2^128 lies infinity.
std::uint16_t oracle(long double v) {
  const std::uint16_t sign = std::signbit(v) ? 0x8000 : 0;
  const long double a = std::fabs(v);
  std::uint32_t low = 0, high = 0x7f80;  // patterns of magnitudes grow with them; 0x7f80 stands for 2^128 here
  const auto value = [](std::uint32_t p) {
    return p == 0x7f80 ? std::ldexp(1.0L, 128)
                       : static_cast<long double>(static_cast<float>(bfloat16::from_bits(static_cast<std::uint16_t>(p))));
  };
  if (a >= value(high)) return sign | 0x7f80;
  while (high - low > 1) {
    const std::uint32_t middle = (low + high) / 2;
    (value(middle) <= a ? low : high) = middle;
  }
  const long double below = a - value(low), above = value(high) - a;
  const std::uint32_t best = below < above || (below == above && low % 2 == 0) ? low : high;
  return static_cast<std::uint16_t>(sign | best);
}
}  // namespace

TEST_CASE("every pattern survives the way to float and back; NaN stays NaN and becomes quiet") {
  int wrong = 0;
  for (std::uint32_t p = 0; p < 0x10000; ++p) {
    const auto b = bfloat16::from_bits(static_cast<std::uint16_t>(p));
    const auto f = static_cast<float>(b);
    const bfloat16 back(f);
    if (std::isnan(f)) wrong += !std::isnan(static_cast<float>(back)) || !(back.bits & 0x40) || (back.bits >> 15) != (p >> 15);
    else wrong += back.bits != p;
  }
  CHECK(wrong == 0);
}

TEST_CASE("between every two neighbours: the tie, one ulp below it and one above it") {
  int wrong = 0;
  for (std::uint32_t p = 0; p < 0x10000; ++p) {
    if ((p & 0x7fff) >= 0x7f80) continue;
    const std::uint32_t tie = p << 16 | 0x8000u;
    for (const std::uint32_t bits : {tie - 1, tie, tie + 1}) {
      const auto f = std::bit_cast<float>(bits);
      wrong += bfloat16(f).bits != oracle(static_cast<long double>(f));
    }
  }
  CHECK(wrong == 0);
  CHECK(bfloat16(std::numeric_limits<float>::max()).bits == 0x7f80);
  CHECK(bfloat16(std::bit_cast<float>(0x7f7f7fffu)).bits == 0x7f7f);
}

TEST_CASE("doubles and integers are rounded once, not twice") {
  CHECK(bfloat16(1.0 + 0x1p-8).bits == 0x3f80);                 // a tie: to even
  CHECK(bfloat16(1.0 + 0x1p-8 + 0x1p-40).bits == 0x3f81);       // above it; a float in between would have lost that
  CHECK(bfloat16(1.0 + 3 * 0x1p-8 - 0x1p-40).bits == 0x3f81);
  CHECK(bfloat16(-(1.0 + 0x1p-8 + 0x1p-40)).bits == 0xbf81);
  CHECK(bfloat16((std::int64_t{1} << 62) + (std::int64_t{1} << 54) + 1).bits == oracle(0x1p62L + 0x1p54L + 1));
  CHECK(bfloat16(0x1p-200).bits == 0);
  CHECK(bfloat16(-0x1p-200).bits == 0x8000);
  CHECK(bfloat16(7).bits == oracle(7));
  CHECK(bfloat16(true).bits == 0x3f80);
  CHECK(std::isnan(static_cast<float>(bfloat16(std::numeric_limits<double>::quiet_NaN()))));
  CHECK(bfloat16(-std::numeric_limits<double>::infinity()).bits == 0xff80);
  std::mt19937_64 random(7);
  int wrong = 0;
  for (int i = 0; i < 100'000; ++i) {
    std::uint64_t u = random();
    if (i % 2) u &= ~std::uint64_t{0} << (random() % 46);  // few bits: many near-ties
    const double d = std::bit_cast<double>((u & 0x800fffffffffffffu) | (1023 - 150 + random() % 270) << 52);
    wrong += bfloat16(d).bits != oracle(static_cast<long double>(d));
    const auto n = static_cast<std::int64_t>(u) >> random() % 60;
    wrong += bfloat16(n).bits != oracle(static_cast<long double>(n));
  }
  CHECK(wrong == 0);
}

TEST_CASE("sums and products are made in float and rounded") {
  bfloat16 a = 1.0f;
  a += 0.5f;
  CHECK(a == 1.5f);
  a *= 2;
  CHECK(a == 3);
  a -= 1.0f;
  a /= 4.0f;
  CHECK(static_cast<float>(a) == 0.5f);
  CHECK(a + a == 1.0f);
  STATIC_CHECK(bfloat16(2.0f) < 3.0f);
}
