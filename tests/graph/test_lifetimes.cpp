// SPDX-License-Identifier: Apache-2.0
// What was moved from, what is borrowed and changed meanwhile, what overlaps, what belongs to an inference: refused, by its own code.
#include <cstdint>
#include <string>
#include <utility>
#include <vector>
#include "../catch.hpp"
#include "tenon/graph/by_name.hpp"
#include "tenon/tenon.hpp"

namespace nn = tenon::layers;
using tenon::errc, tenon::view;
namespace {
constexpr auto square = tenon::network({4}, nn::linear{.out = 4});
constexpr auto words =
    tenon::network(tenon::input{{tenon::dyn, 2}, "words", tenon::kind::index}, nn::embedding{.rows = 5, .out = 2});

struct strided_square {
  static constexpr auto name = "strided_square";
  constexpr tenon::spec infer(tenon::inputs x) const { return tenon::spec{x[0]}.reads(tenon::keep::input).takes_strides(); }
  void forward(auto& pass) const {
    auto x = pass.x_strided();
    auto y = pass.y();
    for (tenon::extent i = 0; i < x.shape()[0]; ++i)
      for (tenon::extent j = 0; j < x.shape()[1]; ++j) y(i, j) = x(i, j) * x(i, j);
  }
  void backward(auto& pass) const {
    auto x = pass.x_strided();
    auto dy = pass.dy();
    if (auto dx = pass.dx())
      for (tenon::extent i = 0; i < x.shape()[0]; ++i)
        for (tenon::extent j = 0; j < x.shape()[1]; ++j) dx(i, j) = 2 * x(i, j) * dy(i, j);
  }
};

template <class F>
tenon::failure failed(const F& f) {
  try {
    f();
  } catch (const tenon::error& e) { return e.details(); }
  return {};
}
}  // namespace

TEST_CASE("a tensor that was moved from is empty, and exports nothing of what it had") {
  const std::vector<float> v{1, 2, 3};
  auto a = tenon::copy(v);
  auto b = std::move(a);
  CHECK(!a);
  CHECK(a.numel() == 0);
  CHECK(b[2] == 3);
  tenon::tensor<> c = b, d = std::move(c);
  CHECK(!c);
  CHECK(c.numel() == 0);
  CHECK(d.as<const float>()[1] == 2);
  auto& same = b;
  b = std::move(same);  // itself
  CHECK(b.numel() == 3);
}
TEST_CASE("a model that was moved from says so") {
  tenon::model<square> n{{.seed = 1}};
  tenon::model<square> m = std::move(n);
  const std::vector<float> x(4, 1.0f);
  tenon::tensor<float> y;
  tenon::failure f;
  CHECK(n.try_infer(view(x, {1, 4}), y, f) == errc::null_handle);
  CHECK(n.try_forward(view(x, {1, 4}), y, f) == errc::null_handle);
  CHECK(n.try_backward(view(x, {1, 4}), f) == errc::null_handle);
  CHECK(n.parameters().empty());
  CHECK(failed([&] { (void)n.share(); }).code == errc::null_handle);
  CHECK(failed([&] { (void)n.clone(); }).code == errc::null_handle);
  CHECK(m.try_infer(view(x, {1, 4}), y, f) == errc::ok);
}
TEST_CASE("dx may not overlap dy or x: both are still read when it is written") {
  tenon::model<square> m{{.seed = 1}};
  std::vector<float> x{1, 2, 3, 4}, dy(4, 1.0f), dx(4);
  m.forward(view(x, {1, 4}));
  CHECK(failed([&] { m.backward(view(dy, {1, 4}), view(dy, {1, 4})); }).code == errc::value);
  CHECK(failed([&] { m.backward(view(dy, {1, 4}), view(x, {1, 4})); }).code == errc::value);
  m.backward(view(dy, {1, 4}), view(dx, {1, 4}));
  CHECK(m.parameters()[0].grad[0] == 1);
}
TEST_CASE("of several dx none may overlap another, an x or a dy; neighbours may touch") {
  tenon::model<tenon::network(tenon::input{{tenon::dyn, 2}, "a"}, tenon::input{{tenon::dyn, 2}, "b"}, nn::add{})> m;
  std::vector<float> memory(10, 1.0f);
  const auto part = [&](int first) { return tenon::view<float>(memory.data() + first, {1, 2}); };
  const auto said = [&](int dx0, int dx1) {
    m.forward_all({part(0), part(2)});
    return std::string(failed([&] { m.backward_all({part(4)}, {part(dx0), part(dx1)}); }).argument);
  };
  CHECK(said(6, 8).empty());
  CHECK(said(6, 7) == "dx, which overlaps another dx");
  CHECK(said(6, 1) == "dx, which overlaps x");
  CHECK(said(5, 8) == "dx, which overlaps dy");
}
TEST_CASE("dx may not overlap a strided x, wherever the strides reach") {
  tenon::model<tenon::network({2}, strided_square{})> m;
  std::vector<float> memory(32, 1.0f), dy(8, 1.0f);
  const auto said = [&](tenon::extent step, int x, int dx) {
    m.forward(tenon::strided_view<float>(memory.data() + x, {4, 2}, {{step, 1}}));
    return std::string(failed([&] { m.backward(view(dy, {4, 2}), tenon::view<float>(memory.data() + dx, {4, 2})); }).argument);
  };
  CHECK(said(4, 0, 8) == "dx, which overlaps x");
  CHECK(said(4, 0, 14).empty());
  CHECK(said(-4, 16, 0) == "dx, which overlaps x");
  CHECK(said(-4, 16, 18).empty());
}
TEST_CASE("borrowed indices that changed to nonsense are refused before anything is written") {
  tenon::model<words> m{{.seed = 1}};
  std::vector<std::int64_t> ids{0, 4};
  const std::vector<float> dy(4, 1.0f);
  m.forward(view(ids, {1, 2}));
  ids[1] = 100000;
  const tenon::failure f = failed([&] { m.backward(view(dy, {1, 2, 2})); });
  CHECK(f.code == errc::index);
  CHECK(f.got == 100000);
  for (const float g : m.parameters()[0].grad.view()) CHECK(g == 0);
}
TEST_CASE("the gradient of an inference goes back over nothing") {
  tenon::model<square> m{{.seed = 1}};
  const std::vector<float> x(4, 1.0f);
  const std::vector<int> label{2};
  const tenon::cross_entropy loss;
  m.forward(view(x, {1, 4}));
  const auto q = m(view(x, {1, 4}));
  auto [l, dy] = loss(q, label);
  const tenon::failure f = failed([&] { m.backward(dy); });
  CHECK(f.code == errc::stale);
  CHECK(std::string(f.remedy).starts_with("An inference saves nothing"));
  double total = l;  // the loss is a number
  CHECK(total > 0);
}
TEST_CASE("a shared session draws its own random numbers and writes the same parameters") {
  static constexpr auto noisy = tenon::network({64}, nn::dropout{.rate = 0.5f}, nn::linear{.out = 1});
  tenon::model<noisy> m{{.seed = 1}};
  auto s = m.share(2);
  CHECK(s.parameters()[0].value.data() == m.parameters()[0].value.data());
  CHECK(s.parameters()[0].grad.data() != m.parameters()[0].grad.data());
  const std::vector<float> x(64, 1.0f);
  CHECK(m.forward(view(x, {1, 64}))[0] != s.forward(view(x, {1, 64}))[0]);
}
TEST_CASE("a layer list is written as its comment says") {
  const int hidden = 3;
  tenon::layer_list net({784});
  net.add("linear", {{"out", hidden}}).add("relu").add("linear", {{"out", 10}});
  tenon::graph g{net};
  CHECK(g.parameters()[2].value.shape()[1] == 3);
  CHECK(failed([&] { net.add("linear", {{"out", 1e300}}); }).code == errc::value);
  CHECK(failed([&] { net.add("linear", {{"out", 0.5}}); }).code == errc::value);
}
