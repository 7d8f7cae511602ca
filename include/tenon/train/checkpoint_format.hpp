// SPDX-License-Identifier: Apache-2.0
// The bytes of a check-point, apart from models: a list of named arrays to and from one file. Reading takes no memory.
//
//   offset  bytes  all numbers little-endian
//        0      8  "TENON" 0D 0A 1A: a transfer as text breaks it
//        8      4  version, 1
//       12      4  slots a parameter
//       16      8  bytes of the file, with the check sum
//       24     24  counters: seed, forwards, steps
//       48     32  rule, filled up with zeros
//       80     64  eight words of the trainer's
//      144      4  number of arrays
//      148         the arrays: 1 kind (0 parameter, 1 state, 2 slot) · 1 dtype code · 1 bits · 1 rank · 4 bytes of the name ·
//                  8 an extent · the name · the elements, row-major
//     last      4  CRC-32 of all before
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>
#include "tenon/tensor/tensor.hpp"
namespace tenon {
#if TENON_EXCEPTIONS
/// What a check-point says beside the arrays.
struct checkpoint_note {
  char rule[32]{};           // whose slots these are
  std::uint64_t words[8]{};  // the trainer's
};
namespace detail {
inline constexpr unsigned char checkpoint_magic[8] = {'T', 'E', 'N', 'O', 'N', '\r', '\n', 0x1a};
inline constexpr std::size_t checkpoint_header = 148;
struct checkpoint_head {
  std::uint32_t version = 1, slots = 0;
  std::uint64_t bytes = 0, seed = 0, forwards = 0, steps = 0;
  checkpoint_note note{};
  std::uint32_t arrays = 0;
};
/// One array of the file; `data` is null while only sizes matter.
struct checkpoint_array {
  std::uint8_t kind = 0;
  std::string name;
  array_ref array{};

  std::size_t head_bytes() const { return 8 + 8 * static_cast<std::size_t>(array.shape.rank()) + name.size(); }
  std::size_t data_bytes() const { return static_cast<std::size_t>(array.shape.numel() * array.dtype.bytes()); }
};
inline std::size_t checkpoint_bytes(const std::vector<checkpoint_array>& arrays) {
  std::size_t n = checkpoint_header + 4;
  for (const auto& a : arrays) n += a.head_bytes() + a.data_bytes();
  return n;
}

/// Writes and reads numbers one after the other; the bounds are the caller's.
struct byte_writer {
  std::byte* at;
  void number(std::uint64_t v, std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; ++i) *at++ = static_cast<std::byte>(v >> 8 * i);
  }
  void raw(const void* from, std::size_t n) {
    if (n) std::memcpy(at, from, n);
    at += n;
  }
};
struct byte_reader {
  const std::byte* at;
  std::uint64_t number(std::size_t bytes) {
    std::uint64_t v = 0;
    for (std::size_t i = 0; i < bytes; ++i) v |= std::to_integer<std::uint64_t>(*at++) << 8 * i;
    return v;
  }
  void raw(void* to, std::size_t n) {
    std::memcpy(to, at, n);
    at += n;
  }
};

/// The head of a file; its magic number and version are right. Errors: corrupt, version.
[[gnu::noinline]] inline checkpoint_head read_head(const std::byte* bytes, const std::string& path) {
  byte_reader r{bytes};
  checkpoint_head h;
  if (std::memcmp(bytes, checkpoint_magic, sizeof checkpoint_magic) != 0)
    raise(errc::corrupt, "load_checkpoint",
          {.argument = path, .got = bytes[0] == std::byte{'T'}, .expected = 1, .remedy = "This is no check-point of tenon's."});
  r.at += sizeof checkpoint_magic;
  h.version = static_cast<std::uint32_t>(r.number(4));
  if (h.version != 1) raise(errc::version, "load_checkpoint", {.argument = path, .got = h.version, .expected = 1});
  h.slots = static_cast<std::uint32_t>(r.number(4));
  h.bytes = r.number(8);
  h.seed = r.number(8);
  h.forwards = r.number(8);
  h.steps = r.number(8);
  r.raw(h.note.rule, sizeof h.note.rule);
  h.note.rule[sizeof h.note.rule - 1] = 0;
  for (auto& w : h.note.words) w = r.number(8);
  h.arrays = static_cast<std::uint32_t>(r.number(4));
  return h;
}
inline void write_head(byte_writer& w, const checkpoint_head& h) {
  w.raw(checkpoint_magic, sizeof checkpoint_magic);
  w.number(h.version, 4);
  w.number(h.slots, 4);
  for (const std::uint64_t v : {h.bytes, h.seed, h.forwards, h.steps}) w.number(v, 8);
  w.raw(h.note.rule, sizeof h.note.rule);
  for (const std::uint64_t v : h.note.words) w.number(v, 8);
  w.number(h.arrays, 4);
}
inline void write_array_head(byte_writer& w, const checkpoint_array& a) {
  w.number(a.kind, 1);
  w.number(static_cast<std::uint64_t>(a.array.dtype.code), 1);
  w.number(a.array.dtype.bits, 1);
  w.number(static_cast<std::uint64_t>(a.array.shape.rank()), 1);
  w.number(a.name.size(), 4);
  for (int i = 0; i < a.array.shape.rank(); ++i) w.number(static_cast<std::uint64_t>(a.array.shape[i]), 8);
  w.raw(a.name.data(), a.name.size());
}

/// The array at `r` is the one expected, as far as `left` bytes go: what differs is named.
/// Errors: name, dtype, rank, extent, truncated.
[[gnu::noinline]] inline void expect_array(byte_reader& r, std::size_t left, const checkpoint_array& want) {
  constexpr const char* op = "load_checkpoint";
  const auto need = [&](std::size_t n) {
    if (left < n)
      raise(errc::truncated, op,
            {.argument = want.name,
             .got = static_cast<std::int64_t>(left),
             .expected = static_cast<std::int64_t>(n),
             .relation = "at least "});
    left -= n;
  };
  constexpr const char* other = "The check-point is of another network.";
  need(8);
  const auto kind = static_cast<std::uint8_t>(r.number(1));
  const dtype type{static_cast<dtype_code>(r.number(1)), static_cast<std::uint8_t>(r.number(1)), 1};
  const std::uint64_t rank = r.number(1), length = r.number(4);
  need(8 * rank);
  byte_reader extents = r;
  r.at += 8 * rank;
  need(length);
  if (kind != want.kind || length != want.name.size() || std::memcmp(r.at, want.name.data(), length) != 0)
    raise(errc::name, op,
          {.argument = concat("array ", std::string_view(reinterpret_cast<const char*>(r.at), length < 40 ? length : 40),
                              ", where the model has ", want.name),
           .remedy = other});
  r.at += length;
  if (type != want.array.dtype)
    raise(errc::dtype, op, {.argument = want.name, .got = type.packed(), .expected = want.array.dtype.packed(), .remedy = other});
  const shape& s = want.array.shape;
  if (rank != static_cast<std::uint64_t>(s.rank()))
    raise(errc::rank, op, {.argument = want.name, .got = static_cast<std::int64_t>(rank), .expected = s.rank(), .remedy = other});
  for (int i = 0; i < s.rank(); ++i)
    if (const auto e = static_cast<extent>(extents.number(8)); e != s[i])
      raise(errc::extent, op, {.argument = want.name, .axis = i, .got = e, .expected = s[i], .remedy = other});
  need(want.data_bytes());
  r.at += want.data_bytes();
}
}  // namespace detail
#endif
}  // namespace tenon
