// SPDX-License-Identifier: Apache-2.0
// Where values and gradients live: who shares storage with whom, what is kept for backward, what may use the same bytes at
// different times. Runs once, at bind.
#pragma once
#include "tenon/graph/planner.hpp"
namespace tenon::detail {
[[gnu::cold]] constexpr void planner::mark_use() {
  for (int i = 0; i < nodes.size(); ++i) {
    const node& n = nodes[i];
    for (const int v : n.x) {
      at(v).last = i;
      ++at(v).consumers;
      at(v).kept |= keeps_input(n.out.read);
    }
    for (const int v : n.y) at(v).kept |= keeps_output(n.out.read);
  }
  for (int v = 0; v < values.size(); ++v) at(v).root = at(v).grad_root = v;
}

constexpr bool planner::shared_with_output(int root) const {
  for (const value_info& m : values)
    if (m.root == root && m.out >= 0) return true;
  return false;
}

// y has the storage of x where the layer aliases or overwrites it
[[gnu::cold]] constexpr void planner::share_storage() {
  for (node& n : nodes) {
    const int y = n.y[0];
    if (const int a = n.out.alias; a >= 0 && a < n.x.size() && size(n.x[a]) == size(y)) {
      const int r = at(n.x[a]).root;
      // an output may neither be the user's input nor share the memory of another output
      n.alias = at(y).out < 0 || (at(r).producer >= 0 && !shared_with_output(r));
      if (n.alias) at(y).root = r;
    }
    if (const int o = n.out.over; o >= 0 && o < n.x.size()) {
      const int r = at(n.x[o]).root;
      bool free = at(r).producer >= 0 && size(r) == size(y);
      for (const value_info& m : values)
        if (m.root == r && (m.consumers != 1 || m.kept || m.out >= 0)) free = false;
      if (free) at(y).root = r;
    }
  }
  for (value_info& q : values) {
    value_info& r = at(q.root);
    r.kept |= q.kept;
    if (q.last > r.last) r.last = q.last;
    if (q.out >= 0) r.out_memory = q.out;
  }
}

// first fit: the lowest bytes that no value alive at the same time has; what does not grow with the batch gets room of its own
[[gnu::cold]] constexpr void planner::place(room value_info::* which, int v, bytes from, bytes need, int born, int dies,
                                            bytes& high) {
  room& mine = at(v).*which;
  if (need.unit == 0) {
    mine.at = {high.constant, 0};
    high.constant += need.constant;
    return;
  }
  std::size_t o = 0;
  for (bool moved = true; moved;) {
    moved = false;
    for (const value_info& other : values) {
      const room& r = other.*which;
      const std::size_t start = r.at.unit;
      if (r.dies >= born && r.born <= dies && o < start + r.unit && start < o + need.unit) {
        o = start + r.unit;
        moved = true;
      }
    }
  }
  mine = {{from.constant, o}, need.unit, born, dies};
  if (o + need.unit > high.unit) high.unit = o + need.unit;
}

// every root but inputs and outputs: kept for backward, or in scratch while it lives
[[gnu::cold]] constexpr void planner::place_values() {
  std::size_t constants = 0, casts = 0;
  for (int v = 0; v < values.size(); ++v) constants += size(v).constant;
  if (width.casts)
    for (array_info& p : parameters) {
      p.cast_inference = {casts, 0};
      casts += bytes_of(p.shape, width.storage);
    }
  inference.constant = casts;
  for (int v = 0; v < values.size(); ++v) {
    value_info& q = at(v);
    if (q.root != v || q.producer < 0 || q.out_memory >= 0) continue;
    const int dies = q.last < q.producer ? q.producer : q.last;
    if (q.kept) {
      q.saved = saved;
      saved = saved + size(v);
    } else {
      place(&value_info::scratch, v, {constants, 0}, size(v), q.producer, dies, scratch);
    }
    place(&value_info::inference, v, {casts + constants, 0}, size(v), q.producer, dies, inference);
  }
  scratch.constant = constants;
  inference.constant = casts + constants;
  for (node& n : nodes)
    for (int i = 0; i < n.out.saved.n; ++i) {
      const slot& s = n.out.saved[i];
      n.saved[i] = saved;
      saved = saved + size_of(s, s.what == kind::index ? sizeof(offset) : width.of(s.what));
    }
  if (width.casts)
    for (array_info& p : parameters) {
      p.cast = saved;
      saved.constant += bytes_of(p.shape, width.storage);
    }
}

// backwards in time: a gradient is written first by the last consumer, and read by the producer
[[gnu::cold]] constexpr void planner::order_gradients() {
  const int n = nodes.size();
  for (value_info& q : values) q.first_back = q.last_back = q.producer;
  for (int i = 0; i < n; ++i)
    for (const int v : nodes[i].x) at(v).first_back = i;
  for (const int v : out) {
    if (at(v).consumers > 0) at(v).first_back = n;  // the caller's dy is copied in before all else, and others add to it
    at(v).written = true;
  }
  for (int i = n; i-- > 0;) {
    node& nd = nodes[i];
    const int x = nd.alias ? nd.x[nd.out.alias] : -1;
    if (x >= 0 && at(x).producer >= 0 && at(x).consumers == 1 &&
        at(x).out < 0) {  // dx of an alias is dy, unless others add to it
      nd.alias_back = true;
      at(x).grad_root = at(nd.y[0]).grad_root;
      value_info& r = at(at(x).grad_root);
      if (at(x).producer < r.last_back) r.last_back = at(x).producer;
    }
    for (int j = 0; j < nd.x.size(); ++j) {
      nd.sum[j] = at(nd.x[j]).written;
      at(nd.x[j]).written = true;
    }
    for (int k = 0; k < nd.out.p.n; ++k) {
      bool& touched = parameters[nd.p[k]].touched;
      nd.clears[k] = !touched;
      touched = true;
    }
  }
}

[[gnu::cold]] constexpr void planner::place_gradients() {
  const int n = nodes.size();
  bytes need;
  std::size_t constants = 0;
  for (int v = 0; v < values.size(); ++v) constants += size(v).constant;
  for (int i = n; i >= 0; --i)
    for (int v = 0; v < values.size(); ++v) {
      value_info& q = at(v);
      if (q.first_back != i || q.producer < 0 || q.grad_root != v) continue;
      if (q.out >= 0 && q.consumers == 0) continue;  // the caller's dy itself
      q.zero = q.consumers == 0;
      place(&value_info::grad, v, {constants, 0}, size(v), n - i, n - q.last_back, need);
    }
  need.constant = constants;
  bytes widest;
  int operands = 0;
  for (const node& nd : nodes)
    for (int j = 0; j < nd.x.size(); ++j)
      if (nd.sum[j]) {
        widest.cover(size(nd.x[j]));
        if (j + 1 > operands) operands = j + 1;
      }
  for (int j = 0; j < operands; ++j) {
    sum_at[j] = need;
    need = need + widest;
  }
  scratch.cover(need);
}
}  // namespace tenon::detail
