// SPDX-License-Identifier: Apache-2.0
// The door of typed views: what the type promises is checked once, and the quick way of checking it agrees with the rules.
#include <tenon/tensor/typed_tensor.hpp>

#include <random>
#include <type_traits>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "producer.hpp"
#include "refused.hpp"

using namespace tenon;

TEST_CASE("E9 what a type does not promise is refused, with axis, got and expected") {
  versioned p({1, 2, 3, 4, 5, 6}, {3, 2});
  CHECK(refused<rows_of_three>(p).message() == "[view_as] shape: extent, axis 1: got 2, expected 3.");
  CHECK(refused<view<const float, dims<1>>>(p).message() == "[view_as] ndim: rank: got 2, expected 1.");
  CHECK(refused<view<const double, dims<2>>>(p).code == errc::dtype);
  CHECK(refused<view<float, dims<2>>>(p).code == errc::read_only);  // a bare DLTensor cannot say that it may be written
  CHECK(refused<view<float, dims<2>>>(p, {.assume_writable = true}).code == errc::ok);
  p.dl().device.device_type = 2;
  CHECK(refused<rows_of_three>(p).code == errc::device);
  CHECK(refused<view<const float, dims<2>, on_device<device_type::cpu, device_type::cuda>>>(p).code == errc::ok);
  p.dl().device.device_type = 33;  // 33 & 31 is 1
  CHECK(refused<rows_of_three>(p).code == errc::device);
  p.dl().device.device_type = 1 + 64;
  CHECK(refused<rows_of_three>(p).code == errc::device);
}

TEST_CASE("D5 alignment can be asked for in the type") {
  alignas(64) static float memory[64]{};
  versioned p({1}, {4});
  p.dl().data = memory;
  using line = view<const float, dims<1>, aligned<64>>;
  CHECK(refused<line>(p).code == errc::ok);
  p.dl().byte_offset = 16;
  const failure why = refused<line>(p);
  CHECK(why.code == errc::alignment);
  CHECK(why.got == 16);
  p.dl().byte_offset = 2;
  CHECK(refused<view<const float, dims<1>>>(p).code == errc::alignment);
}

TEST_CASE("D14 memory that elements share cannot be written: broadcast axes, sliding windows") {
  versioned broadcast({1, 2, 3}, {2, 3}, {0, 1}), windows({1, 2, 3, 4}, {2, 3}, {1, 1}),
      apart({1, 2, 3, 4, 5, 6}, {2, 3}, {1, 2});
  using V = view<float, dims<2>>;
  CHECK(refused<V>(broadcast, {.assume_writable = true}).code == errc::read_only);
  CHECK(refused<V>(windows, {.assume_writable = true}).code == errc::read_only);
  CHECK(refused<V>(apart, {.assume_writable = true}).code == errc::ok);
  CHECK(refused<view<const float, dims<2>>>(windows).code == errc::ok);
}

TEST_CASE("G3 a device without a number is refused, on any but the host") {
  versioned p({1, 2}, {2});
  using V = view<const float, dims<1>, on_device<device_type::cpu, device_type::cuda>>;
  p.dl().device = {1, -1};
  CHECK(refused<V>(p).code == errc::ok);
  p.dl().device = {2, -1};
  CHECK(refused<V>(p).code == errc::device);
  p.dl().device = {2, 3};
  CHECK(view_as<V>(p.dl()).device() == device{device_type::cuda, 3});
}

namespace {
/// One sample through both ways of checking.
template <class V>
bool ways_agree(const dl::tensor& t, std::uint64_t flags, bool writable) {
  V quick;
  const bool fits = detail::fits_plainly(t, flags, writable, quick);
  array_ref a;
  failure why;
  const errc c = detail::check_import(detail::read_tensor(t, flags, true), detail::request_of_view<V>("test"), {}, a, why);
  const bool rank_alone = !V::row_major && !V::column_major && V::alignment == alignof(float) && V::extents_type::d[1] == dyn;
  if (array_ref b; rank_alone) {  // the same where the type does not say the rank
    detail::import_request any = detail::request_of_element<typename V::element_type>();
    if (detail::comes_plainly(detail::read_tensor(t, flags, true), any, {}, b)) {
      array_ref d;
      const errc e = detail::check_import(detail::read_tensor(t, flags, true), any, {}, d, why);
      if (e != errc::ok || b.data != d.data || !(b.shape == d.shape) || !(b.strides == d.strides) || b.dtype != d.dtype ||
          b.device != d.device || b.read_only != d.read_only)
        return false;
    }
  }
  if (!fits) return true;  // says nothing
  const V slow = detail::view_of<V>(a);
  return c == errc::ok && quick.data() == slow.data() && quick.shape() == slow.shape() && quick.strides() == slow.strides();
}
}  // namespace

TEST_CASE("E9 the quick check accepts nothing that the rules refuse, and sees the same array") {
  std::mt19937_64 random{20261126};
  const auto below = [&](std::uint64_t n) { return static_cast<std::int64_t>(random() % n); };
  const auto extreme = [&]() -> std::int64_t {
    switch (below(8)) {
      case 0: return -below(3);
      case 1: return static_cast<std::int64_t>((std::uint64_t{1} << below(64)) + random() % 3 - 1);
      case 2: return INT64_MAX - below(3);
      case 3: return INT64_MIN + below(3);
      default: return 1 + below(4);
    }
  };
  int fitting = 0;
  for (int round = 0; round < (TENON_LONG ? 20'000'000 : 500'000); ++round) {
    std::int64_t shape[3]{extreme(), extreme(), extreme()}, strides[3]{extreme(), extreme(), extreme()};
    if (below(2)) {  // a good one, more or less
      strides[2] = 1;
      strides[1] = shape[2];
      if (below(4))
        strides[0] = static_cast<std::int64_t>(static_cast<std::uint64_t>(shape[1]) * static_cast<std::uint64_t>(shape[2]));
    }
    const auto base = below(10) == 0 ? 0 : below(4) ? 0x7f0000000000u + random() % 64 * 4 : random() >> below(60);
    const dl::tensor t{reinterpret_cast<void*>(base),
                       {below(20) ? 1 : static_cast<std::int32_t>(extreme()), below(20) ? 0 : -1},
                       below(20) ? 3 : 2,
                       {2, static_cast<std::uint8_t>(below(20) ? 32 : 64), static_cast<std::uint16_t>(below(20) ? 1 : 2)},
                       below(50) ? shape : nullptr,
                       below(5) ? strides : nullptr,
                       below(4) ? 0 : static_cast<std::uint64_t>(extreme())};
    const auto flags = static_cast<std::uint64_t>(below(5) ? 0 : below(16));
    const bool good = ways_agree<view<const float, dims<3>>>(t, flags, true) &&
                      ways_agree<view<float, dims<3>>>(t, flags, true) && ways_agree<view<float, dims<3>>>(t, flags, false) &&
                      ways_agree<view<const float, dims<3>, layout_right>>(t, flags, true) &&
                      ways_agree<view<const float, dims<3>, layout_left>>(t, flags, true) &&
                      ways_agree<view<const float, extents<dyn, 2, dyn>, aligned<16>>>(t, flags, true);
    if (!good) {
      CAPTURE(round, shape[0], shape[1], shape[2], strides[0], strides[1], strides[2], base, t.byte_offset, flags);
      REQUIRE(good);
    }
    view<const float, dims<3>> v;
    fitting += detail::fits_plainly(t, flags, true, v);
  }
  CHECK(fitting > 1000);
}

TEST_CASE("B5 options that ask for more than the quick check are heard by typed doors") {
  versioned p({1, 2, 3, 4}, {2, 2});
  using V = view<const float, dims<2>>;
  p.managed.version.minor = 3;
  tensor<const float, dims<2>> t;
  failure why;
  auto h = p.give();
  CHECK(try_from_dlpack(h, t, why, {.strict = true}) == errc::null_strides);
  CHECK_THROWS_AS((from_dlpack<const float, dims<2>>(std::move(h), {.strict = true})), error);
  CHECK(h);
  CHECK((from_dlpack<const float, dims<2>>(std::move(h), {.known_bytes = 16}))(1, 1) == 4);
  handle<> none;
  CHECK_THROWS_AS((from_dlpack<const float, dims<2>>(std::move(none))), error);
  versioned q({1, 2, 3, 4}, {2, 2}, {2, 1});
  CHECK(refused<V>(q, {.known_bytes = 15}).code == errc::overflow);
  CHECK(refused<V>(q, {.known_bytes = 16}).code == errc::ok);
  CHECK_THROWS_AS(view_as<V>(q.dl(), {.known_bytes = 15}), error);
  CHECK(view_as<V>(q.dl(), {.known_bytes = 16})(0, 1) == 2);
  q.dl().ndim = 1;
  CHECK_THROWS_AS(view_as<V>(q.dl()), error);
}

TEST_CASE("good arrays take the quick way, to the last byte that has an address") {
  const auto quick = []<class V>(std::type_identity<V>, std::vector<std::int64_t> shape, std::vector<std::int64_t> strides,
                                 std::uint64_t base = 0x1000, std::uint64_t offset = 0) {
    const dl::tensor t{reinterpret_cast<void*>(base),
                       {1, 0},
                       static_cast<std::int32_t>(shape.size()),
                       {2, 32, 1},
                       shape.data(),
                       strides.empty() ? nullptr : strides.data(),
                       offset};
    V v;
    array_ref a;
    const bool typed = detail::fits_plainly(t, 0, true, v);
    const bool counted =
        detail::comes_plainly(detail::read_tensor(t, 0, true), detail::request_of_element<typename V::element_type>(), {}, a);
    CHECK((!typed || reinterpret_cast<std::uintptr_t>(v.data()) == base + offset));
    return std::pair(typed, counted);
  };
  using both = std::pair<bool, bool>;
  const std::type_identity<view<const float, dims<2>>> any;
  const std::type_identity<view<float, dims<2>>> writable;
  const std::type_identity<view<const float, dims<2>, layout_left>> left;
  CHECK(quick(any, {2, 3}, {3, 1}) == both(true, true));
  CHECK(quick(any, {2, 3}, {}) == both(true, true));
  CHECK(quick(writable, {2, 3}, {4, 1}) == both(true, true));
  CHECK(quick(writable, {2, 1}, {1, 0}) == both(true, true));
  CHECK(quick(any, {2, 3}, {0, 1}) == both(true, false));  // broadcast: read-only where the type does not say so
  CHECK(quick(any, {2, 3}, {1, 2}) == both(true, false));  // column-major: whether it is writable takes a closer look
  CHECK(quick(left, {2, 3}, {1, 2}) == both(true, false));
  CHECK(quick(left, {1, 3}, {1, 1}) == both(true, true));
  CHECK(quick(writable, {2, 3}, {3, 1}, 4) == both(true, true));
  const auto last = static_cast<std::uint64_t>(INT64_MAX) - 3;  // of the last float
  CHECK(quick(any, {2, 3}, {3, 1}, last - 20) == both(true, true));
  CHECK(quick(any, {2, 3}, {3, 1}, last - 16) == both(false, false));
  CHECK(quick(any, {2, 3}, {3, 1}, 4, last - 24) == both(true, true));
  CHECK(quick(any, {1, 1}, {1, 1}, 4, last - 4) == both(true, true));
  CHECK(quick(any, {1, 1}, {1, 1}, 4, last) == both(false, false));
  CHECK(quick(std::type_identity<view<const float, dims<0>>>(), {}, {}) == both(true, true));
}

namespace {
struct elsewhere {
  static constexpr device_type type = device_type::ext;
};
struct loose {  // knows at run time what it holds
  array_ref said;
  errc code = errc::ok;
};
}  // namespace
template <>
struct tenon::adapter<loose> {
  static errc try_describe(const loose& l, array_ref& a, failure& why) noexcept {
    a = l.said;
    why = {};
    why.code = l.code;
    return l.code;
  }
};
TEST_CASE("view_as of what knows its device by kind alone, by number, or at run time what it is") {
  float x[6]{};
  const view<float, elsewhere> kind(x, {6});
  const auto v = view_as<view<float, dims<1>, elsewhere>>(kind);
  CHECK(v.device() == device{device_type::ext, device::any_number});
  CHECK((v.data() == x && v.extent_of(0) == 6));
  loose l{{x, float32, {device_type::ext, 4}, {2, 3}, {{3, 1}}, false}};
  const auto w = view_as<view<float, dims<2>, elsewhere>>(l);
  CHECK(w.device() == device{device_type::ext, 4});
  CHECK(w.strides() == strides{{3, 1}});
  view<float, dims<2>, elsewhere> to = w;
  failure why;
  l.code = errc::value;
  CHECK(try_view_as(l, to, why) == errc::value);
  l.code = errc::ok;
  l.said.read_only = true;
  CHECK(try_view_as(l, to, why) == errc::read_only);
  CHECK(why.message().starts_with("[view_as] "));
  l.said.device.id = -2;
  CHECK(try_view_as(l, to, why) == errc::device);
  CHECK(to.device() == device{device_type::ext, 4});
  CHECK(to.data() == x);
}

TEST_CASE("view_as has no place for a copy, and leaves what it could not fill") {
  versioned p({1, 2, 3}, {2});
  p.dl().byte_offset = 2;
  float x[1]{};
  const extent s[1]{1};
  view<const float, dims<1>> v(x, s, s);
  failure why;
  versioned good({4, 5}, {2});
  CHECK(view_as<view<const float, dims<1>>>(good.dl())(1) == 5);
  CHECK(try_view_as(good.dl(), v, why) == errc::ok);
  CHECK((v.data() == good.values.data() && v.numel() == 2 && v(1) == 5));
  for (const copy_policy policy : {copy_policy::never, copy_policy::if_needed})
    CHECK(try_view_as(p.dl(), v, why, {.copies = policy}) == errc::alignment);
  CHECK_THROWS_AS((view_as<view<const float, dims<1>>>(p.dl(), {.copies = copy_policy::if_needed})), error);
  p.dl().byte_offset = 4;
  CHECK(try_view_as(p.dl(), v, why, {.copies = copy_policy::always}) == errc::ok);
  CHECK((v.data() == p.values.data() + 1 && v(1) == 3));
  const auto before = bytes_moved().copied;
  CHECK(view_as<view<const float, dims<1>>>(p.dl(), {.copies = copy_policy::always}).data() == v.data());
  CHECK(bytes_moved().copied == before);
}

TEST_CASE("C2 read-only, padding and handles are seen by the quick check too") {
  versioned p({1, 2, 3}, {2}, {1});
  view<float, dims<1>> writable;
  view<const float, dims<1>> constant;
  CHECK(detail::fits_plainly(p.dl(), 0, true, writable));
  CHECK_FALSE(detail::fits_plainly(p.dl(), 0, false, writable));
  CHECK_FALSE(detail::fits_plainly(p.dl(), dl::flag_read_only, true, writable));
  CHECK_FALSE(detail::fits_plainly(p.dl(), dl::flag_subbyte_padded, true, writable));
  CHECK(detail::fits_plainly(p.dl(), dl::flag_read_only | dl::flag_is_copied, false, constant));
  CHECK_FALSE(detail::fits_plainly(p.dl(), dl::flag_subbyte_padded, true, constant));
  view<float, dims<1>, on_device<device_type::metal>> handles;
  p.dl().device = {8, 2};
  CHECK(detail::fits_plainly(p.dl(), 0, true, handles));
  CHECK(handles.device() == device{device_type::metal, 2});
  p.dl().byte_offset = 4;
  CHECK_FALSE(detail::fits_plainly(p.dl(), 0, true, handles));
  p.dl().device = {1, -1};
  CHECK(detail::fits_plainly(p.dl(), 0, true, writable));
  CHECK((writable.data() == p.values.data() + 1 && writable.device() == device{}));
  view<float, dims<1>, on_device<device_type::cpu, device_type::cuda>> either;
  p.dl().device = {2, 1};
  CHECK(detail::fits_plainly(p.dl(), 0, true, either));
  CHECK(either.device() == device{device_type::cuda, 1});
  p.dl().device = {3, 1};
  CHECK_FALSE(detail::fits_plainly(p.dl(), 0, true, either));
  p.dl().device = {12, -1};
  view<float, dims<1>, elsewhere> there;
  CHECK_FALSE(detail::fits_plainly(p.dl(), 0, true, there));
  p.dl().device = {12, 0};
  CHECK(detail::fits_plainly(p.dl(), 0, true, there));
  view<float, extents<2>> two;
  view<float, extents<3>> three;
  p.dl().device = {1, 0};
  CHECK(detail::fits_plainly(p.dl(), 0, true, two));
  CHECK_FALSE(detail::fits_plainly(p.dl(), 0, true, three));
  p.dl().dtype = {2, 32, 2};
  CHECK_FALSE(detail::fits_plainly(p.dl(), 0, true, two));
}
