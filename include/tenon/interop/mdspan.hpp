// SPDX-License-Identifier: Apache-2.0
// mdspan at the door, both ways: the standard's where there is one, else CUDA's cuda::std, else Kokkos', whichever is visible. Copies
// nothing, reads shapes and strides. An mdspan views, so a temporary one is welcome; what owns its elements must have a name.
#pragma once
#include <version>
#if defined(__cpp_lib_mdspan)
#include <array>
#include <mdspan>
namespace tenon::detail {
namespace md = std;
namespace md_array = std;
}  // namespace tenon::detail
#elif __has_include(<cuda/std/mdspan>)
#include <cuda/std/array>
#include <cuda/std/mdspan>
namespace tenon::detail {
namespace md = cuda::std;
namespace md_array = cuda::std;
}  // namespace tenon::detail
#elif __has_include(<mdspan/mdspan.hpp>) || __has_include(<experimental/mdspan>)
#if __has_include(<mdspan/mdspan.hpp>)
#include <mdspan/mdspan.hpp>
#else
#include <experimental/mdspan>
#endif
#include <array>
namespace tenon::detail {
namespace md = ::MDSPAN_IMPL_STANDARD_NAMESPACE;
namespace md_array = std;
}  // namespace tenon::detail
#else
#error \
    "[mdspan] none is visible: C++23 with a library that has <mdspan>, or <cuda/std/mdspan> or <mdspan/mdspan.hpp> in the include path"
#endif
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>
#include "tenon/tensor/ranked.hpp"
namespace tenon {
/// An mdspan of ordinary host memory whose layout has strides.
template <class T, class Extents, class Layout>
  requires(Layout::template mapping<Extents>::is_always_strided())
struct adapter<detail::md::mdspan<T, Extents, Layout, detail::md::default_accessor<T>>> {
  using M = detail::md::mdspan<T, Extents, Layout, detail::md::default_accessor<T>>;
  static_assert(M::rank() <= max_rank, "[mdspan] more axes than tenon::max_rank");
  static T* data(const M& m) { return m.data_handle(); }
  static tenon::shape shape(const M& m) {
    tenon::shape s;
    s.rank_ = static_cast<int>(M::rank());
    for (std::size_t i = 0; i < M::rank(); ++i) s.d[i] = static_cast<extent>(m.extent(i));
    return s;
  }
  static tenon::strides strides(const M& m) {
    tenon::strides s;
    if constexpr (M::rank() > 0)
      for (std::size_t i = 0; i < M::rank(); ++i) s.d[i] = static_cast<extent>(m.mapping().stride(i));
    return s;
  }
  static constexpr bool borrows = true;
};

namespace detail {
template <class V, class Layout>
struct mdspan_type;
template <class T, extent... E, class... Tags, class Layout>
struct mdspan_type<view<T, extents<E...>, Tags...>, Layout> {
  using type = md::mdspan<T, md::extents<extent, (E == dyn ? md::dynamic_extent : static_cast<std::size_t>(E))...>, Layout>;
};
template <class V>
using mdspan_layout =
    std::conditional_t<V::row_major, md::layout_right, std::conditional_t<V::column_major, md::layout_left, md::layout_stride>>;
/// Errors of strides that std::layout_stride cannot have: below 1, or such that the elements of one axis lie between those of another.
/// The axes of one element get a stride that fits.
[[nodiscard, gnu::noinline]] inline errc check_mdspan(const shape& s, strides& st, failure& why) noexcept {
  constexpr const char* op = "as_mdspan";
  constexpr const char* remedy = "Read it through tenon::strided_view, or take tenon::copy(x).";
  if (s.numel() == 0) {
    st = dense_strides(s);
    return errc::ok;
  }
  int order[max_rank], n = 0;  // axes of more than one element, by stride
  for (int i = 0; i < s.rank(); ++i) {
    if (s.d[i] == 1) continue;
    if (st.d[i] < 1)
      return fail(why, errc::value, op,
                  {.argument = "strides of a layout_stride",
                   .axis = i,
                   .got = st.d[i],
                   .expected = 1,
                   .relation = "at least ",
                   .remedy = remedy});
    int at = n++;
    for (; at > 0 && st.d[order[at - 1]] > st.d[i]; --at) order[at] = order[at - 1];
    order[at] = i;
  }
  extent taken = 1;
  for (int k = 0; k < n; ++k) {
    const int i = order[k];
    if (st.d[i] < taken)
      return fail(why, errc::value, op,
                  {.argument = "strides of a layout_stride, past the axis before",
                   .axis = i,
                   .got = st.d[i],
                   .expected = taken,
                   .relation = "at least ",
                   .remedy = remedy});
    taken = saturating_mul(st.d[i], s.d[i]);
  }
  for (int i = 0; i < s.rank(); ++i)
    if (s.d[i] == 1) st.d[i] = taken;
  return errc::ok;
}
/// `st` as check_mdspan left them; a layout without gaps has none.
template <class M, class V, std::size_t... I>
M make_mdspan(const V& v, [[maybe_unused]] const strides& st, std::index_sequence<I...>) noexcept {
  const typename M::extents_type e(v.extent_of(static_cast<int>(I))...);
  if constexpr (V::row_major || V::column_major) return M(v.data(), typename M::mapping_type(e));
  else return M(v.data(), typename M::mapping_type(e, md_array::array<extent, sizeof...(I)>{st.d[I]...}));
}
template <class M, class V>
M make_mdspan(const V& v, const strides& st) noexcept {
  return make_mdspan<M>(v, st, std::make_index_sequence<M::rank()>());
}
}  // namespace detail

/// The mdspan of what x sees: of its extents where its type has them, else of `Rank` dynamic ones; a layout without gaps stays one.
template <class X, int Rank = -1>
using mdspan_of =
    typename detail::mdspan_type<detail::ranked_view<Rank, X>, detail::mdspan_layout<detail::ranked_view<Rank, X>>>::type;

/// `to` views what x sees: a typed view, or anything adaptable of that rank. const stays const. Errors: rank, device, value (strides that
/// std::layout_stride cannot have: reversed, broadcast or interleaved axes); `to` is then untouched.
template <class X, class M>
  requires std::same_as<M, mdspan_of<X, static_cast<int>(M::rank())>>
[[nodiscard]] errc try_as_mdspan(X&& x, M& to, failure& why) noexcept {
  constexpr int rank = static_cast<int>(M::rank());
  static_assert(detail::expect_ranked<rank, X>());
  detail::ranked_view<rank, X> v;
  if (const errc c = detail::try_ranked("as_mdspan", x, v, why); c != errc::ok) return c;
  strides st = v.strides();
  if constexpr (!v.row_major && !v.column_major)
    if (const errc c = detail::check_mdspan(v.shape(), st, why); c != errc::ok) return c;
  to = detail::make_mdspan<M>(v, st);
  return errc::ok;
}
#if TENON_EXCEPTIONS
/// As try_as_mdspan, throwing tenon::error: `as_mdspan(v)` of a typed view, `as_mdspan<2>(t)` of what has its rank at run time.
/// `Home` keeps files apart that see different mdspans.
template <int Rank = -1, class X, class Home = detail::md::layout_right>
[[nodiscard]] auto as_mdspan(X&& x) {
  if constexpr (detail::expect_ranked<Rank, X>()) {
    detail::ranked_view<Rank, X> v;
    failure f;
    detail::check(detail::try_ranked("as_mdspan", x, v, f), f);
    strides st = v.strides();
    if constexpr (!v.row_major && !v.column_major) detail::check(detail::check_mdspan(v.shape(), st, f), f);
    return detail::make_mdspan<mdspan_of<X, Rank>>(v, st);
  }
}
#endif
}  // namespace tenon
