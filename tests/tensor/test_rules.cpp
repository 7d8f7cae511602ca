// SPDX-License-Identifier: Apache-2.0
// Rules of the DLPack conformance list that are about memory rather than values: what is read before what, and what is never written. Pages
// without rights stand where nothing may be touched.
#include <sys/mman.h>
#include <unistd.h>
#include <tenon/tensor/export.hpp>
#include <tenon/tensor/typed_tensor.hpp>

#include <cstring>
#include <stdexcept>
#include <type_traits>

#include "catch.hpp"
#include "producer.hpp"

using namespace tenon;

namespace {
/// Two pages, the second of which nobody may touch.
struct guarded_pages {
  std::size_t page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  std::byte* first = static_cast<std::byte*>(mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  guarded_pages() {
    REQUIRE(first != MAP_FAILED);
    REQUIRE(mprotect(first + page, page, PROT_NONE) == 0);
  }
  ~guarded_pages() { munmap(first, 2 * page); }
  guarded_pages(const guarded_pages&) = delete;
  guarded_pages& operator=(const guarded_pages&) = delete;
  std::byte* end() const { return first + page; }
  void read_only() const { REQUIRE(mprotect(first, page, PROT_READ) == 0); }
};
int deleted = 0;
}  // namespace

TEST_CASE("A1 sizes and offsets are DLPack's on a 64-bit machine") {
  static_assert(sizeof(dl::tensor) == 48 && sizeof(dl::managed_tensor) == 64 && sizeof(dl::managed_tensor_versioned) == 80);
  using v = dl::managed_tensor_versioned;
  CHECK(offsetof(v, version) == 0);
  CHECK(offsetof(v, manager_ctx) == 8);
  CHECK(offsetof(v, deleter) == 16);
  CHECK(offsetof(v, flags) == 24);
  CHECK(offsetof(v, dl_tensor) == 32);
  CHECK(offsetof(dl::managed_tensor, manager_ctx) == 48);
  CHECK(offsetof(dl::tensor, byte_offset) == 40);
}

TEST_CASE("A2 B2 of another major version nothing behind the flags is read, and the deleter still runs") {
  const guarded_pages pages;
  auto* m = reinterpret_cast<dl::managed_tensor_versioned*>(pages.end() - offsetof(dl::managed_tensor_versioned, dl_tensor));
  const dl::pack_version next{2, 0};
  std::memcpy(static_cast<void*>(&m->version), &next, sizeof next);
  m->deleter = [](dl::managed_tensor_versioned*) { ++deleted; };
  deleted = 0;
  {
    handle<> h = own(m);
    tensor<> t;
    tensor<const float, dims<2>> typed;
    failure why;
    CHECK(try_from_dlpack(h, t, why) == errc::version);
    CHECK(try_from_dlpack(h, typed, why) == errc::version);
    CHECK(deleted == 0);
  }
  CHECK(deleted == 1);
}

TEST_CASE("A3 exports are versioned unless the legacy struct is asked for; A4 neither passes for the other") {
  static_assert(std::is_same_v<decltype(to_dlpack(std::declval<tensor<float>&>())), handle<dl::managed_tensor_versioned>>);
  static_assert(versioned_struct<dl::managed_tensor_versioned> && !versioned_struct<dl::managed_tensor>);
  static_assert(!std::is_convertible_v<dl::managed_tensor*, dl::managed_tensor_versioned*>);
  static_assert(!std::is_constructible_v<handle<dl::managed_tensor>, handle<dl::managed_tensor_versioned>>);
  CHECK(offsetof(dl::managed_tensor, dl_tensor) != offsetof(dl::managed_tensor_versioned, dl_tensor));
}

TEMPLATE_TEST_CASE("E10 an import writes neither into the producer's struct nor into its shape and strides", "",
                   dl::managed_tensor, dl::managed_tensor_versioned) {
  const guarded_pages pages;
  struct all {
    TestType m;
    std::int64_t shape[3], strides[3];
    float values[6];
  };
  auto* a = new (pages.first) all{{}, {2, 1, 3}, {3, 99, 1}, {1, 2, 3, 4, 5, 6}};
  a->m.dl_tensor = {a->values, {1, 0}, 3, {2, 32, 1}, a->shape, a->strides, 0};
  if constexpr (versioned_struct<TestType>) a->m.version = dl::spoken;
  pages.read_only();
  CHECK(from_dlpack<const float>(own(&a->m))(1, 0, 2) == 6);
  CHECK(from_dlpack(own(&a->m)).strides()[1] == 3);
  CHECK(from_dlpack<const float, dims<3>, layout_right>(own(&a->m))(1, 0, 2) == 6);
  CHECK(view_as<view<const float, dims<3>>>(a->m.dl_tensor)(1, 0, 0) == 4);
  tensor<const float, dims<2>> wrong;
  failure why;
  auto h = own(&a->m);
  CHECK(try_from_dlpack(h, wrong, why) == errc::rank);
}

TEST_CASE("D2 no alignment is relied on but the element's") {
  alignas(64) float memory[32];
  for (int i = 0; i < 32; ++i) memory[i] = static_cast<float>(i);
  for (int start = 0; start < 17; ++start) {
    versioned p({}, {3});
    p.dl().data = memory + start;
    const auto t = from_dlpack<const float>(p.give());
    CHECK(t[2] == static_cast<float>(start + 2));
    CHECK(view_as<view<const float, dims<1>>>(p.dl())(1) == static_cast<float>(start + 1));
    CHECK(to_dlpack(t)->dl_tensor.data == memory + start);
  }
}

TEST_CASE("C1 flags are 0 by default; G1 host memory goes out with device number 0, whatever it came with") {
  versioned p({1, 2}, {2});
  p.dl().device.device_id = 7;
  const auto untyped = from_dlpack(p.give());
  const auto h = to_dlpack(untyped);
  CHECK(h->flags == 0);
  CHECK(h->dl_tensor.device.device_id == 0);
  CHECK(to_dlpack(untyped.as<float>())->dl_tensor.device.device_id == 0);
}

TEST_CASE("B4 the version that came is judged, not the one that is spoken") {
  for (const std::uint32_t minor : {0u, 1u, 3u, 77u}) {
    versioned p({1, 2}, {2}, {1});
    p.managed.version.minor = minor;
    CHECK(from_dlpack<float>(p.give())[1] == 2);
  }
}

TEST_CASE("H4 deleters are C functions that throw nothing, also while an exception is under way") {
  static_assert(std::is_same_v<decltype(dl::managed_tensor::deleter), void (*)(dl::managed_tensor*)>);
  versioned p({1, 2}, {2});
  try {
    const auto out = to_dlpack(from_dlpack<float>(p.give()));
    throw std::runtime_error("meanwhile");
  } catch (const std::runtime_error&) { CHECK(p.deleted == 1); }
}

TEST_CASE("H9 views own nothing, handles and tensors do") {
  static_assert(std::is_trivially_destructible_v<view<float>> && std::is_trivially_copyable_v<strided_view<float>> &&
                std::is_trivially_copyable_v<view<const float, dims<2>>>);
  static_assert(!std::is_copy_constructible_v<handle<>> && std::is_copy_constructible_v<tensor<float>>);
  versioned p({1, 2}, {2});
  {
    const auto t = from_dlpack<float>(p.give());
    { [[maybe_unused]] const auto copy = view_as<view<float, dims<1>>>(t); }
    { [[maybe_unused]] const auto copy = as_view(t); }
    CHECK(p.deleted == 0);
    const auto second = t;
    CHECK(second.data() == t.data());
  }
  CHECK(p.deleted == 1);
}
