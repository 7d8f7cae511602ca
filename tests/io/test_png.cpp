// SPDX-License-Identifier: Apache-2.0
// A PNG byte for byte, its chunks read back, pictures of more than one stored block, and base64 against the examples of its RFC.
#include <tenon/io/png.hpp>
#include <vector>
#include "../catch.hpp"
using namespace tenon::io;

namespace {
std::size_t number(const std::string& s, std::size_t at) {
  std::size_t v = 0;
  for (std::size_t i = 0; i < 4; ++i) v = v << 8 | static_cast<unsigned char>(s[at + i]);
  return v;
}
/// The chunk at `at`, which then is the next one's; its check sum is looked at.
std::string chunk(const std::string& png, std::size_t& at, std::string_view kind) {
  const std::size_t n = number(png, at);
  CHECK(png.substr(at + 4, 4) == kind);
  CHECK(number(png, at + 8 + n) == crc32(png.data() + at + 4, n + 4));
  at += n + 12;
  return png.substr(at - n - 4, n);
}
/// What a zlib stream of stored blocks holds.
std::string inflated(const std::string& z) {
  std::string out;
  CHECK((static_cast<unsigned char>(z[0]) * 256 + static_cast<unsigned char>(z[1])) % 31 == 0);
  bool last = false;
  std::size_t at = 2;
  while (!last) {
    last = z[at] == 1;
    const auto byte = [&](std::size_t i) { return static_cast<std::size_t>(static_cast<unsigned char>(z[at + i])); };
    const std::size_t n = byte(1) + 256 * byte(2);
    CHECK((n ^ 65535u) == byte(3) + 256 * byte(4));
    out += z.substr(at + 5, n);
    at += 5 + n;
  }
  CHECK(at + 4 == z.size());
  return out;
}
}  // namespace

TEST_CASE("two pixels, byte for byte") {
  const unsigned char pixels[] = {0, 255};
  std::string hex;
  for (const char c : grey_png(pixels, 1, 2))
    for (const int digit : {static_cast<unsigned char>(c) / 16, c & 15}) hex += "0123456789abcdef"[digit];
  CHECK(hex ==  // put together by Python's struct and zlib
        "89504e470d0a1a0a"
        "0000000d4948445200000002000000010800000000d1492056"
        "0000000e494441547801010300fcff0000ff01020100b7012ef7"
        "0000000049454e44ae426082");
}
TEST_CASE("what went in comes out, also of several blocks") {
  for (const std::size_t columns : {1u, 28u, 65534u, 65535u, 70000u}) {
    std::vector<unsigned char> pixels(3 * columns);
    for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<unsigned char>(i * 7 + i / 256);
    const std::string png = grey_png(pixels.data(), 3, columns);
    std::size_t at = 8;
    const std::string head = chunk(png, at, "IHDR");
    CHECK((number(head, 0) == columns && number(head, 4) == 3));
    const std::string lines = inflated(chunk(png, at, "IDAT"));
    REQUIRE(lines.size() == 3 * (columns + 1));
    for (std::size_t r = 0; r < 3; ++r) {
      CHECK(lines[r * (columns + 1)] == 0);
      CHECK(lines.substr(r * (columns + 1) + 1, columns) ==
            std::string(pixels.begin() + static_cast<std::ptrdiff_t>(r * columns),
                        pixels.begin() + static_cast<std::ptrdiff_t>((r + 1) * columns)));
    }
  }
}
TEST_CASE("base64, by RFC 4648") {
  CHECK(base64("") == "");
  CHECK(base64("f") == "Zg==");
  CHECK(base64("fo") == "Zm8=");
  CHECK(base64("foo") == "Zm9v");
  CHECK(base64("foobar") == "Zm9vYmFy");
  CHECK(base64("\xff\xef\xbe") == "/+++");
}
