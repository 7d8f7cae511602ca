// SPDX-License-Identifier: Apache-2.0
// Views and owners that promise rank, extents, layout, alignment and device in the type: what is promised is checked once, and the quick
// way of checking it agrees with the rules.
#include <tenon/tensor/export.hpp>
#include <tenon/tensor/typed_tensor.hpp>

#include <array>
#include <memory>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

#include "catch.hpp"
#include "producer.hpp"

using namespace tenon;

namespace {
using rows_of_three = view<const float, extents<dyn, 3>>;
template <class V, class P>
failure refused(P& p, const import_options& o = {}) {
  V v;
  failure why;
  const errc c = try_view_as(p.dl(), v, why, o);
  CHECK((c == errc::ok) == !why);
  CHECK((c == errc::ok || !v));
  return why;
}
}  // namespace

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

TEST_CASE("H1 a typed import owns without a heap block, moves, and deletes once") {
  versioned p({1, 2, 3, 4, 5, 6}, {2, 3}), next({1, 2, 3}, {1, 3});
  {
    auto t = from_dlpack<float, extents<dyn, 3>>(p.give());
    static_assert(!std::is_copy_constructible_v<decltype(t)>);
    CHECK(t(1, 2) == 6);
    auto moved = std::move(t);
    CHECK_FALSE(t);
    CHECK(moved.view()(0, 1) == 2);
    CHECK(p.deleted == 0);
    moved = from_dlpack<float, extents<dyn, 3>>(next.give());
    CHECK(p.deleted == 1);
    CHECK(moved(0, 2) == 3);
  }
  CHECK(p.deleted == 1);
  CHECK(next.deleted == 1);
  legacy q({1, 2, 3}, {3});
  {
    auto counted = from_dlpack<const float, dims<1>>(q.give()).share();
    const auto copy = counted;
    CHECK(copy[2] == 3);
    CHECK(q.deleted == 0);
    CHECK(to_dlpack(copy)->dl_tensor.data == q.values.data());
  }
  CHECK(q.deleted == 1);
}

TEST_CASE("H5 a refused typed import leaves the handle owning") {
  versioned p({1, 2}, {2});
  auto h = p.give();
  tensor<float, extents<3>> t;
  failure why;
  CHECK(try_from_dlpack(h, t, why) == errc::extent);
  CHECK(h);
  CHECK(p.deleted == 0);
  p.managed.version.major = 2;
  CHECK(try_from_dlpack(h, t, why) == errc::version);
  p.managed.version.major = 0;
  CHECK(try_from_dlpack(h, t, why) == errc::version);
  handle<> none;
  CHECK(try_from_dlpack(none, t, why) == errc::null_handle);
}

TEST_CASE("the copy policy says what happened, and why") {
  import_report report;
  const auto before = bytes_moved().copied;
  {
    versioned p({1, 2, 3}, {2});
    p.dl().byte_offset = 2;
    auto t = from_dlpack<float>(p.give(), {.copies = copy_policy::if_needed, .report = &report});
    CHECK(report.copied);
    CHECK(report.reason == copy_reason::misaligned);
    CHECK(report.bytes == 8);
    CHECK(p.deleted == 1);
  }
  {
    versioned p({1, 2, 3, 4, 5, 6}, {2, 3}, {1, 2});
    auto t = from_dlpack<const float, dims<2>, layout_right>(p.give(), {.copies = copy_policy::if_needed, .report = &report});
    CHECK(report.reason == copy_reason::layout);
    CHECK(t(0, 1) == 3);
    CHECK(t(1, 2) == 6);
    versioned q({1, 2, 3, 4, 5, 6}, {2, 3}, {3, 1});
    auto u = from_dlpack<const float, dims<2>, layout_left>(q.give(), {.copies = copy_policy::if_needed, .report = &report});
    CHECK(report.copied);
    CHECK(u(0, 1) == 2);
    CHECK(u(1, 0) == 4);
    CHECK(u.data()[1] == 4);
  }
  {
    versioned p({1, 2}, {2});
    p.managed.flags = dl::flag_read_only;
    auto t = from_dlpack<float>(p.give(), {.copies = copy_policy::if_needed, .report = &report});
    CHECK(report.reason == copy_reason::read_only);
    t[0] = 9;
    CHECK(t[1] == 2);
  }
  CHECK(bytes_moved().copied - before == 8 + 24 + 24 + 8);
  versioned p({1, 2}, {2});
  p.managed.flags = dl::flag_is_copied;
  auto shared = from_dlpack<float>(p.give(), {.copies = copy_policy::if_needed, .report = &report});
  CHECK_FALSE(report.copied);
  CHECK(report.producer_copied);
  CHECK(shared.data() == p.values.data());
  versioned q({1, 2}, {3});
  CHECK(q.refused<double>({.copies = copy_policy::if_needed}).code == errc::dtype);  // no copy mends a type
  versioned wide({1, 2}, {2});
  auto page = from_dlpack<float>(wide.give(), {.copies = copy_policy::if_needed, .alignment = 4096, .report = &report});
  CHECK(reinterpret_cast<std::uintptr_t>(page.data()) % 4096 == 0);
  CHECK(page[1] == 2);
}

TEST_CASE("D6 where the producer's memory is known, nothing reaches outside of it") {
  versioned p({1, 2, 3, 4}, {2, 2}, {2, 1});
  CHECK(p.refused<float>({.known_bytes = 16}).code == errc::ok);
  p.deleted = 0;
  p.shape = {2, 2};
  p.dl().shape = p.shape.data();
  const failure why = p.refused<float>({.known_bytes = 15});
  CHECK(why.message() == "[from_dlpack] bytes of the memory that is there: overflow: got 16, expected at most 15.");
  versioned back({1, 2}, {2}, {-1});
  CHECK(back.refused<float>({.known_bytes = 8}).code == errc::overflow);
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

TEST_CASE("D5 a copy keeps the alignment that the type promises") {
  struct alignas(128) wide {
    float v[32];
  };
  for (int i = 0; i < 4; ++i) {
    versioned p({1, 2, 3}, {2});
    p.dl().byte_offset = 4;
    auto t = from_dlpack<const float, dims<1>, aligned<4096>>(p.give(), {.copies = copy_policy::if_needed});
    CHECK(reinterpret_cast<std::uintptr_t>(t.data()) % 4096 == 0);
    CHECK(t[1] == 3);
  }
  for (const std::size_t odd : {std::size_t{48}, ~std::size_t{0}, std::size_t{1} << 40}) {
    versioned p({1, 2}, {2});
    for (const copy_policy policy : {copy_policy::never, copy_policy::if_needed, copy_policy::always})
      CHECK(p.refused<float>({.copies = policy, .alignment = odd}).code == errc::value);
  }
}

namespace {
struct elsewhere {
  static constexpr device_type type = device_type::cuda;
};
struct clouds {
  static constexpr device_type type = device_type::opencl;
};
}  // namespace
TEST_CASE("G6 a typed owner knows the number of its device") {
  versioned p({1, 2}, {2});
  p.dl().device = {2, 5};
  auto t = from_dlpack<float, dims<1>, elsewhere>(p.give());
  CHECK(t.view().device() == device{device_type::cuda, 5});
  CHECK(to_dlpack(std::move(t))->dl_tensor.device.device_id == 5);
  p.shape = {2};
  auto counted = from_dlpack<float, dims<1>, elsewhere>(p.give()).share<elsewhere>();
  CHECK(counted.describe().device.id == 5);
  CHECK(sizeof(view<float, dims<2>, layout_right>) == sizeof(void*) + 2 * sizeof(extent));
}

TEST_CASE("G3 a copy is host memory, so a type that does not allow that is refused, with the first cause") {
  versioned pinned({1, 2, 3}, {2});
  pinned.dl().device = {3, 0};
  pinned.dl().byte_offset = 2;
  tensor<const float, dims<1>, on_device<device_type::cuda_host>> t;
  failure why;
  auto h = pinned.give();
  CHECK(try_from_dlpack(h, t, why, {.copies = copy_policy::if_needed}) == errc::alignment);
  CHECK(try_from_dlpack(h, t, why, {.copies = copy_policy::always}) == errc::device);
  tensor<const float, dims<1>, on_device<device_type::cuda_host, device_type::cpu>> either;
  CHECK(try_from_dlpack(h, either, why, {.copies = copy_policy::if_needed}) == errc::ok);
  CHECK(either.view().device().type == device_type::cpu);
}

TEST_CASE("D3 a handle is no address: an offset to one is refused") {
  versioned p({1, 2, 3}, {2});
  p.dl().device = {4, 0};
  tensor<float, clouds> t;
  tensor<float, dims<1>, clouds> typed;
  failure why;
  auto h = p.give();
  CHECK(try_from_dlpack(h, t, why) == errc::ok);
  h = p.give();
  CHECK(try_from_dlpack(h, typed, why) == errc::ok);
  p.dl().byte_offset = 4;
  h = p.give();
  CHECK(try_from_dlpack(h, t, why) == errc::value);
  CHECK(try_from_dlpack(h, typed, why) == errc::value);
}

TEST_CASE("a typed owner goes through the other doors: views, copies, borrows") {
  versioned p({1, 2, 3, 4, 5, 6}, {2, 3});
  auto owned = from_dlpack<float, extents<dyn, 3>>(p.give());
  CHECK(view_as<view<float, extents<2, 3>, layout_right>>(owned)(1, 2) == 6);
  CHECK(copy(owned)[3] == 4);
  CHECK(as_view(owned.view())(0, 1) == 2);
  auto kept = borrow(owned.view(), std::make_unique<int>(7));
  CHECK(kept(1, 0) == 4);
  CHECK(to_dlpack(std::move(kept))->dl_tensor.shape[1] == 3);
  const tensor<float, extents<2, 3>> none;
  CHECK(none.numel() == 0);
  tensor<float, extents<2, 3>> moved;
  tensor<float> to;
  failure why;
  CHECK(moved.try_share(to, why) == errc::null_data);
}
