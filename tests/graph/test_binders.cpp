// SPDX-License-Identifier: Apache-2.0
// One architecture value, three binders, the same bits; and one plan for every batch.
#include "../catch.hpp"
#include "support/witness.hpp"
#include "tenon/graph/fixed.hpp"
#include "tenon/train/loss.hpp"
using namespace tests;
using tenon::extent, tenon::view;

namespace {
constexpr extent batch = 4;
std::vector<float> images(int step, extent n = batch) { return wave(n * 36, static_cast<std::uint64_t>(step + 1)); }
std::vector<float> targets(int step, extent n = batch) { return wave(n * 3, static_cast<std::uint64_t>(step + 77)); }

using trained = tenon::fixed<everything, batch, float, tenon::adamw>;
trained with_slots{7};
tenon::fixed<everything, batch> answers{7};
}  // namespace

TEST_CASE("model, graph and fixed train to the same bits") {
  tenon::model<everything> m{{.seed = 7}};
  tenon::model<everything> two{{.seed = 7, .device = {.threads = 2}}};
  tenon::graph g{everything, {.seed = 7}};
  REQUIRE(value_bits(m) == value_bits(g));
  tenon::adamw rule{.lr = 0.01};
  std::vector<float> dm(images(0)), dg(dm), df(dm);
  for (int step = 0; step < 5; ++step) {
    const auto x = images(step), dy = targets(step);
    const auto xv = view(x, {batch, 1, 6, 6});
    const auto dv = view(dy, {batch, 3});
    const auto ym = m.forward(xv), yt = two.forward(xv);
    const auto yg = g.forward(xv);
    const auto yf = with_slots.forward(xv);
    CHECK(bits(ym) == bits(yg));
    CHECK(bits(ym) == bits(yt));
    CHECK(std::memcmp(ym.data(), yf.data(), bits(ym).size()) == 0);
    m.backward(dv, view(dm, {batch, 1, 6, 6}));
    two.backward(dv);
    g.backward(dv, view(dg, {batch, 1, 6, 6}));
    CHECK(with_slots.backward(dv, view(df, {batch, 1, 6, 6})) == tenon::errc::ok);
    CHECK(dm == dg);
    CHECK(dm == df);
    CHECK(gradient_bits(m) == gradient_bits(g));
    CHECK(gradient_bits(m) == gradient_bits(two));
    if (step % 2 == 1) continue;  // accumulates over two
    m.update(rule);
    two.update(rule);
    g.update(rule);
    with_slots.update(rule);
    CHECK(value_bits(m) == value_bits(g));
    CHECK(value_bits(m) == value_bits(two));
    const auto p = m.parameters();
    for (std::size_t i = 0; i < p.size(); ++i) {
      const auto w = with_slots.parameter(static_cast<int>(i));
      CHECK(std::memcmp(w.data(), p[i].value.data(), static_cast<std::size_t>(w.numel()) * sizeof(float)) == 0);
    }
    const auto inferred = m(xv);
    CHECK(bits(inferred) == bits(g(xv)));
    CHECK(std::memcmp(inferred.data(), with_slots(xv).data(), bits(inferred).size()) == 0);
  }
  const auto x = images(9);
  const auto xv = view(x, {batch, 1, 6, 6});
  CHECK(bits(tenon::model<everything>{{.seed = 7}}(xv)) ==
        std::vector<unsigned char>(reinterpret_cast<const unsigned char*>(answers(xv).data()),
                                   reinterpret_cast<const unsigned char*>(answers(xv).data() + batch * 3)));
}
TEST_CASE("batches of any size on one program: no new plan, each sample as it is alone") {
  // without batch statistics and draws, a sample does not know its neighbours
  static constexpr auto alone =
      tenon::network({1, 6, 6}, nn::conv2d{.out = 4, .kernel = 3}, nn::relu{}, nn::max_pool2d{.kernel = 2},
                     nn::residual{nn::conv2d{.out = 4, .kernel = 1}, nn::tanh{}}, nn::flatten{}, nn::linear{.out = 3});
  tenon::model<alone> m, single;
  tenon::model<everything> any;
  const void* plan = &m.bound();
  for (const extent n : {10, 5, 1, 13}) {
    auto x = integers(n * 36, static_cast<std::uint64_t>(n)), dy = integers(n * 3, 5);
    std::vector<float> dx(x.size(), -1.0f), dx1(36);
    const auto y = m.forward(view(x, {n, 1, 6, 6}));
    REQUIRE(y.shape() == tenon::shape(n, 3));
    m.clear_gradients();
    m.backward(view(dy, {n, 3}), view(dx, {n, 1, 6, 6}));
    CHECK(&m.bound() == plan);
    const auto inferred = m(view(x, {n, 1, 6, 6}));
    CHECK(bits(inferred) == bits(y));
    single.clear_gradients();
    for (extent i = 0; i < n; ++i) {
      const auto y1 = single.forward(view(x.data() + i * 36, {1, 1, 6, 6}));
      for (extent k = 0; k < 3; ++k) CHECK(y1[k] == Approx(y[i * 3 + k]).margin(1e-5));
      single.backward(view(dy.data() + i * 3, {1, 3}), view(dx1.data(), {1, 1, 6, 6}));
      for (extent k = 0; k < 36; ++k)
        CHECK(dx1[static_cast<std::size_t>(k)] == Approx(dx[static_cast<std::size_t>(i * 36 + k)]).margin(1e-4));
    }
    const auto sum = gradients(single), all = gradients(m);
    for (std::size_t i = 0; i < sum.size(); ++i) CHECK(all[i] == Approx(sum[i]).margin(1e-3));
    tenon::model<everything> fresh;  // what an earlier batch left behind must not show
    const auto state = any.counters();
    (void)state;
    any = tenon::model<everything>{};
    any.forward(view(x, {n, 1, 6, 6}));
    any.backward(view(dy, {n, 3}));
    fresh.forward(view(x, {n, 1, 6, 6}));
    fresh.backward(view(dy, {n, 3}));
    CHECK(gradient_bits(any) == gradient_bits(fresh));
  }
}
TEST_CASE("a dirty model gives what a fresh one gives, whatever batches went before") {
  tenon::model<whole> dirty;
  make_whole(dirty);
  for (const extent n : {10, 5, 1, 13, 2}) {
    const auto x = integers(n * 4, static_cast<std::uint64_t>(n)), dy = integers(n * 3, 5);
    tenon::model<whole> fresh;
    make_whole(fresh);
    dirty.clear_gradients();
    for (auto* m : {&dirty, &fresh}) {
      m->forward(view(x, {n, 4}));
      m->backward(view(dy, {n, 3}));
    }
    CHECK(gradient_bits(dirty) == gradient_bits(fresh));
  }
}
TEST_CASE("all models of one architecture share one program, a clone has memory of its own") {
  tenon::model<whole> a{{.seed = 1}};
  tenon::model<whole> b{{.seed = 2}};
  CHECK(&a.bound() == &b.bound());
  const std::vector<float> x = integers(4, 1), dy = integers(3, 2);
  auto step = [&](auto& m) {
    m.forward(view(x, {1, 4}));
    m.backward(view(dy, {1, 3}));
    m.update(tenon::adamw{.lr = 0.1});
  };
  step(a);
  const auto copied = tenon::bytes_moved().copied;
  auto c = a.clone();
  CHECK(tenon::bytes_moved().copied > copied);
  CHECK(value_bits(c) == value_bits(a));
  CHECK(c.counters() == a.counters());
  CHECK(c.parameters()[0].value.data() != a.parameters()[0].value.data());
  step(a);
  CHECK(value_bits(c) != value_bits(a));
  step(c);
  CHECK(value_bits(c) == value_bits(a));  // its slots and counters came along
  auto moved = std::move(c);
  step(moved);
  step(a);
  CHECK(value_bits(moved) == value_bits(a));
}
TEST_CASE("an output that is the input, twice the same value, and an alias of another output are values of their own") {
  static constexpr auto same = tenon::network({3}, nn::branch{nn::shortcut{}, nn::shortcut{}, nn::relu{}});
  tenon::model<same> m;
  tenon::graph g{same};
  const std::vector<float> x{1, -2, 3};
  const auto xv = view(x, {1, 3});
  tenon::tape t{m};
  auto y = m.forward_all({xv}, t);
  REQUIRE(y.size() == 3);
  CHECK(y[0].data() != x.data());
  CHECK(y[0].data() != y[1].data());
  CHECK(bits(y[0]) == bits(y[1]));
  std::vector<float> a{1, 1, 1}, b{10, 10, 10}, c{100, 100, 100}, dx(3);
  m.backward_all({view(a, {1, 3}), view(b, {1, 3}), view(c, {1, 3})}, t, {view(dx, {1, 3})});
  CHECK(dx == std::vector<float>{111, 11, 111});
  static constexpr auto aliased =
      tenon::network({1, 2, 2}, nn::conv2d{.out = 1, .kernel = 1},
                     nn::branch{nn::shortcut{}, nn::flatten{}, nn::shortcut{nn::flatten{}, nn::linear{.out = 2}}});
  tenon::model<aliased> n;
  make_whole(n);
  const std::vector<float> z{1, 2, 3, 4}, d4{1, 2, 3, 4}, e4{5, 6, 7, 8}, d2{0, 0};
  std::vector<float> dz(4);
  auto out = n.forward_all({view(z, {1, 1, 2, 2})});
  REQUIRE(out.size() == 3);
  CHECK(out[0].data() != out[1].data());
  CHECK(bits(out[0]) == bits(out[1]));
  n.backward_all({view(d4, {1, 1, 2, 2}), view(e4, {1, 4}), view(d2, {1, 2})}, {view(dz, {1, 1, 2, 2})});
  CHECK(n.parameters()[1].grad[0] == 36);
}
