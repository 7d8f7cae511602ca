// SPDX-License-Identifier: Apache-2.0
// A body that cannot compile is an error on its own line, without a network.
// expect: layer_body.cpp:15
// expect: xx
// expect-max-lines: 16
// control: -DFIXED
#include <tenon/layers/layer.hpp>
#ifdef FIXED
#define xx x
#endif
struct swish {
  static constexpr auto name = "swish";
  constexpr tenon::spec infer(tenon::inputs x) const { return tenon::spec{x[0]}.reads(tenon::keep::input); }
  void forward(auto& pass) const {
    auto x = pass.xx();
    auto y = pass.y();
    for (tenon::extent i = 0; i < y.numel(); ++i) y[i] = x[i];
  }
  void backward(auto& pass) const {
    if (auto dx = pass.dx()) dx[0] = pass.dy()[0];
  }
};
static_assert(tenon::layer<swish>);
