// SPDX-License-Identifier: Apache-2.0
// Characters of UTF-8 text, for whoever lines text up or writes it where broken text is not allowed. Reads the bytes it is given.
#pragma once
#include <cstddef>
#include <string_view>
namespace tenon::detail {
/// Bytes of the character that `s` begins with; 0 where it begins with none: broken, overlong, half of a pair, or nothing left.
[[gnu::noinline]] constexpr std::size_t utf8_bytes(std::string_view s) {
  const auto byte = [&](std::size_t i) { return i < s.size() ? static_cast<unsigned char>(s[i]) : 0u; };
  const unsigned first = byte(0);
  if (s.empty()) return 0;
  if (first < 0x80) return 1;
  const std::size_t n = first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
  for (std::size_t i = 1; i < n; ++i)
    if ((byte(i) & 0xC0u) != 0x80u) return 0;
  const bool outside = (first == 0xE0 && byte(1) < 0xA0) || (first == 0xED && byte(1) >= 0xA0) ||  // overlong, surrogates
                       (first == 0xF0 && byte(1) < 0x90) || (first == 0xF4 && byte(1) >= 0x90);
  return outside ? 0 : n;
}
/// Characters, each broken byte being one.
[[gnu::noinline]] constexpr std::size_t utf8_length(std::string_view s) {
  std::size_t n = 0;
  for (; !s.empty(); ++n) {
    const std::size_t b = utf8_bytes(s);
    s.remove_prefix(b ? b : 1);
  }
  return n;
}
}  // namespace tenon::detail
