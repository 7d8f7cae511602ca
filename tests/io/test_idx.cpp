// SPDX-License-Identifier: Apache-2.0
// IDX: every element type, every way of being too short, too long or too large, and random bytes.
#include <tenon/io/idx.hpp>

#include <random>

#include "catch.hpp"
#include "scratch.hpp"

using tenon::errc;
using tenon::io::parse_idx;
using bytes = std::vector<std::uint8_t>;

namespace {
bytes file(std::uint8_t type, const std::vector<std::uint32_t>& extents, const bytes& elements) {
  bytes b{0, 0, type, static_cast<std::uint8_t>(extents.size())};
  for (const std::uint32_t e : extents)
    for (int shift = 24; shift >= 0; shift -= 8) b.push_back(static_cast<std::uint8_t>(e >> shift));
  b.insert(b.end(), elements.begin(), elements.end());
  return b;
}
template <class T = std::uint8_t>
tenon::failure refused(const bytes& b, const tenon::io::idx_limits& limits = {}) {
  tenon::tensor<T> t;
  tenon::failure why;
  CHECK(tenon::io::try_parse_idx(bytes_of(b), t, why, limits, "some.idx") == why.code);
  CHECK_FALSE(t.owner());
  CHECK((why.code == errc::no_memory || std::string(why.argument) == "some.idx"));
  return why;
}
}  // namespace

TEST_CASE("bytes share the memory of the file") {
  const auto f = bytes_of(file(8, {2, 3}, {1, 2, 3, 4, 5, 6}));
  const auto t = parse_idx(f);
  CHECK(t.shape() == tenon::shape{2, 3});
  CHECK(t.data() == f.data() + 12);
  CHECK(t(1, 2) == 6);
  CHECK(parse_idx<const std::int8_t>(bytes_of(file(9, {2}, {255, 1})))[0] == -1);
}

TEST_CASE("wider elements come in the machine's order") {
  CHECK(parse_idx<std::int16_t>(bytes_of(file(0x0B, {2}, {0x12, 0x34, 0xff, 0xfe})))[0] == 0x1234);
  CHECK(parse_idx<std::int16_t>(bytes_of(file(0x0B, {2}, {0x12, 0x34, 0xff, 0xfe})))[1] == -2);
  CHECK(parse_idx<std::int32_t>(bytes_of(file(0x0C, {1}, {1, 2, 3, 4})))[0] == 0x01020304);
  CHECK(parse_idx<float>(bytes_of(file(0x0D, {1}, {0x3f, 0xc0, 0, 0})))[0] == 1.5f);
  CHECK(parse_idx<double>(bytes_of(file(0x0E, {1}, {0x40, 0x04, 0, 0, 0, 0, 0, 0})))[0] == 2.5);
  CHECK(parse_idx<void>(bytes_of(file(0x0E, {0, 4}, {}))).dtype() == tenon::float64);
}

TEST_CASE("another element type than asked for") {
  const auto why = refused<float>(file(8, {1}, {1}));
  CHECK(why.code == errc::dtype);
  CHECK(why.message() == "[parse_idx] some.idx: dtype: got uint8, expected float32.");
}

TEST_CASE("cut anywhere it is truncated; one byte longer it is corrupt") {
  const bytes whole = file(0x0C, {2, 1, 2}, bytes(16, 1));
  for (std::size_t n = 0; n < whole.size(); ++n)
    CHECK(refused<int>(bytes(whole.begin(), whole.begin() + static_cast<long>(n))).code == errc::truncated);
  bytes longer = whole;
  longer.push_back(0);
  const auto why = refused<int>(longer);
  CHECK(why.code == errc::corrupt);
  CHECK(why.got == 33);
  CHECK(why.expected == 32);
  CHECK(refused(file(8, {2}, {1})).code == errc::truncated);
  CHECK(refused(file(8, {2}, {1, 2, 3})).code == errc::corrupt);
  CHECK(refused(file(8, {0}, {1})).code == errc::corrupt);
}

TEST_CASE("no IDX file") {
  CHECK(refused({1, 0, 8, 1, 0, 0, 0, 0}).code == errc::corrupt);
  CHECK(refused({0, 1, 8, 1, 0, 0, 0, 0}).code == errc::corrupt);
  CHECK(refused({0, 0, 10, 1, 0, 0, 0, 0}).code == errc::corrupt);
  CHECK(refused({0, 0, 8, 0, 7}).code == errc::corrupt);
  CHECK(refused({0x1f, 0x8b, 8, 0}).code == errc::corrupt);
}

TEST_CASE("extents whose product wraps, and limits") {
  CHECK(refused(file(8, {0x80000000, 0x80000000, 4}, {})).code == errc::overflow);
  CHECK(refused(file(8, {0x40000000, 0x40000000, 0x40000000}, bytes(4))).code == errc::overflow);
  CHECK(refused(file(8, {0xffffffff}, {})).code == errc::limit);
  CHECK(refused(file(8, {0xffffffff}, {})).got == 0xffffffff);
  CHECK(refused<double>(file(0x0E, {0x20000001}, {})).code == errc::limit);
  CHECK(refused(file(8, {3}, {1, 2, 3}), {.extent = 2}).code == errc::limit);
  CHECK(refused(file(8, {2, 2}, {1, 2, 3, 4}), {.bytes = 3}).code == errc::limit);
  CHECK(refused(file(8, {1, 1, 1}, {1}), {.rank = 2}).code == errc::limit);
  CHECK(refused(file(8, std::vector<std::uint32_t>(9, 1), {1}), {.rank = 100}).code == errc::limit);
  CHECK(refused(file(8, {0x80000000, 0x80000000, 0}, {1})).code == errc::corrupt);  // nothing in it, and yet a byte
}

TEST_CASE("random headers never do more than fail") {
  std::mt19937 random(5);
  int parsed = 0;
  for (int round = 0; round < 20'000; ++round) {
    bytes b(random() % 40);
    for (auto& x : b) x = static_cast<std::uint8_t>(random() % 4 ? random() % 3 : random());
    if (b.size() > 3 && random() % 2) b[0] = b[1] = 0, b[2] = static_cast<std::uint8_t>(8 + random() % 7), b[3] %= 4;
    tenon::tensor<> t;
    tenon::failure why;
    if (tenon::io::try_parse_idx(bytes_of(b), t, why) == errc::ok) {
      ++parsed;
      REQUIRE(static_cast<std::size_t>(4 + 4 * t.rank() + t.numel() * t.dtype().bytes()) == b.size());
    }
  }
  CHECK(parsed > 0);
}
