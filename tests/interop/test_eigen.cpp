// SPDX-License-Identifier: Apache-2.0
// Eigen types as views: which element is where, what may be written, and which temporaries are refused.
#include <tenon/interop/eigen.hpp>
#include <tenon/tensor/export.hpp>

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
