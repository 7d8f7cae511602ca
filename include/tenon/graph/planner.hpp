// SPDX-License-Identifier: Apache-2.0
// Makes a plan from an architecture: a builder for lower(), then three steps (use, storage, gradients). Everything can run in the
// compiler, where `model` and `fixed` plan; a `graph` plans when it is bound.
#pragma once
#include "tenon/graph/growing.hpp"
#include "tenon/graph/plan.hpp"
namespace tenon {
namespace detail {
/// A builder that plans. Faults are remembered, not thrown: the owner reports the first.
class planner : public plan_numbers {
 public:
  growing<node> nodes;
  growing<value_info> values;
  growing<array_info> parameters, states;
  growing_text texts;  // names of parameters and states, paths of nodes, each with a final zero
  fault bad{};
  growing_text bad_where;

  [[gnu::cold]] constexpr explicit planner(scalar_widths w) { width = w; }

  // -- a builder: what lower() needs --
  using value = int;
  constexpr void enter(int i, const char* name);
  constexpr void leave() { path_.shrink(depth_ > 0 ? marks_[--depth_] : 0); }
  template <class L>
  constexpr list<int, max_inputs> add(const L& l, const list<int, max_inputs>& x, const char* tie = nullptr) {
    return append(L::name, infer_checked(l, shapes_of(x)), x, tie);
  }
  constexpr inputs shapes_of(const list<int, max_inputs>& x) const;
  constexpr list<int, max_inputs> append(const char* what, const spec& s, const list<int, max_inputs>& x, const char* tie);
  constexpr list<int, max_inputs> add_inputs(const list<input, max_inputs>& from);
  /// An input of the network, or a value already taken, needs an identity between it and an output.
  constexpr bool needs_copy(const list<int, max_inputs>& y, int i) const;
  /// Takes what the last part gave as the outputs, and plans.
  constexpr void finish(const list<int, max_inputs>& y);

  constexpr value_info& at(int v) { return values[v]; }
  constexpr const value_info& at(int v) const { return values[v]; }
  constexpr const char* text(int at) const { return texts.data() + at; }
  /// What was planned, for as long as this planner lives.
  constexpr plan view() const {
    return {*this,
            {nodes.begin(), nodes.size()},
            {values.begin(), values.size()},
            {parameters.begin(), parameters.size()},
            {states.begin(), states.size()},
            texts.data()};
  }

 private:
  growing_text path_;  // "9.shortcut."
  static constexpr int max_depth = 16;
  int marks_[max_depth]{}, depth_ = 0;

  constexpr int keep_text(const char* last);
  constexpr void report(const fault& f, const char* what, const char* more = "");
  constexpr bytes size(int v) const { return size_of(at(v).s, width.of(at(v).s.what)); }
  constexpr void check_size(std::size_t b, const char* what) {
    if (b > size_limit) report({errc::overflow, -1, extent_limit, static_cast<extent>(size_limit)}, what);
  }
  constexpr int add_array(growing<array_info>& to, const named_slot& s, std::size_t element, const char* what);
  constexpr void share_arrays(node& n, const node& same, const char* what);
  constexpr void add_arrays(node& n, const char* what);
  constexpr bool shared_with_output(int root) const;
  constexpr void mark_use();
  constexpr void share_storage();
  constexpr void place_values();
  constexpr void order_gradients();
  constexpr void place_gradients();
  constexpr void place(room value_info::* which, int v, bytes from, bytes need, int born, int dies, bytes& high);
};
}  // namespace detail
}  // namespace tenon
#include "tenon/graph/planner_build.hpp"
#include "tenon/graph/planner_memory.hpp"
