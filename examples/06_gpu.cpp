// SPDX-License-Identifier: Apache-2.0
// An MLP on an NVIDIA GPU: one step is the CPU's. Compiled without CUDA; the library of kernels is loaded at run time.
//
//   cuda:0 holds the parameters, cuda:0 the gradients, 4 arrays
//   a step of sgd, loss 1.12: the GPU's parameters are the CPU's
//
// or, where there is no library or no GPU, which and what to do:
//
//   [cuda] libtenon_cuda.so.1: cannot open shared object file: No such file or directory: no usable library. Build it where nvcc is: …
#include <cmath>
#include <cstdio>
#include <tenon/tenon.hpp>
#include <tenon/train/cuda.hpp>  // neither a CUDA header nor nvcc
#include <vector>
namespace nn = tenon::layers;

constexpr auto mlp = tenon::network({16}, nn::linear{.out = 32}, nn::relu{}, nn::linear{.out = 3});

static bool compare(const std::vector<float>& numbers, const std::vector<int>& classes) {
  const auto x = tenon::view(numbers, {8, 16});
  const tenon::cross_entropy loss;
  const tenon::sgd rule{.lr = 0.1};
  tenon::cuda_device gpu{.device = 0};  // .stream = a cudaStream_t; ops are queued on it
  gpu.reserve(8 << 20);  // workspace: small products are cut along k, too
  tenon::model<mlp, tenon::cuda_device> net{{.seed = 1, .device = gpu}};
  const auto y = net.forward(tenon::to_device(gpu, x));  // or a tensor<float, tenon::cuda_device> from another framework
  const auto [l, dy] = loss(tenon::to_host(gpu, y), classes);  // losses run on the host
  net.backward(tenon::to_device(gpu, dy));
  net.update(rule);

  tenon::model<mlp> host{{.seed = 1}};
  host.backward(loss(host.forward(x), classes).dy);
  host.update(rule);

  const auto there = net.parameters();
  const auto here = host.parameters();
  const auto where = [](const auto& t) { return tenon::name(t.describe().device); };
  std::printf("%s holds the parameters, %s the gradients, %zu arrays\n", where(there[0].value).c_str(),
              where(there[0].grad).c_str(), there.size());
  float apart = 0;
  for (std::size_t i = 0; i < here.size(); ++i) {
    const auto w = tenon::to_host(gpu, there[i].value);
    for (tenon::extent k = 0; k < w.numel(); ++k) apart = std::fmax(apart, std::fabs(w[k] - here[i].value[k]));
  }
  const bool same = apart < 1e-5f;  // sums in another order
  std::printf("a step of sgd, loss %.2f: the GPU's parameters are %s\n", double{l}, same ? "the CPU's" : "WRONG");
  return same;
}

int main() {
  std::vector<float> x(8 * 16);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = std::sin(static_cast<float>(i));
  try {
    return compare(x, {0, 1, 2, 0, 1, 2, 0, 1}) ? 0 : 1;
  } catch (const tenon::error& e) {
    std::puts(e.what());
    const bool none = e.code() == tenon::errc::library || e.code() == tenon::errc::no_device;
    return none ? 0 : 1;
  }
}
