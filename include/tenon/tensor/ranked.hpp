// SPDX-License-Identifier: Apache-2.0
// What the views of other libraries want to know of an array in their type: the typed view of whatever has elements, with a rank that the
// type says or the caller. Borrows host memory; reads shapes and strides, never elements.
#pragma once
#include <type_traits>
#include "tenon/tensor/subview.hpp"
namespace tenon::detail {
template <int Rank, class X>
constexpr auto ranked_type() {
  using U = std::remove_cvref_t<X>;
  if constexpr (owns_typed_view<X>) return std::type_identity<typename U::view_type>{};
  else if constexpr (is_typed_view<U>) return std::type_identity<U>{};
  else if constexpr (!describable<X> || Rank < 0) return std::type_identity<void>{};
  else if constexpr (is_view<U>) return std::type_identity<view<adapted_element<X>, dims<Rank>, layout_right>>{};
  else return std::type_identity<view<adapted_element<X>, dims<Rank>>>{};
}
/// A typed view itself; of anything else, a view of Rank axes.
template <int Rank, class X>
using ranked_view = typename decltype(ranked_type<Rank, X>())::type;

/// One `static_assert` a requirement; Rank < 0 leaves it to the type.
template <int Rank, class X>
consteval bool expect_ranked() {
  using U = std::remove_cvref_t<X>;
  if constexpr (is_typed_view<U> || owns_typed_view<X>) {
    using V = ranked_view<Rank, X>;
    static_assert(Rank < 0 || Rank == V::rank(), "[view.rank] the type of this view has another rank");
    static_assert(host_devices.contains(V::devices),
                  "[view.device] the host cannot reach this memory: leave devices out of the type that it cannot read");
  } else if constexpr (expect_adaptable<X>()) {
    static_assert(Rank >= 0,
                  "[view.rank] the type does not say how many axes there are: name their number, as in as_eigen<2>(x)");
    static_assert(device_traits<adapted_device_type<X>>::host_accessible, "[view.device] this memory is not the host's");
  }
  static_assert(outlives_call<X>, "[view] this temporary owns its elements and dies at the end of the line: name it first");
  return true;
}
/// Errors: rank, device.
template <class X, class V>
[[nodiscard]] errc try_ranked(const char* op, X& x, V& to, failure& why) noexcept {
  if constexpr (owns_typed_view<X>) {
    to = x.view();
  } else if constexpr (is_typed_view<std::remove_const_t<X>>) {
    to = x;
  } else {
    if (const errc c = check_device(op, x, why); c != errc::ok) return c;
    const auto seen = strided_of(x);
    if (seen.rank() != V::rank()) return fail(why, errc::rank, op, {.argument = "x", .got = seen.rank(), .expected = V::rank()});
    to = V(seen.data(), seen.shape().d, seen.strides().d);
  }
  return errc::ok;
}
}  // namespace tenon::detail
