// SPDX-License-Identifier: Apache-2.0
// Several inputs, several outputs.
#pragma once
#include "tenon/layers/infer.hpp"
#include "tenon/layers/layer.hpp"
#include "tenon/ops/gather.hpp"
#include "tenon/ops/map.hpp"
namespace tenon::layers {
/// y = x(0) + x(1), of one shape.
struct add {
  static constexpr int arity = 2;
  static constexpr auto name = "add";
  static constexpr void fields(auto&, auto&&) {}
  constexpr spec infer(inputs x) const {
    shape s = x.n == 2 ? x[0].expect_kind(kind::scalar) : x[0].failed({errc::arity, -1, x.n, 2});
    const shape other = x[1].expect_kind(kind::scalar).expect_rank(s.rank());
    if (!other.ok()) s = s.failed(other.bad());
    for (int i = 0; i < s.rank(); ++i) s = s.expect(i, other[i]);
    return spec{s}.reads(keep::nothing).overwrites(0);
  }
  void forward(auto& pass) const { ops::add(pass.ex(), pass.y(), pass.x(0), pass.x(1)); }
  void backward(auto& pass) const {
    for (int i = 0; i < 2; ++i)
      if (auto dx = pass.dx(i)) ops::copy(pass.ex(), dx, pass.dy());
  }
};

/// y(0) = the first `first` entries along `axis`, y(1) = the rest; negative axes count from the back, the batch is none of them.
struct split {
  size first{};
  size axis = 1;
  static constexpr auto name = "split";
  static constexpr void fields(auto& self, auto&& visit) {
    visit("first", self.first);
    visit("axis", self.axis);
  }
  constexpr spec infer(inputs x) const {
    shape s = detail::expect_inner_axis(detail::only_input(x), axis).expect_given(first);
    const int a = s.ok() ? detail::axis_of(axis, s.rank()) : 0;
    if (s.ok() && s[a] == dyn) s = s.failed({errc::extent, a, dyn, first});
    s = s.expect_least(a, detail::saturating_add(first, 1));
    return spec{s.with(a, first)}.output(s.with(a, s.ok() ? s[a] - first : 0)).reads(keep::nothing);
  }
  void forward(auto& pass) const {
    const int a = detail::axis_of(axis, pass.x_shape().rank());
    if (auto y = pass.y(0)) ops::slice(pass.ex(), y, pass.x(), a, extent{0});
    if (auto y = pass.y(1)) ops::slice(pass.ex(), y, pass.x(), a, first.v);
  }
  void backward(auto& pass) const {
    const int a = detail::axis_of(axis, pass.x_shape().rank());
    if (auto dx = pass.dx()) {
      ops::place(pass.ex(), dx, pass.dy(0), a, extent{0}, first.v);
      ops::place(pass.ex(), dx, pass.dy(1), a, first.v, pass.x_shape()[a] - first.v);
    }
  }
};
}  // namespace tenon::layers
