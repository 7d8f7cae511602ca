// SPDX-License-Identifier: Apache-2.0
// Views borrow: a pointer with a shape, whose size is computed once. Device and constness are in the type.
#pragma once
#include <concepts>
#include <type_traits>
#include "tenon/core/device.hpp"
#include "tenon/core/shape.hpp"
#include "tenon/tensor/adapter.hpp"
#include "tenon/tensor/extents.hpp"
namespace tenon {
template <class T, class Device = cpu, class... Promises>
class view;

namespace detail {
template <class>
inline constexpr bool is_view = false;
template <class T, class D>
  requires(!is_extents<D>)
inline constexpr bool is_view<view<T, D>> = true;
template <class C>
concept viewable_container = contiguous_container<C> && !is_view<std::remove_const_t<C>>;
template <class Device>
consteval bool expect_host() {
  static_assert(
      device_traits<Device>::host_accessible,
      "[view.device] this memory is not the host's: write the layer with tenon::ops, or add an overload of its forward and "
      "backward for this device: void forward(tenon::forward_pass<P, your_device>& pass) const");
  return true;
}
}  // namespace detail

/// A dense row-major array that is not owned. Elements can be reached only where the host can reach them.
/// What it promises beyond its device, its rank and more, is checked where it is made: see tensor/typed_view.hpp.
template <class T, class Device, class... Promises>
class view {
  static_assert(sizeof...(Promises) == 0, "[view] the extents come first: tenon::view<T, tenon::extents<…>, …>");
  T* data_ = nullptr;
  extent n_ = 0;
  tenon::shape shape_{};

 public:
  using element_type = T;
  using device_type = Device;
  constexpr view() = default;
  constexpr view(T* p, const tenon::shape& s) noexcept : data_(p), n_(s.numel()), shape_(s) {}
  template <class U>
    requires std::same_as<const U, T>
  constexpr view(const view<U, Device>& o) noexcept : view(o.data(), o.shape()) {}
#if TENON_EXCEPTIONS
  /// The elements of a container under a shape. Errors: negative_extent, extent (the container has another number of elements).
  template <detail::viewable_container C>
    requires std::convertible_to<detail::element_of<C>*, T*>
  view(C& c, const tenon::shape& s) : view(std::data(c), s) {
    for (int i = 0; i < s.rank(); ++i)
      if (s[i] < 0) [[unlikely]]
        detail::raise(errc::negative_extent, "view",
                      {.argument = "shape", .axis = i, .got = s[i], .expected = 0, .relation = "at least "});
    if (const auto n = static_cast<extent>(std::size(c)); n != n_) [[unlikely]]
      detail::raise(errc::extent, "view", {.argument = "elements of the container", .got = n, .expected = n_});
  }
  template <detail::viewable_container C>
    requires(detail::spanlike<std::remove_const_t<C>> && std::convertible_to<detail::element_of<C>*, T*>)
  view(C&& span, const tenon::shape& s) : view(static_cast<C&>(span), s) {}
#endif
  template <detail::viewable_container C>
    requires(!std::convertible_to<detail::element_of<C>*, T*>)
  view(C& c, const tenon::shape&) = delete;  // other elements, or const ones: those of a const container make a view<const T>
  template <detail::viewable_container C>
    requires(!detail::spanlike<C>)
  view(const C&& temporary, const tenon::shape&) = delete;  // a view of a temporary would dangle: name the container first

  /// Empty when there is no memory behind it: nobody wants this output.
  constexpr explicit operator bool() const noexcept { return data_ != nullptr; }
  constexpr T* data() const noexcept { return data_; }
  constexpr const tenon::shape& shape() const noexcept { return shape_; }
  constexpr int rank() const noexcept { return shape_.rank(); }
  constexpr extent numel() const noexcept { return n_; }
  /// Element in row-major order.
  constexpr T& operator[](extent i) const noexcept {
    static_assert(detail::expect_host<Device>());
    return data_[i];
  }
  /// Element by one index an axis.
  template <std::integral... I>
    requires(sizeof...(I) > 1 && sizeof...(I) <= max_rank)
  constexpr T& operator()(I... i) const noexcept {
    static_assert(detail::expect_host<Device>());
    extent at = 0;
    int axis = 0;
    ((at = at * shape_.d[axis++] + static_cast<extent>(i)), ...);
    return data_[at];
  }
  constexpr T* begin() const noexcept {
    static_assert(detail::expect_host<Device>());
    return data_;
  }
  constexpr T* end() const noexcept { return data_ + n_; }
};
template <class C>
view(C&, shape) -> view<detail::element_of<C>>;
template <detail::viewable_container C>
  requires(!detail::spanlike<C>)
view(const C&&, shape) -> view<const detail::element_of<C>>;  // chooses the deleted constructor
template <detail::viewable_container C>
  requires(detail::spanlike<std::remove_const_t<C>>)
view(C&&, shape) -> view<detail::element_of<C>>;

/// As `view`, with a distance between neighbours of each axis. What adapters and imports give; layers see it only if they ask.
template <class T, class Device = cpu>
class strided_view {
  T* data_ = nullptr;
  tenon::shape shape_{};
  tenon::strides strides_{};

 public:
  using element_type = T;
  using device_type = Device;
  constexpr strided_view() = default;
  constexpr strided_view(T* p, const tenon::shape& s, const tenon::strides& st) noexcept : data_(p), shape_(s), strides_(st) {}
  constexpr strided_view(const view<T, Device>& v) noexcept : strided_view(v.data(), v.shape(), dense_strides(v.shape())) {}
  template <class U>
    requires std::same_as<const U, T>
  constexpr strided_view(const strided_view<U, Device>& o) noexcept : strided_view(o.data(), o.shape(), o.strides()) {}

  constexpr explicit operator bool() const noexcept { return data_ != nullptr; }
  constexpr T* data() const noexcept { return data_; }
  constexpr const tenon::shape& shape() const noexcept { return shape_; }
  constexpr const tenon::strides& strides() const noexcept { return strides_; }
  constexpr int rank() const noexcept { return shape_.rank(); }
  constexpr extent numel() const noexcept { return shape_.numel(); }
  constexpr bool dense() const noexcept { return is_dense(shape_, strides_); }
  /// Element by one index an axis.
  template <std::integral... I>
    requires(sizeof...(I) <= max_rank)
  constexpr T& operator()(I... i) const noexcept {
    static_assert(detail::expect_host<Device>());
    extent at = 0;
    int axis = 0;
    ((at += static_cast<extent>(i) * strides_[axis++]), ...);
    return data_[at];
  }
};

/// What a view of unknown element type is: data on some device, dtype, shape, strides, and whether it may be written.
struct array_ref {
  void* data = nullptr;
  tenon::dtype dtype{};
  tenon::device device{};
  tenon::shape shape{};
  tenon::strides strides{};
  bool read_only = true;
  bool padded = false;  // elements smaller than a byte have one each; otherwise they share bytes, without gaps

  constexpr bool dense() const { return is_dense(shape, strides); }
  /// From an element to its neighbour.
  constexpr extent bits_each() const { return padded ? 8 : extent{dtype.bits} * dtype.lanes; }
  /// What a dense array of this shape takes; its size must have been checked (no overflow).
  constexpr extent bytes() const {
    const extent n = shape.numel(), bits = bits_each();
    return n / 8 * bits + (n % 8 * bits + 7) / 8;
  }
};
namespace detail {
/// The first axis that is not as wanted, −1 for none: dyn takes any extent; a batch, which is axis 0, is never empty.
[[gnu::noinline]] constexpr int first_unlike(const shape& s, const shape& want) {
  for (int axis = 0; axis < want.rank(); ++axis)
    if (s.d[axis] < (axis == 0) || (want.d[axis] != dyn && s.d[axis] != want.d[axis])) return axis;
  return -1;
}
/// Where the strides put element i of row-major order.
[[gnu::noinline]] constexpr extent offset_of(extent i, const shape& s, const strides& by) {
  extent offset = 0;
  for (int axis = s.rank() - 1; axis >= 0; --axis) {
    offset += i % s.d[axis] * by.d[axis];
    i /= s.d[axis];
  }
  return offset;
}
}  // namespace detail

/// Views, too, are adaptable.
template <class T, class Device>
  requires(!detail::is_extents<Device>)
struct adapter<view<T, Device>> {
  static T* data(const view<T, Device>& v) { return v.data(); }
  static const tenon::shape& shape(const view<T, Device>& v) { return v.shape(); }
  using device_type = Device;
  static constexpr bool borrows = true;
};
template <class T, class Device>
struct adapter<strided_view<T, Device>> {
  static T* data(const strided_view<T, Device>& v) { return v.data(); }
  static const tenon::shape& shape(const strided_view<T, Device>& v) { return v.shape(); }
  static const tenon::strides& strides(const strided_view<T, Device>& v) { return v.strides(); }
  using device_type = Device;
  static constexpr bool borrows = true;
};

namespace detail {
/// Whether memory is where its adapter's type says that it is. Errors: device.
template <class X>
[[nodiscard]] constexpr errc check_device([[maybe_unused]] const char* op, [[maybe_unused]] X& x, [[maybe_unused]] failure& why) {
  using A = adapter<std::remove_const_t<X>>;
  if constexpr (requires { A::device(x); }) {
    constexpr device_type here = device_traits<adapted_device_type<X>>::type;
    if (const device d = A::device(x); d.type != here) [[unlikely]]
      return fail(why, errc::device, op, {.argument = "x", .got = d.packed(), .expected = device{here, 0}.packed()});
  }
  return errc::ok;
}
/// As its adapter describes it; nothing of that is checked.
template <class X>
constexpr auto strided_of(X& x) {
  using bare = std::remove_const_t<X>;
  const shape s = adapter<bare>::shape(x);
  return strided_view<adapted_element<X>, adapted_device_type<X>>(adapter<bare>::data(x), s, adapted_strides<bare>(x, s));
}
}  // namespace detail

/// A view of anything adaptable, with its strides; on the device that its type names. Temporaries that own their elements do not
/// compile. Errors: device (an adapter that says at run time that its memory is not there).
template <class X>
constexpr auto as_view(X&& x) {
  static_assert(expect_adaptable<X>());
  if constexpr (detail::describable<X>) {
    static_assert(outlives_call<X>, "[view] this temporary owns its elements and dies at the end of the line: name it first");
#if TENON_EXCEPTIONS
    if constexpr (requires { adapter<std::remove_cvref_t<X>>::device(x); })
      if (failure f; detail::check_device("view", x, f) != errc::ok) [[unlikely]]
        detail::raise(f);
#endif
    return detail::strided_of(x);
  }
}
}  // namespace tenon
