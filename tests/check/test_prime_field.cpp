// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <cstdint>
#include "../catch.hpp"
#include "tenon/check/prime_field.hpp"
#include "tenon/layers/pass.hpp"

using tenon::gf61;

TEST_CASE("integers and dyadic numbers convert exactly") {
  CHECK(gf61(5) + gf61(-5) == gf61(0));
  CHECK(gf61(-1) == gf61::raw(gf61::modulus - 1));
  CHECK(gf61(INT64_MIN) + gf61(std::uint64_t{1} << 63) == 0);
  CHECK(gf61(UINT64_MAX) == gf61(7));  // 2^64 − 1 = 8 − 1
  CHECK(gf61(0.5) == gf61::raw(std::uint64_t{1} << 60));
  CHECK(gf61(0.5f) + gf61(0.5) == 1);
  CHECK(gf61(-0.75) * 4 == -3);
  CHECK(gf61(0.1f) * gf61(1 << 27) == gf61(13421773));  // 0.1f = 13421773 / 2^27
  CHECK(gf61(0x1p61) == 1);
  CHECK(gf61(0x1p-1074) * gf61(0x1p1023) == gf61(0x1p-51));
  CHECK(gf61(1.0L + 0x1p-60L) == gf61(1) + gf61(2));
  CHECK(gf61(0.0) == 0);
  CHECK(gf61(-0.0) == 0);
}

TEST_CASE("it is a field") {
  std::uint64_t u = 88172645463325252u;
  auto next = [&u] {
    u ^= u << 13;
    u ^= u >> 7;
    u ^= u << 17;
    return gf61::raw(u);
  };
  gf61::left_field = false;
  for (int i = 0; i < 200; ++i) {
    const gf61 a = next(), b = next(), c = next();
    CHECK((a + b) * c == a * c + b * c);
    CHECK((a * b) * c == a * (b * c));
    CHECK(a - b + b == a);
    CHECK(a / b * b == a);
    CHECK(-a + a == gf61(0));
    CHECK((a + b).v < gf61::modulus);
    CHECK((a * b).v < gf61::modulus);
  }
  CHECK(gf61(gf61::modulus) == 0);
  CHECK(gf61(-1) * gf61(-1) == 1);
  CHECK(gf61(1) / gf61(3) * 3 == 1);
  CHECK_FALSE(gf61::left_field);
}

TEST_CASE("what a field does not have raises the flag, and is some fixed value") {
  auto leaves = [](auto&& f) {
    gf61::left_field = false;
    f();
    return gf61::left_field;
  };
  using std::exp, std::max, std::sqrt;
  const gf61 a = 4, b = 9;
  CHECK(leaves([&] { CHECK(exp(a) == exp(a)); }));
  CHECK(leaves([&] { CHECK_FALSE(sqrt(a) == sqrt(b)); }));
  CHECK(leaves([&] { CHECK(a < b); }));
  CHECK(leaves([&] { CHECK(max(a, b) == b); }));
  CHECK(leaves([&] { CHECK_FALSE(gf61(std::numeric_limits<float>::infinity()) == 0); }));
  CHECK(leaves([&] { CHECK_FALSE(std::numeric_limits<gf61>::lowest() == 0); }));
  CHECK_FALSE(leaves([&] { CHECK_FALSE(a == b); }));
}

static_assert(gf61(3) * 5 + 2 == 17 && gf61(0.25) * 4 == 1);
static_assert(std::is_same_v<tenon::forward_pass<gf61>::scalar, gf61> &&
              std::is_same_v<tenon::forward_pass<gf61>::accumulate, gf61>);
static_assert(!std::is_convertible_v<gf61, float> && !std::is_constructible_v<double, gf61>);
