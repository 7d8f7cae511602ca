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
struct movable {
  float* data;
  tenon::device where;
};
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
template <>
struct tenon::adapter<movable> {
  static float* data(const movable& m) { return m.data; }
  static tenon::shape shape(const movable&) { return {2}; }
  static tenon::device device(const movable& m) { return m.where; }
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

TEST_CASE("a shape that is refused says which axis, or how many elements there are") {
  std::vector<float> v(6);
  const auto said = [&](const shape& s) -> std::string {
    try {
      view<float>(v, s);
    } catch (const tenon::error& e) { return e.what(); }
    return "";
  };
  CHECK(said({3, -2}) == "[view] shape: negative extent, axis 1: got -2, expected at least 0.");
  CHECK(said({-6}) == "[view] shape: negative extent, axis 0: got -6, expected at least 0.");
  CHECK(said({4, 2}) == "[view] elements of the container: extent: got 6, expected 8.");
  CHECK(said({0}) == "[view] elements of the container: extent: got 6, expected 0.");
  std::vector<float> none;
  CHECK(view<float>(none, {2, 0, 3}).numel() == 0);
}

TEST_CASE("elements by one index an axis, of as many axes as there may be") {
  std::vector<int> v(384);
  for (std::size_t i = 0; i < v.size(); ++i) v[i] = static_cast<int>(i);
  const shape s{2, 3, 2, 2, 2, 2, 2, 2};
  const view<int> a(v, s);
  CHECK(a(1, 2, 1, 1, 1, 1, 1, 1) == 383);
  CHECK(a(0, 1, 0, 1, 0, 0, 0, 1) == 64 + 16 + 1);
  const tenon::strided_view<int> b = a;
  CHECK(b(1, 2, 1, 1, 1, 1, 1, 1) == 383);
  CHECK(b(1, 0, 1, 0, 0, 0, 1, 0) == 192 + 32 + 2);
  CHECK((a.begin() == v.data() && a.end() == v.data() + 384 && a.rank() == 8));
  CHECK((b.numel() == 384 && b.rank() == 8 && b.strides() == tenon::dense_strides(s)));
  CHECK((!view<int>() && view<int>().numel() == 0 && !tenon::strided_view<int>() && b));
  const tenon::strided_view<const int> c = b;
  CHECK((c.data() == v.data() && c.shape() == s && c.strides() == b.strides()));
}

TEST_CASE("bytes of an array: whole ones, shared ones, one each, and none too many") {
  const auto bytes = [](tenon::dtype d, const shape& s, bool padded = false) {
    tenon::array_ref a;
    a.dtype = d;
    a.shape = s;
    a.padded = padded;
    return a.bytes();
  };
  using tenon::dtype;
  CHECK(bytes(tenon::float32, {2, 3}) == 24);
  CHECK(bytes({tenon::dtype_code::float_, 32, 4}, {3}) == 48);
  const dtype four{tenon::dtype_code::uint_, 4, 1}, six{tenon::dtype_code::uint_, 6, 1};
  CHECK(bytes(four, {1}) == 1);
  CHECK(bytes(four, {9}) == 5);
  CHECK(bytes(six, {4}) == 3);
  CHECK(bytes(six, {5}) == 4);
  CHECK(bytes(six, {12}) == 9);
  CHECK(bytes(six, {15}) == 12);
  CHECK(bytes(six, {15}, true) == 15);
  CHECK(bytes(four, {0}) == 0);
  CHECK(bytes(tenon::uint8, {INT64_MAX}) == INT64_MAX);  // no step of the way overflows
  CHECK(bytes(four, {INT64_MAX}) == INT64_MAX / 2 + 1);
  CHECK((tenon::array_ref{}.read_only && !tenon::array_ref{}.padded));
}

TEST_CASE("what a batch must be: as the shape says, of any length where that is open, and not empty") {
  using tenon::dyn;
  using tenon::detail::first_unlike;
  CHECK(first_unlike({2, 3, 4}, {dyn, 3, 4}) == -1);
  CHECK(first_unlike({1, 3, 4}, {dyn, 3, 4}) == -1);
  CHECK(first_unlike({0, 3, 4}, {dyn, 3, 4}) == 0);
  CHECK(first_unlike({0, 3, 4}, {0, 3, 4}) == 0);
  CHECK(first_unlike({2, 3, 4}, {3, 3, 4}) == 0);
  CHECK(first_unlike({2, 3, 4}, {2, 2, 4}) == 1);
  CHECK(first_unlike({2, 3, 4}, {2, 3, 5}) == 2);
  CHECK(first_unlike({2, 0, 4}, {2, 0, 4}) == -1);  // later axes may be empty
  CHECK(first_unlike({2, 0, 4}, {2, dyn, 4}) == -1);
  CHECK(first_unlike({2, -1, 4}, {2, dyn, 4}) == 1);
  CHECK(first_unlike({}, {}) == -1);
}

TEST_CASE("an adapter is asked where its memory is") {
  far_image f;
  tenon::failure why;
  CHECK(tenon::detail::check_device("test", f, why) == errc::device);
  CHECK(why.message() == "[test] x: device: got cuda:1, expected cpu:0.");
  std::vector<float> v(2);
  CHECK(tenon::detail::check_device("test", v, why) == errc::ok);
  float x[2]{1, 2};
  const movable here{x, {}}, gone{x, {tenon::device_type::cuda_host, 0}};
  CHECK(tenon::as_view(here)(1) == 2);
  CHECK(code_of([&] { tenon::as_view(gone); }) == errc::device);
}
