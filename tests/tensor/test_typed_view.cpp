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

namespace {
struct elsewhere {
  static constexpr device_type type = device_type::cuda;
};
}  // namespace
TEST_CASE("a view that was not filled has no elements, whatever its type says") {
  const view<float, extents<2, 3>> none;
  CHECK_FALSE(none);
  CHECK(none.data() == nullptr);
  CHECK(none.numel() == 0);
  CHECK(none.shape() == shape{2, 3});
  CHECK(none.device() == device{});
  const view<float, dims<1>> open;
  CHECK(open.extent_of(0) == 0);
  CHECK(open.stride_of(0) == 0);
  constexpr view<const int, dims<2>, layout_right> constant;
  static_assert(constant.extent_of(1) == 0 && !constant);
}

TEST_CASE("each layout puts each element where its strides say") {
  float x[120];
  for (int i = 0; i < 120; ++i) x[i] = static_cast<float>(i);
  const extent s[4]{2, 3, 4, 5};
  const extent no_steps[4]{};
  const view<float, dims<4>, layout_right> right(x, s, no_steps);
  const view<float, extents<2, dyn, 4, dyn>, layout_left> left(x, s, no_steps);
  const extent steps[4]{60, 20, 5, 1};
  const view<float, dims<4>> any(x, s, steps);
  CHECK(right(1, 2, 3, 4) == 119);
  CHECK(right(1, 0, 2, 3) == 73);
  CHECK(any(1, 0, 2, 3) == 73);
  CHECK(left(1, 2, 3, 4) == 119);
  CHECK(left(1, 0, 2, 3) == 1 + 2 * 6 + 3 * 24);
  CHECK(right.strides() == strides{{60, 20, 5, 1}});
  CHECK(left.strides() == strides{{1, 2, 6, 24}});
  CHECK(any.strides() == strides{{60, 20, 5, 1}});
  CHECK(right.numel() == 120);
  CHECK(right.dense());
  CHECK(any.dense());
  CHECK_FALSE(left.dense());
  const view<float, dims<2>> gaps(x, s, strides{{4, 1}}.d);
  CHECK_FALSE(gaps.dense());
  CHECK((view<float, dims<2>>(x, s, strides{{3, 1}}.d).dense()));
  CHECK(right[7] == 7);
  CHECK(right.begin() == x);
  CHECK(right.end() == x + 120);
  const view<float, dims<1>> each_third(x, s + 1, strides{{3}}.d);
  CHECK(each_third[2] == 6);
  const view<float, dims<1>, layout_left> line(x, s + 3, no_steps);
  CHECK(line[4] == 4);
  const view<float, dims<0>> one(x + 9, s, no_steps);
  CHECK(one() == 9);
  CHECK(one.numel() == 1);
  CHECK(one.shape().rank() == 0);
}

TEST_CASE("strides of empty arrays are those of extents of 1, and none overflows") {
  float x[1]{};
  const extent s[3]{2, 0, 3}, huge[3]{INT64_MAX, INT64_MAX, INT64_MAX};
  const view<float, dims<3>, layout_right> right(x, s, s);
  const view<float, dims<3>, layout_left> left(x, s, s);
  CHECK(right.strides() == strides{{3, 3, 1}});
  CHECK(left.strides() == strides{{1, 2, 2}});
  CHECK(right.numel() == 0);
  CHECK(view<float, dims<3>, layout_right>(x, huge, s).stride_of(0) == INT64_MAX);
  CHECK(view<float, dims<3>, layout_left>(x, huge, s).stride_of(2) == INT64_MAX);
}

TEST_CASE("a typed view turns into what promises less, on the same memory") {
  float x[6]{1, 2, 3, 4, 5, 6};
  const extent s[2]{2, 3};
  const view<float, extents<2, 3>, layout_right> full(x, s, s);
  const view<const float, dims<2>, on_device<device_type::cpu, device_type::cuda>> less = full;
  CHECK(less.device() == device{device_type::cpu, 0});
  CHECK((less.data() == x && less.strides() == strides{{3, 1}}));
  const view<float> dense = full;
  const view<const float> constant = full;
  const strided_view<float> strided = full;
  CHECK((dense.data() == x && dense.shape() == shape{2, 3}));
  CHECK((constant.data() == x && constant.shape() == shape{2, 3}));
  CHECK((strided.data() == x && strided.shape() == shape{2, 3} && strided.strides() == strides{{3, 1}}));
  const view<float, dims<1>, elsewhere> there(x, s, s, {device_type::cuda, 7});
  CHECK(there.device() == device{device_type::cuda, 7});
  const view<float, dims<1>, on_device<device_type::cuda, device_type::rocm>> either = there;
  CHECK(either.device() == device{device_type::cuda, 7});
  static_assert(!std::is_convertible_v<view<float, dims<1>, elsewhere>, strided_view<float>>);
  static_assert(!std::is_convertible_v<view<float, dims<2>, layout_left>, view<float>>);
  static_assert(!std::is_convertible_v<view<const float, dims<2>, layout_right>, view<float>>);
  static_assert(!std::is_convertible_v<view<float, dims<2>, layout_left>, view<float, dims<2>, layout_right>>);
  static_assert(!std::is_convertible_v<view<float, dims<2>, layout_right>, view<float, dims<2>, layout_left>>);
  static_assert(std::is_convertible_v<view<float, extents<2, 3>, layout_right>, view<const float, dims<2>, layout_right>>);
  static_assert(std::is_convertible_v<view<float, extents<2, 3>, layout_left>, view<float, dims<2>, layout_left>>);
  static_assert(std::is_convertible_v<view<float, dims<2>, aligned<64>>, view<float, dims<2>, aligned<16>>>);
  static_assert(!std::is_convertible_v<view<float, dims<1>>, view<float, dims<2>>>);
  static_assert(!std::is_convertible_v<view<float, extents<3>>, view<float, extents<2>>>);
  static_assert(view<double, dims<1>>::alignment == 8 && view<double, dims<1>, aligned<4>>::alignment == 8 &&
                view<double, dims<1>, aligned<32>>::alignment == 32);
}
