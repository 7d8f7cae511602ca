// SPDX-License-Identifier: Apache-2.0
// Batches: every sample once an epoch, in an order that (seed, epoch) alone decides; positions, ragged ends, element types,
// refusals.
#include "tenon/train/batches.hpp"

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <set>
#include <vector>

#include "../catch.hpp"

namespace {
template <class F>
tenon::failure refused(const F& f) {
  try {
    f();
  } catch (const tenon::error& e) { return e.details(); }
  return {};
}
struct numbered {  // sample i is {i, i + 0.5}, its label i
  std::vector<float> images;
  std::vector<int> labels;
  explicit numbered(int n) {
    for (int i = 0; i < n; ++i) {
      images.push_back(float(i));
      images.push_back(float(i) + 0.5f);
      labels.push_back(i);
    }
  }
  tenon::view<const float> view() const { return {images.data(), {labels.size(), std::size_t{2}}}; }
};
std::vector<int> epoch(auto& data) {
  std::vector<int> seen;
  for (const auto& [x, labels] : data)
    for (std::int64_t i = 0; i < labels.numel(); ++i) {
      CHECK(x(i, 0) == float(labels[i]));
      CHECK(x(i, 1) == float(labels[i]) + 0.5f);
      seen.push_back(labels[i]);
    }
  return seen;
}
}  // namespace

TEST_CASE("an epoch is a permutation, another each time, the same for the same seed") {
  for (const int n : {1, 2, 5, 32, 33, 100}) {
    const numbered set(n);
    tenon::batches a{set.view(), set.labels, {.batch = 7, .seed = 3}}, b{set.view(), set.labels, {.batch = 5, .seed = 3}},
        c{set.view(), set.labels, {.batch = 7, .seed = 4}};
    std::vector<int> all(std::size_t(n), 0);
    std::iota(all.begin(), all.end(), 0);
    std::set<std::vector<int>> orders;
    for (int e = 0; e < 4; ++e) {
      auto order = epoch(a);
      CHECK(order == epoch(b));
      if (n >= 32) CHECK(order != epoch(c));
      orders.insert(order);
      std::sort(order.begin(), order.end());
      CHECK(order == all);
    }
    if (n >= 32) CHECK(orders.size() == 4);
  }
}

TEST_CASE("every place is as likely for every sample") {
  const numbered set(4);
  tenon::batches data{set.view(), set.labels, {.batch = 4}};
  int count[4][4]{};
  for (int e = 0; e < 4000; ++e) {
    const auto order = epoch(data);
    for (std::size_t i = 0; i < 4; ++i) ++count[i][order[i]];
  }
  for (const auto& row : count)
    for (const int k : row) CHECK((k > 850 && k < 1150));  // 5 standard deviations
}

TEST_CASE("without shuffling the order is the file's, and the last batch is what is left") {
  const numbered set(10);
  tenon::batches data{set.view(), set.labels, {.batch = 4, .shuffle = false}};
  CHECK(data.count() == 3);
  std::vector<std::int64_t> sizes;
  int next = 0;
  const float* where = nullptr;
  for (const auto& [x, labels] : data) {
    CHECK(x.shape() == tenon::shape{labels.numel(), 2});
    CHECK((!where || where == x.data()));
    where = x.data();
    sizes.push_back(labels.numel());
    for (const int k : labels) CHECK(k == next++);
  }
  CHECK(sizes == std::vector<std::int64_t>{4, 4, 2});
  CHECK(data.position() == tenon::batch_position{1, 0});
}

TEST_CASE("a position restores what comes next") {
  const numbered set(50);
  tenon::batches a{set.view(), set.labels, {.batch = 8}};
  epoch(a);
  int k = 0;
  for (const auto& b : a) {
    (void)b;
    if (++k == 3) break;
  }
  CHECK(a.position() == tenon::batch_position{1, 3});
  tenon::batches b{set.view(), set.labels, {.batch = 8}};
  b.seek(a.position());
  CHECK(epoch(a) == epoch(b));
  CHECK(epoch(a) == epoch(b));
  tenon::batches c{set.view(), set.labels, {.batch = 8}};
  c.seek({1, 3});
  b.seek({1, 3});  // back into an epoch whose order is gone
  CHECK(epoch(b) == epoch(c));
  b.seek({2, 7});  // the end of an epoch: nothing is left of it
  CHECK(epoch(b).empty());
  CHECK(b.position() == tenon::batch_position{3, 0});
  CHECK(refused([&] { b.seek({0, 8}); }).code == tenon::errc::value);
}

TEST_CASE("bytes are divided by 255, exactly; mean and deviation follow; samples get a shape") {
  std::vector<std::uint8_t> bytes(512);
  for (std::size_t i = 0; i < 512; ++i) bytes[i] = static_cast<std::uint8_t>(i);
  const std::vector<std::int64_t> labels{7, 9};
  tenon::batches data{tenon::view(bytes, {2, 16, 16}), labels, {.shuffle = false, .sample = {1, 16, 16}}};
  decltype(data)::item item;
  REQUIRE(data.next(item));
  CHECK(item.x.shape() == tenon::shape{2, 1, 16, 16});
  for (std::int64_t i = 0; i < 512; ++i) CHECK(item.x[i] == float(i % 256) / 255.0f);
  CHECK((item.labels[0] == 7 && item.labels[1] == 9));
  tenon::batches<double> scaled{tenon::view(bytes, {2, 256}), labels, {.shuffle = false, .mean = 0.5, .deviation = 0.25}};
  tenon::batches<double>::item s;
  REQUIRE(scaled.next(s));
  for (std::int64_t i = 0; i < 512; ++i) CHECK(s.x[i] == Approx((double(i % 256) / 255 - 0.5) / 0.25));
  const std::vector<double> doubles{1, 2};
  tenon::batches<tenon::bfloat16> narrow{doubles, labels, {.shuffle = false, .mean = 1, .deviation = 2}};
  tenon::batches<tenon::bfloat16>::item t;
  REQUIRE(narrow.next(t));
  CHECK(t.x.shape() == tenon::shape{2});
  CHECK(float(t.x[1]) == 0.5f);
}

TEST_CASE("limit takes the first samples; tensors are retained") {
  numbered set(20);
  tenon::batches data = [&] {
    return tenon::batches{tenon::copy(set.view()), tenon::copy(set.labels), {.batch = 64, .limit = 6}};
  }();
  std::fill(set.images.begin(), set.images.end(), -1.0f);
  CHECK(data.samples() == 6);
  CHECK(data.count() == 1);
  const auto order = epoch(data);
  CHECK(std::set<int>(order.begin(), order.end()) == std::set<int>{0, 1, 2, 3, 4, 5});
}

TEST_CASE("what batches refuse") {
  const numbered set(4);
  const auto make = [&](const auto& images, const auto& labels, const tenon::batch_options& o = {}) {
    return refused([&] { tenon::batches data{images, labels, o}; }).code;
  };
  CHECK(make(set.view(), set.labels) == tenon::errc::ok);
  CHECK(make(set.view(), std::vector<int>{1, 2}) == tenon::errc::extent);
  CHECK(make(set.view(), std::vector<float>{1, 2, 3, 4}) == tenon::errc::dtype);
  CHECK(make(set.labels, set.labels) == tenon::errc::dtype);
  CHECK(make(tenon::view<const float>(set.images.data(), {0, 2}), std::vector<int>{}) == tenon::errc::empty_batch);
  CHECK(make(tenon::view<const float>(nullptr, {4, 2}), set.labels) == tenon::errc::null_data);
  CHECK(make(tenon::strided_view<const float>(set.images.data(), {4, 1}, {{2, 1}}), set.labels) == tenon::errc::not_dense);
  CHECK(make(set.view(), set.labels, {.batch = 0}) == tenon::errc::value);
  CHECK(make(set.view(), set.labels, {.sample = {3}}) == tenon::errc::extent);
  CHECK(make(set.view(), std::vector<std::int64_t>{0, 1, 2, std::int64_t{1} << 31}) == tenon::errc::label);
  CHECK(make(set.view(), std::vector<std::uint64_t>{0, 1, 2, UINT64_MAX}) == tenon::errc::label);
}
