// SPDX-License-Identifier: Apache-2.0
// Inflates gzip (RFC 1952) from memory to memory, all members of it. Opt-in: needs zlib. Memory grows with what comes out and stays
// under two limits, whatever the header or trailer claim.
#pragma once
#include <zlib.h>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include "tenon/io/file.hpp"
namespace tenon::io {
struct gzip_limits {
  std::int64_t bytes = std::int64_t{1} << 32;  // most bytes that may come out
  std::int64_t ratio = 256;  // most bytes out for a byte in; deflate itself can reach 1032
};

/// Whether this is gzip: its two magic bytes.
inline bool is_gzip(const std::uint8_t* p, std::int64_t bytes) noexcept { return bytes >= 2 && p[0] == 0x1f && p[1] == 0x8b; }

namespace detail {
/// zlib's state, ended on every path.
struct inflater {
  z_stream z{};
  bool ready = false;
  inflater() noexcept { ready = inflateInit2(&z, 15 + 16) == Z_OK; }  // 15: the largest window; 16: gzip, not zlib
  inflater(const inflater&) = delete;
  inflater& operator=(const inflater&) = delete;
  ~inflater() {
    if (ready) inflateEnd(&z);
  }
};
inline std::int64_t least(std::int64_t a, std::int64_t b) noexcept { return a < b ? a : b; }
}  // namespace detail

/// The inflated bytes. `name` is said in errors. Errors: truncated (got bytes in), corrupt (bad block, check sum, or bytes behind
/// the last member; got is the offset in the input), limit, no_memory.
[[nodiscard]] inline errc try_inflate(const std::uint8_t* in, std::int64_t bytes, tensor<std::uint8_t>& to, failure& why,
                                      const gzip_limits& limits = {}, const char* name = "gzip data") noexcept {
  constexpr const char* op = "inflate";
  constexpr std::int64_t step = std::int64_t{1} << 30;  // zlib counts in 32 bits
  const auto bad = [&](errc code, std::int64_t got, std::int64_t expected, const char* relation, const char* remedy = "") {
    const detail::file_name said(name);
    return detail::fail(why, code, op,
                        {.argument = said.text, .got = got, .expected = expected, .relation = relation, .remedy = remedy});
  };
  detail::inflater state;
  if (!state.ready) return bad(errc::no_memory, 0, 1, "");
  const std::int64_t by_ratio = tenon::detail::saturating_mul(bytes, limits.ratio), most = detail::least(limits.bytes, by_ratio);
  // The trailer says the length modulo 2^32: a hint, believed as far as the limits allow.
  std::int64_t room = 0;
  if (bytes >= 18)
    for (int i = 3; i >= 0; --i) room = room << 8 | in[bytes - 4 + i];
  room = detail::least(room, most);
  if (room < 256) room = detail::least(256, most);
  storage memory;
  if (const errc c = storage::try_allocate(static_cast<std::size_t>(room), memory, why); c != errc::ok) return c;
  std::int64_t read = 0, made = 0;
  bool between = false;  // a member has just ended
  for (;;) {
    if (between) {
      if (read == bytes) break;
      if (in[read] != 0x1f || (read + 1 < bytes && in[read + 1] != 0x8b))
        return bad(errc::corrupt, read, 0, "", "Something follows the last gzip member.");
      if (inflateReset(&state.z) != Z_OK) return bad(errc::corrupt, read, 0, "");
      between = false;
    }
    if (made == room && room < most) {
      const std::int64_t wider = room < most / 2 ? room * 2 : most;
      storage next;
      if (const errc c = storage::try_allocate(static_cast<std::size_t>(wider), next, why); c != errc::ok) return c;
      std::memcpy(next.data(), memory.data(), static_cast<std::size_t>(made));
      memory = std::move(next);
      room = wider;
    }
    std::uint8_t over = 0;  // at the limit: one byte more, to tell an end from a byte too many
    const bool full = made == room;
    const std::int64_t feed = detail::least(bytes - read, step), take = full ? 1 : detail::least(room - made, step);
    state.z.next_in = const_cast<Bytef*>(in + read);
    state.z.avail_in = static_cast<uInt>(feed);
    state.z.next_out = full ? &over : reinterpret_cast<Bytef*>(memory.data() + made);
    state.z.avail_out = static_cast<uInt>(take);
    const int status = inflate(&state.z, Z_NO_FLUSH);
    const std::int64_t eaten = feed - state.z.avail_in, got = take - state.z.avail_out;
    read += eaten;
    if (status == Z_MEM_ERROR) return bad(errc::no_memory, 0, 1, "");
    if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
      return bad(errc::corrupt, read, 0, "", "A block or the check sum is wrong: fetch the file again.");
    if (full && got > 0)
      return by_ratio < limits.bytes ? bad(errc::limit, made + 1, most, "for its size at most ")
                                     : bad(errc::limit, made + 1, most, "at most ");
    made += full ? 0 : got;
    if (status == Z_STREAM_END) {
      between = true;
    } else if (eaten == 0 && got == 0) {  // no progress: the input has ended inside a member
      return bad(errc::truncated, bytes, bytes, "more than ");
    }
  }
  auto* p = reinterpret_cast<std::uint8_t*>(memory.data());
  to = tensor<std::uint8_t>(std::move(memory), view<std::uint8_t>(p, {made}));
  return errc::ok;
}
#if TENON_EXCEPTIONS
/// As try_inflate, throwing tenon::error.
[[nodiscard]] inline tensor<std::uint8_t> inflate(const tensor<const std::uint8_t>& in, const gzip_limits& limits = {},
                                                  const char* name = "gzip data") {
  tensor<std::uint8_t> t;
  if (failure f; try_inflate(in.data(), in.numel(), t, f, limits, name) != errc::ok) [[unlikely]]
    tenon::detail::raise(f);
  return t;
}
#endif
}  // namespace tenon::io
