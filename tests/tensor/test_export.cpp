// SPDX-License-Identifier: Apache-2.0
// The door out: what a consumer finds in the struct, and who keeps the memory alive.
#include <tenon/tensor/export.hpp>
#include <tenon/tensor/import.hpp>

#include <memory>
#include <thread>

#include "catch.hpp"
#include "producer.hpp"

using tenon::errc;
using tenon::tensor;
using tenon::to_dlpack;

TEST_CASE("B1 D3 E1 a versioned export: version 1.3, no flags, byte_offset 0, shape and strides") {
  tensor<float> t(tenon::shape{2, 3});
  t(1, 2) = 6;
  auto h = to_dlpack(t);
  CHECK(h->version.major == 1);
  CHECK(h->version.minor == 3);
  CHECK(h->flags == 0);
  const auto& d = h->dl_tensor;
  CHECK(d.byte_offset == 0);
  CHECK(d.data == t.data());
  CHECK(d.ndim == 2);
  CHECK((d.shape[0] == 2 && d.shape[1] == 3));
  CHECK((d.strides[0] == 3 && d.strides[1] == 1));
  CHECK((d.dtype.code == 2 && d.dtype.bits == 32 && d.dtype.lanes == 1));
  CHECK((d.device.device_type == 1 && d.device.device_id == 0));
}

TEST_CASE("C2 the read-only flag follows the type and the tensor's own mark") {
  tensor<float> t(tenon::shape{2});
  CHECK(to_dlpack(t)->flags == 0);
  CHECK(to_dlpack(tensor<const float>(t))->flags == tenon::dl::flag_read_only);
  tensor<float> marked(t.owner(), t.strided(), true);
  CHECK(to_dlpack(marked)->flags == tenon::dl::flag_read_only);
  CHECK(to_dlpack(tensor<>(marked))->flags == tenon::dl::flag_read_only);
  CHECK(to_dlpack(tensor<>(t))->flags == 0);
}

TEST_CASE("C5 read-only data in a legacy struct are refused; a copy passes") {
  tensor<float> t(tenon::shape{2});
  CHECK(to_dlpack<tenon::dl::managed_tensor>(t)->dl_tensor.data == t.data());
  const tensor<const float> c = t;
  tenon::handle<tenon::dl::managed_tensor> h;
  tenon::failure why;
  CHECK(tenon::try_to_dlpack(c, h, why) == errc::read_only);
  CHECK_FALSE(h);
  CHECK(std::string(why.remedy) == "Export it versioned, or a copy: to_dlpack(t, {.copies = tenon::copy_policy::if_needed}).");
  CHECK(to_dlpack<tenon::dl::managed_tensor>(tenon::copy(c))->dl_tensor.data != t.data());
}

TEST_CASE("D6 an empty tensor is exported with data NULL") {
  tensor<float> t(tenon::shape{3, 0});
  CHECK(t.numel() == 0);
  auto h = to_dlpack(t);
  CHECK(h->dl_tensor.data == nullptr);
  CHECK(h->dl_tensor.shape[0] == 3);
  CHECK(h->dl_tensor.strides != nullptr);
}

TEST_CASE("E2 rank 0 is exported with shape and strides NULL") {
  tensor<float> t(tenon::shape{});
  t[0] = 5;
  auto h = to_dlpack(t);
  CHECK(h->dl_tensor.ndim == 0);
  CHECK(h->dl_tensor.shape == nullptr);
  CHECK(h->dl_tensor.strides == nullptr);
  CHECK(*static_cast<float*>(h->dl_tensor.data) == 5);
}

TEST_CASE("a tensor that was never filled is no tensor to a consumer") {
  tenon::handle<> h;
  tenon::failure why;
  CHECK(tenon::try_to_dlpack(tensor<float>{}, h, why) == errc::null_data);
  CHECK(tenon::try_to_dlpack(tensor<>{}, h, why) == errc::null_data);
  CHECK(tensor<float>{}.numel() == 0);
  CHECK(tensor<>{}.numel() == 0);
}

TEMPLATE_TEST_CASE("H1 H6 each export is a struct of its own and keeps the memory alive until its deleter", "",
                   tenon::dl::managed_tensor, tenon::dl::managed_tensor_versioned) {
  auto alive = std::make_shared<int>(0);
  std::weak_ptr<int> watch = alive;
  float values[2] = {1, 2};
  auto t = tenon::borrow(tenon::view<float>(values, {2}), std::move(alive));
  auto a = to_dlpack<TestType>(t), b = to_dlpack<TestType>(t);
  CHECK(a.get() != b.get());
  CHECK(a->dl_tensor.shape != b->dl_tensor.shape);
  t = {};
  a.reset();
  CHECK_FALSE(watch.expired());
  TestType* raw = b.release();
  CHECK_FALSE(watch.expired());
  CHECK(static_cast<float*>(raw->dl_tensor.data)[1] == 2);
  raw->deleter(raw);
  CHECK(watch.expired());
}

TEST_CASE("H3 the deleter runs on another thread") {
  auto alive = std::make_shared<int>(0);
  std::weak_ptr<int> watch = alive;
  float values[1] = {1};
  auto* raw = to_dlpack(tenon::borrow(tenon::view<float>(values, {1}), std::move(alive))).release();
  std::thread([raw] { raw->deleter(raw); }).join();
  CHECK(watch.expired());
}

TEST_CASE("imported, exported and imported again: the first deleter runs once, at the end of the last") {
  versioned p({1, 2, 3, 4}, {2, 2}, {1, 2});
  {
    auto u = tenon::from_dlpack<float>(to_dlpack(tenon::from_dlpack(p.give())));
    CHECK(p.deleted == 0);
    CHECK(u.data() == p.values.data());
    CHECK(u(0, 1) == 3);
    auto v = tenon::from_dlpack<const float>(to_dlpack<tenon::dl::managed_tensor>(u));
    u = {};
    CHECK(p.deleted == 0);
    CHECK(v(1, 1) == 4);
  }
  CHECK(p.deleted == 1);
}

TEST_CASE("C6 I10 a copy for the consumer is flagged as his own, dense and writable, and counted") {
  tensor<float> t(tenon::shape{2, 3});
  t(1, 2) = 6;
  const tensor<const float> backwards(t.owner(), tenon::strided_view<const float>(t.data() + 5, {6}, {{-1}}));
  const auto before = tenon::bytes_moved().copied;
  auto h = to_dlpack(backwards, {.copies = tenon::copy_policy::always});
  CHECK(tenon::bytes_moved().copied - before == 24);
  CHECK(h->flags == tenon::dl::flag_is_copied);
  CHECK(h->dl_tensor.strides[0] == 1);
  CHECK(static_cast<float*>(h->dl_tensor.data)[0] == 6);
  auto old = to_dlpack<tenon::dl::managed_tensor>(tensor<>(backwards), {.copies = tenon::copy_policy::always});
  CHECK(static_cast<float*>(old->dl_tensor.data)[0] == 6);
  CHECK(to_dlpack(t)->flags == 0);
}

TEST_CASE("D22 negative strides can be kept from consumers that cannot take them") {
  tensor<float> t(tenon::shape{3});
  const tensor<float> backwards(t.owner(), tenon::strided_view<float>(t.data() + 2, {3}, {{-1}}));
  const tensor<float> single(t.owner(), tenon::strided_view<float>(t.data(), {1}, {{-1}}));
  CHECK(to_dlpack(backwards)->dl_tensor.strides[0] == -1);
  tenon::handle<> h;
  tenon::failure why;
  CHECK(tenon::try_to_dlpack(backwards, h, why, {.negative_strides = false}) == errc::not_dense);
  CHECK(why.axis == 0);
  CHECK_FALSE(h);
  CHECK(tenon::try_to_dlpack(single, h, why, {.negative_strides = false}) == errc::ok);
  CHECK(tenon::try_to_dlpack(t, h, why, {.negative_strides = false}) == errc::ok);
}

TEST_CASE("H1 a typed owner hands on what it owns, without a count") {
  versioned p({1, 2, 3, 4, 5, 6}, {2, 3});
  {
    auto t = tenon::from_dlpack<const float, tenon::extents<tenon::dyn, 3>>(p.give());
    tenon::handle<tenon::dl::managed_tensor> old;
    tenon::failure why;
    CHECK(tenon::try_to_dlpack(std::move(t), old, why) == errc::read_only);
    CHECK(t);
    auto h = to_dlpack(std::move(t));
    CHECK_FALSE(t);
    CHECK(h->flags == tenon::dl::flag_read_only);
    CHECK(h->dl_tensor.data == p.values.data());
    CHECK((h->dl_tensor.shape[1] == 3 && h->dl_tensor.strides[0] == 3));
    CHECK(p.deleted == 0);
  }
  CHECK(p.deleted == 1);
}

TEST_CASE("C5 D6 what can be said against an export is said by each of its forms") {
  const tensor<float> none;
  const tensor<> untyped;
  tensor<float> empty(tenon::shape{0, 2});
  const tensor<const float> constant = tensor<float>(tenon::shape{2});
  using old = tenon::dl::managed_tensor;
  CHECK_THROWS_AS(to_dlpack(none), tenon::error);
  CHECK_THROWS_AS(to_dlpack(untyped), tenon::error);
  CHECK_THROWS_AS(to_dlpack(none, {.copies = tenon::copy_policy::always}), tenon::error);
  CHECK_THROWS_AS(to_dlpack(none, {.negative_strides = false}), tenon::error);
  CHECK_THROWS_AS(to_dlpack<old>(constant), tenon::error);
  CHECK_THROWS_AS(to_dlpack<old>(tensor<>(constant)), tenon::error);
  CHECK(to_dlpack<old>(empty)->dl_tensor.data == nullptr);
  CHECK(to_dlpack(empty, {.copies = tenon::copy_policy::always})->dl_tensor.data == nullptr);
  CHECK(to_dlpack(empty, {.negative_strides = false})->dl_tensor.shape[1] == 2);
  tenon::handle<> h;
  tenon::failure why;
  CHECK(tenon::try_to_dlpack(empty, h, why, {.copies = tenon::copy_policy::always}) == errc::ok);
  CHECK(tenon::try_to_dlpack(untyped, h, why) == errc::null_data);
  tensor<const float, tenon::dims<1>> typed;
  CHECK(tenon::try_to_dlpack(std::move(typed), h, why) == errc::ok);  // no extent, no element: an array like any other
  CHECK(h->dl_tensor.data == nullptr);
  tensor<float, tenon::extents<2>> lost;
  CHECK(tenon::try_to_dlpack(std::move(lost), h, why) == errc::null_data);
  CHECK_THROWS_AS(to_dlpack(std::move(lost)), tenon::error);
}

TEST_CASE("if_needed copies what cannot go out as it is, and shares the rest") {
  tensor<float> t(tenon::shape{3});
  t[0] = 4;
  const tenon::export_options o{.copies = tenon::copy_policy::if_needed, .negative_strides = false};
  const tensor<float> backwards(t.owner(), tenon::strided_view<float>(t.data() + 2, {3}, {{-1}}));
  const tensor<const float> constant = t;
  using old = tenon::dl::managed_tensor;
  CHECK(to_dlpack(t, o)->dl_tensor.data == t.data());
  const auto h = to_dlpack(backwards, o);
  CHECK(h->dl_tensor.data != backwards.data());
  CHECK(h->flags == tenon::dl::flag_is_copied);
  CHECK(static_cast<float*>(h->dl_tensor.data)[2] == 4);
  CHECK(static_cast<float*>(to_dlpack<old>(constant, o)->dl_tensor.data)[0] == 4);
  CHECK(to_dlpack(constant, o)->flags == tenon::dl::flag_read_only);
  versioned p({1, 2, 3}, {3}, {-1});
  p.dl().byte_offset = 8;
  auto typed = tenon::from_dlpack<float, tenon::dims<1>>(p.give());
  tenon::handle<> out;
  tenon::failure why;
  CHECK(tenon::try_to_dlpack(std::move(typed), out, why, {.negative_strides = false}) == errc::not_dense);
  CHECK(typed);
  CHECK(static_cast<float*>(to_dlpack(std::move(typed), o)->dl_tensor.data)[0] == 3);
  CHECK_FALSE(typed);
  CHECK(p.deleted == 1);
}

namespace {
struct elsewhere {
  static constexpr tenon::device_type type = tenon::device_type::ext;
};
/// Everything that an export says, through the form that throws and the one that does not.
template <class M, class T, class D>
void says(const tensor<T, D>& t, std::uint64_t flags, tenon::device where, const tenon::export_options& o = {}) {
  tenon::handle<M> h;
  tenon::failure why;
  REQUIRE(tenon::try_to_dlpack(t, h, why, o) == errc::ok);
  const auto thrown = to_dlpack<M>(t, o);
  for (const M* m : {h.get(), thrown.get()}) {
    const auto& d = m->dl_tensor;
    const tenon::array_ref a = t.describe();
    if constexpr (tenon::versioned_struct<M>) {
      CHECK((m->version.major == 1 && m->version.minor == 3));
      CHECK(m->flags == flags);
    }
    CHECK(d.data == a.data);
    CHECK((d.device.device_type == static_cast<int>(where.type) && d.device.device_id == where.id));
    CHECK((d.dtype.code == static_cast<int>(a.dtype.code) && d.dtype.bits == a.dtype.bits && d.dtype.lanes == a.dtype.lanes));
    CHECK(d.byte_offset == 0);
    REQUIRE(d.ndim == a.shape.rank());
    for (int i = 0; i < d.ndim; ++i) CHECK((d.shape[i] == a.shape.d[i] && d.strides[i] == a.strides.d[i]));
  }
}
template <class M, class T>
errc refused(const tensor<T>& t, const tenon::export_options& o = {}) {
  tenon::handle<M> h;
  tenon::failure why;
  const errc c = tenon::try_to_dlpack(t, h, why, o);
  CHECK((c == why.code && c != errc::ok && !h));
  CHECK_THROWS_AS(to_dlpack<M>(t, o), tenon::error);
  CHECK(why.message().starts_with("[to_dlpack] "));
  return c;
}
using old = tenon::dl::managed_tensor;
using now = tenon::dl::managed_tensor_versioned;
}  // namespace

TEST_CASE("each form of an export says the same: the first one of a memory, and those beside it") {
  tensor<float> t(tenon::shape{2, 3, 4});
  const tensor<float> part(t.owner(), tenon::strided_view<float>(t.data() + 1, {2, 2}, {{7, 3}}));
  const tensor<float> marked(t.owner(), part.strided(), true);
  says<now>(part, 0, {});
  says<old>(part, 0, {});
  says<now>(tensor<>(part), 0, {});
  says<old>(tensor<>(part), 0, {});
  says<now>(marked, tenon::dl::flag_read_only, {});
  says<now>(tensor<>(marked), tenon::dl::flag_read_only, {});
  says<now>(tensor<const float>(part), tenon::dl::flag_read_only, {}, {.negative_strides = false});
  says<old>(part, 0, {}, {.copies = tenon::copy_policy::if_needed, .negative_strides = false});
  tensor<float> deep(tenon::shape{1, 2, 1, 2, 1, 2, 1, 2});  // of as many axes as there may be
  says<now>(deep, 0, {});
  says<now>(deep, 0, {}, {.negative_strides = false});
  for (int i = 0; i < 16; ++i) deep[i] = static_cast<float>(i);
  const auto out = to_dlpack(deep);  // in the block of the memory, beside its elements
  for (int i = 0; i < 16; ++i) CHECK(deep[i] == static_cast<float>(i));
  const tensor<float> broadcast(t.owner(), tenon::strided_view<float>(t.data(), {3, 2}, {{0, 1}}));
  says<now>(broadcast, 0, {}, {.negative_strides = false});  // a stride of 0 does not go backwards
  float x[2]{};
  says<now>(tenon::borrow(tenon::view<float, elsewhere>(x, {2}), 0, 6), 0, {tenon::device_type::ext, 6});
  says<old>(tensor<void, elsewhere>(tenon::borrow(tenon::view<float, elsewhere>(x, {2}), 0, 6)), 0, {tenon::device_type::ext, 6});
}

TEST_CASE("G6 parts of the host have no number, devices keep theirs") {
  versioned p({1, 2}, {2});
  for (const auto where : {tenon::device{tenon::device_type::cpu, 2}, tenon::device{tenon::device_type::cuda_host, 1}}) {
    tensor<> t;
    tenon::array_ref a{p.values.data(), tenon::float32, where, {2}, {{1}}, false};
    t = tensor<>(tenon::storage::allocate(8), a);
    CHECK(to_dlpack(t)->dl_tensor.device.device_id == 0);
    CHECK(to_dlpack(t)->dl_tensor.device.device_type == static_cast<int>(where.type));
  }
}

TEST_CASE("C5 C8 what a legacy struct cannot say is refused in each form") {
  tensor<float> t(tenon::shape{2});
  const tensor<float> marked(t.owner(), t.strided(), true);
  CHECK(refused<old>(marked) == errc::read_only);
  CHECK(refused<old>(tensor<>(marked)) == errc::read_only);
  CHECK(refused<old>(marked, {.negative_strides = false}) == errc::read_only);
  CHECK(refused<old>(tensor<float>()) == errc::null_data);
  CHECK(refused<old>(tensor<>(tensor<float>())) == errc::null_data);
  const tensor<float> nowhere(t.owner(), tenon::strided_view<float>(nullptr, {2}, {{1}}));
  for (const auto policy : {tenon::copy_policy::never, tenon::copy_policy::if_needed, tenon::copy_policy::always}) {
    CHECK(refused<now>(nowhere, {.copies = policy}) == errc::null_data);
    CHECK(refused<old>(tensor<>(nowhere), {.copies = policy}) == errc::null_data);
  }
  tenon::array_ref a = tensor<>(t).describe();
  a.padded = true;
  const tensor<> padded(t.owner(), a);
  CHECK(refused<old>(padded) == errc::dtype);
  CHECK(refused<old>(padded, {.negative_strides = false}) == errc::dtype);
  says<now>(padded, tenon::dl::flag_subbyte_padded, {});
  says<now>(padded, tenon::dl::flag_subbyte_padded, {}, {.negative_strides = false});
  a.read_only = true;
  says<now>(tensor<>(t.owner(), a), tenon::dl::flag_subbyte_padded | tenon::dl::flag_read_only, {});
}

TEST_CASE("I10 a copy at the door out is made where it is asked for, on the host, and nowhere else") {
  tensor<float> t(tenon::shape{2, 2});
  t(0, 1) = 5;
  float x[2]{};
  const auto there = tenon::borrow(tenon::view<float, elsewhere>(x, {2}), 0, 6);
  tenon::handle<> h = to_dlpack(t);
  const auto* before = h.get();
  tenon::failure why;
  CHECK(tenon::try_to_dlpack(there, h, why, {.copies = tenon::copy_policy::always}) == errc::device);
  CHECK(why.message().starts_with("[to_dlpack] what is to be copied"));
  CHECK(h.get() == before);
  CHECK(tenon::try_to_dlpack(there, h, why, {.copies = tenon::copy_policy::if_needed}) == errc::ok);
  CHECK(h->dl_tensor.data == x);
  // One axis of three goes backwards, one that has a single element need not be looked at.
  const tensor<float> turned(t.owner(), tenon::strided_view<float>(t.data() + 2, {1, 2, 2}, {{-9, -2, 1}}));
  CHECK(tenon::try_to_dlpack(turned, h, why, {.negative_strides = false}) == errc::not_dense);
  CHECK(why.axis == 1);
  CHECK(h->dl_tensor.data == x);
  const auto moved = tenon::bytes_moved().copied;
  CHECK(to_dlpack(turned, {.copies = tenon::copy_policy::if_needed})->dl_tensor.data == turned.data());
  CHECK(tenon::bytes_moved().copied == moved);
  const tensor<const float> constant = t;
  CHECK(to_dlpack(constant, {.copies = tenon::copy_policy::if_needed})->dl_tensor.data == t.data());
  const auto copied = to_dlpack<old>(constant, {.copies = tenon::copy_policy::if_needed});
  CHECK((copied->dl_tensor.data != t.data() && static_cast<float*>(copied->dl_tensor.data)[1] == 5));
  CHECK(tenon::bytes_moved().copied == moved + 16);
}

namespace {
struct longer {  // somebody's struct with more in it than ours
  tenon::dl::tensor dl_tensor;
  void* manager_ctx;
  void (*deleter)(longer*);
  std::byte more[32];
};
/// Whether the quick way out is taken.
template <class M, class T>
bool plainly(const tensor<T>& t) {
  return static_cast<bool>(tenon::own(tenon::detail::export_plainly<M>(t)));
}
}  // namespace
TEST_CASE("the quick way out serves all that needs no word, and the room of a block all that fits") {
  tensor<float> t(tenon::shape{2});
  const tensor<float> marked(t.owner(), t.strided(), true);
  tenon::array_ref a = tensor<>(t).describe();
  a.padded = true;
  const tensor<> padded(t.owner(), a);
  CHECK((plainly<now>(t) && plainly<old>(t) && plainly<now>(tensor<>(t)) && plainly<old>(tensor<>(t))));
  CHECK((plainly<now>(marked) && plainly<now>(tensor<>(marked)) && plainly<now>(padded)));
  CHECK_FALSE((plainly<old>(marked) || plainly<old>(tensor<>(marked)) || plainly<old>(padded)));
  CHECK_FALSE((plainly<now>(tensor<float>()) || plainly<now>(tensor<>())));
  const auto room_is_free = [&] {
    const bool is = t.owner().take_room() != nullptr;
    if (is) t.owner().give_room_back();
    return is;
  };
  CHECK(room_is_free());
  {
    const auto h = to_dlpack<now>(t);
    CHECK_FALSE(room_is_free());
  }
  CHECK(room_is_free());
  static_assert(sizeof(longer) + 2 * tenon::max_rank * sizeof(std::int64_t) > tenon::storage::room_bytes);
  const auto h = to_dlpack<longer>(t);
  CHECK(room_is_free());
  CHECK((h->dl_tensor.data == t.data() && h->dl_tensor.shape[0] == 2));
  using tenon::detail::any_view;  // those that to_dlpack refuses by name
  static_assert(any_view<tenon::view<float>> && any_view<tenon::view<float, tenon::dims<1>>>);
  static_assert(any_view<tenon::strided_view<const float>> && !any_view<tensor<float>> && !any_view<int>);
}
