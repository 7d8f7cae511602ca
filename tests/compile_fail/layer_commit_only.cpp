// SPDX-License-Identifier: Apache-2.0
// State is read-only in forward: commit alone may write it.
// expect: layer_commit_only.cpp:15
// expect g++: read-only
// expect clang++: cannot assign to return value
// control: -DFIXED
#include <tenon/layers/layer.hpp>
struct counts {
  static constexpr auto name = "counts";
  constexpr tenon::spec infer(tenon::inputs x) const {
    return tenon::spec{x[0]}.state("calls", {1}, 0).reads(tenon::keep::nothing);
  }
  void forward(auto& pass) const {
#ifndef FIXED
    pass.state(0)[0] = 1;
#endif
  }
  void backward(auto&) const {}
  void commit(auto& pass) const { pass.state(0)[0] += 1; }
};
static_assert(tenon::layer<counts>);
