// SPDX-License-Identifier: Apache-2.0
// Grey pictures as PNG, for documents that hold small ones: stored, not compressed, so that no library is needed. Allocates text.
// Formats: PNG (W3C, second edition), zlib (RFC 1950), stored blocks (RFC 1951, 3.2.4), base64 (RFC 4648).
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include "tenon/io/crc32.hpp"
namespace tenon::io {
namespace detail {
[[gnu::noinline]] inline void big_endian(std::string& to, std::uint32_t v) {
  for (int shift = 24; shift >= 0; shift -= 8) to += static_cast<char>(v >> shift & 0xffu);
}
/// A chunk of a PNG: length, kind and data, check sum of the latter two.
[[gnu::noinline]] inline void png_chunk(std::string& to, std::string_view kind, std::string_view data) {
  big_endian(to, static_cast<std::uint32_t>(data.size()));
  const std::size_t from = to.size();
  to += kind;
  to += data;
  big_endian(to, crc32(to.data() + from, to.size() - from));
}
/// `data` as a zlib stream that compresses nothing.
[[gnu::noinline]] inline std::string stored(std::string_view data) {
  std::string s = "\x78\x01";
  std::uint32_t a = 1, b = 0;  // Adler-32
  for (const char c : data) {
    a = (a + static_cast<unsigned char>(c)) % 65521;
    b = (b + a) % 65521;
  }
  do {
    const std::size_t n = data.size() < 65535 ? data.size() : 65535;
    s += n == data.size() ? '\1' : '\0';  // the last block says so
    for (const std::size_t v : {n, n ^ 65535u}) {
      s += static_cast<char>(v & 0xffu);
      s += static_cast<char>(v >> 8);
    }
    s += data.substr(0, n);
    data.remove_prefix(n);
  } while (!data.empty());
  big_endian(s, b << 16 | a);
  return s;
}
}  // namespace detail

/// The bytes of a PNG file of rows × columns pixels, row by row, 0 black and 255 white. Both are 1 at least and below 2³¹, and the
/// file below 4 GiB.
[[gnu::noinline]] inline std::string grey_png(const unsigned char* pixels, std::size_t rows, std::size_t columns) {
  std::string lines, head, s("\x89PNG\r\n\x1a\n", 8);
  for (std::size_t r = 0; r < rows; ++r) {
    lines += '\0';  // this row is as it is
    lines.append(reinterpret_cast<const char*>(pixels) + r * columns, columns);
  }
  detail::big_endian(head, static_cast<std::uint32_t>(columns));
  detail::big_endian(head, static_cast<std::uint32_t>(rows));
  head.append("\x08\0\0\0\0", 5);  // 8 bits, grey, deflate, filtered by rows, not interlaced
  detail::png_chunk(s, "IHDR", head);
  detail::png_chunk(s, "IDAT", detail::stored(lines));
  detail::png_chunk(s, "IEND", "");
  return s;
}

/// Any bytes as text of letters, digits, + and /.
[[gnu::noinline]] inline std::string base64(std::string_view bytes) {
  constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string s;
  s.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const auto byte = [&](std::size_t k) { return i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0u; };
    const unsigned v = byte(0) << 16 | byte(1) << 8 | byte(2);
    for (std::size_t k = 0; k < 4; ++k) s += i + k <= bytes.size() ? letters[v >> (18 - 6 * k) & 63u] : '=';
  }
  return s;
}
}  // namespace tenon::io
