// SPDX-License-Identifier: Apache-2.0
// Owners that promise in the type: what comes in, who lets go of it and when, copies where they are asked for, and the other doors.
#include <tenon/tensor/export.hpp>
#include <tenon/tensor/typed_tensor.hpp>

#include <memory>
#include <type_traits>
#include <utility>

#include "catch.hpp"
#include "producer.hpp"

using namespace tenon;

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

TEST_CASE("H1 what is assigned to itself, or from what it owns, keeps its memory") {
  versioned p({1, 2}, {2}), q({3}, {1});
  tensor<float, dims<1>> t = from_dlpack<float, dims<1>>(p.give());
  auto& same = t;
  t = std::move(same);
  CHECK(p.deleted == 0);
  CHECK(t(1) == 2);
  detail::erased_owner none;
  none = detail::erased_owner{};
  none.reset();
  struct link {
    tensor<float, dims<1>> next;
  };
  auto first = std::make_unique<link>();
  first->next = from_dlpack<float, dims<1>>(q.give());
  auto& next = first->next;
  float x[1]{9};
  const extent s[1]{1};
  t = borrow(view<float, dims<1>>(x, s, s), std::move(first));
  CHECK(p.deleted == 1);
  CHECK(t(0) == 9);
  t = std::move(next);  // the link goes, and what it held stays
  CHECK(q.deleted == 0);
  CHECK(t(0) == 3);
  t.reset();
  CHECK(q.deleted == 1);
  CHECK_FALSE(t);
}

TEST_CASE("H5 typed imports of either form and generation, over what was there before") {
  versioned p({1, 2, 3}, {3}, {1}), bad({1}, {2});
  legacy q({4, 5}, {2}, {1});
  tensor<const float, dims<1>> t;
  failure why;
  auto h = p.give();
  view<float, dims<1>> quick;
  CHECK(detail::comes_in_plainly(h, {}, quick));  // a versioned struct may be written unless it says otherwise
  CHECK_FALSE(detail::comes_in_plainly(h, {.strict = true}, quick));
  CHECK(try_from_dlpack(h, t, why) == errc::ok);
  CHECK_FALSE(h);
  CHECK((t.data() == p.values.data() && t.numel() == 3 && t.rank() == 1 && t[2] == 3));
  CHECK((t.shape() == shape{3} && t.strides() == strides{{1}}));
  auto old = q.give();
  tensor<float, dims<1>> writable;
  CHECK(try_from_dlpack(old, writable, why) == errc::read_only);
  CHECK(old);
  CHECK(try_from_dlpack(old, writable, why, {.assume_writable = true}) == errc::ok);
  CHECK(writable[1] == 5);
  writable.reset();
  CHECK(q.deleted == 1);
  q.shape = {2};
  q.values = {4, 5};
  q.dl().data = q.values.data();
  CHECK((from_dlpack<float, dims<1>>(q.give(), {.assume_writable = true}))[0] == 4);
  CHECK(q.deleted == 2);
  CHECK_THROWS_AS((from_dlpack<float, dims<1>>(q.give())), error);
  CHECK(q.deleted == 3);  // the handle was a temporary: it owned until the end of the line
  bad.dl().ndim = -1;
  auto wrong = bad.give();
  CHECK(try_from_dlpack(wrong, t, why) == errc::rank);
  CHECK((t && p.deleted == 0));
  import_report report;
  CHECK(try_from_dlpack(wrong, t, why, {.report = &report}) == errc::rank);
  static_cast<void>(wrong.release());
  versioned again({7, 8}, {2}, {1});
  h = again.give();
  CHECK(try_from_dlpack(h, t, why, {.copies = copy_policy::always, .report = &report}) == errc::ok);
  CHECK((p.deleted == 1 && again.deleted == 1 && !h && report.copied));
  CHECK(t[1] == 8);
}

TEST_CASE("share: an empty array, a reversed one, bytes and number of the device; the owner is then empty") {
  versioned none({1}, {0, 2}), back({1, 2, 3}, {3}, {-1}), there({1, 2}, {2});
  failure why;
  {
    auto t = from_dlpack<float, dims<2>>(none.give());
    CHECK_FALSE(t);
    tensor<float> to;
    CHECK(t.try_share(to, why) == errc::ok);
    CHECK(to.shape() == shape{0, 2});
    CHECK(to.owner().bytes() == 0);
    CHECK(none.deleted == 0);
  }
  CHECK(none.deleted == 1);
  back.dl().byte_offset = 8;
  auto t = from_dlpack<float, dims<1>>(back.give());
  tensor<float> to;
  CHECK(t.try_share(to, why) == errc::ok);
  CHECK((!t && t.data() == nullptr && t.numel() == 0));
  CHECK((to[0] == 3 && to[2] == 1 && to.owner().bytes() == 12 && to.owner().sole()));
  CHECK(to.strides()[0] == -1);
  CHECK_THROWS_AS((tensor<float, extents<2>>().share()), error);
  const extent two[1]{2};
  tensor<float, dims<1>> nowhere(view<float, dims<1>>(nullptr, two, two), {});
  CHECK(nowhere.try_share(to, why) == errc::null_data);
  CHECK(to[0] == 3);
  CHECK((tensor<float, dims<1>>().try_share(to, why) == errc::ok && to.shape() == shape{0}));
  there.dl().device = {2, 3};
  tensor<float, elsewhere> far;
  auto d = from_dlpack<float, dims<1>, elsewhere>(there.give());
  CHECK(d.try_share(far, why) == errc::ok);
  CHECK((far.owner().device() == 3 && far.describe().device == device{device_type::cuda, 3}));
}

TEST_CASE("borrow: a typed view with whoever keeps it alive, over what was there before") {
  versioned p({1}, {1}, {1});
  float x[6]{1, 2, 3, 4, 5, 6};
  const extent s[2]{2, 3}, by[2]{3, 1};
  tensor<float, dims<1>> before = from_dlpack<float, dims<1>>(p.give());
  failure why;
  auto alive = std::make_shared<int>(1);
  const std::weak_ptr<int> watch = alive;
  CHECK(try_borrow(view<float, dims<1>>(x, s + 1, by + 1), std::move(alive), before, why) == errc::ok);
  CHECK(p.deleted == 1);
  CHECK((before(2) == 3 && !watch.expired()));
  const auto counted = std::move(before).share();
  CHECK((counted.numel() == 3 && !watch.expired()));
  const auto rows = borrow(view<float, extents<2, 3>, layout_right>(x, s, by), counted);
  CHECK(rows(1, 2) == 6);
  CHECK(copy(rows)[5] == 6);
  const auto there = borrow(view<float, dims<1>, elsewhere>(x, s, by, {device_type::cuda, 4}), 0);
  CHECK(there.view().device().id == 4);
}
