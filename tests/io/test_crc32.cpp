// SPDX-License-Identifier: Apache-2.0
// The check sum against known values and against one bit at a time, for every length, alignment and cut.
#include <tenon/io/crc32.hpp>

#include <random>
#include <vector>

#include "catch.hpp"

using tenon::io::crc32;

namespace {
std::uint32_t bit_by_bit(const unsigned char* p, std::size_t n) {
  std::uint32_t c = 0xffffffffu;
  for (; n > 0; --n, ++p)
    for (int k = 0; k < 8; ++k) {
      const std::uint32_t bit = (c ^ static_cast<std::uint32_t>(*p >> k)) & 1u;
      c = c >> 1 ^ (bit ? 0xEDB88320u : 0u);
    }
  return ~c;
}
}  // namespace

TEST_CASE("known values") {
  CHECK(crc32("", 0) == 0);
  CHECK(crc32("123456789", 9) == 0xCBF43926u);  // the check value of the CRC catalogues
  CHECK(crc32("The quick brown fox jumps over the lazy dog", 43) == 0x414FA339u);
  static constexpr unsigned char digits[] = {'1', '2', '3', '4', '5', '6', '7', '8', '9'};
  STATIC_CHECK(crc32(digits, 9) == 0xCBF43926u);
}

TEST_CASE("every length and start, and every cut in two") {
  std::vector<unsigned char> v(300);
  std::mt19937 random(1);
  for (auto& b : v) b = static_cast<unsigned char>(random());
  int wrong = 0;
  for (std::size_t start = 0; start < 9; ++start)
    for (std::size_t n = 0; n < 70; ++n) wrong += crc32(v.data() + start, n) != bit_by_bit(v.data() + start, n);
  const std::uint32_t whole = bit_by_bit(v.data(), v.size());
  for (std::size_t cut = 0; cut <= v.size(); ++cut) wrong += crc32(v.data() + cut, v.size() - cut, crc32(v.data(), cut)) != whole;
  CHECK(wrong == 0);
}
