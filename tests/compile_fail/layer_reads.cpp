// SPDX-License-Identifier: Apache-2.0
// backward reads what infer did not keep.
// expect: [layer.reads] backward reads what infer did not keep: add .reads(tenon::keep::input), output or both
// expect: layer_reads.cpp:18
// expect-max-lines: 16
// control: -DFIXED
#include <tenon/layers/layer.hpp>
#ifdef FIXED
constexpr auto kept = tenon::keep::input;
#else
constexpr auto kept = tenon::keep::output;
#endif
struct square {
  static constexpr auto name = "square";
  constexpr tenon::spec infer(tenon::inputs x) const { return tenon::spec{x[0]}.reads(kept); }
  void forward(auto& pass) const { pass.y()[0] = pass.x()[0] * pass.x()[0]; }
  void backward(auto& pass) const {
    if (auto dx = pass.dx()) dx[0] = 2 * pass.dy()[0] * pass.x()[0];
  }
};
static_assert(tenon::layer<square>);
