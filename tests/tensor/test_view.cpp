// SPDX-License-Identifier: Apache-2.0
// Views and adapters: what borrows from what, and which element is where.
#include <tenon/tensor/tensor.hpp>

#include <array>
#include <span>
#include <string>
#include <vector>

#include "catch.hpp"

using tenon::errc;
using tenon::shape;
using tenon::view;

namespace {
struct image {  // a type of a user's own, with padded rows
  std::vector<float> pixels;
  int h, w, pitch;
};
struct lie {  // an adapter that says what is not so
  float* data;
  shape extents;
  tenon::strides steps;
};
struct matrix_like {  // data and size, but no range: its order is not known
  float values[6] = {1, 2, 3, 4, 5, 6};
  float* data() { return values; }
  const float* data() const { return values; }
  std::size_t size() const { return 6; }
};
struct my_device {
  static constexpr tenon::device_type type = tenon::device_type::ext;
};
struct far_image {};  // its adapter says at run time where it is
errc code_of(auto&& call) {
  try {
    call();
  } catch (const tenon::error& e) { return e.code(); }
  return errc::ok;
}
}  // namespace
template <>
struct tenon::adapter<image> {
  static const float* data(const image& i) { return i.pixels.data(); }
  static float* data(image& i) { return i.pixels.data(); }
  static tenon::shape shape(const image& i) { return {i.h, i.w}; }
  static tenon::strides strides(const image& i) { return {{i.pitch, 1}}; }
};
template <>
struct tenon::adapter<lie> {
  static float* data(const lie& l) { return l.data; }
  static tenon::shape shape(const lie& l) { return l.extents; }
  static tenon::strides strides(const lie& l) { return l.steps; }
};
template <>
struct tenon::adapter<far_image> {
  static float* data(const far_image&) { return nullptr; }
  static tenon::shape shape(const far_image&) { return {2}; }
  static tenon::device device(const far_image&) { return {device_type::cuda, 1}; }
};

TEST_CASE("a view of a container borrows its elements under a shape") {
  std::vector<float> v{1, 2, 3, 4, 5, 6};
  auto a = tenon::view(v, {2, 3});
  STATIC_CHECK(std::is_same_v<decltype(a), view<float>>);
  CHECK(a.data() == v.data());
  a(1, 2) = 7;
  CHECK(v[5] == 7);
  CHECK(a[3] == 4);
  CHECK(a.numel() == 6);
  CHECK(a.end() - a.begin() == 6);
  const auto& c = v;
  auto b = tenon::view(c, {6});
  STATIC_CHECK(std::is_same_v<decltype(b), view<const float>>);
  view<const float> from_mutable = a;
  CHECK(from_mutable.data() == a.data());
  int array[4] = {1, 2, 3, 4};
  CHECK(tenon::view(array, {2, 2})(1, 0) == 3);
  CHECK(tenon::view(std::span<float>(v), {3, 2})(2, 0) == 5);  // a temporary span is as good as a name
  CHECK(tenon::view(std::span<const float>(v), {6})[0] == 1);
}

TEST_CASE("a shape that is not the container's is refused") {
  std::vector<float> v(6);
  CHECK(code_of([&] { view<float>(v, {7}); }) == errc::extent);
  CHECK(code_of([&] { view<float>(v, {5}); }) == errc::extent);
  CHECK(code_of([&] { view<float>(v, {-2, -3}); }) == errc::negative_extent);
  CHECK(code_of([&] { view<float>(v, {std::int64_t{1} << 62, 8}); }) == errc::extent);
  CHECK(code_of([&] { view<float>(v, {2, 3}); }) == errc::ok);
}

TEST_CASE("strided elements: operator() by axis, operator[] in row-major order") {
  std::vector<float> v{1, 2, 3, 4, 5, 6};
  const tenon::strided_view<float> columns(v.data(), {2, 3}, {{1, 2}});
  CHECK(columns(1, 2) == 6);
  CHECK(columns(0, 1) == 3);
  CHECK_FALSE(columns.dense());
  const tenon::tensor<float> t({}, columns);
  const float order[6] = {1, 3, 5, 2, 4, 6};
  for (int i = 0; i < 6; ++i) CHECK(t[i] == order[i]);
  const tenon::strided_view<float> one(v.data(), {}, {});
  CHECK(one() == 1);
  CHECK(tenon::strided_view<float>(view<float>(v.data(), {2, 3})).dense());
}

TEST_CASE("adapters: containers, spans, arrays, a type of one's own") {
  std::vector<float> v(4);
  std::array<int, 3> a{};
  CHECK(tenon::as_view(v).shape() == shape{4});
  CHECK(tenon::as_view(std::span<float>(v)).data() == v.data());
  CHECK(tenon::as_view(a).shape() == shape{3});
  image i{{1, 2, 0, 3, 4, 0}, 2, 2, 3};
  auto w = tenon::as_view(i);
  STATIC_CHECK(std::is_same_v<decltype(w(0, 0)), float&>);
  CHECK(w(1, 1) == 4);
  const image& c = i;
  STATIC_CHECK(std::is_same_v<decltype(tenon::as_view(c)(0, 0)), const float&>);
  STATIC_CHECK(tenon::adaptable<std::vector<double>>);
  STATIC_CHECK(tenon::adaptable<const image&>);
  STATIC_CHECK(!tenon::adaptable<std::vector<bool>>);
  STATIC_CHECK(!tenon::adaptable<std::vector<std::string>>);
  STATIC_CHECK(!tenon::adaptable<matrix_like>);  // would be read in an order that nobody promised
  STATIC_CHECK(!tenon::adaptable<int>);
  STATIC_CHECK(tenon::outlives_call<std::vector<float>&>);
  STATIC_CHECK(!tenon::outlives_call<std::vector<float>>);
  STATIC_CHECK(tenon::outlives_call<std::span<float>>);
  STATIC_CHECK(tenon::outlives_call<view<float>>);
  STATIC_CHECK(!tenon::outlives_call<tenon::tensor<float>>);
}

TEST_CASE("the device of a view follows the adapter: no host view of other memory") {
  view<float, my_device> far(nullptr, {2});
  STATIC_CHECK(std::is_same_v<decltype(tenon::as_view(far)), tenon::strided_view<float, my_device>>);
  CHECK(code_of([] {
          far_image f;
          tenon::as_view(f);
        }) == errc::device);
  CHECK(code_of([&] { tenon::copy(far); }) == errc::null_data);
  float x[2] = {1, 2};
  CHECK(code_of([&] { tenon::copy(view<float, my_device>(x, {2})); }) == errc::device);
}

TEST_CASE("copy packs what is strided, and is counted") {
  image i{{1, 2, 0, 3, 4, 0}, 2, 2, 3};
  const auto before = tenon::bytes_moved().copied;
  auto t = tenon::copy(i);
  CHECK(tenon::bytes_moved().copied - before == 16);
  CHECK(t.dense());
  CHECK(t.shape() == shape{2, 2});
  for (int k = 0; k < 4; ++k) CHECK(t[k] == static_cast<float>(k + 1));
  i.pixels[0] = 9;
  CHECK(t[0] == 1);
  auto u = tenon::copy(tenon::tensor<>(t));
  CHECK(u.data() != t.data());
  CHECK(u.as<float>()[3] == 4);
  CHECK_FALSE(u.read_only());
}

TEST_CASE("copies of every order of three axes, reversed, broadcast and with axes of one element") {
  float v[24];
  for (int i = 0; i < 24; ++i) v[i] = static_cast<float>(i);
  const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
  const tenon::extent extents[3] = {2, 3, 4}, steps[3] = {12, 4, 1};
  for (const auto& o : orders)
    for (int reversed = 0; reversed < 8; ++reversed) {
      shape s{extents[o[0]], 1, extents[o[1]], extents[o[2]]};
      tenon::strides st{{steps[o[0]], INT64_MAX, steps[o[1]], steps[o[2]]}};
      float* first = v;
      const int axes[3] = {0, 2, 3};
      for (int k = 0; k < 3; ++k)
        if (reversed >> k & 1) {
          const int axis = axes[k];
          first += (s[axis] - 1) * st[axis];
          st.d[axis] = -st[axis];
        }
      const auto t = tenon::copy(tenon::strided_view<float>(first, s, st));
      int wrong = 0;
      for (int a = 0; a < s[0]; ++a)
        for (int b = 0; b < s[2]; ++b)
          for (int c = 0; c < s[3]; ++c) wrong += t(a, 0, b, c) != first[a * st[0] + b * st[2] + c * st[3]];
      CHECK(wrong == 0);
    }
  const auto t = tenon::copy(tenon::strided_view<float>(v, {3, 2}, {{0, 1}}));
  for (int i = 0; i < 6; ++i) CHECK(t[i] == static_cast<float>(i % 2));
}

TEST_CASE("an adapter is not believed: extents, sizes, addresses and null are checked before a copy") {
  float x[4] = {};
  const std::int64_t huge = std::int64_t{1} << 61;
  CHECK(code_of([&] { tenon::copy(lie{x, {-2, -2}, {}}); }) == errc::negative_extent);
  CHECK(code_of([&] { tenon::copy(lie{x, {huge, 4}, {}}); }) == errc::overflow);
  CHECK(code_of([&] { tenon::copy(lie{x, {2}, {{huge}}}); }) == errc::overflow);
  CHECK(code_of([&] { tenon::copy(lie{nullptr, {2}, {{1}}}); }) == errc::null_data);
  CHECK(code_of([&] { tenon::copy(lie{reinterpret_cast<float*>(reinterpret_cast<char*>(x) + 1), {2}, {{1}}}); }) ==
        errc::alignment);
  CHECK(code_of([&] { tenon::copy(lie{nullptr, {0, 5}, {{1, 1}}}); }) == errc::ok);
}

TEST_CASE("fresh tensors are zero, dense, and refuse shapes that cannot be") {
  tenon::tensor<int> t(shape{2, 3});
  for (int i = 0; i < 6; ++i) CHECK(t[i] == 0);
  CHECK(t.view().data() == t.data());
  CHECK(code_of([] { tenon::tensor<float>(shape{2, -1}); }) == errc::negative_extent);
  CHECK(code_of([] { tenon::tensor<float>(shape{INT64_MAX, 4}); }) == errc::overflow);
  CHECK(code_of([] { tenon::tensor<float>(shape{INT64_MAX / 4, 2}); }) == errc::overflow);
}

TEST_CASE("borrow keeps its owner for as long as the tensor") {
  std::vector<float> v{1, 2, 3, 4};
  const float* data = v.data();
  auto w = tenon::view(v, {2, 2});
  auto t = tenon::borrow(w, std::move(v));  // a moved vector keeps its elements where they are
  CHECK(t.data() == data);
  CHECK(t(1, 1) == 4);
  image i{{1, 2, 0, 3, 4, 0}, 2, 2, 3};
  auto strided = tenon::borrow(tenon::as_view(i), 0);
  CHECK_FALSE(strided.dense());
  CHECK(strided(1, 0) == 3);
}

TEST_CASE("views hold in constant expressions") {
  static constexpr float v[4] = {1, 2, 3, 4};
  constexpr view<const float> a(v, {2, 2});
  STATIC_CHECK(a(1, 0) == 3);
  STATIC_CHECK(a.numel() == 4);
  STATIC_CHECK(tenon::strided_view<const float>(v, {2, 2}, {{1, 2}})(0, 1) == 3);
}
