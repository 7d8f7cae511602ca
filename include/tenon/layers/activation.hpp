// SPDX-License-Identifier: Apache-2.0
// Activations: one input, one output of its shape, and a backward that reads only the output, so y may be written over x.
#pragma once
#include "tenon/layers/infer.hpp"
#include "tenon/layers/layer.hpp"
#include "tenon/ops/map.hpp"
namespace tenon::layers {
/// y = max(x, 0); NaN stays NaN.
struct relu {
  static constexpr auto name = "relu";
  static constexpr void fields(auto&, auto&&) {}
  constexpr spec infer(inputs x) const { return spec{detail::only_input(x)}.reads(keep::output).overwrites(0); }
  void forward(auto& pass) const { ops::relu(pass.ex(), pass.y(), pass.x()); }
  void backward(auto& pass) const {
    if (auto dx = pass.dx()) ops::relu_dx(pass.ex(), dx, pass.dy(), pass.y());
  }
};

/// y = tanh(x)
struct tanh {
  static constexpr auto name = "tanh";
  static constexpr void fields(auto&, auto&&) {}
  constexpr spec infer(inputs x) const { return spec{detail::only_input(x)}.reads(keep::output).overwrites(0); }
  void forward(auto& pass) const { ops::tanh(pass.ex(), pass.y(), pass.x()); }
  void backward(auto& pass) const {
    if (auto dx = pass.dx()) ops::tanh_dx(pass.ex(), dx, pass.dy(), pass.y());
  }
};

/// y = 1 / (1 + exp(−x))
struct sigmoid {
  static constexpr auto name = "sigmoid";
  static constexpr void fields(auto&, auto&&) {}
  constexpr spec infer(inputs x) const { return spec{detail::only_input(x)}.reads(keep::output).overwrites(0); }
  void forward(auto& pass) const { ops::sigmoid(pass.ex(), pass.y(), pass.x()); }
  void backward(auto& pass) const {
    if (auto dx = pass.dx()) ops::sigmoid_dx(pass.ex(), dx, pass.dy(), pass.y());
  }
};
}  // namespace tenon::layers
