// SPDX-License-Identifier: Apache-2.0
// What a view can promise in its type: extents, layout, alignment, and on which kinds of device it may be. Touches no memory.
#pragma once
#include <concepts>
#include <cstddef>
#include <type_traits>
#include <utility>
#include "tenon/core/device.hpp"
#include "tenon/core/shape.hpp"
namespace tenon {
/// The rank, and the extents that are known to the compiler: `extents<dyn, 3>` has any number of rows of three.
template <extent... E>
struct extents {
  static_assert(sizeof...(E) <= max_rank, "[extents] more axes than tenon::max_rank");
  static_assert(((E >= dyn) && ...), "[extents] an extent is tenon::dyn or at least 0");
  static constexpr int rank = static_cast<int>(sizeof...(E));
  static constexpr extent d[sizeof...(E) ? sizeof...(E) : 1]{E...};
};
namespace detail {
template <class>
struct all_dyn;
template <std::size_t... I>
struct all_dyn<std::index_sequence<I...>> {
  using type = extents<(static_cast<void>(I), dyn)...>;
};
}  // namespace detail
/// `dims<2>` is `extents<dyn, dyn>`.
template <int Rank>
using dims = typename detail::all_dyn<std::make_index_sequence<static_cast<std::size_t>(Rank)>>::type;

/// Row-major, without gaps.
struct layout_right {};
/// Column-major, without gaps.
struct layout_left {};
/// Any strides: gaps, broadcast axes, reversed ones. What a view has if it names no layout.
struct layout_strided {};
/// The first element's address is a multiple of `Bytes`; a view asks for its element's alignment anyway.
template <std::size_t Bytes>
struct aligned {
  static_assert(Bytes > 0 && (Bytes & (Bytes - 1)) == 0, "[aligned] a power of two");
};
/// The memory is on one of these kinds of device: `on_device<device_type::cpu, device_type::cuda_host>`.
template <device_type... D>
struct on_device {
  static_assert(sizeof...(D) > 0, "[on_device] name at least one device");
};

namespace detail {
template <class>
inline constexpr bool is_extents = false;
template <extent... E>
inline constexpr bool is_extents<extents<E...>> = true;
template <class>
inline constexpr bool is_layout = false;
template <>
inline constexpr bool is_layout<layout_right> = true;
template <>
inline constexpr bool is_layout<layout_left> = true;
template <>
inline constexpr bool is_layout<layout_strided> = true;
template <class>
inline constexpr std::size_t alignment_of_tag = 0;
template <std::size_t N>
inline constexpr std::size_t alignment_of_tag<aligned<N>> = N;
template <class Tag>
inline constexpr device_set devices_of_tag{};
template <device_type... D>
inline constexpr device_set devices_of_tag<on_device<D...>>{D...};
template <class Tag>
concept device_executor = std::same_as<Tag, cpu> || requires {
  { Tag::type } -> std::convertible_to<device_type>;
};
template <device_executor Tag>
inline constexpr device_set devices_of_tag<Tag>{device_traits<Tag>::type};

/// What the further arguments of a view say.
template <class... Tags>
struct view_tags {
  static_assert(
      ((is_layout<Tags> || alignment_of_tag<Tags> || !devices_of_tag<Tags>.empty()) && ...),
      "[view] after the extents come a layout (tenon::layout_right …), tenon::aligned<…>, and a device or tenon::on_device<…>");
  static_assert((0 + ... + is_layout<Tags>) <= 1, "[view] one layout at most");
  static constexpr bool right = (std::same_as<Tags, layout_right> || ...), left = (std::same_as<Tags, layout_left> || ...);
  static constexpr std::size_t alignment = [] {
    std::size_t most = 1;
    ((most = alignment_of_tag<Tags> > most ? alignment_of_tag<Tags> : most), ...);
    return most;
  }();
  static constexpr device_set devices = [] {
    device_set all = (device_set{} | ... | devices_of_tag<Tags>);
    return all.empty() ? device_set{device_type::cpu} : all;
  }();
};
}  // namespace detail
}  // namespace tenon
