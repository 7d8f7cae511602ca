// SPDX-License-Identifier: Apache-2.0
// Layers that only give memory another shape: the plan shares it, and their bodies are the copy for where it cannot.
#pragma once
#include "tenon/layers/infer.hpp"
#include "tenon/layers/layer.hpp"
#include "tenon/ops/map.hpp"
namespace tenon::layers {
/// All axes from `first_axis` (≥ 1) on become one: x is [batch, a, b, …], y is [batch, a·b·…].
struct flatten {
  size first_axis = 1;
  static constexpr auto name = "flatten";
  static constexpr void fields(auto& self, auto&& visit) { visit("first_axis", self.first_axis); }
  constexpr spec infer(inputs x) const {
    shape s = detail::only_input(x).expect_value(first_axis > 0, first_axis, 1);
    if (first_axis >= s.rank()) s = s.failed({errc::rank, -1, s.rank(), detail::saturating_add(first_axis, 1)});
    if (s.ok()) {
      const int first = static_cast<int>(first_axis.v);
      extent all = 1;
      for (int i = first; i < s.rank(); ++i) all = s[i] == dyn || all == dyn ? dyn : detail::saturating_mul(all, s[i]);
      for (int i = first + 1; i < s.rank_; ++i) s.d[i] = 0;
      s.rank_ = first + 1;
      s = s.with(first, all);
    }
    return spec{s}.reads(keep::nothing).aliases(0);
  }
  void forward(auto& pass) const { ops::copy(pass.ex(), pass.y(), pass.x()); }
  void backward(auto& pass) const {
    if (auto dx = pass.dx()) ops::copy(pass.ex(), dx, pass.dy());
  }
};
}  // namespace tenon::layers
