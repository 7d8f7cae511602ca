// SPDX-License-Identifier: Apache-2.0
// Of what parts are made, and what they are then: of tensors tensors that keep the memory alive, of anything else views, on any device.
// Nothing but shapes and strides is read.
#include <tenon/tensor/export.hpp>
#include <tenon/tensor/import.hpp>
#include <tenon/tensor/subview.hpp>
#include <tenon/tensor/typed_tensor.hpp>

#include <type_traits>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "producer.hpp"

using namespace tenon;

namespace {
struct elsewhere {  // a device of one's own
  static constexpr tenon::device_type type = tenon::device_type::ext;
};
}  // namespace

TEST_CASE("a part of a tensor is a tensor that keeps the memory alive") {
  versioned p({1, 2, 3, 4, 5, 6}, {2, 3});
  {
    tensor<float> kept;
    {
      auto t = from_dlpack<float>(p.give());
      kept = transpose(subview(std::move(t), all{}, range{1, 3}));
    }
    CHECK(p.deleted == 0);
    CHECK(kept.shape() == shape{2, 2});
    CHECK(kept(1, 0) == 3);
    kept(1, 1) = 60;
    CHECK(p.values[5] == 60);
    auto h = to_dlpack(kept);
    CHECK(h->dl_tensor.byte_offset == 0);
    CHECK(h->dl_tensor.data == p.values.data() + 1);
    CHECK(h->dl_tensor.strides[0] == 1);
    CHECK(h->dl_tensor.strides[1] == 3);
    kept.reset();
    CHECK(p.deleted == 0);
  }
  CHECK(p.deleted == 1);
}

TEST_CASE("a part of a tensor whose type is known at run time") {
  versioned p({1, 2, 3, 4, 5, 6}, {2, 3});
  p.managed.flags = dl::flag_read_only;
  {
    const tensor<> t = from_dlpack(p.give());
    static_assert(std::is_same_v<decltype(subview(t, 0)), tensor<>>);
    const tensor<> last = reshape(subview(t, 1, range{2, -1, -1}), {3, 1});
    CHECK(last.read_only());
    CHECK(last.data() == p.values.data() + 5);
    CHECK(last.as<const float>()(2, 0) == 4);
    CHECK(transpose(t, {1, 0}).as<const float>()(2, 1) == 6);
    CHECK(subview(t, range{2, 2}).data() == nullptr);
    CHECK(to_dlpack(last)->flags == dl::flag_read_only);
    tensor<> same = t;
    failure why;
    CHECK(try_subview(same, same, why, 1) == errc::ok);  // in place
    CHECK(same.shape() == shape{3});
    CHECK(try_subview(same, same, why, 3) == errc::index);
    CHECK(same.shape() == shape{3});
  }
  CHECK(p.deleted == 1);
}

TEST_CASE("read-only stays read-only, and says which forward it belongs to") {
  tensor<float> t({2, 3});
  const tensor<const float> c = t;
  static_assert(std::is_same_v<decltype(subview(c, 0)), tensor<const float>>);
  static_assert(std::is_same_v<decltype(transpose(std::declval<const tensor<float>&>())), tensor<float>>);
  const tensor<float> marked(t.owner(), t.strided(), true, 7);
  CHECK(subview(marked, 0).read_only());
  CHECK(reshape(marked, {6}).stamp() == 7);
  CHECK_FALSE(subview(t, 0).read_only());
  const std::vector<float> own{1, 2, 3};
  static_assert(std::is_same_v<decltype(reshape(own, {3, 1})), strided_view<const float>>);
}

TEST_CASE("typed views and owners, dense views and what is adaptable give strided views") {
  versioned p({1, 2, 3, 4, 5, 6}, {2, 3});
  const auto owner = from_dlpack<float, extents<dyn, 3>, layout_right>(p.give());
  const auto& v = owner.view();
  static_assert(std::is_same_v<decltype(subview(v, 1)), strided_view<float>>);
  CHECK(subview(v, 1, 2)() == 6);
  CHECK(subview(owner, 1, 2)() == 6);
  CHECK(reshape(v, {3, 2})(2, 0) == 5);
  CHECK(transpose(v)(2, 1) == 6);
  CHECK(as_view(v)(1, 1) == 5);
  const auto bare = view_as<view<const float, extents<2, 3>>>(v);
  CHECK(as_view(bare)(1, 1) == 5);  // no tag behind its extents
  std::vector<int> own{1, 2, 3, 4};
  subview(own, range{3, -1, -1})(0) = 40;
  CHECK(own[3] == 40);
  CHECK(reshape(view(own, {4}), {2, 2})(1, 0) == 3);
}

TEST_CASE("memory of another device: no element is touched") {
  auto* nowhere = reinterpret_cast<float*>(std::uintptr_t{4096});
  const strided_view<float, elsewhere> x(nowhere, {2, 3}, {{3, 1}});
  CHECK(subview(x, 1, 2).data() == nowhere + 5);
  CHECK(reshape(x, {6}).shape() == shape{6});
  static_assert(std::is_same_v<decltype(transpose(x)), strided_view<float, elsewhere>>);
  const view<float, dims<1>, elsewhere> own(nowhere, shape{6}.d, strides{{1}}.d);
  static_assert(std::is_same_v<decltype(subview(own, 0)), strided_view<float, elsewhere>>);
  const view<float, dims<1>, on_device<device_type::cuda>> cuda(nowhere, shape{6}.d, strides{{1}}.d);
  static_assert(std::is_same_v<decltype(subview(cuda, 0)), strided_view<float, on_device<device_type::cuda>>>);
  static_assert(device_traits<on_device<device_type::cuda>>::type == device_type::cuda);
  static_assert(!device_traits<on_device<device_type::cuda>>::host_accessible);
  CHECK(subview(cuda, range{2, 4}).data() == nowhere + 2);
  static_assert(
      std::is_same_v<part_of<view<int, dims<1>, on_device<device_type::cpu, device_type::cuda_host>>>, strided_view<int>>);
  versioned p({1, 2, 3}, {3});
  p.dl().device = {12, 3};
  const auto t = from_dlpack<float, elsewhere>(p.give());
  auto h = to_dlpack(subview(t, range{1, 3}));
  CHECK(h->dl_tensor.device.device_type == 12);
  CHECK(h->dl_tensor.device.device_id == 3);
  CHECK(h->dl_tensor.data == p.values.data() + 1);
  versioned q({1, 2, 3}, {3});
  q.dl().device = {12, 3};
  const auto owner = from_dlpack<float, dims<1>, elsewhere>(q.give());
  static_assert(std::is_same_v<decltype(subview(owner, 1)), strided_view<float, elsewhere>>);
  CHECK(subview(owner, 1).data() == q.values.data() + 1);
}

namespace {
struct roaming {
  float* p;
  tenon::device where;
};
}  // namespace
template <>
struct tenon::adapter<roaming> {
  static float* data(const roaming& r) { return r.p; }
  static tenon::shape shape(const roaming&) { return {2}; }
  static tenon::device device(const roaming& r) { return r.where; }
};
TEST_CASE("an adapter that says at run time that its memory is elsewhere") {
  float x[2]{1, 2};
  roaming here{x, {}}, gone{x, {device_type::cuda, 1}};
  CHECK(subview(here, 1)() == 2);
  strided_view<float> to;
  failure why;
  CHECK(try_subview(gone, to, why, 1) == errc::device);
  CHECK(why.message() == "[subview] x: device: got cuda:1, expected cpu:0.");
  CHECK_FALSE(to);
}

TEST_CASE("parts of elements that share bytes, or are of several bytes: where they start, and what they may not be") {
  std::byte memory[64]{};
  const auto some = [&](dtype d, const shape& s, bool padded = false) {
    return tensor<>({}, {memory, d, {}, s, dense_strides(s), false, padded});
  };
  const auto at = [&](const tensor<>& t) { return static_cast<std::byte*>(t.data()) - memory; };
  const dtype four{dtype_code::f4_e2m1fn, 4, 1}, six{dtype_code::f6_e2m3fn, 6, 1};
  CHECK(at(subview(some(four, {8, 4}), 3)) == 6);
  CHECK(at(subview(some(four, {32}), range{10, 13})) == 5);
  CHECK(at(subview(some(six, {32}), range{4, 9})) == 3);
  CHECK(at(subview(some(six, {32}), range{20, 24})) == 15);
  CHECK(at(subview(some(six, {32}), range{8, 12})) == 6);
  CHECK(at(subview(some(six, {32}), range{16, 20})) == 12);
  CHECK(at(subview(some(six, {32}, true), range{5, 7})) == 5);
  CHECK(at(subview(some({dtype_code::float_, 32, 1}, {8}), range{3, 5})) == 12);
  CHECK(at(subview(some({dtype_code::float_, 32, 2}, {8}), range{3, 5})) == 24);
  CHECK(at(subview(subview(some(uint8, {16}), range{15, -1, -1}), range{4, 8})) == 11);
  tensor<> to = some(four, {8});
  failure why;
  CHECK(try_subview(some(four, {8}), to, why, range{3, 8}) == errc::alignment);
  CHECK((why.got == 4 && why.expected == 0));
  CHECK(try_subview(some(six, {8}), to, why, range{1, 8}) == errc::alignment);
  CHECK((why.got == 6 && why.message().starts_with("[subview] ")));
  CHECK(try_subview(some(four, {8}), to, why, range{0, 8, 2}) == errc::not_dense);
  CHECK(try_transpose(some(four, {2, 4}), to, why) == errc::not_dense);
  CHECK((to.shape() == shape{8} && to.data() == memory));
  CHECK(try_subview(some(four, {8, 3}), to, why, range{1, 8, 2}, range{3, 3}) == errc::ok);  // nothing starts nowhere
  CHECK((to.shape() == shape{4, 0} && to.data() == nullptr));
  CHECK(subview(tensor<>({}, {nullptr, four, {}, {4, 4}, dense_strides({4, 4})}), 2).data() == nullptr);
}
