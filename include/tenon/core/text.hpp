// SPDX-License-Identifier: Apache-2.0
// The little text that errors need: strings put together with one allocation, and copies into fixed buffers. No locale, no streams.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
namespace tenon::detail {
/// a + b + … as one string, with one allocation.
template <class... S>
[[gnu::noinline]] std::string concat(const S&... s) {
  std::string r;
  r.reserve((std::string_view(s).size() + ...));
  (r.append(std::string_view(s)), ...);
  return r;
}

/// Copies what fits with a final zero; a longer text ends in "…", and never in half a character.
[[gnu::noinline]] inline void copy_text(char* to, std::size_t room, std::string_view text) noexcept {
  std::size_t fits = text.size() < room ? text.size() : room - 4;
  if (fits != text.size())
    while (fits > 0 && (static_cast<unsigned char>(text[fits]) & 0xc0u) == 0x80u) --fits;
  for (std::size_t i = 0; i < fits; ++i) to[i] = text[i];
  to[fits] = 0;
  if (fits != text.size())
    for (std::size_t i = 0; i < 4; ++i) to[fits + i] = "\xE2\x80\xA6"[i];
}

/// Text put together piece by piece, without a heap call; what does not fit ends in "…". Small where it is used.
class text_buffer {
  char text_[640];
  std::size_t n_ = 0;

 public:
  text_buffer() noexcept { text_[0] = 0; }
  [[gnu::noinline]] text_buffer& operator<<(const char* piece) noexcept {
    const std::size_t room = sizeof text_ - n_;
    if (room <= 4) return *this;  // full, and says so
    const std::string_view s(piece);
    copy_text(text_ + n_, room, s);
    n_ = s.size() < room ? n_ + s.size() : sizeof text_ - 1;
    return *this;
  }
  [[gnu::noinline]] text_buffer& operator<<(std::int64_t v) noexcept {
    char digits[24];
    char* at = digits + sizeof digits;
    *--at = 0;
    auto u = v < 0 ? ~static_cast<std::uint64_t>(v) + 1 : static_cast<std::uint64_t>(v);
    do *--at = static_cast<char>('0' + u % 10);
    while ((u /= 10) > 0);
    if (v < 0) *--at = '-';
    return *this << at;
  }
  const char* c_str() const noexcept { return text_; }
};
}  // namespace tenon::detail
