// SPDX-License-Identifier: Apache-2.0
// Eigen types as views: which element is where, what may be written, and which temporaries are refused.
#include <tenon/interop/eigen.hpp>
#include <tenon/tensor/export.hpp>
#include <tenon/tensor/typed_tensor.hpp>

#include <cstdint>
#include <optional>
#include <type_traits>

#include "catch.hpp"

using tenon::as_view;
using tenon::shape;

namespace {
/// Every element where Eigen has it, and the same address.
template <class M>
void agrees(M&& m) {
  const auto v = as_view(m);
  REQUIRE(v.shape() == shape{m.rows(), m.cols()});
  for (Eigen::Index i = 0; i < m.rows(); ++i)
    for (Eigen::Index j = 0; j < m.cols(); ++j) CHECK(&v(i, j) == &m.coeffRef(i, j));
}
template <class M>
using element = std::remove_reference_t<decltype(as_view(std::declval<M>())(0, 0))>;
using row_major = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
}  // namespace

TEST_CASE("matrices and arrays of either order, fixed or not") {
  agrees(Eigen::MatrixXf(Eigen::MatrixXf::Random(3, 5)));
  agrees(row_major(row_major::Random(3, 5)));
  agrees(Eigen::Matrix3d(Eigen::Matrix3d::Random()));
  agrees(Eigen::ArrayXXi(Eigen::ArrayXXi::Random(2, 7)));
  Eigen::MatrixXf m(3, 5);
  row_major r(3, 5);
  CHECK_FALSE(as_view(m).dense());
  CHECK(as_view(r).dense());
}

TEST_CASE("a vector has one axis, a matrix of one row two") {
  Eigen::VectorXf v(4);
  Eigen::RowVector3d r(1, 2, 3);
  Eigen::MatrixXf one_row(1, 4);
  CHECK(as_view(v).shape() == shape{4});
  CHECK(as_view(r).shape() == shape{3});
  CHECK(as_view(r)(2) == 3);
  CHECK(as_view(one_row).shape() == shape{1, 4});
  CHECK(as_view(one_row).dense());
}

TEST_CASE("maps with inner and outer strides") {
  double x[60];
  for (int i = 0; i < 60; ++i) x[i] = i;
  using any = Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>;
  agrees(Eigen::Map<Eigen::MatrixXd, 0, any>(x, 3, 4, any(11, 2)));
  agrees(Eigen::Map<row_major, 0, any>(x, 3, 4, any(11, 2)));
  agrees(Eigen::Map<row_major, 0, Eigen::OuterStride<>>(x, 3, 4, Eigen::OuterStride<>(7)));
  Eigen::Map<Eigen::VectorXd, 0, Eigen::InnerStride<3>> spread(x, 5);
  CHECK(as_view(spread)(4) == 12);
  CHECK(tenon::copy(spread)[4] == 12);
}

TEST_CASE("refs and blocks") {
  Eigen::MatrixXd m = Eigen::MatrixXd::Random(6, 6);
  agrees(Eigen::Ref<Eigen::MatrixXd, 0, Eigen::OuterStride<>>(m.block(1, 2, 3, 4)));
  agrees(m.block(1, 2, 3, 4));
  CHECK(&as_view(m.col(2))(3) == &m(3, 2));
  CHECK(&as_view(m.row(2))(3) == &m(2, 3));
}

TEST_CASE("const follows the matrix") {
  STATIC_CHECK(std::is_same_v<element<Eigen::MatrixXf&>, float>);
  STATIC_CHECK(std::is_same_v<element<const Eigen::MatrixXf&>, const float>);
  STATIC_CHECK(std::is_same_v<element<Eigen::Map<Eigen::MatrixXf>&>, float>);
  STATIC_CHECK(std::is_same_v<element<Eigen::Map<Eigen::MatrixXf>>, float>);
  STATIC_CHECK(std::is_same_v<element<Eigen::Map<const Eigen::MatrixXf>>, const float>);
  STATIC_CHECK(std::is_same_v<element<Eigen::Ref<const Eigen::MatrixXf>&>, const float>);
}

TEST_CASE("what owns its elements must have a name") {
  STATIC_CHECK(!tenon::outlives_call<Eigen::MatrixXf>);
  STATIC_CHECK(tenon::outlives_call<Eigen::MatrixXf&>);
  STATIC_CHECK(!tenon::outlives_call<Eigen::ArrayXf>);
  STATIC_CHECK(tenon::outlives_call<Eigen::Map<Eigen::MatrixXf>>);
  STATIC_CHECK(tenon::outlives_call<Eigen::Ref<Eigen::MatrixXf>>);
  STATIC_CHECK(!tenon::outlives_call<Eigen::Ref<const Eigen::MatrixXf>>);  // may hold a copy
  STATIC_CHECK(tenon::adaptable<Eigen::MatrixXf>);
  STATIC_CHECK(!tenon::adaptable<decltype(std::declval<Eigen::MatrixXf&>() + std::declval<Eigen::MatrixXf&>())>);
}

TEST_CASE("out through the door: the matrix moves in, its elements stay where they are") {
  Eigen::MatrixXf m = Eigen::MatrixXf::Random(3, 2);
  const float* data = m.data();
  const float corner = m(2, 1);
  const auto v = as_view(m);
  auto h = tenon::to_dlpack(tenon::borrow(v, std::move(m)));
  CHECK(h->dl_tensor.data == data);
  CHECK(h->dl_tensor.strides[0] == 1);
  CHECK(h->dl_tensor.strides[1] == 3);
  CHECK(static_cast<float*>(h->dl_tensor.data)[5] == corner);
}

TEST_CASE("empty matrices") {
  Eigen::MatrixXf m(0, 3);
  CHECK(as_view(m).shape() == shape{0, 3});
  CHECK(tenon::copy(m).numel() == 0);
}

namespace {
using tenon::as_eigen;
using tenon::dims;
using tenon::dyn;
using tenon::extents;
using tenon::tensor;
using tenon::view;
tensor<float> counted(const shape& s) {
  tensor<float> t(s);
  for (tenon::extent i = 0; i < t.numel(); ++i) t[i] = static_cast<float>(i);
  return t;
}
/// Every element where the view has it.
template <class V, class M>
void same_places(const V& v, const M& m) {
  REQUIRE(m.rows() == v.shape()[0]);
  REQUIRE(m.cols() == v.shape()[1]);
  for (Eigen::Index i = 0; i < m.rows(); ++i)
    for (Eigen::Index j = 0; j < m.cols(); ++j) CHECK(&m.coeffRef(i, j) == &v(i, j));
}
template <class M>
constexpr int inner = std::remove_cvref_t<M>::InnerStrideAtCompileTime;
template <class M>
constexpr bool by_rows = std::remove_cvref_t<M>::IsRowMajor;
}  // namespace

TEST_CASE("as_eigen of a typed view: extents, order, inner stride and alignment are in the type") {
  tensor<float> t = counted({3, 4});
  const auto right = tenon::view_as<view<float, extents<dyn, 4>, tenon::layout_right, tenon::aligned<64>>>(t);
  const auto m = as_eigen(right);
  using M = decltype(m);
  same_places(right, m);
  static_assert(by_rows<M> && inner<M> == 1 && M::RowsAtCompileTime == Eigen::Dynamic && M::ColsAtCompileTime == 4);
  static_assert(std::is_same_v<std::remove_const_t<M>, Eigen::Map<Eigen::Matrix<float, Eigen::Dynamic, 4, Eigen::RowMajor>,
                                                                  Eigen::Aligned64, Eigen::Stride<0, 0>>>);
  float column_major[12]{};
  const view<const float, extents<3, 4>, tenon::layout_left> left(column_major, shape{3, 4}.d, nullptr);
  const auto l = as_eigen(left);
  same_places(left, l);
  static_assert(!by_rows<decltype(l)> && inner<decltype(l)> == 1);
  static_assert(std::is_same_v<std::remove_cvref_t<decltype(l)>,
                               Eigen::Map<const Eigen::Matrix<float, 3, 4>, Eigen::Unaligned, Eigen::Stride<0, 0>>>);
  const tensor<float> turned = tenon::transpose(t);
  const auto any = tenon::view_as<view<float, dims<2>>>(turned);
  same_places(any, as_eigen(any));
  static_assert(inner<decltype(as_eigen(any))> == Eigen::Dynamic);
  CHECK((as_eigen(right) * as_eigen(any)).trace() == 506);  // 0² + … + 11²
}

TEST_CASE("as_eigen: vectors, and matrices of one row or column") {
  tensor<float> t = counted({6});
  const auto v = tenon::view_as<view<float, extents<6>, tenon::layout_right>>(t);
  const auto m = as_eigen(v);
  static_assert(decltype(m)::IsVectorAtCompileTime && decltype(m)::SizeAtCompileTime == 6);
  CHECK(m.sum() == 15);
  const tensor<float> part = tenon::subview(t, tenon::range{1, 6, 2});
  const auto spread = as_eigen<1>(part);
  CHECK(spread.rows() == 3);
  CHECK(&spread(2) == &t[5]);
  tensor<float> grid = counted({3, 4});
  const view<float, extents<3, 1>> column(grid.data() + 1, shape{3, 1}.d, tenon::strides{{4, 1}}.d);
  same_places(column, as_eigen(column));
  const view<float, extents<1, 4>> row(grid.data() + 4, shape{1, 4}.d, tenon::strides{{4, 1}}.d);
  same_places(row, as_eigen(row));
  const view<float, extents<3, 1>, tenon::layout_right> tall(grid.data(), shape{3, 1}.d, nullptr);
  const view<float, extents<1, 4>, tenon::layout_left> wide(grid.data(), shape{1, 4}.d, nullptr);
  same_places(tall, as_eigen(tall));
  same_places(wide, as_eigen(wide));
}

TEST_CASE("as_eigen of what has its rank at run time") {
  tensor<float> t = counted({3, 4});
  same_places(t, as_eigen<2>(t));
  same_places(t.view(), as_eigen<2>(t.view()));
  static_assert(inner<decltype(as_eigen<2>(t.view()))> == 1);
  const auto part = tenon::subview(t, tenon::range{0, 3, 2}, tenon::range{1, 4, 2});
  same_places(part, as_eigen<2>(part));
  const tensor<const float> c = t;
  static_assert(std::is_same_v<decltype(as_eigen<2>(c))::Scalar, float> &&
                !std::is_assignable_v<decltype(as_eigen<2>(c)(0, 0)), float>);
  as_eigen<2>(t)(1, 1) = 70;
  CHECK(t(1, 1) == 70);
  std::optional<tenon::eigen_map_of<tensor<float>&, 1>> to;
  tenon::failure why;
  CHECK(tenon::try_as_eigen<1>(t, to, why) == tenon::errc::rank);
  CHECK_FALSE(to);
  const tensor<float> none = tenon::subview(t, tenon::range{1, 1});
  const auto empty = as_eigen<2>(none);
  CHECK(empty.rows() == 0);
  CHECK(empty.cols() == 4);
}

TEST_CASE("as_eigen: a Map has no reversed axes; of one element they say nothing") {
  tensor<float> t = counted({3, 4});
  const auto reversed = tenon::subview(t, tenon::all{}, tenon::range{3, -1, -1});
  std::optional<tenon::eigen_map_of<const tensor<float>&, 2>> to;
  tenon::failure why;
  CHECK(tenon::try_as_eigen<2>(reversed, to, why) == tenon::errc::value);
  CHECK(why.message() ==
        "[as_eigen] strides: value out of range, axis 1: got -1, expected at least 0. An Eigen::Map has no reversed "
        "axes: take tenon::copy(x).");
  CHECK_THROWS_AS(as_eigen<2>(reversed), tenon::error);
  const tenon::strided_view<float> one(t.data(), {1, 2}, {{-9, 2}});
  same_places(one, as_eigen<2>(one));
}
