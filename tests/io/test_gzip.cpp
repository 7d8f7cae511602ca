// SPDX-License-Identifier: Apache-2.0
// gzip: cut, spoilt, doubled, and larger than it may be; and IDX files through it.
#include <tenon/io/crc32.hpp>
#include <tenon/io/read_idx.hpp>

#include <cstring>

#include "catch.hpp"
#include "scratch.hpp"

using tenon::errc;
using namespace tenon::io;
using bytes = std::vector<std::uint8_t>;

namespace {
bytes gzip(const bytes& in) {
  z_stream z{};
  REQUIRE(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  bytes out(deflateBound(&z, in.size()) + 32);
  z.next_in = const_cast<Bytef*>(in.data());
  z.avail_in = static_cast<uInt>(in.size());
  z.next_out = out.data();
  z.avail_out = static_cast<uInt>(out.size());
  REQUIRE(deflate(&z, Z_FINISH) == Z_STREAM_END);
  out.resize(z.total_out);
  deflateEnd(&z);
  return out;
}
bytes text(std::size_t n) {
  bytes b(n);
  std::uint32_t x = 1;
  for (auto& e : b) e = static_cast<std::uint8_t>((x = x * 1664525u + 1013904223u) >> 28);
  return b;
}
struct answer {
  errc code;
  bytes out;
};
answer inflated(const bytes& in, const gzip_limits& limits = {}) {
  tenon::tensor<std::uint8_t> t;
  tenon::failure why;
  const errc c = try_inflate(in.data(), static_cast<std::int64_t>(in.size()), t, why, limits, "a.gz");
  CHECK((c == errc::ok) == static_cast<bool>(t.owner()));
  if (c != errc::ok && c != errc::no_memory && std::string(why.argument) != "a.gz") FAIL(why.argument);
  return {c, bytes(t.data(), t.data() + t.numel())};
}
bytes operator+(bytes a, const bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}
}  // namespace

TEST_CASE("crc32 is zlib's") {
  const bytes b = text(1000);
  CHECK(tenon::io::crc32(b.data(), b.size()) == ::crc32(0, b.data(), 1000));
}

TEST_CASE("what was compressed comes back: any size, several members") {
  for (const std::size_t n : {0u, 1u, 255u, 256u, 257u, 5'000u, 300'000u}) {
    const bytes b = text(n);
    const auto a = inflated(gzip(b));
    CHECK(a.code == errc::ok);
    CHECK(a.out == b);
  }
  const bytes a = text(400), b = text(1000);
  CHECK(inflated(gzip(a) + gzip(b)).out == a + b);
  CHECK(inflated(gzip(a) + gzip({}) + gzip(b)).out == a + b);
}

TEST_CASE("cut anywhere it is truncated") {
  const bytes whole = gzip(text(700));
  for (std::size_t n = 0; n < whole.size(); ++n)
    if (const errc c = inflated(bytes(whole.begin(), whole.begin() + static_cast<long>(n))).code; c != errc::truncated)
      FAIL("cut at " << n << " of " << whole.size() << ": " << tenon::word(c));
  const bytes two = whole + whole;
  for (std::size_t n = whole.size() + 1; n < two.size(); ++n)
    if (inflated(bytes(two.begin(), two.begin() + static_cast<long>(n))).code != errc::truncated)
      FAIL("cut at " << n << " in the second member");
  SUCCEED();
}

TEST_CASE("a spoilt byte is found, but for the notes about time and system, and for padding") {
  const bytes b = text(700), whole = gzip(b);
  int unnoticed = 0;
  for (std::size_t i = 0; i < whole.size(); ++i)
    for (const int bit : {0, 3, 7}) {
      bytes spoilt = whole;
      spoilt[i] = static_cast<std::uint8_t>(spoilt[i] ^ 1 << bit);
      const auto a = inflated(spoilt);
      if (a.code == errc::ok) {
        ++unnoticed;
        REQUIRE(a.out == b);
        REQUIRE((i < 10 || i == whole.size() - 9));  // or a bit that fills the last byte of the stream
      }
    }
  CHECK(unnoticed <= 33);
  bytes sum = whole;
  sum[whole.size() - 8] = static_cast<std::uint8_t>(sum[whole.size() - 8] ^ 1);
  CHECK(inflated(sum).code == errc::corrupt);
  bytes length = whole;
  length[whole.size() - 1] = 0x7f;  // claims 2 GB: must neither be believed nor accepted
  CHECK(inflated(length).code == errc::corrupt);
}

TEST_CASE("bytes behind the last member are corrupt") {
  const bytes whole = gzip(text(100));
  for (const bytes& behind : {bytes{0}, bytes{0x1f, 0x8c}, bytes{'x', 'y'}, bytes(512)})
    CHECK(inflated(whole + behind).code == errc::corrupt);
}

TEST_CASE("limits: bytes exactly, and the ratio that a bomb exceeds") {
  const bytes b = text(1000);
  CHECK(inflated(gzip(b), {.bytes = 1000}).code == errc::ok);
  CHECK(inflated(gzip(b), {.bytes = 999}).code == errc::limit);
  CHECK(inflated(gzip(b) + gzip({}), {.bytes = 1000}).code == errc::ok);
  const bytes bomb = gzip(bytes(5'000'000));
  CHECK(inflated(bomb).code == errc::limit);
  CHECK(inflated(bomb, {.ratio = 2000}).code == errc::ok);
  CHECK(inflated(bomb, {.bytes = 4'999'999, .ratio = 2000}).code == errc::limit);
}

TEST_CASE("a hint in the trailer that lies low costs nothing but time") {
  bytes two = gzip(text(50'000)) + gzip(text(3));  // the trailer says 3
  CHECK(inflated(two).out.size() == 50'003);
}

TEST_CASE("IDX files, compressed and plain, by one call") {
  const scratch here;
  const bytes plain{0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 2, 1, 2, 3, 4}, packed = gzip(plain);
  write_file((here / "a").c_str(), plain.data(), plain.size());
  write_file((here / "b").c_str(), packed.data(), packed.size());
  CHECK(read_idx((here / "a").c_str())(1, 1) == 4);
  CHECK(read_idx((here / "b").c_str())(1, 0) == 3);
  write_file((here / "b").c_str(), packed.data(), packed.size() - 5);
  tenon::tensor<std::uint8_t> t;
  tenon::failure why;
  CHECK(try_read_idx((here / "b").c_str(), t, why) == errc::truncated);
  CHECK(std::string(why.argument) == here / "b");
  CHECK(try_read_idx((here / "c").c_str(), t, why, {.file = {.remedy = "Install it."}}) == errc::file);
  CHECK(std::string(why.remedy) == "Install it.");
  CHECK_THROWS_AS(read_idx((here / "c").c_str()), tenon::error);
  CHECK_FALSE(t.owner());
}

TEST_CASE("Fashion-MNIST, where it is installed") {
  const std::string folder = "/usr/share/datasets/fashion-mnist/";
  if (::access((folder + "t10k-labels-idx1-ubyte.gz").c_str(), R_OK) != 0) return;
  const auto labels = read_idx((folder + "t10k-labels-idx1-ubyte.gz").c_str());
  CHECK(labels.shape() == tenon::shape{10'000});
  int per_class[10]{};
  for (int i = 0; i < 10'000; ++i) ++per_class[labels[i]];
  for (const int n : per_class) CHECK(n == 1000);
}
