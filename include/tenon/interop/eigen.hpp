// SPDX-License-Identifier: Apache-2.0
// Eigen at the door: matrices, arrays, maps, refs and blocks, row- and column-major, with any strides; and what is here as an
// Eigen::Map. Copies nothing.
// A matrix is [rows, cols], a vector (at compile time) has one axis. Matrices and arrays own, so a temporary one is refused where a
// view would outlive it; maps, blocks and refs to writable memory only view, and may be temporaries.
#pragma once
#include <Eigen/Core>
#include <climits>
#include <cstddef>
#include <optional>
#include <type_traits>
#include "tenon/tensor/adapter.hpp"
#include "tenon/tensor/ranked.hpp"
namespace tenon {
namespace detail {
template <class M, bool Borrows>
struct eigen_adapter {
  static auto* data(M& m) { return m.data(); }  // const elements where M is a map of a const matrix
  static const typename M::Scalar* data(const M& m) { return m.data(); }
  static tenon::shape shape(const M& m) {
    if constexpr (M::IsVectorAtCompileTime) return {m.size()};
    else return {m.rows(), m.cols()};
  }
  static tenon::strides strides(const M& m) {
    if constexpr (M::IsVectorAtCompileTime) return {{m.innerStride()}};
    else return {{m.rowStride(), m.colStride()}};
  }
  static constexpr bool borrows = Borrows;
};
}  // namespace detail

template <class T, int Rows, int Cols, int Options, int MaxRows, int MaxCols>
struct adapter<Eigen::Matrix<T, Rows, Cols, Options, MaxRows, MaxCols>>
    : detail::eigen_adapter<Eigen::Matrix<T, Rows, Cols, Options, MaxRows, MaxCols>, false> {};
template <class T, int Rows, int Cols, int Options, int MaxRows, int MaxCols>
struct adapter<Eigen::Array<T, Rows, Cols, Options, MaxRows, MaxCols>>
    : detail::eigen_adapter<Eigen::Array<T, Rows, Cols, Options, MaxRows, MaxCols>, false> {};
template <class Plain, int Options, class Stride>
struct adapter<Eigen::Map<Plain, Options, Stride>> : detail::eigen_adapter<Eigen::Map<Plain, Options, Stride>, true> {};
template <class Plain, int Options, class Stride>
struct adapter<Eigen::Ref<Plain, Options, Stride>>  // a Ref to const may hold a copy of its own
    : detail::eigen_adapter<Eigen::Ref<Plain, Options, Stride>, !std::is_const_v<Plain>> {};
template <class From, int Rows, int Cols, bool InnerPanel>
  requires((Eigen::Block<From, Rows, Cols, InnerPanel>::Flags & Eigen::DirectAccessBit) != 0)
struct adapter<Eigen::Block<From, Rows, Cols, InnerPanel>>
    : detail::eigen_adapter<Eigen::Block<From, Rows, Cols, InnerPanel>, true> {};

namespace detail {
/// An extent as Eigen's type has it.
constexpr int eigen_extent(extent e) { return e >= 0 && e <= INT_MAX ? static_cast<int>(e) : Eigen::Dynamic; }
/// The promise as Eigen's option: 16 to 128 bytes, else none.
constexpr int eigen_alignment(std::size_t promised) {
  return promised >= 128  ? Eigen::Aligned128
         : promised >= 64 ? Eigen::Aligned64
         : promised >= 32 ? Eigen::Aligned32
         : promised >= 16 ? Eigen::Aligned16
                          : Eigen::Unaligned;
}
/// The Map of a typed view. A vector is a column; a matrix has its rows one after the other, unless its layout or Eigen says otherwise,
/// which knows columns and rows of a fixed length 1 in one order alone.
template <class V>
struct eigen_view {
  static_assert(V::rank() == 1 || V::rank() == 2, "[as_eigen] Eigen has vectors and matrices: one axis or two");
  using T = typename V::element_type;
  static constexpr bool vector = V::rank() < 2, gapless = V::row_major || V::column_major;
  static constexpr int rows = eigen_extent(V::extents_type::d[0]),
                       cols = vector ? 1 : eigen_extent(V::extents_type::d[V::rank() - 1]);
  static constexpr bool by_columns = cols == 1 || (V::column_major && rows != 1);
  using plain = Eigen::Matrix<std::remove_const_t<T>, rows, cols, by_columns ? Eigen::ColMajor : Eigen::RowMajor>;
  using steps = Eigen::Stride<gapless ? 0 : Eigen::Dynamic, gapless ? 0 : Eigen::Dynamic>;
  using map = Eigen::Map<std::conditional_t<std::is_const_v<T>, const plain, plain>, eigen_alignment(V::alignment), steps>;

  /// Errors: value (a Map has no reversed axes).
  static errc try_make(const V& v, std::optional<map>& to, failure& why) noexcept {
    extent by[2]{1, 1};
    if constexpr (!gapless)
      for (int i = 0; i < V::rank(); ++i) {
        if (v.extent_of(i) > 1) by[i] = v.stride_of(i);
        if (by[i] < 0)
          return fail(why, errc::value, "as_eigen",
                      {.argument = "strides",
                       .axis = i,
                       .got = by[i],
                       .expected = 0,
                       .relation = "at least ",
                       .remedy = "An Eigen::Map has no reversed axes: take tenon::copy(x)."});
      }
    const Eigen::Index n = v.extent_of(0), m = vector ? 1 : v.extent_of(V::rank() - 1);
    if constexpr (gapless) to.emplace(v.data(), n, m);
    else to.emplace(v.data(), n, m, steps(by[by_columns], by[!by_columns]));
    return errc::ok;
  }
};
}  // namespace detail

/// The Map of what x sees: of a typed view its extents, layout and alignment; of anything else `Rank` dynamic extents and any strides.
template <class X, int Rank = -1>
using eigen_map_of = typename detail::eigen_view<detail::ranked_view<Rank, X>>::map;

/// `to` maps what x sees, [n] as a column vector, [rows, cols] as a matrix; const stays const. (A Map cannot be assigned, for that would
/// copy elements.) Errors: rank, device, value (strides below 0); `to` is then untouched.
template <int Rank = -1, class X>
[[nodiscard]] errc try_as_eigen(X&& x, std::optional<eigen_map_of<X, Rank>>& to, failure& why) noexcept {
  static_assert(detail::expect_ranked<Rank, X>());
  detail::ranked_view<Rank, X> v;
  if (const errc c = detail::try_ranked("as_eigen", x, v, why); c != errc::ok) return c;
  return detail::eigen_view<decltype(v)>::try_make(v, to, why);
}
#if TENON_EXCEPTIONS
/// As try_as_eigen, throwing tenon::error: `as_eigen(v)` of a typed view, `as_eigen<2>(t)` of what has its rank at run time.
template <int Rank = -1, class X>
[[nodiscard]] auto as_eigen(X&& x) {
  if constexpr (detail::expect_ranked<Rank, X>()) {
    std::optional<eigen_map_of<X, Rank>> m;
    failure f;
    detail::check(try_as_eigen<Rank>(x, m, f), f);
    return *m;
  }
}
#endif
}  // namespace tenon
