// SPDX-License-Identifier: Apache-2.0
// Views that promise more than their element type: rank, extents, layout, alignment and devices are in the type, and what is in the
// type is checked once, where the view is made. Borrows; reads shapes and strides, never elements.
#pragma once
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include "tenon/tensor/extents.hpp"
#include "tenon/tensor/view.hpp"
namespace tenon {
namespace detail {
struct view_access;
struct to_be_filled {};
}  // namespace detail
/// `view<const float, extents<dyn, 3>>` is any array of rows of three floats; `view<float, dims<2>, layout_right, aligned<64>>` one
/// without gaps that starts on a cache line. Made from a tensor, an array or a DLTensor by `view_as` (tensor/view_as.hpp).
template <class T, extent... E, class... Tags>
class view<T, extents<E...>, Tags...> {
  using shape_in_type = extents<E...>;
  using tags = detail::view_tags<Tags...>;
  static constexpr int n = shape_in_type::rank;
  static constexpr bool one_device = tags::devices.size() == 1;
  static constexpr bool hosted = one_device && host_devices.contains(tags::devices);  // then its number is 0
  static constexpr bool gapless = tags::right || tags::left;
  static constexpr std::size_t slots = n ? static_cast<std::size_t>(n) : 1;
  struct no_steps {};
  struct no_device {};
  struct steps {
    extent d[slots];
  };
  T* data_ = nullptr;
  extent extents_[slots];
  [[no_unique_address]] std::conditional_t<gapless, no_steps, steps> strides_;
  [[no_unique_address]] std::conditional_t<hosted, no_device, tenon::device> device_{};
  friend detail::view_access;

 public:
  using element_type = T;
  using extents_type = shape_in_type;
  static constexpr bool row_major = tags::right, column_major = tags::left;
  /// At least that of T.
  static constexpr std::size_t alignment = tags::alignment > alignof(T) ? tags::alignment : alignof(T);
  static constexpr device_set devices = tags::devices;

  constexpr view() noexcept : extents_{}, strides_{} {}
  /// For the doors: extents and strides are what memory held.
  explicit view(detail::to_be_filled) noexcept {}
  /// Nothing is checked. `s` and `st` have an entry an axis and fit the type; a gapless layout ignores `st`.
  constexpr view(T* p, const extent* s, const extent* st, tenon::device where = {}) noexcept : data_(p), extents_{}, strides_{} {
    for (int i = 0; i < n; ++i) extents_[i] = s[i];
    if constexpr (!gapless)
      for (int i = 0; i < n; ++i) strides_.d[i] = st[i];
    if constexpr (!hosted) device_ = where;
  }
  /// A view that promises less: of const elements, with fewer known extents, of any strides, on more devices.
  template <class U, extent... F, class... Ts>
    requires((std::same_as<U, T> || std::same_as<const U, T>) && sizeof...(F) == sizeof...(E) && ((E == dyn || E == F) && ...) &&
             (!gapless || (detail::view_tags<Ts...>::right == tags::right && detail::view_tags<Ts...>::left == tags::left)) &&
             detail::view_tags<Ts...>::alignment >= tags::alignment && devices.contains(view<U, extents<F...>, Ts...>::devices) &&
             !std::same_as<view<U, extents<F...>, Ts...>, view>)
  constexpr view(const view<U, extents<F...>, Ts...>& o) noexcept : view(o.data(), o.shape().d, o.strides().d, o.device()) {}

  constexpr explicit operator bool() const noexcept { return data_ != nullptr; }
  constexpr T* data() const noexcept { return data_; }
  static constexpr int rank() noexcept { return n; }
  constexpr extent extent_of(int axis) const noexcept {
    return shape_in_type::d[axis] != dyn ? shape_in_type::d[axis] : extents_[axis];
  }
  constexpr extent stride_of(int axis) const noexcept {
    if constexpr (gapless) {
      extent step = 1;
      if constexpr (tags::right)
        for (int i = n - 1; i > axis; --i) step = detail::saturating_mul(step, extent_of(i) ? extent_of(i) : 1);
      else
        for (int i = 0; i < axis; ++i) step = detail::saturating_mul(step, extent_of(i) ? extent_of(i) : 1);
      return step;
    } else {
      return strides_.d[axis];
    }
  }
  constexpr tenon::shape shape() const noexcept {
    tenon::shape s;
    s.rank_ = n;
    for (int i = 0; i < n; ++i) s.d[i] = extent_of(i);
    return s;
  }
  constexpr tenon::strides strides() const noexcept {
    tenon::strides s;
    for (int i = 0; i < n; ++i) s.d[i] = stride_of(i);
    return s;
  }
  constexpr tenon::device device() const noexcept {
    if constexpr (hosted) return {devices.first(), 0};
    else if constexpr (one_device) return {devices.first(), device_.id};
    else return device_;
  }
  constexpr extent numel() const noexcept {
    if (!data_) return 0;  // also before anything was viewed, whatever the extents
    extent all = 1;
    for (int i = 0; i < n; ++i) all *= extent_of(i);
    return all;
  }
  /// Whether it is row-major without gaps.
  constexpr bool dense() const noexcept { return tags::right || is_dense(shape(), strides()); }

  /// Element by one index an axis, for memory that the host can reach on each device of the type.
  template <std::integral... I>
    requires(sizeof...(I) == sizeof...(E))
  constexpr T& operator()(I... i) const noexcept {
    static_assert(host_devices.contains(devices),
                  "[view.device] the host cannot reach this memory: leave devices out of the type that it cannot read");
    extent at = 0;
    int axis = 0;
    if constexpr (tags::right) ((at = at * extent_of(axis++) + static_cast<extent>(i)), ...);
    else if constexpr (gapless) {
      extent step = 1;
      ((at += static_cast<extent>(i) * step, step *= extent_of(axis++)), ...);
    } else {
      ((at += static_cast<extent>(i) * strides_.d[axis++]), ...);
    }
    return data_[at];
  }
  /// Element of an array of one axis, or in row-major order of one without gaps.
  constexpr T& operator[](extent i) const noexcept
    requires(tags::right || n == 1)
  {
    static_assert(host_devices.contains(devices),
                  "[view.device] the host cannot reach this memory: leave devices out of the type that it cannot read");
    if constexpr (gapless) return data_[i];
    else return data_[i * strides_.d[0]];
  }
  constexpr T* begin() const noexcept
    requires(tags::right)
  {
    return data_;
  }
  constexpr T* end() const noexcept
    requires(tags::right)
  {
    return data_ + numel();
  }
  /// What layers take: the same memory, row-major on the host.
  constexpr operator view<T, cpu>() const noexcept
    requires(tags::right && host_devices.contains(devices))
  {
    return {data_, shape()};
  }
  constexpr operator view<const T, cpu>() const noexcept
    requires(!std::is_const_v<T> && tags::right && host_devices.contains(devices))
  {
    return {data_, shape()};
  }
  constexpr operator strided_view<T, cpu>() const noexcept
    requires(host_devices.contains(devices))
  {
    return {data_, shape(), strides()};
  }
};

namespace detail {
/// For the doors, which fill a view in place: copying it at once would wait for each of its numbers to arrive in memory.
struct view_access {
  template <class V>
  static constexpr extent* extents(V& v) noexcept {
    return v.extents_;
  }
  template <class V>
  static constexpr void stride(V& v, int axis, extent step) noexcept {
    if constexpr (!V::gapless) v.strides_.d[axis] = step;
  }
  template <class V>
  static constexpr void place(V& v, typename V::element_type* p, device where) noexcept {
    v.data_ = p;
    if constexpr (!V::hosted) v.device_ = where;
  }
};
}  // namespace detail

template <class>
inline constexpr bool is_typed_view = false;
template <class T, extent... E, class... Tags>
inline constexpr bool is_typed_view<view<T, extents<E...>, Tags...>> = true;

/// Typed views, too, are adaptable, where the host can reach them.
template <class T, extent... E, class... Tags>
  requires(host_devices.contains(view<T, extents<E...>, Tags...>::devices))
struct adapter<view<T, extents<E...>, Tags...>> {
  using V = view<T, extents<E...>, Tags...>;
  static T* data(const V& v) { return v.data(); }
  static tenon::shape shape(const V& v) { return v.shape(); }
  static tenon::strides strides(const V& v) { return v.strides(); }
  static constexpr bool borrows = true;
};
}  // namespace tenon
