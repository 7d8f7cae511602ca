// SPDX-License-Identifier: Apache-2.0
// How a type becomes a tensor: the trait to specialise for a type of one's own, and what it says of contiguous ranges.
// Touches no memory.
#pragma once
#include <concepts>
#include <cstddef>
#include <string_view>  // std::data, std::begin and their concepts without the streams of <iterator>
#include <type_traits>
#include <utility>
#include "tenon/core/device.hpp"
#include "tenon/core/dtype.hpp"
#include "tenon/core/shape.hpp"
namespace tenon {
/// Specialise it to let a type through every door:
///
///   template <> struct tenon::adapter<image> {
///     static const float* data(const image& i)      { return i.pixels; }      // and float* data(image&), if it may be written
///     static tenon::shape shape(const image& i)     { return {i.h, i.w}; }
///     static tenon::strides strides(const image& i) { return {{i.pitch, 1}}; } // optional, in elements; row-major otherwise
///     static tenon::device device(const image& i)   { return {…}; }            // optional; the host otherwise
///     using device_type = my_device;                                           // the same where the type says so
///     static constexpr bool borrows = true;                                    // optional: a handle, safe as a temporary
///   };
///
/// A type that knows only at run time what its elements are says, instead of all that, and `view_as` takes it:
///
///     static tenon::errc try_describe(const image& i, tenon::array_ref& a, tenon::failure& why) noexcept;
template <class T>
struct adapter {};

namespace detail {
// data() and size() alone say nothing: a column-major matrix has them, too
template <class C>
concept contiguous_container = requires(C& c) {
  std::data(c);
  { std::size(c) } -> std::convertible_to<std::size_t>;
  { std::begin(c) } -> std::contiguous_iterator;
} && std::is_pointer_v<decltype(std::data(std::declval<C&>()))>;
// std::span and its like: they view, so a temporary is as good as a name
template <class C>
inline constexpr bool spanlike = requires { typename C::element_type; } && !requires { typename C::allocator_type; };
template <class C>
using element_of = std::remove_pointer_t<decltype(std::data(std::declval<C&>()))>;
}  // namespace detail

/// Contiguous containers and spans of elements: one axis.
template <detail::contiguous_container C>
  requires element<detail::element_of<C>>
struct adapter<C> {
  static auto data(C& c) { return std::data(c); }
  static auto data(const C& c) { return std::data(c); }
  static tenon::shape shape(const C& c) { return {std::size(c)}; }
  static constexpr bool borrows = detail::spanlike<C>;
};

/// A type that a door takes.
template <class T>
concept adaptable = requires(T& t) {
  { adapter<std::remove_cvref_t<T>>::data(t) };
  { adapter<std::remove_cvref_t<T>>::shape(t) } -> std::convertible_to<shape>;
  requires std::is_pointer_v<decltype(adapter<std::remove_cvref_t<T>>::data(t))>;
  requires element<std::remove_pointer_t<decltype(adapter<std::remove_cvref_t<T>>::data(t))>>;
};
/// Whether `T`, as written in a parameter `T&&`, outlives the call: lvalues do, and temporaries that only view.
template <class T>
inline constexpr bool outlives_call = [] {
  if constexpr (std::is_lvalue_reference_v<T>) return true;
  else if constexpr (requires { adapter<std::remove_cvref_t<T>>::borrows; }) return adapter<std::remove_cvref_t<T>>::borrows;
  else return false;
}();

namespace detail {
/// What expect_adaptable asks for, without a word: what follows it may be left out, so that the message stands alone.
template <class T>
concept describable = requires(std::remove_reference_t<T>& t) {
  adapter<std::remove_cvref_t<T>>::data(t);
  { adapter<std::remove_cvref_t<T>>::shape(t) } -> std::convertible_to<shape>;
};
}  // namespace detail

/// One `static_assert` a requirement: the message is the line to add.
template <class T>
consteval bool expect_adaptable() {
  using U = std::remove_cvref_t<T>;
  using lvalue = std::remove_reference_t<T>&;
  static_assert(
      requires(lvalue u) { adapter<U>::data(u); },
      "[adapter.data] add: template <> struct tenon::adapter<your_type> { static auto* data(const your_type& t) { return …; } "
      "};");
  static_assert(
      requires(lvalue u) {
        { adapter<U>::shape(u) } -> std::convertible_to<shape>;
      }, "[adapter.shape] add to tenon::adapter<your_type>: static tenon::shape shape(const your_type& t) { return {…}; }");
  return true;
}

namespace detail {
template <class T>
using adapted_element = std::remove_pointer_t<decltype(adapter<std::remove_cvref_t<T>>::data(std::declval<T&>()))>;
template <class T>
constexpr auto adapted_device_type_of() {
  if constexpr (requires { typename adapter<T>::device_type; }) return std::type_identity<typename adapter<T>::device_type>{};
  else return std::type_identity<cpu>{};
}
/// Where the type says that its memory is; an adapter may know more at run time (`device`).
template <class T>
using adapted_device_type = typename decltype(adapted_device_type_of<std::remove_cvref_t<T>>())::type;
template <class T>
constexpr strides adapted_strides(const T& t, const shape& s) {
  if constexpr (requires { adapter<T>::strides(t); }) return adapter<T>::strides(t);
  else return dense_strides(s);
}
template <class T>
constexpr device adapted_device(const T& t) {
  if constexpr (requires { adapter<T>::device(t); }) return adapter<T>::device(t);
  else if constexpr (device_traits<adapted_device_type<T>>::host_accessible)
    return {device_traits<adapted_device_type<T>>::type, 0};
  else return {device_traits<adapted_device_type<T>>::type, device::any_number};
}
}  // namespace detail
}  // namespace tenon
