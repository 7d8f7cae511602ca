// SPDX-License-Identifier: Apache-2.0
// The untyped half of a program: nodes, values, parameters, and where each value lives. Sizes and offsets are
// constant + batch · unit, so one plan serves any batch. Everything can run in the compiler (`fixed` plans there).
#pragma once
#include <cstddef>
#include <string>
#include "tenon/graph/growing.hpp"
#include "tenon/graph/shape_check.hpp"
namespace tenon {
struct call_table;  // program.hpp

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
};
inline constexpr std::size_t size_limit = std::size_t{1} << 47;  // of anything, so that sums of a few fit

/// Whole cache lines; more than the limit where that does not fit.
constexpr std::size_t bytes_of(const shape& s, std::size_t width) {
  const extent n = saturating_mul(s.numel(), static_cast<extent>(width));
  return static_cast<std::size_t>(n) > size_limit ? size_limit + 1 : line(static_cast<std::size_t>(n));
}
constexpr bytes size_of(const slot& s, std::size_t width) {
  return s[0] == dyn ? bytes{0, bytes_of(s.with(0, 1), width)} : bytes{bytes_of(s, width), 0};
}
constexpr shape with_batch(const shape& s, extent batch) { return s[0] == dyn ? s.with(0, batch) : s; }

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
  const void* layer = nullptr;
  const call_table* calls = nullptr;
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

/// A builder that plans. Faults are remembered, not thrown: the owner reports the first.
class plan {
 public:
  scalar_widths width;
  growing<node> nodes;
  growing<value_info> values;
  growing<array_info> parameters, states;
  growing_text texts;  // names of parameters and states, paths of nodes, each with a final zero
  list<int, max_outputs> out;
  list<int, max_inputs> in;
  bytes saved, scratch, inference;  // scratch and inference: without the working memory of ops
  std::size_t work_per_thread = 0;
  bytes sum_at[max_inputs]{};
  extent index_limit[max_inputs]{};  // of each index input; 0: none
  extent batch_limit = 0;            // the largest batch whose sizes fit
  fault bad{};
  growing_text bad_where;

  [[gnu::cold]] constexpr explicit plan(scalar_widths w) : width(w) {}

  // -- a builder: what lower() needs --
  using value = int;
  constexpr void enter(int i, const char* name);
  constexpr void leave() { path_.shrink(depth_ > 0 ? marks_[--depth_] : 0); }
  template <class L>
  constexpr list<int, max_inputs> add(const L& l, const list<int, max_inputs>& x, const char* tie = nullptr) {
    return append(nullptr, nullptr, L::name, infer_checked(l, shapes_of(x)), x, tie);
  }
  constexpr inputs shapes_of(const list<int, max_inputs>& x) const;
  constexpr list<int, max_inputs> append(const void* layer, const call_table* calls, const char* what, const spec& s,
                                         const list<int, max_inputs>& x, const char* tie);
  constexpr list<int, max_inputs> add_inputs(const list<input, max_inputs>& from);
  /// An input of the network, or a value already taken, needs an identity between it and an output.
  constexpr bool needs_copy(const list<int, max_inputs>& y, int i) const;
  /// Takes what the last part gave as the outputs, and plans.
  constexpr void finish(const list<int, max_inputs>& y);

  constexpr value_info& at(int v) { return values[v]; }
  constexpr const value_info& at(int v) const { return values[v]; }
  constexpr const char* text(int at) const { return texts.data() + at; }
  constexpr shape output(int k, extent batch) const { return with_batch(at(out[k]).s, batch); }
  /// Bytes of working memory for a batch.
  constexpr std::size_t scratch_bytes(extent batch, bool training, int threads) const {
    return (training ? scratch : inference).at(batch) + work_per_thread * static_cast<std::size_t>(threads);
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
  constexpr void add_parameters(node& n, const spec& s, const char* what);
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
#include "tenon/graph/plan_build.hpp"
#include "tenon/graph/plan_memory.hpp"
