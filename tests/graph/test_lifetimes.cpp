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
