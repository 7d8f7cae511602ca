// SPDX-License-Identifier: Apache-2.0
// The checks of foreign shapes, strides and addresses against an oracle in 128-bit integers, on random extreme inputs.
#include <tenon/tensor/import.hpp>

#include <random>

#include "catch.hpp"
#include "oracle.hpp"

namespace {
using oracle::sample;
using tenon::errc;

struct source_of_numbers {
  std::mt19937_64 bits{20261121};
  std::int64_t below(std::int64_t n) { return static_cast<std::int64_t>(bits() % static_cast<std::uint64_t>(n)); }
  /// Small, near a power of two, or at an end of the range.
  std::int64_t extreme(bool negative) {
    std::int64_t v = 0;
    switch (below(6)) {
      case 0:
      case 1: v = below(5); break;
      case 2: v = below(1000); break;
      case 3: v = static_cast<std::int64_t>(std::uint64_t{1} << below(63)) + below(3) - 1; break;
      case 4: v = INT64_MAX - below(3); break;
      default: v = static_cast<std::int64_t>(bits() >> 1 >> below(63)); break;
    }
    return negative && below(3) == 0 ? -v - below(2) : v;
  }
};
}  // namespace

TEST_CASE("E9 D9 the checks of an import agree with 128-bit arithmetic") {
  source_of_numbers any;
  int seen[64]{};
  for (int round = 0; round < (TENON_LONG ? 5'000'000 : 200'000); ++round) {
    sample s;
    s.ndim = any.below(4);
    for (int i = 0; i < s.ndim; ++i) {
      s.shape[i] = any.below(20) ? any.extreme(false) : any.extreme(true);
      s.strides[i] = any.extreme(true);
    }
    s.strided = any.below(4) != 0;
    s.base = any.below(10) == 0 ? 0
             : any.below(2)     ? std::uint64_t{0x7f0000000000} + static_cast<std::uint64_t>(any.below(64))
                                : any.bits() >> any.below(40);
    s.offset = any.below(3) ? 0 : any.below(4) ? static_cast<std::uint64_t>(any.extreme(false)) : any.bits();
    s.width = 1 << any.below(4);
    s.alignment = any.below(3) ? 1 : s.width;

    tenon::detail::import_source t{};
    t.data = reinterpret_cast<void*>(s.base);
    t.device = {1, 0};
    t.ndim = s.ndim;
    t.dtype = {0, static_cast<std::uint8_t>(8 * s.width), 1};
    t.shape = s.shape;
    t.strides = s.strided ? s.strides : nullptr;
    t.byte_offset = s.offset;
    t.versioned = t.may_omit_strides = true;
    tenon::detail::import_request want;
    want.alignment = s.alignment;
    tenon::array_ref a;
    tenon::failure why;
    const errc got = tenon::detail::check_import(t, want, {}, a, why);
    std::uint64_t address = 0;
    const errc expected = oracle::judge(s, address);
    ++seen[static_cast<int>(expected)];
    if (got != expected || (got == errc::ok && reinterpret_cast<std::uintptr_t>(a.data) != address)) {
      CAPTURE(round, s.ndim, s.shape[0], s.shape[1], s.shape[2], s.strided, s.strides[0], s.strides[1], s.strides[2], s.base,
              s.offset, s.width);
      REQUIRE(std::string(tenon::word(got)) == tenon::word(expected));
      REQUIRE(reinterpret_cast<std::uintptr_t>(a.data) == address);
    }
  }
  for (const errc c : {errc::ok, errc::negative_extent, errc::overflow, errc::null_data, errc::alignment})
    CHECK(seen[static_cast<int>(c)] > 1000);
}

TEST_CASE("E8 an empty array that is described with an address keeps none") {
  float x = 0;
  tenon::array_ref a;
  a.data = &x;
  a.dtype = tenon::float32;
  a.shape = {3, 0};
  a.strides = {{7, 9}};
  tenon::failure why;
  CHECK(tenon::detail::check_layout("view", a, 4, why) == errc::ok);
  CHECK(a.data == nullptr);
  CHECK(a.strides == tenon::dense_strides(a.shape));
  a.shape = {1};
  a.data = &x;
  CHECK(tenon::detail::check_layout("view", a, 4, why) == errc::ok);
  CHECK(a.data == &x);
}

TEST_CASE("a span that just fits, and one byte more") {
  using tenon::detail::byte_span;
  std::int64_t low = 0, high = 0;
  const std::int64_t most = INT64_MAX;
  CHECK(byte_span({2}, {{most}}, 1, low, high));
  CHECK(high == most);
  CHECK_FALSE(byte_span({2}, {{most / 2 + 1}}, 2, low, high));
  CHECK(byte_span({2}, {{-(most / 4)}}, 4, low, high));
  CHECK(low == -(most / 4) * 4);
  CHECK(high == 3);
  CHECK(byte_span({2, 3}, {{-5, 7}}, 4, low, high));
  CHECK(low == -20);
  CHECK(high == 59);
  CHECK_FALSE(byte_span({2, 2}, {{most, 1}}, 1, low, high));
}
