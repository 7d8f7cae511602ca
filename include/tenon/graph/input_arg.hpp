// SPDX-License-Identifier: Apache-2.0
// What comes through the doors of forward and backward: anything adaptable, with whoever keeps it alive if it says so; and the
// one check of an array against what a network wants.
#pragma once
#include <type_traits>
#include <utility>
#include "tenon/tensor/tensor.hpp"
namespace tenon {
/// An argument of forward or backward: array, owner (a tensor's), stamp (a loss's dy).
struct input_arg {
  array_ref array{};
  storage owner{};
  std::uint64_t stamp = 0;

  input_arg() = default;
  template <class T, class D>
  input_arg(const tensor<T, D>& t) : array(t.describe()), owner(t.owner()), stamp(t.stamp()) {}
  template <class X>
    requires(!is_tensor<std::remove_cvref_t<X>> && !std::is_same_v<std::remove_cvref_t<X>, input_arg>)
  input_arg(X&& x) : array(detail::describe(x)) {
    static_assert(outlives_call<X>,
                  "[forward] this temporary owns its elements, and a training forward borrows x until its backward: name it "
                  "first (a handle says so in its adapter: static constexpr bool borrows = true)");
  }
};

namespace detail {
/// What an argument must be. `want` may have dyn extents.
struct wanted_array {
  const char* operation;
  const char* argument;
  tenon::dtype dtype;
  tenon::device device;
  const tenon::shape& want;
  bool dense = true, writable = false;
};
/// The first thing that is not as wanted, with its numbers in `t`.
inline errc fault_of(const array_ref& a, const wanted_array& w, failure_text& t) noexcept {
  auto say = [&](std::int64_t got, std::int64_t expected) {
    t.got = got;
    t.expected = expected;
  };
  if (a.dtype != w.dtype) {
    say(a.dtype.packed(), w.dtype.packed());
    return errc::dtype;
  }
  if (!serves(a.device, w.device)) {
    say(a.device.packed(), w.device.packed());
    return errc::device;
  }
  if (a.shape.rank() != w.want.rank()) {
    say(a.shape.rank(), w.want.rank());
    return errc::rank;
  }
  if (const int k = first_unlike(a.shape, w.want); k >= 0) {
    const extent got = a.shape.d[k], expected = w.want.d[k];
    t.axis = k;
    t.relation = expected == dyn ? "at least " : "";
    say(got, expected == dyn ? 1 : expected);
    return got < 0 ? errc::negative_extent : got == 0 && k == 0 ? errc::empty_batch : errc::extent;
  }
  if (!a.data && a.shape.numel() > 0) return errc::null_data;
  if (const auto off = reinterpret_cast<std::uintptr_t>(a.data) % static_cast<std::uintptr_t>(w.dtype.bytes())) {
    say(static_cast<std::int64_t>(off), 0);
    t.remedy = "Its address is no multiple of the element's size: take a copy with tenon::copy(…).";
    return errc::alignment;
  }
  if (w.dense && !a.dense()) {
    t.remedy = "Take a dense copy with tenon::copy(…).";
    return errc::not_dense;
  }
  if (w.writable && a.read_only) {
    t.remedy = "It is written to: pass writable memory.";
    return errc::read_only;
  }
  return errc::ok;
}
/// Errors: dtype, device, rank, negative_extent, empty_batch, extent, null_data, alignment, not_dense, read_only.
[[gnu::noinline]] inline errc check_array(const array_ref& a, const wanted_array& w, failure& why) noexcept {
  failure_text t;
  const errc c = fault_of(a, w, t);
  if (c == errc::ok) return c;
  t.argument = w.argument;
  return fail(why, c, w.operation, t);
}
/// "x", or "x[1]" of several.
struct argument_text {
  char text[8]{};
  [[gnu::noinline]] argument_text(const char* stem, int i, int n) noexcept {
    int at = 0;
    text[at++] = stem[0];  // without a loop, compilers see that all fits
    if (stem[1]) text[at++] = stem[1];
    if (n < 2) return;
    text[at++] = '[';
    text[at++] = static_cast<char>('0' + i);
    text[at] = ']';
  }
};
}  // namespace detail
}  // namespace tenon
