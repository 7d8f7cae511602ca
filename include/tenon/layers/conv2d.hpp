// SPDX-License-Identifier: Apache-2.0
// Convolution in two dimensions.
#pragma once
#include "tenon/layers/infer.hpp"
#include "tenon/layers/layer.hpp"
#include "tenon/ops/conv.hpp"
#include "tenon/ops/reduce.hpp"
namespace tenon::layers {
/// x is [batch, in, h, w], y is [batch, out, i, j], weight is [out, in/groups, kh, kw] (torch.nn.Conv2d).
struct conv2d {
  size out{};
  size2 kernel{}, stride = 1, padding = 0, dilation = 1;
  size groups = 1;
  bool bias = true;
  size in = dyn;
  static constexpr auto name = "conv2d";
  static constexpr void fields(auto& self, auto&& visit) {
    visit("out", self.out);
    visit("kernel", self.kernel);
    visit("stride", self.stride);
    visit("padding", self.padding);
    visit("dilation", self.dilation);
    visit("groups", self.groups);
    visit("bias", self.bias);
    visit("in", self.in);
  }
  constexpr spec infer(inputs x) const {
    using detail::saturating_mul;
    shape s = detail::only_input(x).expect_rank(4).expect_given(out);
    s = detail::expect_positive_or_dyn(s, in).expect(1, in);
    const extent channels = s[1] == dyn ? in.v : s[1], split = groups > 0 ? groups.v : 1;
    s = s.expect_value(groups > 0, groups, 1)
            .expect_value(out % split == 0, out, split)
            .expect_value(channels % split == 0, channels, split);
    s = detail::slide(s, 2, kernel.h, stride.h, padding.h, dilation.h);
    s = detail::slide(s, 3, kernel.w, stride.w, padding.w, dilation.w).with(1, out);
    const shape weight{out.v, channels / split, kernel.h, kernel.w};
    const initial start = uniform_fan_in(s.ok() ? saturating_mul(weight[1], saturating_mul(kernel.h, kernel.w)) : 1);
    spec all{s};
    all.parameter("weight", weight, start).reads(keep::input);
    if (s.ok() && s[2] != dyn && s[3] != dyn && channels > 0) all.scratch(detail::conv_scratch(x[0], s, window()));
    return bias ? all.parameter("bias", {out.v}, start) : all;
  }
  constexpr ops::window window() const {
    return {kernel.h, kernel.w, stride.h, stride.w, padding.h, padding.w, dilation.h, dilation.w, groups};
  }
  void forward(auto& pass) const { ops::conv(pass.ex(), pass.y(), pass.x(), pass.p(0), pass.p(1), window()); }
  void backward(auto& pass) const {
    if (auto dx = pass.dx()) ops::conv_dx(pass.ex(), dx, pass.dy(), pass.p(0), window());
    if (auto dw = pass.dp(0)) ops::conv_dw(pass.ex(), dw, pass.dy(), pass.x(), window());
    if (auto db = pass.dp(1)) ops::channel_sum(pass.ex(), db, pass.dy(), 1);
  }
};
}  // namespace tenon::layers
