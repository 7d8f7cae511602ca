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
  input_arg(X&& x) {
    static_assert(expect_adaptable<X>());
    static_assert(outlives_call<X>,
                  "[forward] this temporary owns its elements, and a training forward borrows x until its backward: name it "
                  "first (a handle says so in its adapter: static constexpr bool borrows = true)");
    if constexpr (adaptable<X> && outlives_call<X>) {
      using A = adapter<std::remove_cvref_t<X>>;
      const shape s = A::shape(x);
      array =
          detail::describe(A::data(x), s, detail::adapted_strides(std::as_const(x), s), detail::adapted_device(std::as_const(x)));
    }
  }
};

namespace detail {
/// What an argument must be. `want` may have dyn extents.
struct wanted_array {
  const char* operation;
  const char* argument;
  tenon::dtype dtype;
  device_type device;
  const tenon::shape& want;
  bool dense = true, writable = false;
};
/// Errors: dtype, device, rank, negative_extent, empty_batch, extent, null_data, alignment, not_dense, read_only.
[[gnu::cold, gnu::noinline]] inline errc check_array(const array_ref& a, const wanted_array& w, failure& why) noexcept {
  failure_text t{.argument = w.argument};
  if (a.dtype != w.dtype) {
    t.got = a.dtype.packed();
    t.expected = w.dtype.packed();
    return fail(why, errc::dtype, w.operation, t);
  }
  if (a.device.type != w.device) {
    t.got = a.device.packed();
    t.expected = device{w.device, 0}.packed();
    return fail(why, errc::device, w.operation, t);
  }
  if (a.shape.rank() != w.want.rank()) {
    t.got = a.shape.rank();
    t.expected = w.want.rank();
    return fail(why, errc::rank, w.operation, t);
  }
  for (int k = 0; k < w.want.rank(); ++k) {
    const extent got = a.shape[k], expected = w.want[k];
    if (got >= (k == 0 ? 1 : 0) && (expected == dyn || got == expected)) continue;
    t.axis = k;
    t.got = got;
    t.expected = expected == dyn ? 1 : expected;
    t.relation = expected == dyn ? "at least " : "";
    return fail(why, got < 0 ? errc::negative_extent : got == 0 && k == 0 ? errc::empty_batch : errc::extent, w.operation, t);
  }
  if (!a.data && a.shape.numel() > 0) return fail(why, errc::null_data, w.operation, t);
  if (const auto off =
          static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(a.data) % static_cast<std::uintptr_t>(w.dtype.bytes()))) {
    t.axis = -1;
    t.got = off;
    t.expected = 0;
    t.relation = "";
    t.remedy = "Its address is no multiple of the element's size: take a copy with tenon::copy(…).";
    return fail(why, errc::alignment, w.operation, t);
  }
  if (w.dense && !a.dense()) {
    t.remedy = "Take a dense copy with tenon::copy(…).";
    return fail(why, errc::not_dense, w.operation, t);
  }
  if (w.writable && a.read_only) {
    t.remedy = "It is written to: pass writable memory.";
    return fail(why, errc::read_only, w.operation, t);
  }
  return errc::ok;
}
/// "x", or "x[1]" of several.
struct argument_text {
  char text[8]{};
  argument_text(const char* stem, int i, int n) {
    int at = 0;
    for (; *stem; ++stem) text[at++] = *stem;
    if (n > 1)
      for (const char c : {'[', static_cast<char>('0' + i), ']'}) text[at++] = c;
  }
};
}  // namespace detail
}  // namespace tenon
