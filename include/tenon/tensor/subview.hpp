// SPDX-License-Identifier: Apache-2.0
// A part of an array, its elements under another shape, its axes in another order: always the same memory. A tensor gives a tensor that
// keeps the memory alive, anything else a view. Works for memory of any device, for no element is touched.
#pragma once
#include <concepts>
#include <type_traits>
#include "tenon/tensor/region.hpp"
#include "tenon/tensor/tensor.hpp"
#include "tenon/tensor/typed_view.hpp"
namespace tenon {
/// A kind of device as the device of a view whose type names no executor. The host cannot reach it.
template <device_type D>
struct device_traits<on_device<D>> {
  static constexpr device_type type = D;
  static constexpr bool host_accessible = false;
};

namespace detail {
template <class... Tags>
constexpr auto executor_among() {
  if constexpr (sizeof...(Tags) == 0) {
    return std::type_identity<void>{};
  } else {
    return []<class First, class... Rest>(std::type_identity<First>, std::type_identity<Rest>...) {
      if constexpr (device_executor<First>) return std::type_identity<First>{};
      else return executor_among<Rest...>();
    }(std::type_identity<Tags>{}...);
  }
}
template <class>
struct device_in_type;
/// The device of a strided view of what a typed view sees; void where its type names several that the host cannot all reach.
template <class T, extent... E, class... Tags>
struct device_in_type<view<T, extents<E...>, Tags...>> {
  static constexpr device_set devices = view<T, extents<E...>, Tags...>::devices;
  using named = typename decltype(executor_among<Tags...>())::type;
  using type =
      std::conditional_t<host_devices.contains(devices), cpu,
                         std::conditional_t<devices.size() != 1, void,
                                            std::conditional_t<std::is_void_v<named>, on_device<devices.first()>, named>>>;
};

/// What is behind X: a tensor and a view are themselves, and so is what is adaptable; an owner with promises is its view.
template <class X>
concept owns_typed_view = requires { requires is_typed_view<typename std::remove_cvref_t<X>::view_type>; };

template <class X>
constexpr auto part_type() {
  using U = std::remove_cvref_t<X>;
  if constexpr (is_tensor<U>) return std::type_identity<U>{};
  else if constexpr (owns_typed_view<X>) return part_type<typename U::view_type>();
  else if constexpr (is_typed_view<U>)
    return std::type_identity<strided_view<typename U::element_type, typename device_in_type<U>::type>>{};
  else if constexpr (describable<X>) return std::type_identity<strided_view<adapted_element<X>, adapted_device_type<X>>>{};
  else return std::type_identity<void>{};
}
}  // namespace detail
/// The type of a part of X: of a tensor a tensor, of anything else a strided_view.
template <class X>
using part_of = typename decltype(detail::part_type<X>())::type;

namespace detail {
/// One `static_assert` a requirement of the functions below.
template <class X>
consteval bool expect_divisible() {
  using U = std::remove_cvref_t<X>;
  if constexpr (is_typed_view<U>) {
    static_assert(!std::is_void_v<typename device_in_type<U>::type>,
                  "[subview] this view may be on one of several kinds of device: take it as a view of one, by tenon::view_as");
  } else if constexpr (!is_tensor<U> && !owns_typed_view<X>) {
    static_assert(expect_adaptable<X>());
  }
  if constexpr (!is_tensor<U> && (owns_typed_view<X> || describable<X>))
    static_assert(outlives_call<X>, "[subview] this temporary owns its elements and dies at the end of the line: name it first");
  return true;
}

/// A tensor's elements under other strides, as the region says. Errors: not_dense, alignment (of elements that share bytes).
[[nodiscard]] inline errc put(const char* op, array_ref& a, const region& r, failure& why) noexcept {
  const extent bits = a.bits_each();
  a.shape = r.shape;
  a.strides = r.strides;
  if (r.empty) a.data = nullptr;
  if (bits % 8 != 0 && !r.empty) {
    if (!a.dense())
      return fail(why, errc::not_dense, op,
                  {.argument = "a part of an array whose elements share bytes",
                   .remedy = "Elements smaller than a byte are read one by one: tenon::as_packed(x)."});
    if (const extent off = r.offset % 8 * bits % 8)
      return fail(why, errc::alignment, op,
                  {.argument = "bit of its byte at which the part would start", .got = off, .expected = 0});
  }
  if (a.data) a.data = static_cast<std::byte*>(a.data) + r.offset / 8 * bits + r.offset % 8 * bits / 8;
  return errc::ok;
}
template <class X, class Change>
[[nodiscard]] errc try_part(const char* op, X& x, part_of<X&>& to, failure& why, const Change& change) noexcept {
  using part = part_of<X&>;
  if constexpr (owns_typed_view<X>) {
    return try_part(op, x.view(), to, why, change);
  } else if constexpr (std::is_void_v<typename part::element_type>) {
    array_ref a = x.describe();
    region r{a.shape, a.strides};
    if (const errc c = change(op, r, why); c != errc::ok) return c;
    if (const errc c = put(op, a, r, why); c != errc::ok) return c;
    to = part(x.owner(), a, x.stamp());
    return errc::ok;
  } else {
    auto seen = [&] {
      if constexpr (is_typed_view<std::remove_const_t<X>>) return part(x.data(), x.shape(), x.strides());
      else return strided_of(x);
    }();
    if (const errc c = check_device(op, x, why); c != errc::ok) return c;
    region r{seen.shape(), seen.strides()};
    if (const errc c = change(op, r, why); c != errc::ok) return c;
    auto* const data = seen.data() && !r.empty ? seen.data() + r.offset : nullptr;
    const decltype(seen) taken(data, r.shape, r.strides);
    if constexpr (is_tensor<std::remove_const_t<X>>) to = part(x.owner(), taken, x.read_only(), x.stamp());
    else to = taken;
    return errc::ok;
  }
}
}  // namespace detail

/// The elements that the slices name: an integer takes one index and drops the axis, `range{begin, end, step}` some, `all{}` every one;
/// axes behind the last slice stay whole. Read-only stays read-only. Errors: rank, index, value (a step of 0), overflow,
/// negative_extent, device; of elements that share bytes: not_dense, alignment. `to` is then untouched.
template <class X, detail::slice_like... S>
[[nodiscard]] errc try_subview(X&& x, part_of<X>& to, failure& why, const S&... slices) noexcept {
  static_assert(detail::expect_divisible<X>());
  if constexpr (is_typed_view<std::remove_cvref_t<X>>)
    static_assert(static_cast<int>(sizeof...(S)) <= std::remove_cvref_t<X>::rank(), "[subview] more slices than axes");
  const detail::slice_arg by[sizeof...(S) + 1]{slices..., all{}};  // an array has at least one element
  return detail::try_part("subview", x, to, why, [&](const char* op, detail::region& r, failure& f) noexcept {
    return detail::cut(op, r, by, static_cast<int>(sizeof...(S)), f);
  });
}
/// The elements in row-major order under another shape, one extent of which may be dyn: it is inferred. Never copies: axes are joined
/// where their strides are one run of equal steps. Errors: extent, value (two are dyn), not_dense, overflow, negative_extent, device.
template <class X>
[[nodiscard]] errc try_reshape(X&& x, const shape& s, part_of<X>& to, failure& why) noexcept {
  static_assert(detail::expect_divisible<X>());
  return detail::try_part("reshape", x, to, why,
                          [&](const char* op, detail::region& r, failure& f) noexcept { return detail::fold(op, r, s, f); });
}
/// Axis i of the result is axis `order.d[i]` of x. Errors: rank, value (no such axis, or one twice), overflow, negative_extent, device.
template <class X>
[[nodiscard]] errc try_transpose(X&& x, const axis_order& order, part_of<X>& to, failure& why) noexcept {
  static_assert(detail::expect_divisible<X>());
  return detail::try_part("transpose", x, to, why, [&](const char* op, detail::region& r, failure& f) noexcept {
    return detail::permute(op, r, order, f);
  });
}
/// With the axes in reverse.
template <class X>
[[nodiscard]] errc try_transpose(X&& x, part_of<X>& to, failure& why) noexcept {
  static_assert(detail::expect_divisible<X>());
  return detail::try_part("transpose", x, to, why, [](const char* op, detail::region& r, failure& f) noexcept {
    return detail::permute(op, r, detail::reversed(r.shape.rank()), f);
  });
}

#if TENON_EXCEPTIONS
/// As try_subview, throwing tenon::error: `subview(x, 0, range{1, 3})`.
template <class X, detail::slice_like... S>
[[nodiscard]] auto subview(X&& x, const S&... slices) {
  static_assert(detail::expect_divisible<X>());
  if constexpr (!std::is_void_v<part_of<X>>) {
    part_of<X> to;
    failure f;
    detail::check(try_subview(x, to, f, slices...), f);
    return to;
  }
}
/// As try_reshape, throwing tenon::error: `reshape(x, {2, tenon::dyn})`.
template <class X>
[[nodiscard]] auto reshape(X&& x, const shape& s) {
  static_assert(detail::expect_divisible<X>());
  if constexpr (!std::is_void_v<part_of<X>>) {
    part_of<X> to;
    failure f;
    detail::check(try_reshape(x, s, to, f), f);
    return to;
  }
}
/// As try_transpose, throwing tenon::error: `transpose(x, {1, 0, 2})`.
template <class X>
[[nodiscard]] auto transpose(X&& x, const axis_order& order) {
  static_assert(detail::expect_divisible<X>());
  if constexpr (!std::is_void_v<part_of<X>>) {
    part_of<X> to;
    failure f;
    detail::check(try_transpose(x, order, to, f), f);
    return to;
  }
}
template <class X>
[[nodiscard]] auto transpose(X&& x) {
  static_assert(detail::expect_divisible<X>());
  if constexpr (!std::is_void_v<part_of<X>>) {
    part_of<X> to;
    failure f;
    detail::check(try_transpose(x, to, f), f);
    return to;
  }
}
#endif
}  // namespace tenon
