// SPDX-License-Identifier: Apache-2.0
// What must hold of memory that somebody else describes, before the first element is touched: extents, sizes, strides and
// addresses, in arithmetic that cannot overflow. Reads shapes and strides, never elements.
#pragma once
#include <cstddef>
#include <cstdint>
#include <utility>
#include "tenon/tensor/adapter.hpp"
#include "tenon/tensor/view.hpp"
namespace tenon::detail {
/// Shape, strides and address as they come from outside; `strides` may be null: row-major.
struct layout_source {
  void* data = nullptr;
  std::uint64_t byte_offset = 0;
  const std::int64_t* shape = nullptr;
  const std::int64_t* strides = nullptr;
  std::int64_t alignment = 1;
  std::uint64_t known_bytes = 0;  // from `data` on; 0: nobody knows
};

/// What the quick check below reads.
struct plain_source {
  const std::int64_t *extents, *steps;
  std::int64_t base, offset;  // of the first element, in bytes
};
/// True where these are beyond doubt the strides and addresses of an array with elements, none of which goes backwards; `keep(axis,
/// extent, stride)` has then been true of each axis. False says nothing: check_layout decides. `Rank` is −1 where only `rank` knows it.
/// `Apart`: no two elements share memory.
template <int Rank, bool RowMajor, bool ColumnMajor, bool Apart, class Keep>
[[nodiscard, gnu::always_inline]] inline bool lies_plainly(const plain_source& t, int rank, std::int64_t width,
                                                           std::uint64_t mask, const Keep& keep) noexcept {
  std::int64_t count = 1, high = 0;  // elements so far, and how far they reach
  const auto good = [&](int i) __attribute__((always_inline)) {
    const std::int64_t e = t.extents[i], step = e == 1 || !t.steps ? count : t.steps[i];
    if (e < 1 || step < 0) return false;
    if ((RowMajor || ColumnMajor) && step != count) return false;
    if (Apart && e != 1 && step <= high) return false;
    std::int64_t reach = 0;
    return !__builtin_mul_overflow(e - 1, step, &reach) && !__builtin_add_overflow(high, reach, &high) &&
           !__builtin_mul_overflow(count, e, &count) && keep(i, e, step);
  };
  if (Rank != 0 && rank > 0) {
    if (!t.extents || (ColumnMajor && !t.steps)) return false;
    if constexpr (Rank > 0) {  // unrolled by hand: compilers stop at three axes
      const auto all = [&]<int... K>(std::integer_sequence<int, K...>)
                           __attribute__((always_inline)) { return (good(ColumnMajor ? K : Rank - 1 - K) && ...); };
      if (!all(std::make_integer_sequence<int, Rank>())) return false;
    } else {
      for (int i = rank - 1; i >= 0; --i)
        if (!good(i)) return false;
    }
  }
  // Addresses of the first element and of the last byte: both in the lower half, as data itself.
  std::int64_t first = 0, last = 0;
  return t.base > 0 && t.offset >= 0 && !__builtin_mul_overflow(count, width, &count) &&
         !__builtin_mul_overflow(high, width, &high) && !__builtin_add_overflow(t.base, t.offset, &first) &&
         !__builtin_add_overflow(first, width - 1, &last) && !__builtin_add_overflow(last, high, &last) &&
         (static_cast<std::uint64_t>(first) & mask) == 0;
}

/// First and last byte that the strides reach, relative to the first element. False on overflow. No extent may be 0.
[[nodiscard]] inline bool byte_span(const shape& s, const strides& st, std::int64_t width, std::int64_t& low,
                                    std::int64_t& high) noexcept {
  low = 0;
  high = 0;
  for (int i = 0; i < s.rank(); ++i) {
    std::int64_t reach = 0;
    if (__builtin_mul_overflow(s[i] - 1, st[i], &reach) || __builtin_mul_overflow(reach, width, &reach)) return false;
    if (__builtin_add_overflow(reach < 0 ? low : high, reach, reach < 0 ? &low : &high)) return false;
  }
  return !__builtin_add_overflow(high, width - 1, &high);
}

/// Fills in shape, strides and data of `a`, whose dtype and rank are known already. Strides of axes of one element are made row-major;
/// an empty array gets no address. Errors: negative_extent, overflow, null_data, alignment; not_dense where elements share bytes.
[[nodiscard]] inline errc check_layout(const char* op, const layout_source& t, int rank, array_ref& a, failure& why) noexcept {
  a.shape.rank_ = rank;
  bool empty = false;
  for (int i = 0; i < rank; ++i) {
    const std::int64_t e = t.shape[i];
    if (e < 0)
      return fail(why, errc::negative_extent, op,
                  {.argument = "shape", .axis = i, .got = e, .expected = 0, .relation = "at least "});
    a.shape.d[i] = e;
    empty |= e == 0;
  }
  a.strides = dense_strides(a.shape);
  a.data = nullptr;
  if (empty) return errc::ok;
  const std::int64_t bits = a.bits_each();
  const bool share_bytes = bits % 8 != 0;
  const std::int64_t width = share_bytes ? bits : bits / 8;
  std::int64_t bytes = width;  // bits, where elements share bytes
  for (int i = 0; i < rank; ++i)
    if (__builtin_mul_overflow(bytes, a.shape.d[i], &bytes))
      return fail(why, errc::overflow, op,
                  {.argument = "bytes of the shape",
                   .axis = i,
                   .got = a.shape.d[i],
                   .expected = INT64_MAX,
                   .relation = "together at most "});
  if (t.strides)
    for (int i = 0; i < rank; ++i)
      if (a.shape.d[i] != 1) a.strides.d[i] = t.strides[i];  // axes of one element may carry anything
  if (share_bytes && !a.dense())
    return fail(why, errc::not_dense, op,
                {.argument = "strides of elements that share bytes",
                 .remedy = "Such an array is taken row-major and without gaps alone: make it so before it is exported."});
  if (!t.data) return fail(why, errc::null_data, op, {.argument = "data"});
  if (t.byte_offset > static_cast<std::uint64_t>(INT64_MAX))
    return fail(why, errc::overflow, op,
                {.argument = "byte_offset",
                 .got = static_cast<std::int64_t>(t.byte_offset),
                 .expected = INT64_MAX,
                 .relation = "at most "});
  const auto offset = static_cast<std::int64_t>(t.byte_offset);
  const auto base = reinterpret_cast<std::uintptr_t>(t.data);
  std::int64_t low = 0, high = (bytes - 1) / 8;
  std::uintptr_t first = 0, last = 0;
  if ((!share_bytes && !byte_span(a.shape, a.strides, width, low, high)) || __builtin_add_overflow(high, offset, &high) ||
      __builtin_add_overflow(base, low + offset, &first) || __builtin_add_overflow(base, high, &last) ||
      ((first ^ base) | (last ^ base)) >> (sizeof base * 8 - 1))
    return fail(why, errc::overflow, op, {.argument = "addresses reached by the strides"});
  low += offset;  // of opposite signs
  if (t.known_bytes && (low < 0 || static_cast<std::uint64_t>(high) >= t.known_bytes))
    return fail(why, errc::overflow, op,
                {.argument = low < 0 ? "bytes before the memory that is there" : "bytes of the memory that is there",
                 .got = low < 0 ? -low : high + 1,
                 .expected = low < 0 ? 0 : static_cast<std::int64_t>(t.known_bytes),
                 .relation = "at most "});
  const std::uintptr_t start = base + static_cast<std::uintptr_t>(offset);
  if (const auto off = start % static_cast<std::uintptr_t>(t.alignment))
    return fail(why, errc::alignment, op,
                {.argument = "address of the first element, modulo its alignment",
                 .got = static_cast<std::int64_t>(off),
                 .expected = 0,
                 .remedy = "Import it with {.copies = tenon::copy_policy::if_needed}."});
  a.data = static_cast<std::byte*>(t.data) + offset;
  return errc::ok;
}

/// The same of `a` as an adapter describes it: nothing of that is believed.
[[nodiscard]] inline errc check_layout(const char* op, array_ref& a, std::int64_t alignment, failure& why) noexcept {
  const array_ref said = a;
  const layout_source from{.data = said.data, .shape = said.shape.d, .strides = said.strides.d, .alignment = alignment};
  return check_layout(op, from, said.shape.rank(), a, why);
}
}  // namespace tenon::detail
