// SPDX-License-Identifier: Apache-2.0
// dy and dx swapped: dy is read-only, so the line that writes it does not compile.
// expect: layer_swapped.cpp:17
// expect g++: read-only
// expect clang++: cannot assign to return value
// expect-max-lines: 16
// control: -DFIXED
#include <tenon/layers/layer.hpp>
struct swish {
  static constexpr auto name = "swish";
  constexpr tenon::spec infer(tenon::inputs x) const { return tenon::spec{x[0]}.reads(tenon::keep::nothing); }
  void forward(auto& pass) const { pass.y()[0] = pass.x()[0]; }
  void backward(auto& pass) const {
    const auto dx = pass.dx();
    const auto dy = pass.dy();
#ifndef FIXED
    dy[0] = dx[0];
#else
    dx[0] = dy[0];
#endif
  }
};
static_assert(tenon::layer<swish>);
