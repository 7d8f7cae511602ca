// SPDX-License-Identifier: Apache-2.0
// A layer with loops of its own on a device whose memory is not the host's: it says what to write, or which overload to add.
// expect: [view.device] this memory is not the host's: write the layer with tenon::ops, or add an overload of its forward and backward for this device
// expect: layer_host_only.cpp:18
// expect-max-lines: 40
// control: -DFIXED
#include "support/guarded_device.hpp"
#include "tenon/tenon.hpp"
struct doubled {
  static constexpr auto name = "doubled";
  constexpr tenon::spec infer(tenon::inputs x) const { return tenon::spec{x[0]}.reads(tenon::keep::nothing); }
  void forward(auto& pass) const {
#ifdef FIXED
    tenon::ops::add(pass.ex(), pass.y(), pass.x(), pass.x());
#else
    auto x = pass.x();
    auto y = pass.y();
    for (tenon::extent i = 0; i < y.numel(); ++i) y[i] = 2 * x[i];
#endif
  }
  void backward(auto& pass) const {
    if (auto dx = pass.dx()) tenon::ops::add(pass.ex(), dx, pass.dy(), pass.dy());
  }
};
static_assert(tenon::layer<doubled>);
constexpr auto net = tenon::network({4}, doubled{});
tenon::model<net, guarded_device::guarded> m;
