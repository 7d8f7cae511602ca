// SPDX-License-Identifier: Apache-2.0
// How a plan takes in an architecture: inputs, nodes, parameters by name, ties. Runs once, at bind.
#pragma once
#include "tenon/graph/planner.hpp"
namespace tenon::detail {
[[gnu::cold]] constexpr void planner::report(const fault& f, const char* what, const char* more) {
  if (!f || bad) return;
  bad = f;
  bad_where += path_;
  bad_where += what;
  bad_where += more;
}

[[gnu::cold]] constexpr int planner::keep_text(const char* last) {
  const auto at = texts.size();
  texts += path_;
  texts += last;
  texts += '\0';
  return at;
}
constexpr bool same_text(const char* a, const char* b) {
  for (; *a && *a == *b; ++a) ++b;
  return *a == *b;
}

[[gnu::cold]] constexpr void planner::enter(int i, const char* name) {
  if (depth_ == max_depth) report({errc::limit, -1, depth_ + 1, max_depth}, "", "depth of nested parts");
  if (depth_ < max_depth) marks_[depth_++] = path_.size();
  if (name) {
    path_ += name;
  } else {
    char digits[12]{};
    int n = 0;
    do {
      digits[n++] = static_cast<char>('0' + i % 10);
      i /= 10;
    } while (i > 0);
    while (n > 0) path_ += digits[--n];
  }
  path_ += '.';
}

[[gnu::cold]] constexpr inputs planner::shapes_of(const list<int, max_inputs>& x) const {
  inputs s;
  for (const int v : x) s.add(at(v).s);
  s.n = x.n;
  return s;
}

[[gnu::cold]] constexpr list<int, max_inputs> planner::add_inputs(const list<input, max_inputs>& from) {
  if (from.full()) report({errc::limit, -1, from.n, max_inputs}, "inputs of the network");
  for (const input& i : from) {
    value_info v;
    v.s = slot{i.shape, i.kind};
    v.name = i.name;
    v.reach = 1u << in.n;
    report(i.shape.bad(), "input");
    if (i.shape.rank() == 0) report({errc::rank, -1, 0, 1}, "input", ": the batch is axis 0");
    for (int a = 0; a < i.shape.rank(); ++a)
      if (i.shape[a] < (a == 0 ? dyn : 1))
        report({i.shape[a] == dyn ? errc::extent : errc::negative_extent, a, i.shape[a], 1}, "input",
               ": only the batch, axis 0, may be dyn");
    // a free batch and a given one in one network: a layer would read the smaller one beyond its end
    if (in.n > 0 && (i.shape[0] == dyn) != (at(0).s[0] == dyn))
      report({errc::extent, 0, i.shape[0], at(0).s[0]}, "input", ": the batch of all inputs is free, or of none");
    const bytes b = size_of(v.s, width.of(v.s.what));
    check_size(b.constant + b.unit, "input");
    in.add(values.size());
    values.add(v);
  }
  return in;
}

// a parameter or state of its own name
[[gnu::cold]] constexpr int planner::add_array(growing<array_info>& to, const named_slot& s, std::size_t element,
                                               const char* what) {
  check_size(bytes_of(s, element), what);
  array_info info;
  info.name = keep_text(s.name);
  info.shape = s;
  info.start = s.start;
  for (const array_info& other : to)
    if (same_text(text(other.name), text(info.name)))
      report({errc::name, -1, 2, 1}, s.name, ": two arrays of one name (tied{…} shares them)");
  to.add(info);
  return to.size() - 1;
}

// the parameters and the state of the first layer of the same tie, which asked for equal ones
[[gnu::cold]] constexpr void planner::share_arrays(node& n, const node& same, const char* what) {
  auto equal = [&](const auto& a, const auto& b) {
    if (a.n != b.n) report({errc::arity, -1, a.n, b.n}, what, ": parameters or states of the layer it is tied to");
    for (int i = 0; i < a.n && i < b.n; ++i) {
      shape probe = static_cast<const shape&>(a[i]).expect_rank(b[i].rank());
      for (int k = 0; k < b[i].rank(); ++k) probe = probe.expect(k, b[i][k]);
      report(probe.bad(), what, ": a parameter or state of the layer it is tied to");
    }
  };
  equal(n.out.p, same.out.p);
  equal(n.out.states, same.out.states);
  for (int i = 0; i < max_parameters; ++i) n.p[i] = same.p[i];
  n.state = same.state;
}

[[gnu::cold]] constexpr void planner::add_arrays(node& n, const char* what) {
  if (!n.tie.empty())
    for (const node& other : nodes)
      if (other.tie == n.tie) return share_arrays(n, other, what);
  n.state = states.size();
  for (int i = 0; i < n.out.p.n; ++i) n.p[i] = add_array(parameters, n.out.p[i], width.master, what);
  for (int i = 0; i < n.out.states.n; ++i) add_array(states, n.out.states[i], width.accumulate, what);
}

[[gnu::cold]] constexpr list<int, max_inputs> planner::append(const char* what, const spec& s, const list<int, max_inputs>& x,
                                                              const char* tie) {
  report(s.bad(), what);
  if (x.full()) report({errc::limit, -1, x.n, max_inputs}, what);
  if (bad) return x;
  node n;
  n.path = keep_text(what);
  if (tie)
    for (int i = 0; tie[i]; ++i) n.tie.text[i] = tie[i];
  n.out = s;
  n.in = shapes_of(x);
  n.x = x;
  unsigned reach = s.p.n > 0 ? reaches_parameter : 0;
  for (const int v : x) {
    reach |= at(v).reach;
    if ((at(v).s[0] == dyn) != (at(x[0]).s[0] == dyn))  // one has the batch, one does not: no loop over both is right
      report({errc::extent, 0, at(v).s[0], at(x[0]).s[0]}, what, ": inputs with and without a batch");
  }
  add_arrays(n, what);
  list<int, max_inputs> y;
  for (int i = 0; i < s.y.n; ++i) {
    value_info v;
    v.s = s.y[i];
    v.producer = nodes.size();
    v.reach = reach;
    for (int a = 1; a < v.s.rank(); ++a)
      if (v.s[a] == dyn) report({errc::extent, a, dyn, 1}, what, ": only the batch, axis 0, may be dyn");
    const bytes b = size_of(v.s, width.of(v.s.what));
    check_size(b.constant + b.unit, what);
    if (v.s.what == kind::index && s.alias < 0) report({errc::kind, -1, 2, 0}, what, ": indices come from the network's inputs");
    n.y.add(values.size());
    y.add(values.size());
    values.add(v);
  }
  const extent work = saturating_mul(s.scratch_scalars, static_cast<extent>(width.compute));
  check_size(static_cast<std::size_t>(work), what);
  if (!bad && line(static_cast<std::size_t>(work)) > work_per_thread) work_per_thread = line(static_cast<std::size_t>(work));
  nodes.add(n);
  return y;
}

[[gnu::cold]] constexpr bool planner::needs_copy(const list<int, max_inputs>& y, int i) const {
  for (int k = 0; k < i; ++k)
    if (y[k] == y[i]) return true;
  return at(y[i]).producer < 0;
}

[[gnu::cold]] constexpr void planner::finish(const list<int, max_inputs>& y) {
  if (y.full() || y.n == 0) report({errc::arity, -1, y.n, 1}, "outputs of the network");
  if (bad) return;
  for (const int v : y) {
    if (at(v).s.what == kind::index) report({errc::kind, -1, 2, 0}, "outputs of the network");
    at(v).out = out.n;
    out.add(v);
  }
  mark_use();
  share_storage();
  for (const node& n : nodes)
    for (int i = 0; i < n.x.size(); ++i)
      if (const extent limit = n.out.index_limit[i]; limit > 0 && at(at(n.x[i]).root).producer < 0) {
        extent& known = index_limit[at(n.x[i]).root];
        if (known == 0 || limit < known) known = limit;
      }
  for (int i = 0; i < in.n; ++i) {
    takes_strides[i] = true;
    for (const node& n : nodes)
      for (const int v : n.x)
        if (at(v).root == i && !(n.out.strided && v == i)) takes_strides[i] = false;
  }
  place_values();
  order_gradients();
  place_gradients();
  std::size_t unit = 1;
  for (const bytes* b : {&saved, &scratch, &inference})
    if (b->unit > unit) unit = b->unit;
  for (int v = 0; v < values.size(); ++v)
    if (size(v).unit > unit) unit = size(v).unit;
  batch_limit = static_cast<extent>(size_limit / unit);
  check_size(saved.constant, "the network");
  check_size(saved.unit, "the network");
}
}  // namespace tenon::detail
