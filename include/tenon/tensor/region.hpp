// SPDX-License-Identifier: Apache-2.0
// Which part of an array an index, a range, another shape or another order of the axes names: arithmetic on shape, strides and the
// first element's offset, checked for overflow. Touches no memory.
#pragma once
#include <concepts>
#include <cstdint>
#include <type_traits>
#include "tenon/core/shape.hpp"
namespace tenon {
/// The indices begin, begin + step … before end; nothing is counted from the back and nothing is clamped. With a step below 0 the end
/// is below the begin: `range{n - 1, -1, -1}` is an axis of n in reverse.
struct range {
  extent begin, end, step;
  template <std::integral A, std::integral B, std::integral C = int>
  constexpr range(A first, B last, C by = 1) noexcept
      : begin(static_cast<extent>(first)), end(static_cast<extent>(last)), step(static_cast<extent>(by)) {}
};
/// An axis as it is: `subview(x, all{}, 2)`.
struct all {};
/// Where the axes of a transposed array come from: axis i of the result is axis `d[i]` of the array. Below 0 counts from the back.
struct axis_order {
  int d[max_rank]{};
  int rank = 0;
  constexpr axis_order() = default;
  template <std::integral... I>
    requires(sizeof...(I) > 0 && sizeof...(I) <= max_rank)
  constexpr axis_order(I... axes) noexcept : d{static_cast<int>(axes)...}, rank(static_cast<int>(sizeof...(I))) {}
};

namespace detail {
/// What is taken of one axis.
struct slice_arg {
  enum { index, part, whole } kind;
  tenon::range by;
  template <std::integral I>
  constexpr slice_arg(I i) noexcept : kind(index), by(i, 0) {}
  constexpr slice_arg(const tenon::range& r) noexcept : kind(part), by(r) {}
  constexpr slice_arg(tenon::all) noexcept : kind(whole), by(0, 0) {}
};
template <class S>
concept slice_like = std::convertible_to<const S&, slice_arg>;

/// A part of an array: `offset` is that of its first element from the array's, in elements.
struct region {
  tenon::shape shape{};
  tenon::strides strides{};
  extent offset = 0;
  bool empty = false;
};

/// As at the door of an import: strides that mean nothing are row-major, those of axes of one element and all of an empty array, which
/// has no address either.
inline void settle(region& r) noexcept {
  const strides dense = dense_strides(r.shape);
  for (int i = 0; i < r.shape.rank(); ++i) r.empty |= r.shape.d[i] == 0;
  if (r.empty) r.offset = 0;
  for (int i = 0; i < r.shape.rank(); ++i)
    if (r.empty || r.shape.d[i] == 1) r.strides.d[i] = dense.d[i];
}
/// The number of elements. Errors: negative_extent, overflow.
[[nodiscard]] inline errc count_elements(const char* op, const char* argument, const shape& s, extent& n, failure& why) noexcept {
  bool fits = true, empty = false;
  n = 1;
  for (int i = 0; i < s.rank(); ++i) {
    if (s.d[i] < 0)
      return fail(why, errc::negative_extent, op,
                  {.argument = argument, .axis = i, .got = s.d[i], .expected = 0, .relation = "at least "});
    empty |= s.d[i] == 0;
    if (fits) fits = !__builtin_mul_overflow(n, s.d[i], &n);
  }
  if (empty) n = 0;
  else if (!fits)
    return fail(why, errc::overflow, op, {.argument = argument, .got = INT64_MAX, .expected = INT64_MAX, .relation = "below "});
  return errc::ok;
}

/// The indices that a range names on an axis of n. Errors: value (a step of 0), index.
[[nodiscard]] inline errc count_range(const char* op, const tenon::range& by, int axis, extent n, extent& count,
                                      failure& why) noexcept {
  if (by.step == 0)
    return fail(why, errc::value, op,
                {.argument = "step of a range", .axis = axis, .got = 0, .expected = 0, .relation = "other than "});
  const bool up = by.step > 0;
  const extent least = up ? 0 : -1, most = up ? n : n - 1;
  auto outside = [&](const char* which, extent got, extent low, extent high) {
    return fail(why, errc::index, op,
                {.argument = which,
                 .axis = axis,
                 .got = got,
                 .expected = got < low ? low : high,
                 .relation = got < low ? "at least " : "at most "});
  };
  if (by.begin < least || by.begin > most) return outside("begin of a range", by.begin, least, most);
  const extent low = up ? by.begin : least, high = up ? most : by.begin;
  if (by.end < low || by.end > high) return outside("end of a range", by.end, low, high);
  const extent far = up ? by.end - by.begin : by.begin - by.end;
  const extent hops = far ? (far - 1) / by.step : 0;
  count = far ? 1 + (up ? hops : -hops) : 0;
  return errc::ok;
}
/// `r` becomes what the slices take of it; axes that have none stay whole. Errors: rank, index, value, negative_extent, overflow.
[[nodiscard, gnu::noinline]] inline errc cut(const char* op, region& r, const slice_arg* slices, int n, failure& why) noexcept {
  if (n > r.shape.rank())
    return fail(why, errc::rank, op, {.argument = "slices", .got = n, .expected = r.shape.rank(), .relation = "at most "});
  extent elements = 0;
  if (const errc c = count_elements(op, "shape", r.shape, elements, why); c != errc::ok) return c;
  region to;
  bool odd = false;
  auto advance = [&](extent index, extent stride) {
    extent by = 0;
    odd |= __builtin_mul_overflow(index, stride, &by) || __builtin_add_overflow(to.offset, by, &to.offset);
  };
  for (int i = 0; i < r.shape.rank(); ++i) {
    const extent e = r.shape.d[i], stride = r.strides.d[i];
    const slice_arg s = i < n ? slices[i] : slice_arg(tenon::all{});
    extent count = e, step = stride;
    if (s.kind == slice_arg::index) {
      if (s.by.begin < 0 || s.by.begin >= e)
        return fail(why, errc::index, op,
                    {.argument = "slices",
                     .axis = i,
                     .got = s.by.begin,
                     .expected = s.by.begin < 0 ? 0 : e,
                     .relation = s.by.begin < 0 ? "at least " : "below "});
      advance(s.by.begin, stride);
      continue;
    }
    if (s.kind == slice_arg::part) {
      if (const errc c = count_range(op, s.by, i, e, count, why); c != errc::ok) return c;
      advance(s.by.begin, stride);
      if (count > 1) odd |= __builtin_mul_overflow(stride, s.by.step, &step);
    }
    to.strides.d[to.shape.rank_] = step;
    to.shape.d[to.shape.rank_++] = count;
  }
  settle(to);
  if (odd && !to.empty)
    return fail(why, errc::overflow, op, {.argument = "strides", .got = INT64_MAX, .expected = INT64_MAX, .relation = "below "});
  r = to;
  return errc::ok;
}

/// `want` with its dyn extent known: together n elements. Errors: value (two are dyn), extent, negative_extent, overflow.
[[nodiscard]] inline errc infer_extent(const char* op, extent n, shape& want, failure& why) noexcept {
  int open = -1;
  for (int i = 0; i < want.rank(); ++i) {
    if (want.d[i] != dyn) continue;
    if (open >= 0)
      return fail(why, errc::value, op,
                  {.argument = "extents to infer", .axis = i, .got = 2, .expected = 1, .relation = "at most "});
    open = i;
  }
  extent known = 0;
  if (open >= 0) want.d[open] = 1;
  if (const errc c = count_elements(op, "the new shape", want, known, why); c != errc::ok) return c;
  if (open < 0)
    return known == n ? errc::ok
                      : fail(why, errc::extent, op, {.argument = "elements of the new shape", .got = known, .expected = n});
  if (known == 0)
    return fail(why, errc::extent, op,
                {.argument = "the extent to infer beside an extent of 0", .axis = open, .remedy = "Say how long this axis is."});
  if (n % known != 0)
    return fail(why, errc::extent, op,
                {.argument = "elements to share out", .axis = open, .got = n, .expected = known, .relation = "a multiple of "});
  want.d[open] = n / known;
  return errc::ok;
}
/// `r` as another shape, in row-major order. Axes whose strides say that they are one run of equal steps may be joined and split; others
/// would take a copy. Errors: extent, value, negative_extent, overflow, not_dense.
[[nodiscard, gnu::noinline]] inline errc fold(const char* op, region& r, shape want, failure& why) noexcept {
  extent n = 0;
  if (const errc c = count_elements(op, "shape", r.shape, n, why); c != errc::ok) return c;
  if (const errc c = infer_extent(op, n, want, why); c != errc::ok) return c;
  region to;
  to.shape = want;
  int j = want.rank() - 1;  // the new axes from j + 1 on have their strides
  extent run = 1;  // elements from the axes of the run that ends at axis i
  extent step = 0;  // within that run
  for (int i = r.shape.rank() - 1; n > 0 && i >= 0; --i) {
    if (run == 1) step = r.strides.d[i];  // if i has one element, of the next again
    run *= r.shape.d[i];
    int next = i - 1;
    while (next >= 0 && r.shape.d[next] == 1) --next;
    extent wanted = 0;
    const bool fits = !__builtin_mul_overflow(run, step, &wanted);
    if (next >= 0 && fits && r.strides.d[next] == wanted) continue;  // the same run goes on
    extent taken = 1;
    for (; j >= 0 && taken < run; --j) {
      if (__builtin_mul_overflow(taken, step, &to.strides.d[j]))
        return fail(why, errc::overflow, op,
                    {.argument = "strides", .got = INT64_MAX, .expected = INT64_MAX, .relation = "below "});
      taken *= want.d[j];
    }
    if (taken != run)
      return fail(why, errc::not_dense, op,
                  {.argument = "strides of axes that would be joined",
                   .axis = next,
                   .got = r.strides.d[next],
                   .expected = wanted,
                   .remedy = "Reshape a dense copy: tenon::copy(x)."});
    run = 1;
  }
  settle(to);
  r = to;
  return errc::ok;
}

/// `r` with its axes in another order. Errors: rank, value (no such axis, or one twice), negative_extent, overflow.
[[nodiscard, gnu::noinline]] inline errc permute(const char* op, region& r, const axis_order& order, failure& why) noexcept {
  const int rank = r.shape.rank();
  if (order.rank != rank) return fail(why, errc::rank, op, {.argument = "axes", .got = order.rank, .expected = rank});
  extent elements = 0;
  if (const errc c = count_elements(op, "shape", r.shape, elements, why); c != errc::ok) return c;
  region to;
  to.shape.rank_ = rank;
  bool seen[max_rank]{};
  for (int i = 0; i < rank; ++i) {
    const int from = order.d[i] < 0 ? order.d[i] + rank : order.d[i];
    if (from < 0 || from >= rank)
      return fail(why, errc::value, op,
                  {.argument = "axes",
                   .axis = i,
                   .got = order.d[i],
                   .expected = from < 0 ? -rank : rank,
                   .relation = from < 0 ? "at least " : "below "});
    if (seen[from])
      return fail(
          why, errc::value, op,
          {.argument = "axes, each named once", .axis = i, .got = order.d[i], .expected = order.d[i], .relation = "not again "});
    seen[from] = true;
    to.shape.d[i] = r.shape.d[from];
    to.strides.d[i] = r.strides.d[from];
  }
  settle(to);
  r = to;
  return errc::ok;
}
/// Last axis first.
constexpr axis_order reversed(int rank) noexcept {
  axis_order order;
  order.rank = rank;
  for (int i = 0; i < rank; ++i) order.d[i] = rank - 1 - i;
  return order;
}
}  // namespace detail
}  // namespace tenon
