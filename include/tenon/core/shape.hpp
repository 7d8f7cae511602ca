// SPDX-License-Identifier: Apache-2.0
// Shapes that carry a fault, and layer fields that take any integer. Touches no memory.
#pragma once
#include <concepts>
#include <cstdint>
#include <string>
#include "tenon/core/error.hpp"
namespace tenon {
using extent = std::int64_t;
/// Known only at run time: the batch.
inline constexpr extent dyn = -1;
/// Most axes a tensor may have here.
inline constexpr int max_rank = 8;

namespace detail {
inline constexpr extent extent_limit = INT64_MAX;
/// a · b, or the limit where that does not fit. Both are ≥ 0.
constexpr extent saturating_mul(extent a, extent b) {
  extent r = 0;
  return __builtin_mul_overflow(a, b, &r) ? extent_limit : r;
}
constexpr extent saturating_add(extent a, extent b) {
  extent r = 0;
  return __builtin_add_overflow(a, b, &r) ? extent_limit : r;
}
}  // namespace detail

/// The first thing found wrong while inferring shapes.
struct fault {
  errc code = errc::ok;
  int axis = -1;
  extent got = 0, expected = 0;
  constexpr explicit operator bool() const { return code != errc::ok; }
  constexpr bool operator==(const fault&) const = default;
};

/// A layer field that takes any integer: `{.out = v.size()}` is no narrowing error.
struct size {
  extent v = 0;
  constexpr size() = default;
  template <std::integral I>
  constexpr size(I i) : v(static_cast<extent>(i)) {}
  constexpr operator extent() const { return v; }
};
/// One integer for both axes, or {height, width}.
struct size2 {
  extent h = 0, w = 0;
  constexpr size2() = default;
  template <std::integral I>
  constexpr size2(I e) : h(static_cast<extent>(e)), w(h) {}
  template <std::integral I, std::integral J>
  constexpr size2(I a, J b) : h(static_cast<extent>(a)), w(static_cast<extent>(b)) {}
};

/// Extents, batch first, and the first fault found while inferring. A fault sticks, so `infer` is written in a straight line:
/// every `expect…` gives back the shape, with the fault in it where it does not hold.
struct shape {
  extent d[max_rank]{};
  int rank_ = 0;
  // Of a fault; its numbers lie in the last two extents, for every view and array carries a shape.
  errc fault_code_ = errc::ok;
  std::int16_t fault_axis_ = -1;

  constexpr shape() = default;
  template <std::integral... E>
    requires(sizeof...(E) > 0 && sizeof...(E) <= max_rank)
  constexpr shape(E... e) : d{static_cast<extent>(e)...}, rank_(static_cast<int>(sizeof...(E))) {}

  constexpr int rank() const { return rank_; }
  constexpr bool ok() const { return fault_code_ == errc::ok; }
  constexpr fault bad() const { return ok() ? fault{} : fault{fault_code_, fault_axis_, d[max_rank - 2], d[max_rank - 1]}; }
  /// Negative axes count from the back; an axis that is not there reads as dyn.
  constexpr extent operator[](int axis) const {
    const int a = axis < 0 ? rank_ + axis : axis;
    return a >= 0 && a < rank_ ? d[a] : dyn;
  }
  /// Number of elements; saturates at INT64_MAX (see `overflows`). No axis may be dyn.
  [[gnu::noinline]] constexpr extent numel() const {
    extent n = 1;
    for (int i = 0; i < rank_; ++i) {
      if (d[i] == 0) return 0;
      n = detail::saturating_mul(n, d[i]);
    }
    return n;
  }
  constexpr bool overflows() const { return numel() == detail::extent_limit; }

  [[gnu::cold, gnu::noinline]] constexpr shape failed(fault f) const {
    if (!ok() || !f) return *this;
    shape r = *this;
    r.fault_code_ = f.code;
    r.fault_axis_ = static_cast<std::int16_t>(f.axis);
    r.d[max_rank - 2] = f.got;
    r.d[max_rank - 1] = f.expected;
    return r;
  }
  [[gnu::cold, gnu::noinline]] constexpr shape expect_rank(int r) const {
    return rank_ == r ? *this : failed({errc::rank, -1, rank_, r});
  }
  /// The extent of an axis; dyn on either side accepts all.
  [[gnu::cold, gnu::noinline]] constexpr shape expect(int axis, extent e) const {
    const extent got = (*this)[axis];
    return e != dyn && got != dyn && got != e ? failed({errc::extent, at(axis), got, e}) : *this;
  }
  [[gnu::cold, gnu::noinline]] constexpr shape expect_least(int axis, extent e) const {
    const extent got = (*this)[axis];
    return got != dyn && got < e ? failed({errc::too_small, at(axis), got, e}) : *this;
  }
  /// A size that the user must give.
  [[gnu::cold, gnu::noinline]] constexpr shape expect_given(extent field) const {
    return field > 0 ? *this : failed({errc::missing_size, -1, field, 1});
  }
  /// A condition on the layer's own fields.
  [[gnu::cold, gnu::noinline]] constexpr shape expect_value(bool holds, extent got, extent expected) const {
    return holds ? *this : failed({errc::value, -1, got, expected});
  }
  [[gnu::noinline]] constexpr shape with(int axis, extent e) const {
    shape r = *this;
    if (const int a = at(axis); a >= 0 && a < rank_ && ok()) r.d[a] = e;
    return r;
  }
  [[gnu::noinline]] constexpr shape append(extent e) const {
    if (rank_ == max_rank || !ok()) return failed({errc::rank, -1, rank_ + 1, max_rank});
    shape r = *this;
    r.d[r.rank_++] = e;
    return r;
  }
  constexpr bool operator==(const shape&) const = default;

 private:
  constexpr int at(int axis) const { return axis < 0 ? rank_ + axis : axis; }
};

/// "[4, 1, 28, 28]", with "batch" for a first axis that is dyn.
[[gnu::noinline]] inline std::string text(const shape& s) {
  std::string r = "[";
  for (int i = 0; i < s.rank(); ++i) {
    if (i) r += ", ";
    r += s[i] == dyn ? (i == 0 ? "batch" : "?") : std::to_string(s[i]);
  }
  return r += "]";
}

/// Distances between neighbours of each axis, in elements.
struct strides {
  extent d[max_rank]{};
  constexpr extent operator[](int axis) const { return d[axis]; }
  constexpr bool operator==(const strides&) const = default;
};
/// Row-major: the last axis is contiguous. Saturates like numel.
[[gnu::noinline]] constexpr strides dense_strides(const shape& s) {
  strides r;
  extent step = 1;
  for (int i = s.rank() - 1; i >= 0; --i) {
    r.d[i] = step;
    step = detail::saturating_mul(step, s.d[i] > 0 ? s.d[i] : 1);
  }
  return r;
}
/// Whether strides say row-major; axes of one element and empty tensors may say anything.
[[gnu::noinline]] constexpr bool is_dense(const shape& s, const strides& st) {
  extent step = 1;
  bool dense = true;
  for (int i = s.rank() - 1; i >= 0; --i) {
    if (s.d[i] == 0) return true;
    dense &= s.d[i] == 1 || st.d[i] == step;
    step = detail::saturating_mul(step, s.d[i]);
  }
  return dense;
}
}  // namespace tenon
