// SPDX-License-Identifier: Apache-2.0
// The bare C++ side of bench_block: the seed's LeNet as a model, without Python and torch. Loaded by bench_block.py with ctypes.
#include <tenon/tenon.hpp>

#include <vector>

namespace nn = tenon::layers;

namespace {
constexpr auto seed = tenon::network({1, 28, 28}, nn::conv2d{.out = 4, .kernel = 3}, nn::relu{},
                                     nn::conv2d{.out = 4, .kernel = 3}, nn::relu{}, nn::max_pool2d{.kernel = 2}, nn::flatten{},
                                     nn::linear{.out = 128}, nn::relu{}, nn::linear{.out = 10}, nn::softmax{});
struct side {
  tenon::model<seed> net{{.seed = 1}};
  tenon::mse loss;
  std::vector<float> x, target;
  tenon::extent batch;
};
}  // namespace

extern "C" {
/// x is [batch, 1, 28, 28], target [batch, 10]; both are copied.
void* bare_create(int batch, const float* x, const float* target) {
  return new side{.x{x, x + batch * 784}, .target{target, target + batch * 10}, .batch = batch};
}
/// n steps: forward, MSE, backward, SGD of rate lr; gives the last loss.
double bare_steps(void* self, float lr, long n) {
  auto& s = *static_cast<side*>(self);
  double last = 0;
  for (long i = 0; i < n; ++i) {
    auto y = s.net.forward(tenon::view(s.x, {s.batch, 1, 28, 28}));
    auto [l, dy] = s.loss(y, tenon::view(s.target, {s.batch, 10}));
    s.net.backward(dy);
    s.net.update(tenon::sgd{.lr = lr});
    last = l;
  }
  return last;
}
/// n times forward and backward with `target` as dy; gradients are stored.
void bare_passes(void* self, long n) {
  auto& s = *static_cast<side*>(self);
  for (long i = 0; i < n; ++i) {
    auto y = s.net.forward(tenon::view(s.x, {s.batch, 1, 28, 28}));
    s.net.clear_gradients();
    s.net.backward(tenon::view(s.target, {s.batch, 10}));
  }
}
void bare_destroy(void* self) { delete static_cast<side*>(self); }
}
