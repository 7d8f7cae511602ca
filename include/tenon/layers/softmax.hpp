// SPDX-License-Identifier: Apache-2.0
// Softmax as a layer: always its true Jacobian. For training on classes leave it out: `cross_entropy` takes logits.
#pragma once
#include "tenon/layers/infer.hpp"
#include "tenon/layers/layer.hpp"
#include "tenon/ops/softmax.hpp"
namespace tenon::layers {
/// y = exp(x) / Σ exp(x) along `axis`; negative axes count from the back, and the batch is not one of them.
struct softmax {
  size axis = -1;
  static constexpr auto name = "softmax";
  static constexpr void fields(auto& self, auto&& visit) { visit("axis", self.axis); }
  constexpr spec infer(inputs x) const {
    const shape s = detail::only_input(x);
    return spec{detail::expect_inner_axis(s, axis)}.reads(keep::output).overwrites(0);
  }
  void forward(auto& pass) const { ops::softmax(pass.ex(), pass.y(), pass.x(), detail::axis_of(axis, pass.x_shape().rank())); }
  void backward(auto& pass) const {
    if (auto dx = pass.dx()) ops::softmax_dx(pass.ex(), dx, pass.dy(), pass.y(), detail::axis_of(axis, pass.x_shape().rank()));
  }
};
}  // namespace tenon::layers
