// SPDX-License-Identifier: Apache-2.0
// The little text that errors need: strings put together with one allocation, and copies into fixed buffers. No locale, no streams.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>
namespace tenon::detail {
/// a + b + … as one string, with one allocation.
template <class... S>
[[gnu::cold]] std::string concat(const S&... s) {
  std::string r;
  r.reserve((std::string_view(s).size() + ...));
  (r.append(std::string_view(s)), ...);
  return r;
}

/// Copies what fits with a final zero; a longer text ends in "…", and never in half a character.
[[gnu::cold]] inline void copy_text(char* to, std::size_t room, std::string_view text) noexcept {
  std::size_t fits = text.size() < room ? text.size() : room - 4;
  if (fits != text.size())
    while (fits > 0 && (static_cast<unsigned char>(text[fits]) & 0xc0u) == 0x80u) --fits;
  for (std::size_t i = 0; i < fits; ++i) to[i] = text[i];
  to[fits] = 0;
  if (fits != text.size())
    for (std::size_t i = 0; i < 4; ++i) to[fits + i] = "\xE2\x80\xA6"[i];
}
}  // namespace tenon::detail
