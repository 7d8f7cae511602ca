// SPDX-License-Identifier: Apache-2.0
// expect: [layer.name] add: static constexpr auto name = "
// control: -DFIXED
#include <tenon/tenon.hpp>
struct swish {
#ifdef FIXED
  static constexpr auto name = "swish";
#endif
  constexpr tenon::spec infer(tenon::inputs x) const { return tenon::spec{x[0]}.reads(tenon::keep::nothing); }
  void forward(auto& pass) const { tenon::ops::copy(pass.ex(), pass.y(), pass.x()); }
  void backward(auto& pass) const {
    if (auto dx = pass.dx()) tenon::ops::copy(pass.ex(), dx, pass.dy());
  }
};
constexpr auto mlp = tenon::network({784}, swish{});
