// SPDX-License-Identifier: Apache-2.0
// Views that promise rank, extents, layout, alignment and device in the type: what they say of themselves, which element is where, and
// what one turns into.
#include <tenon/tensor/tensor.hpp>
#include <tenon/tensor/view_as.hpp>

#include <array>
#include <type_traits>
#include <vector>

#include "catch.hpp"
#include "producer.hpp"
#include "refused.hpp"

using namespace tenon;

TEST_CASE("a typed view reads a DLTensor: rank, extents and strides are those of the type") {
  versioned p({1, 2, 3, 4, 5, 6}, {2, 3}, {3, 1});
  const auto v = view_as<rows_of_three>(p.dl());
  CHECK(v.data() == p.values.data());
  CHECK(v.extent_of(0) == 2);
  CHECK(v.extent_of(1) == 3);
  CHECK(v(1, 2) == 6);
  CHECK(v.numel() == 6);
  CHECK(v.dense());
  static_assert(rows_of_three::rank() == 2);
  static_assert(std::is_same_v<decltype(v(0, 0)), const float&>);
}

TEST_CASE("E12 layouts are checked: row-major, column-major, any") {
  versioned c({1, 2, 3, 4, 5, 6}, {2, 3}, {3, 1}), f({1, 2, 3, 4, 5, 6}, {2, 3}, {1, 2}),
      padded({1, 2, 3, 4, 5, 6}, {2, 2}, {3, 1});
  using right = view<const float, dims<2>, layout_right>;
  using left = view<const float, dims<2>, layout_left>;
  CHECK(view_as<right>(c.dl())(1, 0) == 4);
  CHECK(view_as<left>(f.dl())(1, 0) == 2);
  CHECK(view_as<left>(f.dl()).stride_of(1) == 2);
  CHECK(refused<left>(c).code == errc::not_dense);
  CHECK(refused<right>(f).code == errc::not_dense);
  CHECK(refused<right>(padded).code == errc::not_dense);
  CHECK(view_as<view<const float, dims<2>>>(padded.dl())(1, 1) == 5);
  versioned column({1, 2, 3}, {3, 1}, {1, 77});  // an axis of one element may carry anything
  CHECK(view_as<right>(column.dl())(2, 0) == 3);
  CHECK(view_as<left>(column.dl())(2, 0) == 3);
  versioned null({1, 2, 3, 4}, {2, 2});  // NULL strides: row-major
  CHECK(view_as<right>(null.dl())(1, 0) == 3);
  CHECK(refused<left>(null).code == errc::not_dense);
  CHECK(sizeof(right) < sizeof(view<const float, dims<2>>));
}

TEST_CASE("a tensor or an array of one's own becomes a typed view") {
  std::vector<float> own{1, 2, 3};
  CHECK(view_as<view<float, extents<3>, layout_right>>(own)[2] == 3);
  const std::array<float, 4> fixed{1, 2, 3, 4};
  CHECK(view_as<view<const float, extents<4>>>(fixed)(3) == 4);
  tensor<float> t({2, 3});
  auto v = view_as<view<float, extents<2, 3>, layout_right, aligned<64>>>(t);
  v(1, 1) = 5;
  CHECK(t(1, 1) == 5);
  const view<float> dense = v;  // what layers take
  CHECK(dense[4] == 5);
  const view<const float, dims<2>> less = v;  // promises less
  CHECK(less(1, 1) == 5);
  CHECK_THROWS_AS((view_as<view<float, extents<3, 2>>>(t)), error);
  static_assert(!std::is_convertible_v<view<const float, dims<2>>, view<float, dims<2>>>);
  static_assert(!std::is_convertible_v<view<float, dims<2>>, view<float, extents<2, 2>>>);
  static_assert(!std::is_convertible_v<view<float, dims<2>>, view<float, dims<2>, layout_right>>);
  static_assert(!std::is_convertible_v<view<float, dims<2>>, view<float, dims<2>, aligned<64>>>);
  static_assert(
      std::is_convertible_v<view<float, dims<2>>, view<float, dims<2>, on_device<device_type::cpu, device_type::cuda>>>);
}

TEST_CASE("E8 an empty array fits every layout; one of the wrong layout is refused on either side") {
  versioned empty({1}, {2, 0, 3}, {5, 7, 9});
  CHECK(refused<view<const float, dims<3>, layout_right>>(empty).code == errc::ok);
  CHECK(refused<view<const float, dims<3>, layout_left>>(empty).code == errc::ok);
  CHECK(view_as<view<const float, dims<3>, layout_right>>(empty.dl()).data() == nullptr);
  CHECK(view_as<view<const float, dims<3>, layout_right>>(empty.dl()).numel() == 0);
  CHECK(view_as<view<const float, dims<3>>>(empty.dl()).dense());
  versioned reversed({1, 2, 3}, {3}, {-1});
  reversed.dl().byte_offset = 8;
  CHECK(view_as<view<const float, dims<1>>>(reversed.dl())(2) == 1);
  CHECK(refused<view<const float, dims<1>, layout_right>>(reversed).code == errc::not_dense);
}
