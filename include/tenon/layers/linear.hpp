// SPDX-License-Identifier: Apache-2.0
// The fully connected layer.
#pragma once
#include "tenon/layers/infer.hpp"
#include "tenon/layers/layer.hpp"
#include "tenon/ops/gemm.hpp"
#include "tenon/ops/reduce.hpp"
namespace tenon::layers {
/// y = x · weightᵀ + bias: x is [batch, …, in], y is [batch, …, out], weight is [out, in] (torch.nn.Linear).
struct linear {
  size out{};
  bool bias = true;
  size in = dyn;
  static constexpr auto name = "linear";
  static constexpr void fields(auto& self, auto&& visit) {
    visit("out", self.out);
    visit("bias", self.bias);
    visit("in", self.in);
  }
  constexpr spec infer(inputs x) const {
    shape s = detail::expect_rank_least(detail::only_input(x), 2).expect_given(out);
    s = detail::expect_positive_or_dyn(s, in).expect(-1, in);
    const extent features = s[-1] == dyn ? in.v : s[-1];
    const initial start = uniform_fan_in(features);
    spec all{s.with(-1, out)};
    all.parameter("weight", {out.v, features}, start).scratch(detail::gemm_scratch).reads(keep::input);
    return bias ? all.parameter("bias", {out.v}, start) : all;
  }
  void forward(auto& pass) const { ops::affine(pass.ex(), pass.y(), pass.x(), pass.p(0), pass.p(1)); }
  void backward(auto& pass) const {
    if (auto dx = pass.dx()) ops::affine_dx(pass.ex(), dx, pass.dy(), pass.p(0));
    if (auto dw = pass.dp(0)) ops::affine_dw(pass.ex(), dw, pass.dy(), pass.x());
    if (auto db = pass.dp(1)) ops::channel_sum(pass.ex(), db, pass.dy(), -1);
  }
};
}  // namespace tenon::layers
