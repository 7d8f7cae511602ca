// SPDX-License-Identifier: Apache-2.0
// Parameters in memory that is not the model's: a vector, an imported tensor. Update writes there; what cannot serve is refused.
#include <memory>
#include "../catch.hpp"
#include "support/witness.hpp"
#include "tenon/tensor/export.hpp"
#include "tenon/tensor/import.hpp"
using namespace tests;
using tenon::errc, tenon::view;

namespace {
constexpr auto net = tenon::network({3}, nn::named{"head", nn::linear{.out = 2}});
template <class M>
void step(M& m) {
  static const std::vector<float> x{1, 2, 3}, dy{1, -1};
  m.forward(view(x, {1, 3}));
  m.backward(view(dy, {1, 2}));
  m.update(plain_step{});
}
}  // namespace

TEST_CASE("a parameter in a vector: read, updated in place, kept alive, and the same numbers as in the arena") {
  struct shared_floats {
    std::shared_ptr<std::vector<float>> v;
  };
  tenon::model<net> m, own;
  auto weights = std::make_shared<std::vector<float>>(std::vector<float>{1, 2, 3, 4, 5, 6});
  std::memcpy(own.parameters()[0].value.data(), weights->data(), 24);
  m.bind_parameter("head.weight", tenon::borrow(view(*weights, {2, 3}), shared_floats{weights}));
  CHECK(weights.use_count() == 2);
  CHECK(m.parameters()[0].value.data() == weights->data());
  step(m);
  step(own);
  CHECK((*weights)[0] == 1 - 0.25f);
  CHECK(value_bits(m) == value_bits(own));
  // x W^T of the foreign bytes, whoever changes them
  (*weights)[0] = 100;
  const std::vector<float> x{1, 0, 0};
  const auto y = m(view(x, {1, 3}));
  CHECK(y[0] == 100 + m.parameters()[1].value[0]);
  const auto exported = tenon::to_dlpack(m.parameters()[0].value);
  CHECK(exported->dl_tensor.data == weights->data());
  auto c = m.clone();  // of its own again
  CHECK(value_bits(c) == value_bits(m));
  CHECK(c.parameters()[0].value.data() != weights->data());
  auto s = m.share();
  CHECK(s.parameters()[0].value.data() == weights->data());
  step(s);
  CHECK((*weights)[0] == 100 - 0.25f);
}
TEST_CASE("a parameter in an imported tensor; the old memory is let go, a forward in flight is stale") {
  std::vector<float> memory{1, 2, 3, 4, 5, 6};
  tenon::model<net> m;
  const std::vector<float> x{1, 2, 3}, dy{1, -1};
  m.forward(view(x, {1, 3}));
  m.bind_parameter("head.weight", tenon::from_dlpack<float>(tenon::to_dlpack(tenon::borrow(view(memory, {2, 3}), 0))));
  CHECK(failed([&] { m.backward(view(dy, {1, 2})); }).code == errc::stale);
  step(m);
  CHECK(memory == std::vector<float>{0.75f, 1.5f, 2.25f, 4.25f, 5.5f, 6.75f});
  tenon::graph g{net};
  g.bind_parameter("head.weight", tenon::from_dlpack(tenon::to_dlpack(tenon::borrow(view(memory, {2, 3}), 0))));
  CHECK(g.parameters()[0].value.data() == memory.data());
}
TEST_CASE("what cannot be a parameter is refused, and nothing changes") {
  tenon::model<net> m;
  std::vector<float> memory(7);
  std::vector<double> doubles(6);
  auto wrap = [&](const tenon::shape& s) { return tenon::borrow(view<float>(memory.data(), s), 0); };
  const void* before = m.parameters()[0].value.data();
  auto fault = [&](std::string_view name, const tenon::tensor<>& t) { return say(failed([&] { m.bind_parameter(name, t); })); };
  CHECK(fault("head.wait", wrap({2, 3})) == "name|bind_parameter|head.wait|0|0");
  CHECK(fault("head.weight", wrap({6})) == "rank|bind_parameter|head.weight|1|2");
  CHECK(fault("head.weight", wrap({3, 2})) == "extent|bind_parameter|head.weight|3|2|axis 0");
  CHECK(fault("head.weight", tenon::borrow(view<double>(doubles.data(), {2, 3}), 0))
            .starts_with("dtype|bind_parameter|head.weight|"));
  CHECK(fault("head.weight", tenon::borrow(view<const float>(memory.data(), {2, 3}), 0)) ==
        "read-only memory|bind_parameter|head.weight|0|0");
  CHECK(fault("head.weight", tenon::borrow(tenon::strided_view<float>(memory.data(), {2, 3}, {{1, 2}}), 0)) ==
        "not dense|bind_parameter|head.weight|0|0");
  CHECK(fault("head.weight", tenon::tensor<>()).substr(0, 4) == "rank");
  auto* odd = reinterpret_cast<std::byte*>(memory.data()) + 1;
  const tenon::tensor<> crooked(wrap({2, 3}).owner(), {odd, tenon::float32, {}, {2, 3}, {{3, 1}}, false});
  CHECK(fault("head.weight", crooked) == "alignment|bind_parameter|head.weight|1|0");
  CHECK(m.parameters()[0].value.data() == before);
}
