// SPDX-License-Identifier: Apache-2.0
// libtorch as a training peer. Setting 0 (class A) is what a user writes: modules, autograd, torch::optim::SGD. The others
// (class B) are documented means: functional autograd with the fused SGD, oneDNN and NNPACK switched off (their reorders cost
// more than small convolutions), channels_last, matmul precision "medium" (oneDNN instead of MKL's AVX2 path on AMD; left out
// where it rounds to bf16, as with AMX). Their switches are global in torch, so they are set anew before each slice.
#include <torch/torch.h>

#include <cstdio>
#include <memory>
#include <vector>

#include "train_peer.h"

namespace {

struct setting {
  const char* name;
  bool modules, onednn, channels_last;
  const char* precision;
};
constexpr setting settings[] = {
    {"as installed", true, true, false, "highest"},
    {"fused SGD", false, true, false, "highest"},
    {"fused SGD, oneDNN and NNPACK off", false, false, false, "highest"},
    {"fused SGD, medium precision", false, true, false, "medium"},
    {"fused SGD, channels_last", false, true, true, "highest"},
    {"fused SGD, channels_last, medium precision", false, true, true, "medium"},
};

/// "medium" keeps fp32 accuracy on processors without bf16 matrix units; elsewhere it is another computation.
bool medium_is_fp32() {
  static const bool yes = [] {
    at::globalContext().setUserEnabledMkldnn(true);
    auto a = at::rand({256, 256}), b = at::rand({256, 256});
    at::globalContext().setFloat32MatmulPrecision("medium");
    auto medium = at::mm(a, b);
    at::globalContext().setFloat32MatmulPrecision("highest");
    const bool same = at::allclose(medium, at::mm(a, b), 1e-5, 0);
    if (!same)
      std::fputs("libtorch: matmul precision \"medium\" rounds to bf16 on this machine, so class B does without it\n", stderr);
    return same;
  }();
  return yes;
}

struct user_net : torch::nn::Module {
  std::vector<peer_layer> layers;
  std::vector<torch::nn::Conv2d> convs;
  std::vector<torch::nn::Linear> linears;

  explicit user_net(std::vector<peer_layer> all) : layers(std::move(all)) {
    for (auto& l : layers) {
      const auto name = "p" + std::to_string(convs.size() + linears.size());
      if (l.kind == peer_conv)
        convs.push_back(
            register_module(name, torch::nn::Conv2d(torch::nn::Conv2dOptions(l.in, l.out, l.kernel).padding(l.padding))));
      if (l.kind == peer_linear) linears.push_back(register_module(name, torch::nn::Linear(l.in, l.out)));
    }
  }
  torch::Tensor forward(torch::Tensor x) {
    auto conv = convs.begin();
    auto linear = linears.begin();
    for (auto& l : layers) switch (l.kind) {
        case peer_conv: x = (*conv++)(x); break;
        case peer_relu: x = torch::relu(x); break;
        case peer_pool: x = torch::max_pool2d(x, l.kernel); break;
        case peer_flatten: x = x.flatten(1); break;
        case peer_linear: x = (*linear++)(x); break;
      }
    return x;
  }
};

struct model {
  setting how;
  std::shared_ptr<user_net> net;
  std::unique_ptr<torch::optim::SGD> optimizer;
  std::vector<torch::Tensor> parameters;
  torch::Tensor x, labels;

  torch::Tensor functional(torch::Tensor v) const {
    auto p = parameters.begin();
    for (auto& l : net->layers) switch (l.kind) {
        case peer_conv: v = at::conv2d(v, p[0], p[1], 1, l.padding), p += 2; break;
        case peer_relu: v = at::relu(v); break;
        case peer_pool: v = at::max_pool2d(v, l.kernel); break;
        case peer_flatten: v = v.flatten(1); break;
        case peer_linear: v = at::linear(v, p[0], p[1]), p += 2; break;
      }
    return v;
  }
  torch::Tensor step(float lr) {
    if (how.modules) {
      optimizer->zero_grad();
      auto loss = torch::nn::functional::cross_entropy(net->forward(x), labels);
      loss.backward();
      optimizer->step();
      return loss;
    }
    auto loss = at::cross_entropy_loss(functional(x), labels);
    auto gradients = torch::autograd::grad({loss}, parameters);
    torch::NoGradGuard guard;
    at::_fused_sgd_(parameters, gradients, {}, 0., 0., lr, 0., false, false, true);
    return loss;
  }
};

}  // namespace

extern "C" {

const char* peer_name(void) {
  static const std::string name = "libtorch " TORCH_VERSION;
  return name.c_str();
}
int peer_settings(void) { return int(std::size(settings)); }
const char* peer_setting(int i) { return settings[i].name; }
void peer_threads(int threads) { at::set_num_threads(threads); }

void* peer_create(int i, const peer_layer* layers, int count, int batch, const float* parameters, const float* x,
                  const int* labels) try {
  const bool image = layers[0].kind == peer_conv;
  if (!image && (settings[i].channels_last || !settings[i].onednn)) return nullptr;
  if (settings[i].precision == std::string("medium") && !medium_is_fp32()) return nullptr;
  auto m = std::make_unique<model>();
  m->how = settings[i];
  m->net = std::make_shared<user_net>(std::vector<peer_layer>(layers, layers + count));
  {
    torch::NoGradGuard guard;
    for (auto& p : m->net->parameters()) {
      p.copy_(torch::from_blob(const_cast<float*>(parameters), p.sizes()));
      parameters += p.numel();
    }
  }
  const auto format = m->how.channels_last && image ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous;
  auto shape = image ? std::vector<int64_t>{batch, layers[0].in, 28, 28} : std::vector<int64_t>{batch, layers[0].in};
  m->x = torch::from_blob(const_cast<float*>(x), shape).contiguous(format);
  m->labels = torch::from_blob(const_cast<int*>(labels), {batch}, torch::kInt32).to(torch::kInt64);
  for (auto& p : m->net->parameters()) {
    auto q = p.detach().clone();
    m->parameters.push_back((q.dim() == 4 ? q.contiguous(format) : q).requires_grad_(true));
  }
  m->optimizer = std::make_unique<torch::optim::SGD>(m->net->parameters(), torch::optim::SGDOptions(0.01));
  return m.release();
} catch (const std::exception& e) {
  std::fprintf(stderr, "peer_create: %s\n", e.what());
  return nullptr;
}

float peer_steps(void* handle, float lr, long n) {
  auto& m = *static_cast<model*>(handle);
  at::globalContext().setUserEnabledMkldnn(m.how.onednn);
  at::globalContext().setUserEnabledNNPACK(m.how.onednn);
  at::globalContext().setFloat32MatmulPrecision(m.how.precision);
  static_cast<torch::optim::SGDOptions&>(m.optimizer->param_groups()[0].options()).lr(lr);
  float loss = 0;
  while (n-- > 0) loss = m.step(lr).item<float>();
  return loss;
}

void peer_destroy(void* handle) { delete static_cast<model*>(handle); }

}  // extern "C"
