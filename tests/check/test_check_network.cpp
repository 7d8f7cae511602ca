// SPDX-License-Identifier: Apache-2.0
// Whole networks: fan-outs and their sums, shortcuts, ties, shared memory, ragged batches. The plan may not change a derivative.
#include "../catch.hpp"
#include "tenon/check/check_network.hpp"
#include "tenon/layers/layers.hpp"
#include "wrong_layers.hpp"

using namespace tenon;
namespace nn = tenon::layers;
using wrong::disease;

namespace {
void right(const check_report& r) {
  INFO(r.text);
  CHECK(r);
}
void exactly(const check_report& r) {
  right(r);
  INFO(r.text);
  CHECK(r.text.find("to ulps") == std::string::npos);
}
}  // namespace

TEST_CASE("chains") {
  exactly(check_network(network({6}, nn::linear{.out = 5}, nn::linear{.out = 3})));
  exactly(check_network(network({2, 6, 6}, nn::conv2d{.out = 3, .kernel = 3, .padding = 1}, nn::avg_pool2d{.kernel = 2},
                                nn::flatten{}, nn::linear{.out = 4})));
  right(check_network(network({1, 8, 8}, nn::conv2d{.out = 2, .kernel = 3}, nn::relu{}, nn::max_pool2d{.kernel = 2},
                              nn::flatten{}, nn::linear{.out = 4}, nn::tanh{})));
  right(check_network(
      network({6}, nn::linear{.out = 8}, nn::batch_norm{}, nn::sigmoid{}, nn::dropout{}, nn::linear{.out = 3}, nn::softmax{})));
  exactly(check_network(
      network(input{{dyn, 5}, "tokens", kind::index}, nn::embedding{.rows = 7, .out = 3}, nn::flatten{}, nn::linear{.out = 2})));
}

TEST_CASE("values that fan out get the sum of their gradients") {
  exactly(check_network(network({6}, nn::residual{nn::linear{.out = 6}})));
  exactly(check_network(network({6}, nn::residual{nn::linear{.out = 4}, nn::shortcut{nn::linear{.out = 4}}})));
  exactly(check_network(network({6}, nn::residual{nn::residual{nn::residual{nn::linear{.out = 6}}}, nn::linear{.out = 6}})));
  exactly(check_network(network({1, 4, 4}, nn::flatten{}, nn::residual{nn::flatten{}})));
  exactly(check_network(network({6}, nn::residual{}, nn::residual{})));
  right(check_network(network({6}, nn::linear{.out = 5}, nn::residual{nn::relu{}, nn::linear{.out = 5}, nn::tanh{}},
                              nn::residual{nn::sigmoid{}}, nn::linear{.out = 2})));
  exactly(check_network(network({6, 2}, nn::split{.first = 3}, nn::add{})));
}

TEST_CASE("tied layers collect one gradient") {
  exactly(check_network(
      network({4}, nn::tied{"w", nn::linear{.out = 4}}, nn::linear{.out = 4}, nn::tied{"w", nn::linear{.out = 4}})));
}

TEST_CASE("a wrong layer inside is found") {
  const auto rejects = [](const check_report& r) {
    INFO(r.text);
    CHECK_FALSE(r);
  };
  rejects(check_network(network({4}, nn::linear{.out = 4}, wrong::affine<disease::wrong_sign>{}, nn::linear{.out = 2})));
  rejects(check_network(network({4}, nn::linear{.out = 4}, wrong::affine<disease::stores_dp>{})));
  rejects(check_network(network({4}, nn::residual{wrong::softmax<disease::diagonal>{}})));
}
