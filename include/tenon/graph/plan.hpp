// SPDX-License-Identifier: Apache-2.0
// The untyped half of a program: nodes, values, parameters, and where each value lives. Sizes and offsets are
// constant + batch · unit, so one plan serves any batch. A plan refers to arrays that a planner or the compiler keeps.
#pragma once
#include <cstddef>
#include "tenon/graph/shape_check.hpp"
namespace tenon {
namespace detail {
/// constant + batch · unit bytes; both are whole cache lines.
struct bytes {
  std::size_t constant = 0, unit = 0;
  constexpr std::size_t at(extent batch) const { return constant + unit * static_cast<std::size_t>(batch); }
  constexpr bytes operator+(bytes o) const { return {constant + o.constant, unit + o.unit}; }
  constexpr bool operator==(const bytes&) const = default;
  /// At least as much as `o`.
  constexpr void cover(bytes o) {
    if (o.constant > constant) constant = o.constant;
    if (o.unit > unit) unit = o.unit;
  }
};
constexpr std::size_t line(std::size_t b) { return (b + alignment - 1) / alignment * alignment; }

/// Bytes an element, by kind and precision.
struct scalar_widths {
  std::size_t storage = 4, compute = 4, accumulate = 4, master = 4;
  bool casts = false;  // master is not storage: forward works on a cast of each parameter
  constexpr std::size_t of(kind k) const {
    return k == kind::scalar ? storage : k == kind::accumulator ? accumulate : sizeof(index);
  }
  /// An arena has as much room for a parameter as for its gradient.
  constexpr std::size_t widest() const { return master > accumulate ? master : accumulate; }
};
inline constexpr std::size_t size_limit = std::size_t{1} << 47;  // of anything, so that sums of a few fit

/// Whole cache lines; more than the limit where that does not fit.
[[gnu::noinline]] constexpr std::size_t bytes_of(const shape& s, std::size_t width) {
  const extent n = saturating_mul(s.numel(), static_cast<extent>(width));
  return static_cast<std::size_t>(n) > size_limit ? size_limit + 1 : line(static_cast<std::size_t>(n));
}
constexpr bytes size_of(const slot& s, std::size_t width) {
  return s[0] == dyn ? bytes{0, bytes_of(s.with(0, 1), width)} : bytes{bytes_of(s, width), 0};
}
[[gnu::noinline]] constexpr shape with_batch(const shape& s, extent batch) { return s[0] == dyn ? s.with(0, batch) : s; }

struct array_info {
  int name = 0;  // where its text begins: plan::text
  tenon::shape shape;
  initial start;
  bytes cast, cast_inference;  // where widths.casts: of its cast, in saved for training and in scratch for inference
  bool touched = false;
};
struct node {
  int path = 0;  // "3.linear": plan::text
  label tie;
  spec out;
  inputs in;
  list<int, max_inputs> x;  // value numbers
  list<int, max_outputs> y;
  int p[max_parameters]{};  // indices into the parameter table
  int state = 0;            // first of its states
  bytes saved[max_saved]{};
  bool alias = false, alias_back = false;
  bool sum[max_inputs]{};         // another consumer has written this dx already
  bool clears[max_parameters]{};  // first in backward order to touch the parameter's gradient
};
/// Memory that is shared over time: from the node that writes it to the last that reads it.
struct room {
  bytes at;
  std::size_t unit = 0;
  int born = 0, dies = -1;  // dies < born: not placed
};
struct value_info {
  slot s;
  label name;                                            // of an input
  int producer = -1, last = -1, consumers = 0, root = 0;  // root: whose storage it has
  int out = -1, out_memory = -1;                         // which output of the network it is; which output's memory a root has
  int first_back = -1, last_back = -1, grad_root = 0;    // the same for its gradient
  bool kept = false, written = false;
  bool zero = false;   // nobody reads it: its gradient is 0
  unsigned reach = 0;  // bit i: depends on input i; the last bit: on a parameter
  bytes saved;
  room scratch, inference, grad;
};
inline constexpr unsigned reaches_parameter = 1u << 31;

/// Some values of one type that somebody else keeps.
template <class T>
struct array_view {
  const T* v = nullptr;
  int n = 0;
  constexpr int size() const { return n; }
  constexpr const T& operator[](int i) const { return v[i]; }
  constexpr const T* begin() const { return v; }
  constexpr const T* end() const { return v + n; }
};

/// What planning leaves.
struct plan_numbers {
  scalar_widths width;
  list<int, max_outputs> out;
  list<int, max_inputs> in;
  bytes saved, scratch, inference;  // scratch and inference: without the working memory of ops
  std::size_t work_per_thread = 0;
  bytes sum_at[max_inputs]{};
  extent index_limit[max_inputs]{};  // of each index input; 0: none
  bool takes_strides[max_inputs]{};  // every reader of the input does
  extent batch_limit = 0;            // the largest batch whose sizes fit
};
struct plan : plan_numbers {
  array_view<node> nodes;
  array_view<value_info> values;
  array_view<array_info> parameters, states;
  const char* texts = "";  // names of parameters and states, paths of nodes, each with a final zero

  constexpr const value_info& at(int v) const { return values[v]; }
  constexpr const char* text(int at) const { return texts + at; }
  constexpr shape output(int k, extent batch) const { return with_batch(at(out[k]).s, batch); }
  /// Bytes of working memory for a batch.
  constexpr std::size_t scratch_bytes(extent batch, bool training, int threads) const {
    return (training ? scratch : inference).at(batch) + work_per_thread * static_cast<std::size_t>(threads);
  }
};
}  // namespace detail
}  // namespace tenon
