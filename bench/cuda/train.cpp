// SPDX-License-Identifier: Apache-2.0
// From end to end on a real device: models on tenon::cuda_device against the same models on the host. Integers must be equal, a
// training MLP near; errors are those they should be. Then the time of a training step. Ends with `train: N passed, N failed`.
//
//   train [--tiny | --quick] [--json]
#include <chrono>
#include <cstdio>
#include <cstring>
#include <vector>
#include "tenon/tenon.hpp"
#include "tenon/train/cuda.hpp"
namespace nn = tenon::layers;
using tenon::cuda_device, tenon::extent, tenon::view;

namespace {
int passed = 0, failed = 0;
void expect(bool holds, const char* what) {
  (holds ? passed : failed)++;
  if (!holds) std::printf("FAILED %s\n", what);
}
constexpr auto whole = tenon::network({40}, nn::linear{.out = 70}, nn::relu{}, nn::residual{nn::linear{.out = 70}, nn::relu{}},
                                      nn::branch{nn::relu{}, nn::linear{.out = 70}}, nn::add{}, nn::linear{.out = 33});
constexpr auto small = tenon::network({64}, nn::linear{.out = 100}, nn::relu{}, nn::linear{.out = 50}, nn::tanh{},
                                      nn::linear{.out = 50}, nn::sigmoid{}, nn::linear{.out = 10});
constexpr auto mlp =
    tenon::network({784}, nn::linear{.out = 512}, nn::relu{}, nn::linear{.out = 512}, nn::relu{}, nn::linear{.out = 10});

std::vector<float> numbers(extent n, std::uint64_t seed, bool integers) {
  std::vector<float> v(static_cast<std::size_t>(n));
  for (float& e : v) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    e = integers ? static_cast<float>(static_cast<int>((seed >> 33) % 5) - 2)
                 : static_cast<float>((seed >> 40) & 0xffff) / 32768 - 1;
  }
  return v;
}
template <class T, class D>
std::vector<float> host_of(const D& device, const tenon::tensor<T, D>& t) {
  std::vector<float> v(static_cast<std::size_t>(t.numel()));
  device.download(v.data(), t.data(), v.size() * 4);
  return v;
}
template <class M>
std::vector<float> state(const M& m) {
  std::vector<float> all;
  for (const auto& p : m.parameters())
    for (const auto& v : {host_of(m.device(), p.value), host_of(m.device(), p.grad)}) all.insert(all.end(), v.begin(), v.end());
  return all;
}
float distance(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return 1e9f;
  float worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const float d = std::abs(a[i] - b[i]) / (1 + std::abs(b[i]));
    worst = d <= worst ? worst : d;  // keeps a NaN
  }
  return worst;
}

void integers(const cuda_device& gpu) {
  tenon::model<whole> host;
  std::uint64_t seed = 1;
  for (const auto& p : host.parameters()) {
    const auto v = numbers(p.value.numel(), ++seed, true);
    std::memcpy(p.value.data(), v.data(), v.size() * 4);
  }
  auto device = host.to(gpu);
  for (const extent n : {1, 7, 130}) {
    const auto x = numbers(n * 40, 5, true), dy = numbers(n * 33, 6, true);
    std::vector<float> dx(x.size());
    const auto xd = to_device(gpu, view(x, {n, 40})), dyd = to_device(gpu, view(dy, {n, 33})),
               dxd = to_device(gpu, view(dx, {n, 40}));
    const auto y = host.forward(view(x, {n, 40}));
    const auto yd = device.forward(xd);
    expect(host_of(host.device(), y) == host_of(gpu, yd), "forward: the host's integers");
    host.backward(view(dy, {n, 33}), view(dx, {n, 40}));
    device.backward(dyd, dxd);
    expect(host_of(gpu, dxd) == dx, "backward: dx");
    expect(state(host) == state(device), "backward: the gradients of all parameters");
    expect(host_of(gpu, device(xd)) == host_of(host.device(), host(view(x, {n, 40}))), "inference");
  }
  const auto clone = device.clone();
  expect(state(clone).size() == state(device).size(), "a clone");
}
template <class Rule>
void trains(const cuda_device& gpu, Rule rule, const char* what) {
  tenon::model<small> host{{.seed = 3}};
  tenon::model<small, cuda_device> device{{.seed = 3, .device = gpu}};
  for (int step = 0; step < 20; ++step) {
    const extent n = step % 5 == 4 ? 3 : 64;
    const auto x = numbers(n * 64, static_cast<std::uint64_t>(step), false), dy = numbers(n * 10, 100, false);
    const auto xd = to_device(gpu, view(x, {n, 64})), dyd = to_device(gpu, view(dy, {n, 10}));
    (void)host.forward(view(x, {n, 64}));
    (void)device.forward(xd);
    host.backward(view(dy, {n, 10}));
    device.backward(dyd);
    host.update(rule);
    device.update(rule);
  }
  const float d = distance(state(device), state(host));
  std::printf("%s: after 20 steps, parameters and gradients differ by %.1e at the most\n", what, static_cast<double>(d));
  expect(d < 2e-3f, what);
}
void errors() {
  auto code = [](auto&& f) {
    try {
      f();
    } catch (const tenon::error& e) {
      std::printf("as it should be: %s\n", e.what());
      return e.code();
    }
    return tenon::errc::ok;
  };
  expect(code([] { tenon::model<small, cuda_device> m{{.device = {.device = 99}}}; }) == tenon::errc::no_device, "no device 99");
  tenon::storage s;
  tenon::failure why;
  expect(cuda_device{}.try_allocate(std::size_t{1} << 50, s, why) == tenon::errc::no_memory, "a petabyte is out of memory");
  tenon::model<small, cuda_device> m;
  const std::vector<float> x(64);
  expect(code([&] { (void)m(view(x, {1, 64})); }) == tenon::errc::device, "memory of the host is refused");
}
void times(const cuda_device& gpu, bool json, int steps) {
  for (const extent n : {64, 256, 4096}) {
    tenon::model<mlp, cuda_device> m{{.seed = 1, .device = gpu}};
    const auto x = numbers(n * 784, 1, false), dy = numbers(n * 10, 2, false);
    const auto xd = to_device(gpu, view(x, {n, 784})), dyd = to_device(gpu, view(dy, {n, 10}));
    const tenon::sgd rule{.lr = 1e-6};
    auto run = [&](int count) {
      const auto start = std::chrono::steady_clock::now();
      for (int i = 0; i < count; ++i) {
        (void)m.forward(xd);
        m.backward(dyd);
        m.update(rule);
      }
      gpu.synchronize();
      return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count() / count;
    };
    run(steps);
    double best = 1e30;
    for (int i = 0; i < 7; ++i) best = std::min(best, run(steps));
    std::printf("step of the MLP 784-512-512-10 (forward, backward, SGD), batch %d: %.1f us\n", static_cast<int>(n), best / 1e3);
    if (json)
      std::printf(
          "{\"bench\":\"cuda_train\",\"case\":\"mlp %d\",\"ours_ns\":%.0f,\"peer\":null,\"peer_ns\":null,\"ratio\":null}\n",
          static_cast<int>(n), best);
  }
}
}  // namespace

int main(int argc, char** argv) {
  bool tiny = false, quick = false, json = false;
  for (int i = 1; i < argc; ++i) {
    tiny |= !std::strcmp(argv[i], "--tiny");
    quick |= !std::strcmp(argv[i], "--quick");
    json |= !std::strcmp(argv[i], "--json");
  }
  try {
    cuda_device gpu{};
    integers(gpu);  // without a workspace
    gpu.reserve(8 << 20);
    integers(gpu);
    trains(gpu, tenon::sgd{.lr = 0.01, .momentum = 0.9}, "sgd");
    trains(gpu, tenon::adam{.lr = 1e-3, .weight_decay = 0.01}, "adam");
    trains(gpu, tenon::adamw{.lr = 1e-3}, "adamw");
    errors();
    if (!tiny) times(gpu, json, quick ? 50 : 300);
  } catch (const std::exception& e) { expect(false, e.what()); }
  std::printf("train: %d passed, %d failed\n", passed, failed);
  return failed > 0;
}
