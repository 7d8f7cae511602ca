// SPDX-License-Identifier: Apache-2.0
// The layer concept, and the annotated example that is its documentation. Touches no memory.
//
//   struct scaled_tanh {                                   // a literal struct: sizes, rates, flags; no base class, no registration
//     float scale = 1;                                     // field order is API; `scaled_tanh{}` must be valid
//     static constexpr auto name = "scaled_tanh";
//
//     // Once at bind, also in the compiler. A straight line: faults stick to the shape, an axis that is not there reads as dyn.
//     constexpr tenon::spec infer(tenon::inputs x) const {
//       return tenon::spec{x[0]}                           // y(0) has the shape of x(0)
//           .parameter("gain", {x[0][-1]}, tenon::constant(1))
//           .reads(tenon::keep::both);                     // what backward reads; may not depend on the fields
//     }
//     // Pure: writes only what the pass offers. y =
//     void forward(auto& pass) const {
//       using std::tanh;  // <cmath>: tenon.hpp has it not
//       auto x = pass.x();  auto y = pass.y();  auto g = pass.p(0);
//       for (tenon::extent i = 0; i < x.numel(); ++i) y[i] = g[i % g.numel()] * tanh(scale * x[i]);
//     }
//     // dx = and dp +=; each is empty when nobody wants it.
//     void backward(auto& pass) const { … if (auto dx = pass.dx()) … if (auto dg = pass.dp(0)) … }
//     // Optional: void commit(auto& pass) const is the only writer of state; it runs once after each training forward.
//   };
//   static_assert(tenon::layer<scaled_tanh>);
//
// What else infer may ask for (spec.hpp) and what the passes then offer (pass.hpp); `shape` is any tenon::shape, as x[0] or {64}:
//   several inputs     static constexpr int arity = 2;             pass.x(1), pass.dx(1)
//   several outputs    .output(shape)                              pass.y(1), pass.dy(1)
//   a start            constant(c), normal(deviation), uniform_fan_in(n), initial{.bound = b} for U(−b, b); else zeros
//   an intermediate    .saves("gate", shape)                       if (auto s = pass.saved(0)) in forward: inference saves nothing
//   saved indices      .saves("place", shape, kind::index)         pass.saved_index(0)
//   state              .state("mean", shape, 0)                    pass.state(0), written by commit alone
//   scratch memory     .scratch(count)                             pass.scratch(): so many scalars for each thread
//   an index input     x[0].expect_kind(kind::index), .index_below(0, rows)        pass.x_index(0)
//   all of them        pass.training(), pass.batch(), pass.rng() (the same draws in forward and backward)
// x, y, p, dx, dy hold elements of the network's type; dp, state and saved accumulate, which may be wider.
//
// Loops like these run on the host. A layer that calls only tenon::ops(pass.ex(), …) runs on every device.
// Optional, for building by name and for export: static constexpr void fields(auto& self, auto&& visit) { visit("scale", self.scale); }
#pragma once
#include <concepts>
#include "tenon/layers/pass.hpp"
namespace tenon {
namespace detail {
// What backward may read is asked of a default layer: faults stick, so any input will do. `both` where that is no constant.
template <class L>
constexpr keep ask_reads() {
  const slot s{shape(dyn, 64, 64, 64)};
  return L{}.infer(inputs{s, s, s, s}).read;
}
}  // namespace detail
template <class L>
inline constexpr bool reads_is_constant = requires { typename std::integral_constant<keep, detail::ask_reads<L>()>; };
/// What backward of this type of layer is offered, and so what a plan keeps.
template <class L>
inline constexpr keep reads_of = [] {
  if constexpr (reads_is_constant<L>) return detail::ask_reads<L>();
  else return keep::both;
}();

template <class L>
concept has_name = requires {
  { L::name } -> std::convertible_to<const char*>;
};
template <class L>
concept has_infer = requires(const L& l, inputs x) {
  { l.infer(x) } -> std::convertible_to<spec>;
};
template <class L, class P = float, class D = cpu>
concept has_forward = requires(const L& l, forward_pass<P, D>& p) { l.forward(p); };
template <class L, class P = float, class D = cpu>
concept has_backward = requires(const L& l, backward_pass<P, D, reads_of<L>>& p) { l.backward(p); };
template <class L, class P = float, class D = cpu>
concept has_commit = requires(const L& l, commit_pass<P, D>& p) { l.commit(p); };
template <class L>
concept has_fields = requires(L& l) { L::fields(l, [](const char*, auto&) {}); };

namespace detail {
// Taking the addresses instantiates the bodies: a body that cannot compile is an error on its own line.
template <class L>
consteval bool bodies_compile() {
  void (L::*f)(forward_pass<float, cpu>&) const = &L::forward;
  void (L::*b)(backward_pass<float, cpu, reads_of<L>>&) const = &L::backward;
  return f != nullptr && b != nullptr;
}
}  // namespace detail
/// A node of a network: a literal struct with name, infer, forward, backward and perhaps commit.
template <class L>
concept layer = has_name<L> && has_infer<L> && has_forward<L> && has_backward<L> && detail::bodies_compile<L>();
/// Lowers to nodes; has no forward of its own.
template <class L>
concept combinator = requires { typename L::parts; };

namespace detail {
template <bool B>
inline constexpr bool bool_ = B;  // hides the concept: compilers would explain its atoms, and the message is enough
}
/// One `static_assert` a requirement: the message is the line to add.
template <class L>
consteval bool expect_layer() {
  if constexpr (!combinator<L>) {
    static_assert(detail::bool_<has_name<L>>, "[layer.name] add: static constexpr auto name = \"…\";");
    static_assert(detail::bool_<has_infer<L>>, "[layer.infer] add: constexpr tenon::spec infer(tenon::inputs x) const");
    static_assert(detail::bool_<has_forward<L>>, "[layer.forward] add: void forward(auto& pass) const");
    static_assert(detail::bool_<has_backward<L>>, "[layer.backward] add: void backward(auto& pass) const");
    static_assert(detail::bool_<std::is_trivially_copyable_v<L>>,
                  "[layer] a layer is a literal struct: sizes, rates, flags; no std::string, no std::vector");
  }
  return true;
}
template <class L>
inline constexpr bool usable = has_name<L> && has_infer<L> && has_forward<L> && has_backward<L>;
template <combinator L>
inline constexpr bool usable<L> = L::usable;
}  // namespace tenon
