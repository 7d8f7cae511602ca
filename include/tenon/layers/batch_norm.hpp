// SPDX-License-Identifier: Apache-2.0
// Batch normalisation: the witness of state, of saved statistics and of commit.
#pragma once
#include "tenon/layers/infer.hpp"
#include "tenon/layers/layer.hpp"
#include "tenon/ops/norm.hpp"
namespace tenon::layers {
/// y = (x − mean) / √(variance + epsilon) · weight + bias for each channel; x is [batch, channels, …] (torch.nn.BatchNorm).
/// Training uses the batch's mean and biased variance and saves them; inference the running ones, which only commit changes:
/// running = (1 − momentum) · running + momentum · new, with the unbiased variance. One value a channel has variance 0
/// (y = bias; PyTorch refuses it), and running_var then takes that 0.
struct batch_norm {
  double momentum = 0.1, epsilon = 1e-5;  // not float: in a float64 network 0.1 and 0.1f differ
  static constexpr auto name = "batch_norm";
  static constexpr void fields(auto& self, auto&& visit) {
    visit("momentum", self.momentum);
    visit("epsilon", self.epsilon);
  }
  constexpr spec infer(inputs x) const {
    shape s = detail::expect_rank_least(detail::only_input(x), 2);
    s = s.expect_value(momentum >= 0 && momentum <= 1, momentum < 0 ? -1 : 2, 1)
            .expect_value(epsilon > 0 && epsilon < 1, epsilon < 1 ? 0 : 1, 1);
    const shape c{s[1]};
    return spec{s.expect_least(1, 1)}
        .parameter("weight", c, constant(1))
        .parameter("bias", c)
        .state("running_mean", c, 0)
        .state("running_var", c, 1)
        .saves("mean", c)
        .saves("variance", c)
        .reads(keep::input);
  }
  void forward(auto& pass) const {
    if (!pass.training()) {
      ops::normalise(pass.ex(), pass.y(), pass.x(), pass.state(0), pass.state(1), pass.p(0), pass.p(1), double(epsilon));
      return;
    }
    const auto mean = pass.saved(0), variance = pass.saved(1);
    ops::moments(pass.ex(), mean, variance, pass.x());
    ops::normalise(pass.ex(), pass.y(), pass.x(), mean, variance, pass.p(0), pass.p(1), double(epsilon));
  }
  void backward(auto& pass) const {
    ops::normalise_back(pass.ex(), pass.dx(), pass.dp(0), pass.dp(1), pass.dy(), pass.x(), pass.saved(0), pass.saved(1),
                        pass.p(0), double(epsilon));
  }
  void commit(auto& pass) const {
    const shape s = pass.x_shape();
    const extent count = s.numel() / s[1];
    const double unbiased = count > 1 ? static_cast<double>(count) / static_cast<double>(count - 1) : 1.0;
    ops::fold(pass.ex(), pass.state(0), pass.saved(0), double(momentum), 1.0);
    ops::fold(pass.ex(), pass.state(1), pass.saved(1), double(momentum), unbiased);
  }
};
}  // namespace tenon::layers
