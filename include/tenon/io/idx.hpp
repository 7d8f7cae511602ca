// SPDX-License-Identifier: Apache-2.0
// IDX, the format of the MNIST family: two zero bytes, a type, the rank, big-endian extents, big-endian elements, and nothing more.
// Elements of one byte share the memory of the file; wider ones are put in the machine's order in memory of their own.
// Format: Y. LeCun, http://yann.lecun.com/exdb/mnist ("THE IDX FILE FORMAT").
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include "tenon/io/file.hpp"
#include "tenon/tensor/tensor.hpp"
namespace tenon::io {
struct idx_limits {
  int rank = max_rank;
  std::int64_t extent = std::int64_t{1} << 31;
  std::int64_t bytes = std::int64_t{1} << 32;  // of the elements
};

namespace detail {
constexpr dtype idx_dtype(std::uint8_t code) {
  switch (code) {
    case 0x08: return uint8;
    case 0x09: return {dtype_code::int_, 8, 1};
    case 0x0B: return {dtype_code::int_, 16, 1};
    case 0x0C: return int32;
    case 0x0D: return float32;
    case 0x0E: return float64;
    default: return {dtype_code::opaque, 0, 0};
  }
}
}  // namespace detail

/// A parsed file; its dtype is the file's. `name` is said in errors. Errors: truncated, corrupt (magic, type, rank, or bytes behind
/// the last element), limit, overflow, no_memory.
[[nodiscard]] inline errc try_parse_idx(const tensor<std::uint8_t>& file, tensor<>& to, failure& why,
                                        const idx_limits& limits = {}, const char* name = "idx data") noexcept {
  constexpr const char* op = "parse_idx";
  const auto bad = [&](errc code, int axis, std::int64_t got, std::int64_t expected, const char* relation = "",
                       const char* remedy = "") {
    const detail::file_name said(name);
    return detail::fail(
        why, code, op,
        {.argument = said.text, .axis = axis, .got = got, .expected = expected, .relation = relation, .remedy = remedy});
  };
  if (!file.dense()) return detail::fail(why, errc::not_dense, op, {.argument = name});
  const std::int64_t have = file.numel();
  const std::uint8_t* p = file.data();
  if (have < 4) return bad(errc::truncated, -1, have, 4, "at least ");
  const dtype type = detail::idx_dtype(p[2]);
  if (p[0] != 0 || p[1] != 0 || type.lanes == 0)
    return bad(errc::corrupt, -1, p[0] << 16 | p[1] << 8 | p[2], 8, "a magic number such as ", "This is no IDX file.");
  const int rank = p[3];
  if (rank == 0) return bad(errc::corrupt, -1, 0, 1, "a rank of at least ");
  if (rank > limits.rank || rank > max_rank)
    return bad(errc::limit, -1, rank, limits.rank < max_rank ? limits.rank : max_rank, "a rank of at most ");
  const std::int64_t header = 4 + 4 * rank;
  if (have < header) return bad(errc::truncated, -1, have, header, "at least ");
  array_ref a;
  a.dtype = type;
  a.read_only = false;
  a.shape.rank_ = rank;
  std::int64_t bytes = type.bytes();
  bool overflows = false, empty = false;
  for (int i = 0; i < rank; ++i) {
    const std::uint8_t* e = p + 4 + 4 * i;
    const std::int64_t extent = std::int64_t{e[0]} << 24 | e[1] << 16 | e[2] << 8 | e[3];
    if (extent > limits.extent) return bad(errc::limit, i, extent, limits.extent, "at most ");
    a.shape.d[i] = extent;
    empty |= extent == 0;
    overflows |= __builtin_mul_overflow(bytes, extent, &bytes);
  }
  if (empty) bytes = 0;
  else if (overflows) return bad(errc::overflow, -1, have, INT64_MAX, "bytes of the shape at most ");
  if (bytes > limits.bytes) return bad(errc::limit, -1, bytes, limits.bytes, "at most ");
  if (have - header < bytes) return bad(errc::truncated, -1, have, header + bytes);
  if (have - header > bytes) return bad(errc::corrupt, -1, have, header + bytes);
  a.strides = dense_strides(a.shape);
  storage owner = file.owner();
  a.data = const_cast<std::uint8_t*>(p) + header;
  if (const auto width = static_cast<std::size_t>(type.bytes()); width > 1) {
    storage own;
    if (const errc c = storage::try_allocate(static_cast<std::size_t>(bytes), own, why); c != errc::ok) return c;
    auto* out = reinterpret_cast<std::uint8_t*>(own.data());
    const std::uint8_t* in = p + header;
    for (std::int64_t i = 0; i < bytes; i += static_cast<std::int64_t>(width))
      for (std::size_t k = 0; k < width; ++k)
        out[i + static_cast<std::int64_t>(std::endian::native == std::endian::little ? width - 1 - k : k)] =
            in[i + static_cast<std::int64_t>(k)];
    owner = std::move(own);
    a.data = out;
  }
  to = tensor<>(std::move(owner), a);
  return errc::ok;
}

/// The same with the element type known. Errors: as above, and dtype.
template <element T>
[[nodiscard]] errc try_parse_idx(const tensor<std::uint8_t>& file, tensor<T>& to, failure& why, const idx_limits& limits = {},
                                 const char* name = "idx data") noexcept {
  tensor<> any;
  if (const errc c = try_parse_idx(file, any, why, limits, name); c != errc::ok) return c;
  if (constexpr dtype wanted = dtype_of<std::remove_const_t<T>>::value; any.dtype() != wanted) {
    const detail::file_name said(name);
    return detail::fail(why, errc::dtype, "parse_idx",
                        {.argument = said.text, .got = any.dtype().packed(), .expected = wanted.packed()});
  }
  return any.try_as(to, why);
}
#if TENON_EXCEPTIONS
/// As try_parse_idx, throwing tenon::error; `T` void for the file's own dtype.
template <class T = std::uint8_t>
[[nodiscard]] tensor<T> parse_idx(const tensor<std::uint8_t>& file, const idx_limits& limits = {},
                                  const char* name = "idx data") {
  tensor<T> t;
  if (failure f; try_parse_idx(file, t, f, limits, name) != errc::ok) [[unlikely]]
    tenon::detail::raise(f);
  return t;
}
#endif
}  // namespace tenon::io
