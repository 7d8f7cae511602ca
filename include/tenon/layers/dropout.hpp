// SPDX-License-Identifier: Apache-2.0
// Dropout: the witness of random numbers. Nothing is saved; backward draws the mask of its forward again.
#pragma once
#include "tenon/layers/infer.hpp"
#include "tenon/layers/layer.hpp"
#include "tenon/ops/dropout.hpp"
#include "tenon/ops/map.hpp"
namespace tenon::layers {
/// In training each element is 0 with probability `rate` (in [0, 1)), else x / (1 − rate); in inference y = x (torch.nn.Dropout).
struct dropout {
  float rate = 0.5f;
  static constexpr auto name = "dropout";
  static constexpr void fields(auto& self, auto&& visit) { visit("rate", self.rate); }
  constexpr spec infer(inputs x) const {
    const shape s = detail::only_input(x).expect_value(rate >= 0 && rate < 1, rate < 0 ? -1 : 1, 0);
    return spec{s}.reads(keep::nothing).overwrites(0);
  }
  void forward(auto& pass) const {
    if (pass.training()) ops::drop(pass.ex(), pass.y(), pass.x(), pass.rng(), double(rate));
    else ops::copy(pass.ex(), pass.y(), pass.x());
  }
  void backward(auto& pass) const {
    if (auto dx = pass.dx()) ops::drop(pass.ex(), dx, pass.dy(), pass.rng(), double(rate));
  }
};
}  // namespace tenon::layers
