// SPDX-License-Identifier: Apache-2.0
// The check sum of zlib, gzip and PNG (polynomial 0xEDB88320, reflected), eight bytes a step. Reads the bytes it is given.
// Method: M. Kounavis and F. Berry, "A systematic approach to building high performance software-based CRC generators", 2005.
#pragma once
#include <cstddef>
#include <cstdint>
namespace tenon::io {
namespace detail {
struct crc32_tables {
  std::uint32_t t[8][256]{};
  constexpr crc32_tables() {
    for (std::uint32_t i = 0; i < 256; ++i) {
      std::uint32_t c = i;
      for (int k = 0; k < 8; ++k) c = c >> 1 ^ (0xEDB88320u & (0u - (c & 1u)));
      t[0][i] = c;
    }
    for (int k = 1; k < 8; ++k)
      for (std::uint32_t i = 0; i < 256; ++i) t[k][i] = t[k - 1][i] >> 8 ^ t[0][t[k - 1][i] & 0xffu];
  }
};
inline constexpr crc32_tables crc32_table{};
}  // namespace detail

/// Equal to zlib's crc32. To go on after `before`, hand it in: crc32(b, n, crc32(a, m)) is that of a followed by b.
constexpr std::uint32_t crc32(const unsigned char* p, std::size_t n, std::uint32_t before = 0) noexcept {
  const auto& t = detail::crc32_table.t;
  std::uint32_t c = ~before;
  for (; n >= 8; n -= 8, p += 8) {
    c ^= p[0] | std::uint32_t{p[1]} << 8 | std::uint32_t{p[2]} << 16 | std::uint32_t{p[3]} << 24;
    c = t[7][c & 0xffu] ^ t[6][c >> 8 & 0xffu] ^ t[5][c >> 16 & 0xffu] ^ t[4][c >> 24] ^ t[3][p[4]] ^ t[2][p[5]] ^ t[1][p[6]] ^
        t[0][p[7]];
  }
  for (; n > 0; --n, ++p) c = c >> 8 ^ t[0][(c ^ *p) & 0xffu];
  return ~c;
}
/// The same of any memory.
inline std::uint32_t crc32(const void* data, std::size_t bytes, std::uint32_t before = 0) noexcept {
  return crc32(static_cast<const unsigned char*>(data), bytes, before);
}
}  // namespace tenon::io
