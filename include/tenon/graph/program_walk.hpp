// SPDX-License-Identifier: Apache-2.0
// How a program is made from an architecture, and how it walks: forward down the plan, backward up.
#pragma once
#include <string>
#include "tenon/graph/program.hpp"
namespace tenon {
#if TENON_EXCEPTIONS
template <class Net, class P, class D>
[[gnu::cold]] program::program(const Net& from, std::type_identity<P>, std::type_identity<D>)
    : plan_(detail::arrays_of<precision_of<P>, D>.width), arrays_(&detail::arrays_of<precision_of<P>, D>) {
  binder<P, D> b{*this};
  const call_table* copy = nullptr;
  if constexpr (!requires { requires Net::plain; }) copy = &detail::calls<detail::identity, P, D>;
  finish(from.lower(b, plan_.add_inputs(from.in)), copy);
}

// the layer's bytes move in, so that a program outlives the value it was made from
[[gnu::cold]] inline list<int, max_inputs> program::add_copied(const call_table& c, const void* layer, std::size_t bytes,
                                                               const list<int, max_inputs>& x, const char* tie) {
  const void* own = layers_.copy(layer, bytes);
  spec s = c.infer(own, plan_.shapes_of(x));
  if (!plan_.bad && !s.bad() && c.reads_is_constant && s.read != c.reads)
    detail::raise(errc::value, "network",
                  {.argument = c.name,
                   .got = static_cast<extent>(s.read),
                   .expected = static_cast<extent>(c.reads),
                   .remedy = "What a layer reads may not depend on its fields or input."});
  s.read = c.reads;
  return plan_.append(own, &c, c.name, s, x, tie);
}

[[gnu::cold]] inline void program::finish(list<int, max_inputs> y, const call_table* identity) {
  const detail::identity copy;
  if (!plan_.bad && identity)
    for (int i = 0; i < y.size(); ++i)
      if (plan_.needs_copy(y, i)) {
        plan_.enter(i, nullptr);
        list<int, max_inputs> one;
        one.add(y[i]);
        y[i] = add_copied(*identity, &copy, sizeof copy, one, nullptr)[0];
        plan_.leave();
      }
  plan_.finish(y);
  if (const fault& f = plan_.bad)
    detail::raise(f.code, "network", {.argument = plan_.bad_where, .axis = f.axis, .got = f.got, .expected = f.expected});
  for (int i = 0; i < plan_.in.n; ++i) {
    strided_input_[i] = true;
    for (const detail::node& n : plan_.nodes)
      for (const int v : n.x)
        if (plan_.at(v).root == i && !(n.out.strided && v == i)) strided_input_[i] = false;
  }
}
#endif

inline void program::forward(const arrays& a, const buffers& b, const call_info& c) const {
  const auto w = walk();
  w.cast_parameters(plan_.parameters.size(), a, b, c);
  for (int i = 0; i < plan_.nodes.size(); ++i) {
    const detail::node& n = plan_.nodes[i];
    if (!w.forward(n, i, a, b, c, [&](const frame& f) { n.calls->forward(n.layer, f); })) return;
  }
}

inline void program::commit(const arrays& a, const buffers& b, const call_info& c) const {
  for (int i = 0; i < plan_.nodes.size(); ++i) {
    const detail::node& n = plan_.nodes[i];
    if (n.calls->commit) n.calls->commit(n.layer, walk().start(n, i, a, b, c));
  }
}

inline void program::backward(const arrays& a, const buffers& b, const call_info& c, bool fresh) const {
  const auto w = walk();
  const unsigned wanted = w.wanted(b);
  w.begin_backward(b, c, wanted);
  for (int i = plan_.nodes.size(); i-- > 0;) {
    const detail::node& n = plan_.nodes[i];
    w.backward(n, i, a, b, c, wanted, fresh, [&](const frame& f) { n.calls->backward(n.layer, f); });
  }
}
}  // namespace tenon
