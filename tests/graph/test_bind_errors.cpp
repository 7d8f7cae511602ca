// SPDX-License-Identifier: Apache-2.0
// Architectures that cannot be bound: the code, the layer by its path, and the numbers; and layers that throw while they run.
#include <stdexcept>
#include "../catch.hpp"
#include "support/witness.hpp"
using namespace tests;
using tenon::dyn, tenon::errc, tenon::extent, tenon::input, tenon::network, tenon::view;

namespace {
template <class Net>
std::string bound(const Net& net) {
  return say(failed([&] { tenon::graph g{net}; }));
}
/// Reads what its field says: forbidden.
struct fickle {
  bool input = false;
  static constexpr auto name = "fickle";
  constexpr tenon::spec infer(tenon::inputs x) const {
    return tenon::spec{x[0]}.reads(input ? tenon::keep::input : tenon::keep::nothing);
  }
  void forward(auto& pass) const { tenon::ops::copy(pass.ex(), pass.y(), pass.x()); }
  void backward(auto& pass) const {
    if (auto dx = pass.dx()) tenon::ops::copy(pass.ex(), dx, pass.dy());
  }
};
/// Asks for anything.
struct greedy {
  int states = 0, parameters = 0, outputs = 1;
  extent scratch = 0;
  bool open_axis = false, gives_index = false;
  static constexpr auto name = "greedy";
  constexpr tenon::spec infer(tenon::inputs x) const {
    const tenon::shape s = open_axis ? tenon::shape(x[0]).with(1, dyn) : tenon::shape(x[0]);
    tenon::spec r;
    for (int i = 0; i < outputs; ++i) r.output(tenon::slot{s, gives_index ? tenon::kind::index : tenon::kind::scalar});
    for (int i = 0; i < parameters; ++i) r.parameter("same", {2});
    for (int i = 0; i < states; ++i) r.state("same", {2}, 0);
    return r.scratch(scratch).reads(tenon::keep::nothing);
  }
  void forward(auto&) const {}
  void backward(auto&) const {}
};
int throws = 0;  // 1: in forward, 2: in backward
struct moody {
  static constexpr auto name = "moody";
  constexpr tenon::spec infer(tenon::inputs x) const { return tenon::spec{x[0]}.reads(tenon::keep::nothing); }
  void forward(auto& pass) const {
    if (throws == 1) throw std::runtime_error("moody");
    tenon::ops::copy(pass.ex(), pass.y(), pass.x());
  }
  void backward(auto& pass) const {
    if (throws == 2) throw std::runtime_error("moody");
    if (auto dx = pass.dx()) tenon::ops::copy(pass.ex(), dx, pass.dy());
  }
};
template <int N>
auto nested() {
  if constexpr (N == 0) return nn::relu{};
  else return nn::residual{nested<N - 1>()};
}
}  // namespace

// gives one row, whatever the batch
struct batchless {
  static constexpr auto name = "batchless";
  constexpr tenon::spec infer(tenon::inputs x) const { return tenon::spec{x[0].with(0, 1)}.reads(tenon::keep::nothing); }
  void forward(auto& pass) const {
    for (auto& e : pass.y()) e = 1;
  }
  void backward(auto&) const {}
};
TEST_CASE("sizes: left out, wrong, too large") {
  CHECK(bound(network({4}, nn::linear{.out = 3}, nn::linear{})) == "a size left out|network|1.linear|0|1");
  CHECK(bound(network({4}, nn::linear{.out = 3}, nn::linear{.out = 2, .in = 7})) == "extent|network|1.linear|3|7|axis 1");
  CHECK(bound(network({4}, nn::residual{nn::linear{.out = 4}, nn::residual{nn::linear{.out = -1}}})) ==
        "a size left out|network|0.1.0.linear|-1|1");
  CHECK(bound(network({4}, nn::residual{nn::linear{.out = 3}})) == "extent|network|0.add|4|3|axis 1");
  CHECK(bound(network({1, 4, 4}, nn::conv2d{.out = 2, .kernel = 5})) == "extent too small|network|0.conv2d|4|5|axis 2");
  CHECK(bound(network({4}, nn::max_pool2d{.kernel = 2})) == "rank|network|0.max_pool2d|2|4");
  CHECK(
      bound(network({4}, nn::linear{.out = 1LL << 40}, nn::linear{.out = 1LL << 40})).starts_with("overflow|network|1.linear|"));
  CHECK(bound(network({1LL << 40}, nn::linear{.out = 1LL << 40})).starts_with("overflow|network|0.linear|"));
  CHECK(bound(network({INT64_MAX, 3}, nn::relu{})).starts_with("overflow|network|input|"));
  CHECK(bound(network({2}, greedy{.scratch = INT64_MAX})).starts_with("overflow|network|0.greedy|"));
  const auto sum = failed([&] {  // each fits, together they do not
    tenon::graph g{network({1 << 20}, nn::linear{.out = 1 << 24}, nn::linear{.out = 1 << 20}, nn::linear{.out = 1 << 24},
                           nn::linear{.out = 1 << 20})};
  });
  CHECK(sum.code == errc::overflow);
}
TEST_CASE("inputs: open inner axes, negative extents, no axis, too many") {
  CHECK(bound(network(input{{dyn, dyn, 3}}, nn::relu{})) ==
        "extent|network|input: only the batch, axis 0, may be dyn|-1|1|axis 1");
  CHECK(bound(network(input{{dyn, -5}}, nn::relu{})).starts_with("negative extent|network|input"));
  CHECK(bound(network(input{tenon::shape{}}, nn::relu{})).starts_with("rank|network|input"));
  CHECK(bound(network({2}, greedy{.open_axis = true})) ==
        "extent|network|0.greedy: only the batch, axis 0, may be dyn|-1|1|axis 1");
  CHECK(bound(network({1, 1, 1, 1, 1, 1, 1, 1}, nn::relu{})).starts_with("rank|network|input"));
  const input i{{dyn, 2}};
  CHECK(bound(network(i, i, i, i, i, greedy{})).starts_with("limit|network|"));
  CHECK(bound(network(i, i, nn::relu{})) == "number of inputs|network|0.relu|2|1");
  CHECK(bound(network(i, nn::add{})) == "number of inputs|network|0.add|1|2");
  CHECK(bound(network(input{{dyn, 2}, "t", tenon::kind::index}, nn::relu{})) == "kind|network|0.relu|2|0");
  CHECK(bound(network({2}, nn::embedding{.rows = 3, .out = 2})) == "kind|network|0.embedding|0|2");
  CHECK(bound(network(input{{dyn, 2}, "t", tenon::kind::index})).starts_with("kind|network|"));
}
TEST_CASE("names: two parameters or two states of one name, tied layers that differ, reads that depend on fields") {
  CHECK(bound(network({4}, nn::named{"a", nn::linear{.out = 4}}, nn::named{"a", nn::linear{.out = 4}}))
            .starts_with("name|network|"));
  CHECK(bound(network({2}, greedy{.parameters = 2})).starts_with("name|network|"));
  CHECK(bound(network({2}, greedy{.states = 2})).starts_with("name|network|"));
  CHECK(bound(network({4}, nn::tied{"w", nn::linear{.out = 4}}, nn::tied{"w", nn::linear{.out = 3}}))
            .starts_with("extent|network|"));
  CHECK(bound(network({4}, nn::tied{"w", nn::linear{.out = 4}}, nn::tied{"w", nn::linear{.out = 4, .bias = false}}))
            .starts_with("number of inputs|network|"));
  CHECK(bound(network({2}, fickle{.input = true})) == "value out of range|network|fickle|1|0");
  CHECK(bound(network({2}, fickle{})) == "ok|||0|0");
  CHECK(bound(network({2}, greedy{.parameters = 9})).starts_with("limit|network|0.greedy|9|8"));
  CHECK(bound(network({2}, greedy{.outputs = 5})).starts_with("limit|network|0.greedy|5|4"));
  CHECK(bound(network({2}, greedy{.outputs = 0})).starts_with("number of inputs|network|0.greedy|0|1"));
  CHECK(bound(network({2}, greedy{.gives_index = true})).starts_with("kind|network|0.greedy"));
}
TEST_CASE("tied layers share their state too: both fold into the same running statistics") {
  tenon::graph g{
      network({2}, nn::tied{"n", nn::batch_norm{.momentum = 1}}, nn::relu{}, nn::tied{"n", nn::batch_norm{.momentum = 1}})};
  CHECK(g.parameters().size() == 2);
  CHECK(g.states().size() == 2);
  CHECK(bound(network({2}, nn::tied{"n", nn::batch_norm{}}, nn::linear{.out = 3}, nn::tied{"n", nn::batch_norm{}}))
            .starts_with("extent|network|"));
}
TEST_CASE("a layer that loses the batch binds, but not together with one that has it") {
  CHECK(bound(network({3}, batchless{})) == "ok|||0|0");
  CHECK(bound(network({3}, nn::residual{batchless{}})).starts_with("extent|network|"));
}
TEST_CASE("depth: 15 residuals in one another bind, 40 are refused") {
  tenon::graph g{network({2}, nested<15>())};
  const std::vector<float> x{1, -1};
  CHECK(g.forward(view(x, {1, 2})).as<float>()[0] == 16);
  const auto f = failed([&] { tenon::graph deep{network({2}, nested<40>())}; });
  CHECK(f.code == errc::limit);
  CHECK(f.expected == 16);
}
TEST_CASE("dtype of a graph") {
  CHECK(failed([&] { tenon::graph g{whole, {.dtype = tenon::int32}}; }).code == errc::dtype);
  tenon::graph g{whole, {.dtype = tenon::float64}};
  CHECK(g.dtype() == tenon::float64);
  const std::vector<float> x(4);
  CHECK(failed([&] { g.forward(view(x, {1, 4})); }).code == errc::dtype);
}
TEST_CASE("a layer that throws in forward leaves a usable model and a poisoned tape") {
  static constexpr auto net = network({3}, nn::batch_norm{}, nn::linear{.out = 3}, moody{}, nn::linear{.out = 2});
  tenon::model<net> m, twin;
  const std::vector<float> x = integers(6, 1), dy = integers(4, 2);
  const auto xv = view(x, {2, 3});
  const auto dv = view(dy, {2, 2});
  throws = 0;
  m.forward(xv);
  twin.forward(xv);
  const auto values = value_bits(m);
  throws = 1;
  CHECK_THROWS_AS(m.forward(xv), std::runtime_error);
  CHECK_THROWS_AS(m(xv), std::runtime_error);
  for (int i = 0; i < 20; ++i) CHECK_THROWS(m(xv));  // a workspace that was lost would show
  tenon::failure f;
  tenon::tensor<float> y;
  CHECK(m.try_forward(xv, y, f) != errc::ok);
  throws = 0;
  CHECK(failed([&] { m.backward(dv); }).code == errc::no_forward);
  CHECK(value_bits(m) == values);  // commit did not run
  CHECK(m.counters() == twin.counters());
  m.forward(xv);
  m.backward(dv);
  twin.forward(xv);
  twin.backward(dv);
  CHECK(gradient_bits(m) == gradient_bits(twin));
  CHECK(value_bits(m) == value_bits(twin));
}
TEST_CASE("a layer that throws in backward poisons the tape, and parameters stay") {
  static constexpr auto net = network({3}, nn::linear{.out = 3}, moody{}, nn::linear{.out = 2});
  tenon::model<net> m;
  const std::vector<float> x = integers(6, 1), dy = integers(4, 2);
  const auto values = value_bits(m);
  throws = 0;
  m.forward(view(x, {2, 3}));
  throws = 2;
  CHECK_THROWS_AS(m.backward(view(dy, {2, 2})), std::runtime_error);
  throws = 0;
  CHECK(failed([&] { m.backward(view(dy, {2, 2})); }).code == errc::no_forward);  // half of it has been added already
  CHECK(value_bits(m) == values);
  m.clear_gradients();
  m.forward(view(x, {2, 3}));
  m.backward(view(dy, {2, 2}));
  tenon::model<net> fresh;
  fresh.forward(view(x, {2, 3}));
  fresh.backward(view(dy, {2, 2}));
  CHECK(gradient_bits(m) == gradient_bits(fresh));
}
