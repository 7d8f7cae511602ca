// SPDX-License-Identifier: Apache-2.0
// Pooling in two dimensions: x is [batch, channels, h, w], y is [batch, channels, i, j].
#pragma once
#include "tenon/layers/infer.hpp"
#include "tenon/layers/layer.hpp"
#include "tenon/ops/pool.hpp"
namespace tenon::detail {
/// A stride of 0 is the kernel.
constexpr extent stride_or(extent stride, extent kernel) { return stride == 0 ? kernel : stride; }
constexpr ops::window pool_window(const size2& kernel, const size2& stride, const size2& padding) {
  return {kernel.h, kernel.w, stride_or(stride.h, kernel.h), stride_or(stride.w, kernel.w), padding.h, padding.w};
}
/// The shape after pooling. Beside the faults of `slide`: a padding above half the kernel, for a window could hold padding alone.
constexpr shape pooled(const inputs& x, const size2& kernel, const size2& stride, const size2& padding) {
  shape s = only_input(x).expect_rank(4).expect_given(kernel.h).expect_given(kernel.w);
  s = s.expect_value(padding.h <= kernel.h / 2, padding.h, kernel.h / 2)
          .expect_value(padding.w <= kernel.w / 2, padding.w, kernel.w / 2);
  s = slide(s, 2, kernel.h, stride_or(stride.h, kernel.h), padding.h, 1);
  return slide(s, 3, kernel.w, stride_or(stride.w, kernel.w), padding.w, 1);
}
}  // namespace tenon::detail

namespace tenon::layers {
/// The largest of each window; saves where it was, so that backward needs neither x nor y. Padding is −∞ (torch.nn.MaxPool2d).
struct max_pool2d {
  size2 kernel{}, stride = 0, padding = 0;
  static constexpr auto name = "max_pool2d";
  static constexpr void fields(auto& self, auto&& visit) {
    visit("kernel", self.kernel);
    visit("stride", self.stride);
    visit("padding", self.padding);
  }
  constexpr spec infer(inputs x) const {
    shape s = detail::pooled(x, kernel, stride, padding);
    if (s.ok() && x[0][2] > 0 && x[0][3] > INT32_MAX / x[0][2]) s = s.failed({errc::limit, 3, x[0][3], INT32_MAX / x[0][2]});
    return spec{s}.saves("argmax", s, kind::index).reads(keep::nothing);
  }
  void forward(auto& pass) const {
    ops::max_pool(pass.ex(), pass.y(), pass.saved_index(0), pass.x(), detail::pool_window(kernel, stride, padding));
  }
  void backward(auto& pass) const {
    if (auto dx = pass.dx())
      ops::max_pool_dx(pass.ex(), dx, pass.dy(), pass.saved_index(0), detail::pool_window(kernel, stride, padding));
  }
};

/// The mean of each window; padding counts as zeros (torch.nn.AvgPool2d).
struct avg_pool2d {
  size2 kernel{}, stride = 0, padding = 0;
  static constexpr auto name = "avg_pool2d";
  static constexpr void fields(auto& self, auto&& visit) {
    visit("kernel", self.kernel);
    visit("stride", self.stride);
    visit("padding", self.padding);
  }
  constexpr spec infer(inputs x) const { return spec{detail::pooled(x, kernel, stride, padding)}.reads(keep::nothing); }
  void forward(auto& pass) const { ops::avg_pool(pass.ex(), pass.y(), pass.x(), detail::pool_window(kernel, stride, padding)); }
  void backward(auto& pass) const {
    if (auto dx = pass.dx()) ops::avg_pool_dx(pass.ex(), dx, pass.dy(), detail::pool_window(kernel, stride, padding));
  }
};
}  // namespace tenon::layers
