// SPDX-License-Identifier: Apache-2.0
// An IDX file, compressed or not, in one call. Opt-in: needs zlib.
#pragma once
#include "tenon/io/gzip.hpp"
#include "tenon/io/idx.hpp"
namespace tenon::io {
struct read_idx_options {
  file_options
      file{}; // .remedy: what to do where the file is missing, such as "Install the Debian package dataset-fashion-mnist."
  gzip_limits gzip{};
  idx_limits idx{};
};
/// Reads and parses; gzip is recognised by its magic bytes, not by the file's name. `T` is the element type, void for the file's.
/// Errors: file, limit, truncated, corrupt, overflow, dtype, no_memory.
template <class T = std::uint8_t>
[[nodiscard]] errc try_read_idx(const char* path, tensor<T>& to, failure& why, const read_idx_options& o = {}) noexcept {
  tensor<std::uint8_t> bytes;
  if (const errc c = try_read_file(path, bytes, why, o.file); c != errc::ok) return c;
  if (is_gzip(bytes.data(), bytes.numel()))
    if (const errc c = try_inflate(bytes.data(), bytes.numel(), bytes, why, o.gzip, path); c != errc::ok) return c;
  return try_parse_idx(bytes, to, why, o.idx, path);
}
#if TENON_EXCEPTIONS
/// As try_read_idx, throwing tenon::error.
template <class T = std::uint8_t>
[[nodiscard]] tensor<T> read_idx(const char* path, const read_idx_options& o = {}) {
  tensor<T> t;
  if (failure f; try_read_idx(path, t, f, o) != errc::ok) [[unlikely]]
    tenon::detail::raise(f);
  return t;
}
#endif
}  // namespace tenon::io
