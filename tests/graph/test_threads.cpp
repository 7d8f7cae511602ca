// SPDX-License-Identifier: Apache-2.0
// Const calls from several threads over one model, and sessions over the same parameters. Runs under the thread sanitizer, too.
#include <thread>
#include "../catch.hpp"
#include "support/witness.hpp"
#include "tenon/train/loss.hpp"
using namespace tests;
using tenon::extent, tenon::view;

namespace {
template <class F>
void on_threads(int n, const F& f) {
  std::vector<std::thread> all;
  for (int i = 0; i < n; ++i) all.emplace_back([&f, i] { f(i); });
  for (auto& t : all) t.join();
}
}  // namespace

TEST_CASE("inference over one model from several threads, more of them than workspaces") {
  for (const int pool : {1, 2}) {
    const tenon::model<everything> m{{.seed = 3, .device = {.threads = pool}}};
    const std::vector<float> x = wave(13 * 36, 1);
    std::vector<std::vector<unsigned char>> want;
    for (const extent n : {10, 5, 1, 13}) want.push_back(bits(m(view(x.data(), {n, 1, 6, 6}))));
    std::vector<int> wrong(12);
    on_threads(12, [&](int id) {
      for (int round = 0; round < 10; ++round) {
        const extent n[]{10, 5, 1, 13};
        const int k = (id + round) % 4;
        const auto y = m(view(x.data(), {n[k], 1, 6, 6}));
        wrong[static_cast<std::size_t>(id)] += bits(y) != want[static_cast<std::size_t>(k)];
      }
    });
    for (const int w : wrong) CHECK(w == 0);
  }
}
TEST_CASE("sessions that share weights train side by side, each with gradients and state of its own forward") {
  static constexpr auto net = tenon::network({1, 6, 6}, nn::conv2d{.out = 4, .kernel = 3}, nn::dropout{}, nn::relu{},
                                             nn::flatten{}, nn::linear{.out = 3});
  tenon::model<net> m{{.seed = 3}};
  auto a = m.share(), b = m.share();
  CHECK(a.parameters()[0].value.data() == m.parameters()[0].value.data());
  CHECK(a.parameters()[0].grad.data() != b.parameters()[0].grad.data());
  const std::vector<float> x = wave(4 * 36, 1), z = wave(7 * 36, 2), dx = wave(12, 3), dz = wave(21, 4);
  const auto weights = value_bits(m);
  on_threads(3, [&](int id) {
    for (int round = 0; round < 5; ++round) {
      if (id == 2) {
        (void)m(view(z, {7, 1, 6, 6}));
        continue;
      }
      auto& s = id == 0 ? a : b;
      const bool first = id == 0;
      s.clear_gradients();
      (void)s.forward(first ? view(x, {4, 1, 6, 6}) : view(z, {7, 1, 6, 6}));
      s.backward(first ? view(dx, {4, 3}) : view(dz, {7, 3}));
      (void)s(view(x, {4, 1, 6, 6}));
    }
  });
  CHECK(value_bits(m) == weights);
  tenon::model<net> one{{.seed = 3}}, two{{.seed = 3}};
  for (int round = 0; round < 5; ++round) {
    one.clear_gradients();
    two.clear_gradients();
    one.forward(view(x, {4, 1, 6, 6}));
    one.backward(view(dx, {4, 3}));
    two.forward(view(z, {7, 1, 6, 6}));
    two.backward(view(dz, {7, 3}));
  }
  CHECK(gradient_bits(a) == gradient_bits(one));
  CHECK(gradient_bits(b) == gradient_bits(two));
  a.update(plain_step{});  // all see it
  CHECK(value_bits(m) == value_bits(b));
  CHECK(value_bits(m) != weights);
}
TEST_CASE("models are made, cloned and dropped on many threads") {
  std::vector<std::vector<unsigned char>> got(8);
  on_threads(8, [&](int id) {
    tenon::model<everything> m{{.seed = 9}};
    auto c = m.clone();
    const std::vector<float> x = wave(36, 1);
    c.forward(view(x, {1, 1, 6, 6}));
    got[static_cast<std::size_t>(id)] = value_bits(c);
  });
  for (const auto& g : got) CHECK(g == got[0]);
}
