// SPDX-License-Identifier: Apache-2.0
// `fixed` where there are neither exceptions nor RTTI nor a heap: a plain program that builds with -fno-exceptions -fno-rtti. It
// trains on integers, against loops written out by hand.
#include <cstdio>
#include "support/heap_calls.hpp"
#include "tenon/graph/combine.hpp"
#include "tenon/graph/fixed.hpp"
#include "tenon/layers/layers.hpp"
namespace nn = tenon::layers;
using tenon::view;

namespace {
int failures = 0;
void expect(bool holds, const char* what) {
  std::printf("%s: %s\n", holds ? "ok" : "FAILED", what);
  failures += !holds;
}
struct step {
  [[maybe_unused]] static constexpr const char* name = "step";
  static constexpr int slots = 1;  // counts its steps
  template <class W, class G>
  void apply(const tenon::step_info&, W* w, const G* g, W* const* s, tenon::extent n) const noexcept {
    for (tenon::extent i = 0; i < n; ++i) w[i] -= g[i], s[0][i] += 1;
  }
};
constexpr auto net = tenon::network({3}, nn::linear{.out = 4}, nn::relu{}, nn::residual{}, nn::linear{.out = 2, .bias = false});
constexpr auto activated = tenon::network({3}, nn::linear{.out = 2}, nn::tanh{});
tenon::fixed<net, 2, float, step> trained;
tenon::fixed<activated, 1, float, step> kept;
tenon::fixed<activated, 1> answers;
view<const float> of(const float* p, const tenon::shape& s) { return {p, s}; }
constexpr float start(int i) { return static_cast<float>(i % 5 - 2); }
}  // namespace

int main() {
  const long before = tests::heap_calls_so_far();
  float w1[12], b1[4], w2[8], x[6], dy[4], dx[6];
  for (int i = 0; i < 12; ++i) trained.parameter(0)[i] = w1[i] = start(i);
  for (int i = 0; i < 4; ++i) trained.parameter(1)[i] = b1[i] = start(i + 1);
  for (int i = 0; i < 8; ++i) trained.parameter(2)[i] = w2[i] = start(3 * i);
  expect(trained.parameter_count() == 3, "three parameters");
  bool forward = true, gradients = true, inputs = true, inference = true;
  expect(trained.backward(of(x, {2, 2})) == tenon::errc::no_forward, "backward without forward");
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 6; ++i) x[i] = start(i + round), dx[i] = 1e9f;
    for (int i = 0; i < 4; ++i) dy[i] = start(2 * i + round);
    float h[8], g1[12]{}, gb[4]{}, g2[8]{}, want[6]{};
    for (int b = 0; b < 2; ++b)
      for (int o = 0; o < 4; ++o) {
        float s = b1[o];
        for (int k = 0; k < 3; ++k) s += w1[o * 3 + k] * x[b * 3 + k];
        h[b * 4 + o] = s > 0 ? s : 0;
      }
    const auto y = trained.forward(of(x, {2, 3}));
    const auto z = trained(x);
    for (int b = 0; b < 2; ++b)
      for (int o = 0; o < 2; ++o) {
        float s = 0;
        for (int k = 0; k < 4; ++k) {
          s += w2[o * 4 + k] * 2 * h[b * 4 + k];
          g2[o * 4 + k] += dy[b * 2 + o] * 2 * h[b * 4 + k];
          const float d = h[b * 4 + k] > 0 ? 2 * dy[b * 2 + o] * w2[o * 4 + k] : 0;
          gb[k] += d;
          for (int i = 0; i < 3; ++i) g1[k * 3 + i] += d * x[b * 3 + i], want[b * 3 + i] += d * w1[k * 3 + i];
        }
        forward &= y[b * 2 + o] == s;
        inference &= z[b * 2 + o] == s;
      }
    expect(trained.backward(of(dy, {2, 2}), view<float>(&dx[0], {2, 3})) == tenon::errc::ok, "backward");
    for (int i = 0; i < 12; ++i) gradients &= trained.gradient(0)[i] == g1[i];
    for (int i = 0; i < 4; ++i) gradients &= trained.gradient(1)[i] == gb[i];
    for (int i = 0; i < 8; ++i) gradients &= trained.gradient(2)[i] == g2[i];
    for (int i = 0; i < 6; ++i) inputs &= dx[i] == want[i];
    trained.update(step{});
    for (int i = 0; i < 12; ++i) w1[i] -= g1[i];
    for (int i = 0; i < 4; ++i) b1[i] -= gb[i];
    for (int i = 0; i < 8; ++i) w2[i] -= g2[i];
  }
  expect(forward, "forward");
  expect(inference, "inference");
  expect(gradients, "gradients, stored anew after each update");
  expect(inputs, "dx");
  expect(trained.backward(of(dy, {2, 2})) == tenon::errc::stale, "backward after update is refused");
  const float other[3]{3, 2, 1}, first[3]{1, 2, 3};
  const float one[2]{1, 1};
  (void)kept.forward(of(first, {1, 3}));
  (void)kept.backward(of(one, {1, 2}));
  float alone[6], between[6];
  for (int i = 0; i < 6; ++i) alone[i] = kept.gradient(0)[i];
  kept.update(step{});
  for (int i = 0; i < 6; ++i) kept.parameter(0)[i] += alone[i];
  const float b[2]{kept.gradient(1)[0], kept.gradient(1)[1]};
  for (int i = 0; i < 2; ++i) kept.parameter(1)[i] += b[i];
  (void)kept.forward(of(first, {1, 3}));
  (void)kept(other);  // must not touch what backward will read
  (void)kept.backward(of(one, {1, 2}));
  bool same = true;
  for (int i = 0; i < 6; ++i) {
    between[i] = kept.gradient(0)[i];
    same &= between[i] - alone[i] < 1e-6f && alone[i] - between[i] < 1e-6f;
  }
  expect(same, "inference between forward and backward does not disturb them");
  expect(!trained.forward(of(x, {1, 3})), "an x of the wrong length gives nothing");
  expect(!answers(of(nullptr, {1, 3})), "nor does none");
  (void)trained.forward(of(x, {2, 3}));
  expect(trained.backward(of(dy, {1, 2})) == tenon::errc::extent, "a dy of the wrong length is refused");
  expect(trained.backward(of(dy, {2, 2}), view<float>(&dx[0], {1, 3})) == tenon::errc::extent, "a dx, too");
  std::printf("heap calls beside printf's: %s\n", tests::heap_calls_so_far() - before <= 1 ? "none" : "some");
  expect(tests::heap_calls_so_far() - before <= 1, "no heap");  // stdout takes its buffer once
  return failures > 0;
}
