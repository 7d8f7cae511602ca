// SPDX-License-Identifier: Apache-2.0
// Eigen at the door: matrices, arrays, maps, refs and blocks, row- and column-major, with any strides. Copies nothing.
// A matrix is [rows, cols], a vector (at compile time) has one axis. Matrices and arrays own, so a temporary one is refused where a
// view would outlive it; maps, blocks and refs to writable memory only view, and may be temporaries.
#pragma once
#include <Eigen/Core>
#include "tenon/tensor/adapter.hpp"
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
}  // namespace tenon
