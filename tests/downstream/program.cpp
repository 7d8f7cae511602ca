// SPDX-License-Identifier: Apache-2.0
// What a user of the library writes, in a project of its own: a layer with parameters and a saved intermediate, a tensor type, a
// network, its training, the doors out, several forwards at once, an error and an inference without a heap. Prints `all is well`.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <tenon/check/check_layer.hpp>
#include <tenon/graph/fixed.hpp>
#include <tenon/tenon.hpp>
#include <thread>
#include <vector>
#if __has_include(<dlpack/dlpack.h>)
#include <dlpack/dlpack.h>
#else
using DLManagedTensor = tenon::dl::managed_tensor;
#endif
namespace nn = tenon::layers;

// y = w x · σ(v x): a gate for each feature.
struct gate {
  static constexpr auto name = "gate";
  constexpr tenon::spec infer(tenon::inputs x) const {
    return tenon::spec{x[0]}
        .parameter("weight", {x[0][-1]}, tenon::constant(1))
        .parameter("slope", {x[0][-1]}, tenon::normal(0.5f))
        .saves("open", x[0])
        .reads(tenon::keep::input);
  }
  void forward(auto& pass) const {
    using std::exp;
    auto x = pass.x(), w = pass.p(0), v = pass.p(1);
    auto y = pass.y();
    auto saved = pass.saved(0);
    for (tenon::extent i = 0; i < x.numel(); ++i) {
      const auto k = i % w.numel();
      auto open = 1 / (1 + exp(-v[k] * x[i]));
      if (saved) saved[i] = open;  // inference saves nothing
      y[i] = w[k] * x[i] * open;
    }
  }
  void backward(auto& pass) const {
    auto x = pass.x(), dy = pass.dy(), w = pass.p(0), v = pass.p(1);
    auto open = pass.saved(0);
    auto dx = pass.dx();
    auto dw = pass.dp(0), dv = pass.dp(1);
    for (tenon::extent i = 0; i < x.numel(); ++i) {
      const auto k = i % w.numel();
      auto d = dy[i] * w[k] * x[i] * open[i] * (1 - open[i]);
      if (dx) dx[i] = dy[i] * w[k] * open[i] + d * v[k];
      if (dw) dw[k] += dy[i] * x[i] * open[i];
      if (dv) dv[k] += d * x[i];
    }
  }
};
static_assert(tenon::layer<gate>);

// Six channels a frame, eight floats apart in somebody's buffer. A handle: it owns nothing, so a temporary one is fine.
struct sensor_frames {
  const float* base;
  int count;
};
template <>
struct tenon::adapter<sensor_frames> {
  static const float* data(const sensor_frames& f) { return f.base; }
  static tenon::shape shape(const sensor_frames& f) { return {f.count, 6}; }
  static tenon::strides strides(const sensor_frames&) { return {8, 1}; }
  static constexpr bool borrows = true;
};

constexpr auto policy = tenon::network({6}, nn::linear{.out = 16}, gate{}, nn::residual{nn::linear{.out = 16}, nn::tanh{}},
                                       nn::residual{nn::linear{.out = 8}, gate{}, nn::shortcut{nn::linear{.out = 8}}},
                                       nn::named("head", nn::linear{.out = 3}));
static tenon::fixed<policy, 4> embedded;

// Somebody's consumer.
static const void* consume(auto* managed) {
  const void* at = static_cast<const char*>(managed->dl_tensor.data) + managed->dl_tensor.byte_offset;
  managed->deleter(managed);
  return at;
}

static int failed = 0;
static void expect(bool holds, const char* what) {
  if (!holds) ++failed, std::printf("WRONG: %s\n", what);
}
static bool same(const auto& a, const auto& b) { return a && b && std::memcmp(a.data(), b.data(), 12 * sizeof(float)) == 0; }

int main() {
  const auto report = tenon::check_layer(gate{}, {3, 5});
  expect(static_cast<bool>(report), report.text.c_str());

  constexpr int n = 32;
  std::vector<float> buffer(n * 8);
  std::vector<int> labels(n);
  for (std::size_t i = 0; i < buffer.size(); ++i) buffer[i] = std::sin(static_cast<float>(7 * i % 101));
  for (std::size_t i = 0; i < n; ++i) labels[i] = buffer[8 * i] > 0.3f ? 2 : buffer[8 * i + 1] > 0 ? 1 : 0;
  const sensor_frames frames{buffer.data(), n}, four{buffer.data(), 4};

  tenon::model<policy> net{{.seed = 1}};
  const tenon::cross_entropy loss;
  tenon::adamw rule;
  const tenon::cosine rate{.max = 2e-2, .steps = 100, .warmup = 10};
  for (int step = 0; step < 100; ++step) {
    rule.lr = rate(step);
    auto [l, dy] = loss(net.forward(frames), labels);
    net.backward(dy);
    net.update(rule);
  }
  expect(static_cast<float>(loss.value(net(frames), labels)) < 0.2f, "the loss falls");

  const auto y = net(four);
  const auto weight = net.parameters()[0].value;
  expect(consume(tenon::to_dlpack(y).release()) == y.data(), "an output is handed on where it lies");
  expect(consume(tenon::to_dlpack<DLManagedTensor>(weight).release()) == weight.data(), "and so is a live parameter");

  tenon::tape first{net}, second{net};
  auto a = net.forward(frames, first), b = net.forward(sensor_frames{buffer.data(), 16}, second);
  net.backward(loss(b, std::vector<int>(16)).dy, second);
  net.backward(loss(a, labels).dy, first);
  bool equal[2]{};
  std::thread other([&] { equal[0] = same(net(four), y); });
  equal[1] = same(net(four), y);
  other.join();
  expect(equal[0] && equal[1], "two threads infer at once");

  try {
    net(tenon::view(buffer, {n, 8}));
    expect(false, "a wrong input is refused");
  } catch (const tenon::error& e) {
    expect(std::string_view(e.what()).find("got 8, expected 6") != std::string_view::npos, e.what());
  }

  for (int i = 0; const auto& p : net.parameters())
    std::memcpy(embedded.parameter(i++).data(), p.value.data(), static_cast<std::size_t>(p.value.numel()) * sizeof(float));
  float packed[24];
  for (int i = 0; i < 4; ++i) std::memcpy(packed + 6 * i, buffer.data() + 8 * i, 6 * sizeof(float));
  expect(same(embedded(packed), y), "fixed answers the same bits");
  std::puts(failed ? "something is wrong" : "all is well");
  return failed != 0;
}
