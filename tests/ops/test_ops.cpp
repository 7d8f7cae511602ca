// SPDX-License-Identifier: Apache-2.0
// The ops called as a user would, with an executor alone: no scratch, any thread count; and those that no layer calls.
#include <limits>
#include <vector>
#include "../catch.hpp"
#include "tenon/ops/cast.hpp"
#include "tenon/ops/conv.hpp"
#include "tenon/ops/gather.hpp"
#include "tenon/ops/gemm.hpp"
#include "tenon/ops/map.hpp"
#include "tenon/ops/norm.hpp"
#include "tenon/ops/reduce.hpp"
using namespace tenon;

namespace {
template <class T>
std::vector<T> counted(std::size_t n, int modulus) {
  std::vector<T> v(n);
  for (std::size_t i = 0; i < n; ++i) v[i] = T(int(i * 7 + 3) % modulus - modulus / 2);
  return v;
}
}  // namespace

TEMPLATE_TEST_CASE("fill, copy, add and accumulate, over odd lengths and threads", "", float, double, std::int32_t) {
  for (const extent n : {1, 7, 16, 40001, 140001})
    for (const int threads : {1, 3}) {
      const cpu ex{.threads = threads};
      const auto a = counted<TestType>(std::size_t(n), 11), b = counted<TestType>(std::size_t(n), 13);
      std::vector<TestType> y(std::size_t(n), 77);
      const view<TestType> to(y.data(), {n});
      ops::fill(ex, to, 5);
      CHECK(y == std::vector<TestType>(std::size_t(n), 5));
      ops::copy(ex, to, view(a, {n}));
      CHECK(y == a);
      ops::copy(ex, to, to);
      CHECK(y == a);
      ops::accumulate(ex, to, view(b, {n}));
      std::vector<TestType> want(a);
      for (std::size_t i = 0; i < y.size(); ++i) want[i] = a[i] + b[i];
      CHECK(y == want);
      ops::fill(ex, to, 0);
      ops::add(ex, to, view(a, {n}), view(b, {n}));
      CHECK(y == want);
    }
}

TEST_CASE("accumulate takes activations of another type") {
  std::vector<float> y{1, 2};
  const std::vector<bfloat16> x{3, 4};
  ops::accumulate(cpu{}, view(y, {2}), view(x, {2}));
  CHECK(y == std::vector<float>{4, 6});
}

TEST_CASE("cast rounds to nearest and keeps NaN") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> x{1.00390625f, -2, nan, 1e30f};
  std::vector<bfloat16> h(4);
  std::vector<double> d(4);
  ops::cast(cpu{}, view(h, {4}), view(x, {4}));
  ops::cast(cpu{}, view(d, {4}), view(h, {4}));
  CHECK(d[0] == 1);
  CHECK(d[1] == -2);
  CHECK(d[2] != d[2]);
  CHECK(d[3] == Approx(1e30).epsilon(0.01));
  ops::cast(cpu{}, view(d, {4}), view(x, {4}));
  CHECK(d[0] == 1.00390625);
}

TEMPLATE_TEST_CASE("channel_sum adds over all axes but one", "", float, double, std::int64_t) {
  for (const int threads : {1, 3})
    for (const shape& s : {shape(3, 21), shape(5, 4, 37), shape(2, 3, 5, 7), shape(1, 1), shape(600, 70)})
      for (int axis = -1; axis < s.rank(); ++axis) {
        const int a = axis < 0 ? s.rank() - 1 : axis;
        const auto x = counted<TestType>(std::size_t(s.numel()), 9);
        std::vector<TestType> y(std::size_t(s[a]), 2), want(y);
        extent inner = 1;
        for (int i = a + 1; i < s.rank(); ++i) inner *= s[i];
        for (std::size_t i = 0; i < x.size(); ++i) want[i / std::size_t(inner) % y.size()] += x[i];
        ops::channel_sum(cpu{.threads = threads}, view(y, {s[a]}), view(x, s), axis);
        REQUIRE(y == want);
      }
}

TEST_CASE("without scratch the products and convolutions work all the same") {
  const auto x = counted<float>(2 * 3 * 6 * 6, 7), w = counted<float>(4 * 3 * 3 * 3, 5);
  std::vector<float> y(2 * 4 * 4 * 4);
  std::vector<std::int64_t> exact(y.size());
  const auto xi = counted<std::int64_t>(x.size(), 7), wi = counted<std::int64_t>(w.size(), 5);
  const ops::window k{.kh = 3, .kw = 3};
  ops::conv(cpu{}, view(y, {2, 4, 4, 4}), view(x, {2, 3, 6, 6}), view(w, {4, 3, 3, 3}), view<const float>{}, k);
  ops::conv(cpu{}, view(exact, {2, 4, 4, 4}), view(xi, {2, 3, 6, 6}), view(wi, {4, 3, 3, 3}), view<const std::int64_t>{}, k);
  for (std::size_t i = 0; i < y.size(); ++i) CHECK(std::int64_t(y[i]) == exact[i]);
  const ops::window split{.kh = 2, .kw = 3, .sh = 2, .ph = 1, .pw = 1, .dh = 2, .groups = 3};  // dx and dw, in groups
  const shape sx(2, 3, 6, 6), sy(2, 6, 3, 6), sw(6, 1, 2, 3);
  const auto g = counted<float>(std::size_t(sy.numel()), 9);
  const auto gi = counted<std::int64_t>(g.size(), 9);
  std::vector<float> dx(x.size(), 5), dw(36, 5);
  std::vector<std::int64_t> exact_dx(x.size(), 5), exact_dw(36, 5);
  ops::conv_dx(cpu{}, view(dx, sx), view(g, sy), view<const float>(w.data(), sw), split);
  ops::conv_dx(cpu{}, view(exact_dx, sx), view(gi, sy), view<const std::int64_t>(wi.data(), sw), split);
  ops::conv_dw(cpu{}, view(dw, sw), view(g, sy), view(x, sx), split);
  ops::conv_dw(cpu{}, view(exact_dw, sw), view(gi, sy), view(xi, sx), split);
  for (std::size_t i = 0; i < dx.size(); ++i) CHECK(std::int64_t(dx[i]) == exact_dx[i]);
  for (std::size_t i = 0; i < dw.size(); ++i) CHECK(std::int64_t(dw[i]) == exact_dw[i]);
  std::vector<float> one(6);
  ops::affine(cpu{.threads = 2}, view(one, {2, 3}), view<const float>(x.data(), {2, 9}), view<const float>(w.data(), {3, 9}),
              view<const float>(x.data(), {3}));
  for (std::size_t i = 0; i < 6; ++i) {
    float want = x[i % 3];
    for (std::size_t j = 0; j < 9; ++j) want += x[i / 3 * 9 + j] * w[i % 3 * 9 + j];
    CHECK(one[i] == want);
  }
}

TEST_CASE("place writes its part of an axis only") {
  std::vector<int> y(12, 7);
  const std::vector<int> x{1, 2};
  ops::place(cpu{}, view(y, {2, 6}), view(x, {2, 1}), 1, extent{4}, extent{1});
  CHECK(y == std::vector<int>{7, 7, 7, 7, 1, 7, 7, 7, 7, 7, 2, 7});
  ops::place(cpu{}, view(y, {2, 6}), view<const int>{}, 1, extent{0}, extent{2});
  CHECK(y == std::vector<int>{0, 0, 7, 7, 1, 7, 0, 0, 7, 7, 2, 7});
}

TEST_CASE("fold is a running mean") {
  std::vector<float> running{1, 2};
  const std::vector<float> now{3, 4};
  ops::fold(cpu{}, view(running, {2}), view(now, {2}), 0.5, 2.0);
  CHECK(running == std::vector<float>{3.5f, 5});
}
