// SPDX-License-Identifier: Apache-2.0
// Tensors whose element type is known, to the compiler or at run time: copies share, moves empty, and what they say of themselves.
#include <tenon/tensor/export.hpp>
#include <tenon/tensor/import.hpp>
#include <tenon/tensor/tensor.hpp>

#include <memory>
#include <memory_resource>
#include <type_traits>
#include <utility>

#include "catch.hpp"
#include "producer.hpp"

using namespace tenon;

namespace {
struct elsewhere {
  static constexpr device_type type = device_type::ext;
};
template <class T>
auto seventh() {  // two rows of three, with a mark
  static float x[6]{1, 2, 3, 4, 5, 6};
  return tensor<T>(tensor<float>(borrow(view<float>(x, {2, 3}), 0).owner(), strided_view<float>(x, {3, 2}, {{1, 3}}), true, 7));
}
}  // namespace

TEMPLATE_TEST_CASE("a tensor that is moved from is empty; one moved to itself is as it was", "", float, void) {
  auto t = seventh<TestType>();
  const auto holder = t.owner();
  auto moved = std::move(t);
  CHECK_FALSE(t);
  CHECK_FALSE(t.owner());
  CHECK((t.data() == nullptr && t.numel() == 0 && t.rank() == 0 && t.stamp() == 0));
  CHECK((moved.shape() == shape{3, 2} && moved.strides() == strides{{1, 3}} && moved.stamp() == 7));
  CHECK((moved.read_only() && !moved.dense() && moved.numel() == 6 && moved.rank() == 2));
  t = std::move(moved);
  CHECK_FALSE(moved);
  CHECK_FALSE(moved.owner());
  CHECK((moved.numel() == 0 && moved.rank() == 0 && moved.stamp() == 0));
  CHECK((t.shape() == shape{3, 2} && t.strides() == strides{{1, 3}} && t.stamp() == 7));
  CHECK((t.read_only() && !t.dense() && t.numel() == 6));
  auto& same = t;
  t = std::move(same);
  CHECK((t && t.owner() && t.numel() == 6 && t.stamp() == 7));
  t = same;
  CHECK((t && t.owner() && t.numel() == 6));
  const auto copy = t;
  CHECK((copy.data() == t.data() && copy.stamp() == 7 && copy.numel() == 6));
  t.reset();
  CHECK((!t && !t.owner() && t.stamp() == 0 && t.rank() == 0));
  CHECK(copy);
  CHECK_FALSE(holder.sole());
}

TEMPLATE_TEST_CASE("H1 a tensor that is assigned from what it owns keeps that alive", "", float, void) {
  struct link {
    tensor<TestType> next;
  };
  for (const bool moves : {false, true}) {
    versioned p({3, 4}, {2});
    {
      auto first = std::make_shared<link>();
      first->next = from_dlpack<TestType>(p.give());
      auto& next = first->next;
      float x[1]{9};
      tensor<TestType> t = borrow(view<float>(x, {1}), std::move(first));
      if (moves) t = std::move(next);
      else t = next;
      CHECK(p.deleted == 0);
      CHECK((t.numel() == 2 && t.data() == p.values.data() && t.owner().sole()));
    }
    CHECK(p.deleted == 1);
  }
}

TEST_CASE("what a tensor is made of is what it says") {
  float x[6]{1, 2, 3, 4, 5, 6};
  tensor<float> t({2, 3});
  const auto v = strided_view<float>(x, {2, 3}, {{3, 1}});
  const tensor<float> plain(t.owner(), v), marked(t.owner(), v, true, 9);
  CHECK_FALSE(plain.read_only());
  CHECK(plain.stamp() == 0);
  CHECK((marked.read_only() && marked.stamp() == 9));
  CHECK(tensor<const float>(t.owner(), v, false).read_only());
  CHECK(tensor<const float>(t.owner(), v).read_only());
  const tensor<const float> constant = marked;
  CHECK((constant.stamp() == 9 && constant.owner() && constant.data() == x && constant.dense()));
  CHECK((tensor<float>().dense() && !tensor<float>().read_only() && tensor<const float>().read_only()));
  CHECK((plain[5] == 6 && plain(1, 0) == 4));
  CHECK(view<float>(plain)[5] == 6);
  CHECK(view<const float>(plain)[4] == 5);
  const tensor<float> columns(t.owner(), strided_view<float>(x, {2, 3}, {{1, 2}}));
  CHECK_THROWS_AS(columns.view(), error);
  CHECK(as_view(columns)(1, 2) == 6);
  const tensor<> untyped = marked;
  CHECK((untyped.stamp() == 9 && untyped.read_only() && untyped.dense() && untyped.dtype() == float32));
  CHECK((untyped.device() == device{} && untyped.numel() == 6 && untyped.rank() == 2 && untyped.strides()[0] == 3));
  CHECK(tensor<>(columns).numel() == 6);
  CHECK_FALSE(tensor<>(columns).dense());
  CHECK((tensor<>().numel() == 0 && !tensor<>() && tensor<>().read_only()));
}

TEST_CASE("a tensor on another device says which one") {
  float x[1]{};
  const strided_view<float, elsewhere> v(x, {1}, {{1}});
  const auto there = borrow(v, 0, 3);
  CHECK(there.describe().device == device{device_type::ext, 3});
  CHECK(borrow(view<float, elsewhere>(x, {1}), 0, 4).describe().device.id == 4);
  CHECK(there.owner().bytes() == 4);
  CHECK(tensor<void, elsewhere>(there).device() == device{device_type::ext, 3});
  failure why;
  tensor<float, elsewhere> to;
  CHECK(try_borrow(v, 0, to, why) == errc::ok);
  CHECK(to.describe().device.id == 0);
}

TEST_CASE("fresh tensors take their memory where they are told") {
  struct refuses {
    void* allocate(std::size_t, std::size_t) { return nullptr; }
    void deallocate(void*, std::size_t, std::size_t) {}
  } none;
  alignas(64) std::byte room[4096];
  std::pmr::monotonic_buffer_resource arena(room, sizeof room, std::pmr::null_memory_resource());
  const tensor<int> t({2, 3}, &arena);
  const auto inside = [&](const void* p) { return p >= room && p < room + sizeof room; };
  CHECK(inside(t.data()));
  CHECK(inside(copy(t, &arena).data()));
  CHECK(inside(copy(tensor<>(t), &arena).data()));
  CHECK((t.owner().bytes() == 24 && t.owner().sole() && t.dense() && !t.read_only()));
  tensor<int> to = t;
  tensor<> untyped = t;
  failure why;
  CHECK(tensor<int>::try_zeros({2}, to, why, &none) == errc::no_memory);
  CHECK(try_copy(t, to, why, &none) == errc::no_memory);
  CHECK(try_copy(tensor<>(t), untyped, why, &none) == errc::no_memory);
  CHECK((to.data() == t.data() && untyped.data() == t.data()));
  CHECK(tensor<int>::try_zeros({-2, 3}, to, why) == errc::negative_extent);
  CHECK(why.axis == 0);
  CHECK(tensor<int>::try_zeros({3, -1}, to, why) == errc::negative_extent);
  CHECK(why.message() == "[tensor] shape: negative extent, axis 1: got -1, expected at least 0.");
  CHECK(tensor<int>::try_zeros({0, 3}, to, why) == errc::ok);
  CHECK((to.numel() == 0 && to && to.shape() == shape{0, 3}));
  CHECK(tensor<int>(shape{}).numel() == 1);
}

TEST_CASE("fresh tensors are zero to their last byte, and nothing behind it is written") {
  struct between {
    alignas(64) unsigned char room[1024];
    std::size_t given = 0;
    void* allocate(std::size_t n, std::size_t) {
      for (auto& b : room) b = 0xaa;
      given = n;
      return room;
    }
    void deallocate(void*, std::size_t, std::size_t) {}
  } from;
  const tensor<int> t({3, 7}, &from);
  for (int i = 0; i < 21; ++i) CHECK(t[i] == 0);
  REQUIRE(from.given < sizeof from.room);
  for (std::size_t i = from.given; i < sizeof from.room; ++i) CHECK(from.room[i] == 0xaa);
}

TEST_CASE("a copy of what is known at run time: dense, its own, refused where there is nothing") {
  const auto columns = seventh<void>();
  const auto before = bytes_moved().copied;
  const tensor<> dense = copy(columns);
  CHECK(bytes_moved().copied - before == 24);
  CHECK((dense.dense() && dense.shape() == shape{3, 2} && !dense.read_only() && dense.stamp() == 0));
  CHECK(dense.as<const float>()[1] == 4);
  tensor<> to = dense;
  failure why;
  CHECK(try_copy(tensor<>(), to, why) == errc::null_data);
  CHECK(to.data() == dense.data());
  CHECK_THROWS_AS(copy(tensor<>()), error);
  versioned empty({1}, {0, 2});
  CHECK(copy(from_dlpack(empty.give())).shape() == shape{0, 2});
}

TEST_CASE("as: the same memory with its element type in the C++ type, or why not") {
  const auto marked = seventh<void>();
  tensor<float> to;
  tensor<const float> constant;
  tensor<int> numbers;
  failure why;
  CHECK(marked.try_as(to, why) == errc::read_only);
  CHECK(marked.try_as(numbers, why) == errc::dtype);
  CHECK((why.got == float32.packed() && why.expected == int32.packed()));
  CHECK_FALSE(to);
  CHECK(marked.try_as(constant, why) == errc::ok);
  CHECK((constant.data() == marked.data() && constant.stamp() == 7 && constant.read_only() && constant.owner()));
  CHECK((constant.shape() == shape{3, 2} && constant.strides() == strides{{1, 3}}));
  CHECK_THROWS_AS(marked.as<float>(), error);
  tensor<float> own(shape{2});
  own[1] = 5;
  const tensor<> untyped = own;
  CHECK(untyped.try_as(to, why) == errc::ok);
  CHECK((to[1] == 5 && !to.read_only()));
  array_ref odd = untyped.describe();
  odd.data = static_cast<std::byte*>(odd.data) + 1;
  CHECK(tensor<>(own.owner(), odd).try_as(to, why) == errc::alignment);
  CHECK((why.got == 1 && to[1] == 5));
}

TEST_CASE("D5 an element wider than our boundary keeps its alignment in a copy") {
  struct alignas(256) page {
    float first;
  };
  static_assert(alignof(page) > alignment);
  // Of such an element no dtype is known, so the form that try_copy gives is asked for directly.
  float x[6]{1, 2, 3, 4, 5, 6};
  for (const bool column_major : {false, true}) {
    array_ref a{x, float32, {}, {2, 3}, {{3, 1}}, true};
    storage s;
    failure why;
    REQUIRE(detail::dense_copy(a, s, why, {.operation = "test", .aligned_to = alignof(page), .column_major = column_major}) ==
            errc::ok);
    CHECK(reinterpret_cast<std::uintptr_t>(a.data) % alignof(page) == 0);
    CHECK((static_cast<std::byte*>(a.data) >= s.data() && static_cast<std::byte*>(a.data) + 24 <= s.data() + s.bytes()));
    CHECK(a.strides == (column_major ? strides{{1, 2}} : strides{{3, 1}}));
    CHECK(static_cast<float*>(a.data)[1] == (column_major ? 4 : 2));
    CHECK((a.shape == shape{2, 3} && !a.read_only && a.device == device{}));
  }
  array_ref far{x, float32, {device_type::ext, 1}, {1}, {{1}}, true};
  storage s;
  failure why;
  CHECK(detail::dense_copy(far, s, why, {.operation = "test"}) == errc::device);
  CHECK((why.message().starts_with("[test] ") && !s && far.data == x && far.read_only));
  array_ref host{x, float32, {device_type::cuda_host, 1}, {1}, {{1}}, true};
  CHECK(detail::dense_copy(host, s, why) == errc::ok);
  CHECK(s.bytes() == 4);
}
