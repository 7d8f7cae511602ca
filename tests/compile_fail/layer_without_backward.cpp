// SPDX-License-Identifier: Apache-2.0
// A layer without backward, inside a combinator: the line to add.
// expect: [layer.backward] add: void backward(auto& pass) const
// expect-max-lines: 16
// control: -DFIXED
#include <tenon/tenon.hpp>
namespace nn = tenon::layers;
struct swish {
  static constexpr auto name = "swish";
  constexpr tenon::spec infer(tenon::inputs x) const { return tenon::spec{x[0]}.reads(tenon::keep::nothing); }
  void forward(auto& pass) const { tenon::ops::copy(pass.ex(), pass.y(), pass.x()); }
#ifdef FIXED
  void backward(auto& pass) const {
    if (auto dx = pass.dx()) tenon::ops::copy(pass.ex(), dx, pass.dy());
  }
#endif
};
constexpr auto mlp = tenon::network({784}, nn::linear{.out = 128}, nn::residual{swish{}});
tenon::model<mlp> net;
