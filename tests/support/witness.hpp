// SPDX-License-Identifier: Apache-2.0
// What the tests of graph/ share: numbers, networks that use every kind of node, bits of models, and what an error says.
#pragma once
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>
#include "support/run_layer.hpp"
#include "tenon/graph/combine.hpp"
#include "tenon/graph/graph.hpp"
#include "tenon/layers/layers.hpp"
#include "tenon/train/optimizer.hpp"

namespace tests {
namespace nn = tenon::layers;

/// n numbers that look random, in [-1, 1), the same on each run.
inline std::vector<float> wave(tenon::extent n, std::uint64_t seed) {
  std::vector<float> v(static_cast<std::size_t>(n));
  for (float& e : v) e = static_cast<float>(pick(seed, 1000)) / 1024.0f;
  return v;
}
/// n integers in [-range, range].
inline std::vector<float> integers(tenon::extent n, std::uint64_t seed, int range = 3) {
  std::vector<float> v(static_cast<std::size_t>(n));
  for (float& e : v) e = static_cast<float>(pick(seed, range));
  return v;
}

/// Every kind of node: state, draws, fan-out sums, a nested residual, a shortcut, tied parameters, several outputs, an alias.
inline constexpr auto everything = tenon::network(
    {1, 6, 6}, nn::conv2d{.out = 4, .kernel = 3, .padding = 1}, nn::batch_norm{}, nn::dropout{.rate = 0.25f},
    nn::residual{nn::conv2d{.out = 6, .kernel = 3, .padding = 1}, nn::tanh{}, nn::residual{nn::residual{nn::sigmoid{}}},
                 nn::shortcut{nn::conv2d{.out = 6, .kernel = 1}}},
    nn::named{"mid", nn::conv2d{.out = 6, .kernel = 1}, nn::relu{}},
    nn::branch{nn::tied{"twin", nn::conv2d{.out = 4, .kernel = 1}}, nn::tied{"twin", nn::conv2d{.out = 4, .kernel = 1}}},
    nn::add{}, nn::split{.first = 2}, nn::add{}, nn::max_pool2d{.kernel = 2}, nn::flatten{}, nn::linear{.out = 3});
/// Integers in give integers out: comparisons of sums are exact.
inline constexpr auto whole =
    tenon::network({4}, nn::linear{.out = 5}, nn::relu{}, nn::residual{nn::linear{.out = 5}, nn::relu{}},
                   nn::branch{nn::relu{}, nn::linear{.out = 5}}, nn::add{}, nn::linear{.out = 3});

/// The bytes of a tensor of either kind.
template <class T>
std::vector<unsigned char> bits(const T& t) {
  const tenon::array_ref a = t.describe();
  std::vector<unsigned char> b(static_cast<std::size_t>(a.shape.numel() * a.dtype.bytes()));
  if (!b.empty()) std::memcpy(b.data(), a.data, b.size());
  return b;
}
template <class M>
std::vector<unsigned char> gradient_bits(const M& m) {
  std::vector<unsigned char> all;
  for (const auto& p : m.parameters()) {
    const auto b = bits(p.grad);
    all.insert(all.end(), b.begin(), b.end());
  }
  return all;
}
/// Values of parameters and states.
template <class M>
std::vector<unsigned char> value_bits(const M& m) {
  std::vector<unsigned char> all;
  auto add = [&](const auto& list) {
    for (const auto& p : list) {
      const auto b = bits(p.value);
      all.insert(all.end(), b.begin(), b.end());
    }
  };
  add(m.parameters());
  add(m.states());
  return all;
}
template <class M>
std::vector<float> gradients(const M& m) {
  std::vector<float> all;
  for (const auto& p : m.parameters()) {
    const auto* g = static_cast<const float*>(static_cast<const void*>(p.grad.data()));
    all.insert(all.end(), g, g + p.grad.numel());
  }
  return all;
}
/// All parameters become small integers.
template <class M>
void make_whole(M& m, std::uint64_t seed = 3) {
  for (const auto& p : m.parameters()) {
    auto* w = static_cast<float*>(static_cast<void*>(p.value.data()));
    for (tenon::extent i = 0; i < p.value.numel(); ++i) w[i] = static_cast<float>(pick(seed, 2));
  }
}

/// What a call threw; code ok if nothing.
template <class F>
tenon::failure failed(F&& f) {
  try {
    f();
  } catch (const tenon::error& e) { return e.details(); }
  return {};
}
/// One line to compare: "rank forward x 3 4 axis -1".
inline std::string say(const tenon::failure& f) {
  return std::string(tenon::word(f.code)) + "|" + f.operation + "|" + f.argument + "|" + std::to_string(f.got) + "|" +
         std::to_string(f.expected) + (f.axis >= 0 ? "|axis " + std::to_string(f.axis) : "");
}

/// w −= g / 4, so that integers stay exact for a while.
struct plain_step {
  static constexpr const char* name = "plain_step";
  static constexpr int slots = 0;
  template <class W, class G>
  void apply(const tenon::step_info&, W* w, const G* g, W* const*, tenon::extent n) const noexcept {
    for (tenon::extent i = 0; i < n; ++i) w[i] -= static_cast<W>(g[i]) / 4;
  }
};
}  // namespace tests
