// SPDX-License-Identifier: Apache-2.0
// Binding in the compiler: the plan of an architecture it knows is constant data, and so is its program. Touches no memory.
#pragma once
#include "tenon/graph/planner.hpp"
#include "tenon/graph/program.hpp"
namespace tenon {
namespace detail {
/// A plan with its arrays inside.
template <int Nodes, int Values, int Parameters, int States, int Texts>
struct frozen_plan : plan_numbers {
  node nodes[static_cast<unsigned>(Nodes)];
  value_info values[static_cast<unsigned>(Values)];
  array_info parameters[static_cast<unsigned>(Parameters) + 1], states[static_cast<unsigned>(States) + 1];
  char texts[static_cast<unsigned>(Texts) + 1];

  constexpr const value_info& at(int v) const { return values[v]; }
  constexpr plan view() const {
    return {*this, {nodes, Nodes}, {values, Values}, {parameters, Parameters}, {states, States}, texts};
  }
};
template <class Net>
constexpr planner planned_by_compiler(const Net& from, scalar_widths w) {
  planner p(w);
  auto y = from.lower(p, p.add_inputs(from.in));
  if (!p.bad)
    for (int i = 0; i < y.size(); ++i)
      if (p.needs_copy(y, i)) y[i] = copied_output(p, y[i], i);
  p.finish(y);
  return p;
}
struct plan_counts {
  int nodes = 0, values = 0, parameters = 0, states = 0, texts = 0;
  fault bad{};
};
template <auto Net>
constexpr plan_counts count_plan(scalar_widths w) {
  const planner p = planned_by_compiler(Net, w);
  return {p.nodes.size(), p.values.size(), p.parameters.size(), p.states.size(), p.texts.size(), p.bad};
}
template <auto Net, plan_counts N>
constexpr auto freeze_plan(scalar_widths w) {
  const planner p = planned_by_compiler(Net, w);
  frozen_plan<N.nodes, N.values, N.parameters, N.states, N.texts> f{};
  static_cast<plan_numbers&>(f) = p;
  for (int i = 0; i < N.nodes; ++i) f.nodes[i] = p.nodes[i];
  for (int i = 0; i < N.values; ++i) f.values[i] = p.values[i];
  for (int i = 0; i < N.parameters; ++i) f.parameters[i] = p.parameters[i];
  for (int i = 0; i < N.states; ++i) f.states[i] = p.states[i];
  for (int i = 0; i < N.texts; ++i) f.texts[i] = p.texts.data()[i];
  return f;
}
/// Lowers again, and takes the layer of one node.
template <class L>
struct layer_picker {
  using value = int;
  int wanted, next = 0;
  L found{};
  constexpr void enter(int, const char*) {}
  constexpr void leave() {}
  template <class M>
  constexpr list<int, max_inputs> add(const M& m, const list<int, max_inputs>& x, const char* = nullptr) {
    if constexpr (std::is_same_v<M, L>)
      if (next == wanted) found = m;
    ++next;
    return x;
  }
};
template <auto Net, int I>
constexpr auto layer_of_node() {
  if constexpr (I >= node_type_count<decltype(Net)>) {
    return identity{};  // in front of an output
  } else {
    layer_picker<node_type<decltype(Net), I>> p{I};
    list<int, max_inputs> x;
    x.add(0);
    static_cast<void>(Net.lower(p, x));
    return p.found;
  }
}
}  // namespace detail

/// Found by the compiler behind all layers: its arguments are the message.
template <errc what, int axis, extent got, extent expected>
struct binds {
  static_assert(what == errc::ok,
                "[network] does not bind: two parameters of one name, tied layers that differ, an extent that must be "
                "known, or sizes that do not fit (what, axis, got, expected)");
};

/// The plan and the layers of an architecture that the compiler knows.
template <auto Net, class Policy>
struct compiled_plan {
  static constexpr detail::scalar_widths widths = detail::arrays_of<Policy, cpu>.width;
  static constexpr detail::plan_counts counts = detail::count_plan<Net>(widths);
  [[no_unique_address]] binds<counts.bad.code, counts.bad.axis, counts.bad.got, counts.bad.expected> binds_;
  static constexpr auto frozen = detail::freeze_plan<Net, counts>(widths);
  static constexpr detail::plan plan = frozen.view();
  template <int I>
  static constexpr auto layer = detail::layer_of_node<Net, I>();
};
/// Its program.
template <auto Net, class P, class D>
struct compiled_program {
  using planned = compiled_plan<Net, precision_of<P>>;
  template <class Seq>
  struct table;
  template <int... I>
  struct table<std::integer_sequence<int, I...>> {
    static constexpr bound_layer all[]{
        {&planned::template layer<I>, &detail::calls<std::remove_const_t<decltype(planned::template layer<I>)>, P, D>}...};
  };
  static inline const program value{planned::plan, detail::arrays_of<precision_of<P>, D, detail::has_joins(planned::plan)>,
                                    table<std::make_integer_sequence<int, planned::counts.nodes>>::all};
};
}  // namespace tenon
