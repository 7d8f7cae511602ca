// SPDX-License-Identifier: Apache-2.0
// Gradients add up between updates, state changes once a training forward, and draws belong to a forward.
#include <limits>
#include "../catch.hpp"
#include "support/witness.hpp"
using namespace tests;
using tenon::errc, tenon::extent, tenon::view;

namespace {
std::vector<float> twice(std::vector<float> v) {
  for (float& e : v) e *= 2;
  return v;
}
/// y = x(0); x(1) is looked at by nobody.
struct take_first {
  static constexpr int arity = 2;
  static constexpr auto name = "take_first";
  constexpr tenon::spec infer(tenon::inputs x) const { return tenon::spec{x[0]}.reads(tenon::keep::nothing); }
  void forward(auto& pass) const { tenon::ops::copy(pass.ex(), pass.y(), pass.x()); }
  void backward(auto& pass) const {
    if (auto dx = pass.dx(0)) tenon::ops::copy(pass.ex(), dx, pass.dy());
    if (auto dx = pass.dx(1)) tenon::ops::fill(pass.ex(), dx, 0.0f);
  }
};
/// Spoils every gradient, as memory that was never cleared might be.
template <class M>
void spoil(M& m) {
  for (const auto& p : m.parameters())
    for (extent i = 0; i < p.grad.numel(); ++i) p.grad[i] = 1e30f;
}
}  // namespace

TEST_CASE("a second backward adds, the first after an update stores, and grad stays readable") {
  tenon::model<whole> m;
  make_whole(m);
  const std::vector<float> x = integers(12, 1), dy = integers(9, 2);
  const auto xv = view(x, {3, 4});
  const auto dv = view(dy, {3, 3});
  m.forward(xv);
  m.backward(dv);
  const auto once = gradients(m);
  m.backward(dv);
  CHECK(gradients(m) == twice(once));
  m.clear_gradients();
  for (const float g : gradients(m)) CHECK(g == 0);
  m.backward(dv);
  CHECK(gradients(m) == once);
  m.update(tenon::sgd{.lr = 0});
  CHECK(gradients(m) == once);
  spoil(m);
  m.forward(xv);
  m.backward(dv);
  CHECK(gradients(m) == once);
  m.forward(xv);
  m.backward(dv);
  CHECK(gradients(m) == twice(once));
}
TEST_CASE("tied parameters: one gradient, cleared once, of both places") {
  static constexpr auto net = tenon::network({3}, nn::tied{"w", nn::linear{.out = 3}}, nn::tied{"w", nn::linear{.out = 3}});
  static constexpr auto apart = tenon::network({3}, nn::named{"a", nn::linear{.out = 3}}, nn::named{"b", nn::linear{.out = 3}});
  tenon::model<net> m;
  tenon::model<apart> two;
  make_whole(m);
  REQUIRE(m.parameters().size() == 2);
  CHECK(m.parameters()[0].name == "w.weight");
  const auto p = two.parameters();
  for (std::size_t i = 0; i < 4; ++i)
    std::memcpy(p[i].value.data(), m.parameters()[i % 2].value.data(),
                static_cast<std::size_t>(p[i].value.numel()) * sizeof(float));
  const std::vector<float> x = integers(6, 1), dy = integers(6, 2);
  spoil(m);
  for (int round = 1; round <= 2; ++round) {
    m.forward(view(x, {2, 3}));
    m.backward(view(dy, {2, 3}));
    two.forward(view(x, {2, 3}));
    two.backward(view(dy, {2, 3}));
    for (std::size_t i = 0; i < 2; ++i)
      for (extent k = 0; k < p[i].grad.numel(); ++k) CHECK(m.parameters()[i].grad[k] == p[i].grad[k] + p[i + 2].grad[k]);
  }
}
TEST_CASE("dx is written over whatever was there, and only where it is wanted") {
  tenon::model<whole> a, b;
  make_whole(a);
  make_whole(b);
  const std::vector<float> x = integers(8, 1), dy = integers(6, 2);
  std::vector<float> dx(8, std::numeric_limits<float>::quiet_NaN()), again(8, 7.0f);
  a.forward(view(x, {2, 4}));
  a.backward(view(dy, {2, 3}), view(dx, {2, 4}));
  a.backward(view(dy, {2, 3}), view(again, {2, 4}));
  CHECK(dx == again);  // dx =, not +=
  b.forward(view(x, {2, 4}));
  b.backward(view(dy, {2, 3}));
  b.backward(view(dy, {2, 3}));
  CHECK(gradients(a) == gradients(b));
  static constexpr auto bare = tenon::network({4}, nn::relu{}, nn::residual{});  // no parameters: nothing to do without dx
  tenon::model<bare> c;
  c.forward(view(x, {2, 4}));
  c.backward(view(x, {2, 4}));
  c.backward(view(x, {2, 4}), view(dx, {2, 4}));
  for (std::size_t i = 0; i < 8; ++i) CHECK(dx[i] == (x[i] > 0 ? 2 * x[i] : 0.0f));
}
TEST_CASE("what nobody reads further has gradient 0") {
  // the second half of the split ends in a layer whose output is dropped: its dy is 0, not rubbish
  static constexpr auto net = tenon::network({4}, nn::linear{.out = 4}, nn::split{.first = 2}, take_first{});
  tenon::model<net> m;
  make_whole(m);
  spoil(m);
  const std::vector<float> x = integers(8, 1), dy = integers(4, 2);
  for (int round = 0; round < 2; ++round) {
    m.forward(view(x, {2, 4}));
    m.backward(view(dy, {2, 2}));
    m.update(tenon::sgd{.lr = 0});
  }
  const auto p = m.parameters();
  for (extent i = 0; i < 2; ++i) CHECK(p[1].grad[i] == dy[static_cast<std::size_t>(i)] + dy[static_cast<std::size_t>(2 + i)]);
  for (extent i = 2; i < 4; ++i) CHECK(p[1].grad[i] == 0);
}
TEST_CASE("state changes by a training forward, once, and by nothing else") {
  static constexpr auto net = tenon::network({2}, nn::batch_norm{.momentum = 0.5}, nn::linear{.out = 1});
  tenon::model<net> m;
  const std::vector<float> x{1, 2, 3, 3, 4, 5}, dy{1, 1, 1};
  const auto xv = view(x, {3, 2});
  auto mean = [&] { return m.states()[0].value[0]; };
  REQUIRE(m.states()[0].name == "0.running_mean");
  const auto y1 = m(xv), y2 = m(xv);
  CHECK(bits(y1) == bits(y2));
  CHECK(mean() == 0);
  CHECK(m.first_not_finite(xv).empty());
  CHECK(mean() == 0);
  tenon::tape t{m};
  m.forward(xv, t);
  const float once = mean();
  CHECK(once == Approx(0.5 * 8 / 3));
  m.backward(view(dy, {3, 1}), t);
  m.update(plain_step{});
  (void)m(xv);
  CHECK(mean() == once);
  CHECK(failed([&] { m.forward(view(x, {2, 3})); }).code == errc::extent);
  CHECK(mean() == once);
  m.forward(xv, t);
  CHECK(mean() == Approx(0.75 * 8 / 3));
  CHECK(m.counters().forwards == 2);
  CHECK(m.counters().steps == 1);
}
TEST_CASE("dropout draws anew for each forward, and the same in its backward") {
  static constexpr auto net = tenon::network({64}, nn::dropout{.rate = 0.5f});
  tenon::model<net> m{{.seed = 5}}, twin{{.seed = 5}}, stranger{{.seed = 6}};
  const std::vector<float> x(64 * 3, 1.0f);
  const auto xv = view(x, {3, 64});
  tenon::tape s{m}, t{m};
  const auto y1 = m.forward(xv, s), y2 = m.forward(xv, t);
  CHECK(bits(y1) != bits(y2));
  std::vector<float> d1(x.size()), d2(x.size());
  m.backward(xv, t, view(d2, {3, 64}));
  m.backward(xv, s, view(d1, {3, 64}));
  CHECK(std::memcmp(d1.data(), y1.data(), d1.size() * sizeof(float)) == 0);
  CHECK(std::memcmp(d2.data(), y2.data(), d2.size() * sizeof(float)) == 0);
  CHECK(bits(twin.forward(xv)) == bits(y1));
  CHECK(bits(stranger.forward(xv)) != bits(y1));
  const auto y = m(xv);
  CHECK(std::memcmp(y.data(), x.data(), x.size() * sizeof(float)) == 0);
  // continued from its counters, a fresh model draws what the old one would have drawn
  tenon::model<net> later{{.seed = 1}};
  later.restore_counters(m.counters());
  CHECK(bits(later.forward(xv)) == bits(m.forward(xv)));
}
TEST_CASE("two dropouts of one network draw apart") {
  static constexpr auto net = tenon::network({64}, nn::branch{nn::dropout{}, nn::dropout{}}, nn::add{});
  tenon::model<net> m;
  const std::vector<float> x(64, 1.0f);
  const auto y = m.forward(view(x, {1, 64}));
  int ones = 0;
  for (extent i = 0; i < 64; ++i) ones += y[i] == 2;
  CHECK(ones > 10);  // one of the two: never, were the masks the same
}
TEST_CASE("multipliers scale one parameter's rate; a changed rule starts its slots anew") {
  static constexpr auto net = tenon::network({2}, nn::linear{.out = 2});
  tenon::model<net> m;
  make_whole(m);
  m.multipliers([](std::string_view name, tenon::multipliers& k) {
    if (name.ends_with(".bias")) k.lr = 0;
  });
  const auto before = value_bits(m);
  const std::vector<float> x{1, 2}, dy{1, 1};
  auto step = [&](const auto& rule) {
    m.forward(view(x, {1, 2}));
    m.backward(view(dy, {1, 2}));
    m.update(rule);
  };
  const float b = m.parameters()[1].value[0], w = m.parameters()[0].value[0];
  step(tenon::sgd{.lr = 0.5, .momentum = 0.5});
  CHECK(m.parameters()[1].value[0] == b);
  CHECK(m.parameters()[0].value[0] == w - 0.5f);
  REQUIRE(m.slots().size() == 2);
  CHECK(m.slots()[0].name == "0.weight.0");
  step(tenon::sgd{.lr = 0.5, .momentum = 0.5});
  CHECK(m.counters().steps == 2);
  step(tenon::adamw{});
  CHECK(m.counters().steps == 1);
  CHECK(m.slots().size() == 4);
}
