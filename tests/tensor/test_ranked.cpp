// SPDX-License-Identifier: Apache-2.0
// What the views of other libraries are given: the typed view of whatever has elements.
#include <tenon/tensor/ranked.hpp>
#include <tenon/tensor/typed_tensor.hpp>

#include <type_traits>
#include <vector>

#include "catch.hpp"
#include "producer.hpp"

using namespace tenon;
using namespace tenon::detail;

namespace {
struct roaming {  // says at run time where it is
  float* p;
  tenon::device where;
};
}  // namespace
template <>
struct tenon::adapter<roaming> {
  static float* data(const roaming& r) { return r.p; }
  static tenon::shape shape(const roaming&) { return {2, 3}; }
  static tenon::strides strides(const roaming&) { return {{5, 2}}; }
  static tenon::device device(const roaming& r) { return r.where; }
};

TEST_CASE("the type of a ranked view: its own, its owner's, or one of as many axes as are asked for") {
  using rows = view<float, extents<dyn, 3>, layout_left>;
  static_assert(std::is_same_v<ranked_view<-1, rows>, rows>);
  static_assert(std::is_same_v<ranked_view<2, const rows&>, rows>);
  static_assert(std::is_same_v<ranked_view<-1, tensor<float, extents<dyn, 3>, layout_left>&>, rows>);
  static_assert(std::is_same_v<ranked_view<2, view<float>>, view<float, dims<2>, layout_right>>);
  static_assert(std::is_same_v<ranked_view<1, std::vector<int>&>, view<int, dims<1>>>);
  static_assert(std::is_same_v<ranked_view<1, const std::vector<int>&>, view<const int, dims<1>>>);
  static_assert(std::is_same_v<ranked_view<0, strided_view<const float>>, view<const float, dims<0>>>);
  static_assert(std::is_void_v<ranked_view<-1, std::vector<int>&>>);  // expect_ranked says what is missing
  static_assert(std::is_void_v<ranked_view<1, int>>);
  static_assert(expect_ranked<-1, rows>() && expect_ranked<2, rows&>() && expect_ranked<1, std::vector<int>&>());
  static_assert(expect_ranked<0, strided_view<float>>());
}

TEST_CASE("typed views and owners are taken as they are") {
  versioned p({1, 2, 3, 4, 5, 6}, {2, 3});
  const auto owner = from_dlpack<float, extents<dyn, 3>>(p.give());
  view<float, extents<dyn, 3>> a, b;
  failure why;
  CHECK(try_ranked("test", owner, a, why) == errc::ok);
  CHECK(try_ranked("test", a, b, why) == errc::ok);
  CHECK(b.data() == p.values.data());
  CHECK(b.shape() == shape{2, 3});
  CHECK(b(1, 0) == 4);
}

TEST_CASE("anything else is asked for its device and its rank") {
  float x[12]{};
  roaming here{x, {}}, gone{x, {device_type::cuda, 1}};
  view<float, dims<2>> v;
  view<float, dims<1>> one(x, shape{7}.d, strides{{9}}.d);
  failure why;
  CHECK(try_ranked("test", here, v, why) == errc::ok);
  CHECK(v.data() == x);
  CHECK(v.shape() == shape{2, 3});
  CHECK(v.strides() == strides{{5, 2}});
  CHECK(try_ranked("test", gone, v, why) == errc::device);
  CHECK(try_ranked("test", here, one, why) == errc::rank);
  CHECK(why.message() == "[test] x: rank: got 2, expected 1.");
  CHECK((one.data() == x && one.extent_of(0) == 7 && one.stride_of(0) == 9));
  std::vector<float> own{1, 2, 3};
  CHECK(try_ranked("test", own, one, why) == errc::ok);
  CHECK((one.data() == own.data() && one(2) == 3));
}
