// SPDX-License-Identifier: Apache-2.0
// Numbers of four and six bits in shared bytes: where each one's bits are (F5), torch's pairs (F6), one a byte (C8), and that writing one
// leaves its neighbours and the bytes around alone.
#include <tenon/tensor/export.hpp>
#include <tenon/tensor/import.hpp>
#include <tenon/tensor/overlap.hpp>
#include <tenon/tensor/packed.hpp>
#include <tenon/tensor/subview.hpp>

#include <cstring>
#include <random>
#include <type_traits>
#include <vector>

#include "catch.hpp"
#include "producer.hpp"

using namespace tenon;

namespace {
using bytes = std::vector<std::uint8_t>;
/// Bits at .. at + width of a little-endian string of bits, one by one.
unsigned bits_at(const bytes& b, std::size_t at, unsigned width) {
  unsigned code = 0;
  for (unsigned k = 0; k < width; ++k) code |= (unsigned{b[(at + k) / 8]} >> (at + k) % 8 & 1u) << k;
  return code;
}
void put_bits(bytes& b, std::size_t at, unsigned width, unsigned code) {
  for (unsigned k = 0; k < width; ++k) {
    const auto one = static_cast<std::uint8_t>(1u << (at + k) % 8);
    b[(at + k) / 8] = static_cast<std::uint8_t>(code >> k & 1 ? b[(at + k) / 8] | one : b[(at + k) / 8] & ~one);
  }
}
void fill(versioned& p, const bytes& b) { std::memcpy(p.values.data(), b.data(), b.size()); }
template <class T>
concept packable = requires { typename packed<T>; };
static_assert(packable<float4_e2m1fn> && packable<const float6_e2m3fn> && packable<float6_e3m2fn>);
static_assert(!packable<float8_e4m3fn> && !packable<float> && !packable<const std::uint8_t>);
}  // namespace

TEST_CASE("what nobody filled in has no numbers, and numbers share bytes unless they are said not to") {
  const packed<float4_e2m1fn> none;
  CHECK_FALSE(none);
  CHECK(none.numel() == 0);
  CHECK(none.shape() == shape{});
  CHECK_FALSE(none.padded());
  const std::vector<std::uint8_t> b{0x21, 0x43};  // no byte more
  const packed<const float4_e2m1fn> square(b.data(), shape{2, 2}), row(b.data(), 4);
  CHECK_FALSE(square.padded());
  CHECK_FALSE(row.padded());
  CHECK(square.code(3) == 4);
  CHECK(row.code(3) == 4);
}

TEST_CASE("F5 element i has the bits from i times the width on, the lowest first") {
  const bytes b{0x42, 0x65};  // 2, 4, 5, 6
  const packed<const float4_e2m1fn> four(b.data(), 4);
  CHECK(four[0] == 1.0f);
  CHECK(four[1] == 2.0f);
  CHECK(four[2] == 3.0f);
  CHECK(four[3] == 4.0f);
  const bytes three{0b11000001, 0b10000000, 0b00000100};  // 000001 000011 001000 000001
  const packed<const float6_e3m2fn> six(three.data(), 4);
  CHECK(six.code(0) == 1);
  CHECK(six.code(1) == 3);
  CHECK(six.code(2) == 8);
  CHECK(six.code(3) == 1);
  static_assert(packed<float4_e2m1fn>::bytes_of(5) == 3);
  static_assert(packed<float6_e2m3fn>::bytes_of(5) == 4);
  static_assert(!std::is_convertible_v<packed<const float4_e2m1fn>, packed<float4_e2m1fn>>);
  static_assert(std::is_convertible_v<packed<float4_e2m1fn>, packed<const float4_e2m1fn>>);
}

TEMPLATE_TEST_CASE("reading and writing agree with the bits one by one; neighbours stay", "", float4_e2m1fn, float6_e2m3fn,
                   float6_e3m2fn) {
  const unsigned width = std::is_same_v<TestType, float4_e2m1fn> ? 4 : 6;
  std::mt19937 random(1);
  for (const extent n : {1, 2, 3, 4, 5, 7, 8, 9, 31}) {
    const auto size = static_cast<std::size_t>(packed<TestType>::bytes_of(n));
    CHECK(size == (static_cast<std::size_t>(n) * width + 7) / 8);
    bytes mine(size + 2);
    for (auto& b : mine) b = static_cast<std::uint8_t>(random());
    bytes expected = mine;
    const packed<TestType> p(mine.data() + 1, n);
    for (int k = 0; k < 200; ++k) {
      const auto i = static_cast<std::size_t>(random() % static_cast<unsigned>(n));
      const unsigned code = random() & ((1u << width) - 1);
      const float v = TestType::from_bits(static_cast<std::uint8_t>(code));
      if (k % 2) p.set_code(static_cast<extent>(i), code);
      else p.set(static_cast<extent>(i), v);
      put_bits(expected, 8 + i * width, width, code);
      if (mine != expected) FAIL("number " << i << " of " << n);
      const auto at = static_cast<extent>(random() % static_cast<unsigned>(n));
      if (p.code(at) != bits_at(mine, 8 + static_cast<std::size_t>(at) * width, width)) FAIL("number " << at << " of " << n);
    }
  }
}

TEST_CASE("numbers are rounded to nearest, ties to even; too large is the largest") {
  bytes b(1);
  const packed<float4_e2m1fn> p(b.data(), 2);
  p.set(0, 2.4f);
  p.set(1, -100.0f);
  CHECK(p[0] == 2.0f);
  CHECK(p[1] == -6.0f);
  p.set(0, 2.5f);
  CHECK(p[0] == 2.0f);
  p.set(0, 5.0f);
  CHECK(p[0] == 4.0f);
}

TEST_CASE("F6 torch's pairs: the shape counts pairs, the last extent is doubled") {
  versioned p({0, 0}, {2, 3});
  fill(p, {0x21, 0x43, 0x65, 0x87, 0xa9, 0xcb});
  p.dl().dtype = {17, 4, 2};
  const auto t = from_dlpack(p.give());
  const auto v = as_packed<float4_e2m1fn>(t);
  CHECK(v.shape() == shape{2, 6});
  CHECK(v.numel() == 12);
  for (extent i = 0; i < 11; ++i) CHECK(v.code(i) == static_cast<unsigned>(i + 1));
  const tensor<> row = subview(t, 1);  // a row of pairs is whole bytes
  CHECK(as_packed<const float4_e2m1fn>(row).code(0) == 7);
  versioned scalar({0}, {});
  scalar.dl().dtype = {17, 4, 2};
  const auto one = from_dlpack(scalar.give());
  CHECK(as_packed<const float4_e2m1fn>(one).shape() == shape{2});
}

TEST_CASE("F6 more numbers than can be counted are refused, as pairs of one axis or of all") {
  const std::int64_t huge = std::int64_t{1} << 62, root = std::int64_t{1} << 31;
  for (const auto& extents : {std::vector<std::int64_t>{huge}, {root, root}}) {
    versioned p({0}, extents);
    p.dl().dtype = {17, 4, 2};
    const auto t = from_dlpack(p.give());
    failure why;
    packed<float4_e2m1fn> to;
    CHECK(try_as_packed(t, to, why) == errc::overflow);
    CHECK_FALSE(to);
  }
  versioned p({0}, {huge - 1});
  p.dl().dtype = {17, 4, 2};
  const auto t = from_dlpack(p.give());
  CHECK(as_packed<float4_e2m1fn>(t).numel() == 2 * (huge - 1));
}

TEST_CASE("E2 a single number keeps rank 0") {
  versioned p({0}, {});
  fill(p, {0x05});
  p.dl().dtype = {17, 4, 1};
  const auto t = from_dlpack(p.give());
  CHECK(as_packed<const float4_e2m1fn>(t).shape() == shape{});
  CHECK(as_packed<const float4_e2m1fn>(t).numel() == 1);
  CHECK(as_packed<const float4_e2m1fn>(t).code(0) == 5);
}

TEST_CASE("a copy of numbers that share bytes has the same bytes") {
  versioned p({0}, {2, 3});
  fill(p, {0x21, 0x43, 0x65});
  p.dl().dtype = {17, 4, 1};
  const auto t = from_dlpack(p.give());
  const auto mine = copy(t);
  CHECK(mine.data() != t.data());
  const auto v = as_packed<const float4_e2m1fn>(mine);
  for (extent i = 0; i < 6; ++i) CHECK(v.code(i) == static_cast<unsigned>(i + 1));
}

TEST_CASE("D15 the bytes that packed numbers reach have no gaps") {
  versioned p({0, 0}, {3, 3});
  p.dl().dtype = {17, 4, 1};
  const auto t = from_dlpack(p.give());
  CHECK(address_range_of(t).first == static_cast<const std::byte*>(t.data()));
  CHECK(address_range_of(t).last == static_cast<const std::byte*>(t.data()) + 5);
  versioned six({0, 0}, {3});
  six.dl().dtype = {15, 6, 1};
  const auto u = from_dlpack(six.give());
  CHECK(address_range_of(u).last == static_cast<const std::byte*>(u.data()) + 3);
}

TEST_CASE("F4 F5 an imported packed array, and a part of it") {
  versioned p({0, 0}, {2, 4});
  fill(p, {0x10, 0x32, 0x54, 0x76});
  p.dl().dtype = {17, 4, 1};
  const auto t = from_dlpack(p.give());
  const auto v = as_packed<float4_e2m1fn>(t);
  CHECK(v.shape() == shape{2, 4});
  CHECK(v.data() == reinterpret_cast<std::uint8_t*>(p.values.data()));
  for (extent i = 0; i < 8; ++i) CHECK(v.code(i) == static_cast<unsigned>(i));
  const tensor<> row = subview(t, 1);
  CHECK(as_packed<const float4_e2m1fn>(row).code(0) == 4);
  CHECK(to_dlpack(row)->dl_tensor.byte_offset == 0);
  CHECK(to_dlpack(row)->dl_tensor.data == reinterpret_cast<char*>(p.values.data()) + 2);
  CHECK(reshape(t, {4, 2}).shape() == shape{4, 2});
  tensor<> to;
  failure why;
  CHECK(try_subview(t, to, why, all{}, 0) == errc::not_dense);
  CHECK(try_transpose(t, to, why) == errc::not_dense);
  CHECK(try_subview(t, to, why, 0, range{1, 3}) == errc::alignment);
  CHECK(why.got == 4);
  CHECK_FALSE(to);
  CHECK(try_subview(t, to, why, 0, range{2, 4}) == errc::ok);
  CHECK(as_packed<const float4_e2m1fn>(to).code(1) == 3);
}

TEST_CASE("C8 one a byte: any strides import, dense ones are read, and parts are exported as such") {
  versioned p({0, 0}, {2, 4});
  fill(p, {0xf0, 1, 2, 3, 4, 5, 6, 7});  // what is above the number means nothing
  p.dl().dtype = {17, 4, 1};
  p.managed.flags = dl::flag_subbyte_padded;
  const auto t = from_dlpack(p.give());
  const auto v = as_packed<float4_e2m1fn>(t);
  CHECK(v.padded());
  for (extent i = 0; i < 8; ++i) CHECK(v.code(i) == static_cast<unsigned>(i));
  v.set(1, 6.0f);
  CHECK(reinterpret_cast<std::uint8_t*>(p.values.data())[1] == 7);
  const tensor<> column = subview(t, all{}, 1);
  failure why;
  packed<float4_e2m1fn> none;
  CHECK(try_as_packed(column, none, why) == errc::not_dense);
  const tensor<> dense = copy(column);
  CHECK(as_packed<const float4_e2m1fn>(dense).code(1) == 5);
  CHECK(to_dlpack(dense)->flags == dl::flag_subbyte_padded);
}

TEST_CASE("as_packed refuses other types, and to write what is read-only") {
  versioned p({0}, {4});
  p.dl().dtype = {15, 6, 1};
  p.managed.flags = dl::flag_read_only;
  const auto t = from_dlpack(p.give());
  failure why;
  packed<float4_e2m1fn> four;
  packed<float6_e2m3fn> six;
  CHECK(try_as_packed(t, four, why) == errc::dtype);
  CHECK(why.message() == "[as_packed] this tensor: dtype: got float6_e2m3fn, expected float4_e2m1fn.");
  CHECK(try_as_packed(t, six, why) == errc::read_only);
  CHECK_FALSE(six);
  CHECK(as_packed<const float6_e2m3fn>(t).numel() == 4);
  CHECK_THROWS_AS(as_packed<float6_e3m2fn>(t), error);
}
