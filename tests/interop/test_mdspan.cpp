// SPDX-License-Identifier: Apache-2.0
// mdspan both ways: the same elements at the same places, const and extents as the type has them, and strides that it cannot have refused.
#include <tenon/interop/mdspan.hpp>
#include <tenon/tensor/export.hpp>
#include <tenon/tensor/typed_tensor.hpp>

#include <random>
#include <type_traits>
#include <vector>

#include "catch.hpp"
#include "tensor/producer.hpp"

using namespace tenon;

namespace {
namespace md = tenon::detail::md;
template <class T, class E, class L = md::layout_right>
using span_of = md::mdspan<T, E, L>;
template <class M>
decltype(auto) at(const M& m, extent i, extent j) {
#if defined(__cpp_multidimensional_subscript)
  return m[i, j];
#else
  return m(i, j);
#endif
}
}  // namespace

TEST_CASE("a typed view: its extents and its layout, and the same elements") {
  std::vector<float> x{1, 2, 3, 4, 5, 6};
  tensor<float> t({2, 3});
  for (extent i = 0; i < 6; ++i) t[i] = static_cast<float>(i);
  const auto right = as_mdspan(view_as<view<float, extents<dyn, 3>, layout_right>>(t));
  static_assert(std::is_same_v<std::remove_const_t<decltype(right)>,
                               span_of<float, md::extents<extent, md::dynamic_extent, 3>, md::layout_right>>);
  CHECK(right.extent(0) == 2);
  for (extent i = 0; i < 2; ++i)
    for (extent j = 0; j < 3; ++j) CHECK(&at(right, i, j) == &t(i, j));
  const auto left = as_mdspan(view<const float, extents<2, 3>, layout_left>(x.data(), shape{2, 3}.d, nullptr));
  static_assert(
      std::is_same_v<std::remove_const_t<decltype(left)>, span_of<const float, md::extents<extent, 2, 3>, md::layout_left>>);
  CHECK(at(left, 1, 2) == 6);
  CHECK(at(left, 0, 1) == 3);
  const tensor<float> turned = transpose(t);
  const auto any = as_mdspan(view_as<view<float, dims<2>>>(turned));
  static_assert(std::is_same_v<std::remove_const_t<decltype(any)>, span_of<float, md::dextents<extent, 2>, md::layout_stride>>);
  for (extent i = 0; i < 3; ++i)
    for (extent j = 0; j < 2; ++j) CHECK(&at(any, i, j) == &t(j, i));
}

TEST_CASE("what has its rank at run time takes it from the caller") {
  tensor<float> t({2, 3});
  const tensor<const float> c = t;
  static_assert(std::is_same_v<decltype(as_mdspan<2>(c)), span_of<const float, md::dextents<extent, 2>, md::layout_stride>>);
  static_assert(std::is_same_v<decltype(as_mdspan<2>(t.view())), span_of<float, md::dextents<extent, 2>, md::layout_right>>);
  CHECK(&at(as_mdspan<2>(t), 1, 2) == &t[5]);
  span_of<float, md::dextents<extent, 3>, md::layout_stride> three;
  failure why;
  CHECK(try_as_mdspan(t, three, why) == errc::rank);
  CHECK(why.message() == "[as_mdspan] x: rank: got 2, expected 3.");
  std::vector<int> own{1, 2, 3};
  CHECK(as_mdspan<1>(own).extent(0) == 3);
  CHECK(as_mdspan<0>(subview(own, 1)).data_handle() == &own[1]);
  const tensor<float> none = subview(t, range{1, 1});
  const auto empty = as_mdspan<2>(none);
  CHECK(empty.extent(0) == 0);
  CHECK(empty.extent(1) == 3);
}

TEST_CASE("strides that layout_stride cannot have are refused, with the axis") {
  std::vector<float> x(24);
  auto refused = [&](const shape& s, const strides& by) {
    span_of<float, md::dextents<extent, 2>, md::layout_stride> m;
    failure why;
    const errc c = try_as_mdspan(strided_view<float>(x.data() + 12, s, by), m, why);
    CHECK((c == errc::ok || m.data_handle() == nullptr));
    return c == errc::ok ? failure{} : why;
  };
  CHECK(refused({2, 3}, {{3, -1}}).message() ==
        "[as_mdspan] strides of a layout_stride: value out of range, axis 1: got -1, expected at least 1. Read it through "
        "tenon::strided_view, or take tenon::copy(x).");
  CHECK(refused({2, 3}, {{0, 1}}).axis == 0);
  CHECK(refused({2, 3}, {{1, 1}}).code == errc::value);  // sliding windows
  CHECK(refused({2, 3}, {{2, 1}}).expected == 3);
  CHECK(refused({2, 3}, {{3, 2}}).code == errc::value);  // no two share memory, and yet one axis lies between the other's
  CHECK_FALSE(refused({2, 3}, {{3, 1}}));
  CHECK_FALSE(refused({2, 3}, {{1, 2}}));
  CHECK_FALSE(refused({1, 3}, {{-7, 1}}));  // of one element: says nothing
  CHECK_FALSE(refused({3, 1}, {{2, INT64_MIN}}));
  CHECK_FALSE(refused({0, 3}, {{-1, 0}}));
}

TEST_CASE("what passes has a mapping of unique places, on random shapes and strides") {
  std::mt19937 random(3);
  int passed = 0;
  for (int k = 0; k < 5000; ++k) {
    shape s;
    strides by;
    s.rank_ = 3;
    for (int i = 0; i < 3; ++i) {
      s.d[i] = static_cast<extent>(random() % 4);
      by.d[i] = static_cast<extent>(random() % 14) - 1;
    }
    std::vector<int> memory(200);
    span_of<int, md::dextents<extent, 3>, md::layout_stride> m;
    failure why;
    const strided_view<int> v(memory.data() + 50, s, by);
    if (try_as_mdspan(v, m, why) != errc::ok) continue;
    ++passed;
    if (m.mapping().required_span_size() < s.numel()) FAIL(text(s));
    for (extent i = 0; i < s.numel(); ++i) {
      int& element = v.data()[detail::offset_of(i, s, by)];
      if (element++) FAIL("two elements in one place: " << text(s));
      const extent a = i / s[2] / s[1], b = i / s[2] % s[1], c = i % s[2];
      if (m.data_handle() + m.mapping()(a, b, c) != &element) FAIL(text(s));
    }
  }
  CHECK(passed > 500);
}

TEST_CASE("an mdspan goes through every door, temporary or not; const stays const") {
  std::vector<float> x{1, 2, 3, 4, 5, 6};
  const span_of<float, md::extents<int, 2, 3>> right(x.data());
  CHECK(as_view(right)(1, 2) == 6);
  CHECK(as_view(right).dense());
  const span_of<const float, md::dextents<int, 2>, md::layout_left> left(x.data(), 2, 3);
  CHECK(as_view(left)(1, 0) == 2);
  static_assert(std::is_same_v<decltype(as_view(left)), strided_view<const float>>);
  CHECK(copy(left)[1] == 3);
  CHECK(subview(span_of<float, md::dextents<int, 1>>(x.data(), 6), 4)() == 5);
  CHECK(view_as<view<float, extents<2, 3>, layout_right>>(right)(1, 0) == 4);
  const md::mdspan<float, md::extents<int>> scalar(x.data() + 3);
  CHECK(as_view(scalar)() == 4);
  static_assert(outlives_call<span_of<float, md::dextents<int, 1>>>);
  auto h = to_dlpack(borrow(as_view(left), 0));
  CHECK(h->dl_tensor.strides[1] == 2);
  CHECK(h->flags == dl::flag_read_only);
  const auto again = as_mdspan<2>(as_mdspan<2>(left));
  CHECK(again.data_handle() == x.data());
}
