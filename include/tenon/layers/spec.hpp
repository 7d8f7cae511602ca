// SPDX-License-Identifier: Apache-2.0
// What a layer says of itself on given inputs: everything a plan needs to know. Touches no memory.
#pragma once
#include <concepts>
#include <cstdint>
#include "tenon/core/shape.hpp"
namespace tenon {
/// What an element is; the precision policy decides its type. scalar: storage · accumulator: accumulate · index: an integer.
enum class kind : std::uint8_t { scalar, accumulator, index };
/// What backward reads: the plan keeps exactly that from forward to backward.
enum class keep : std::uint8_t { nothing, input, output, both };
constexpr bool keeps_input(keep k) { return k == keep::input || k == keep::both; }
constexpr bool keeps_output(keep k) { return k == keep::output || k == keep::both; }

inline constexpr int max_inputs = 4, max_outputs = 4, max_parameters = 8, max_states = 4, max_saved = 4;

/// At most N values inline; one too many is remembered, and a fault of the spec.
template <class E, int N>
struct list {
  E v[static_cast<unsigned>(N)]{};
  int n = 0;
  constexpr list() = default;
  constexpr list(std::same_as<E> auto... e)
    requires(sizeof...(e) <= N && sizeof...(e) > 0)
      : v{e...}, n(static_cast<int>(sizeof...(e))) {}
  constexpr bool full() const { return n > N; }
  constexpr void add(const E& e) {
    if (n < N) v[n] = e;
    ++n;
  }
  constexpr int size() const { return n < N ? n : N; }
  constexpr const E& operator[](int i) const { return v[i]; }
  constexpr E& operator[](int i) { return v[i]; }
  constexpr const E* begin() const { return v; }
  constexpr const E* end() const { return v + size(); }
};

/// A shape with batch, and what its elements are.
struct slot : shape {
  tenon::kind what = kind::scalar;
  constexpr slot() = default;
  constexpr slot(const shape& s, tenon::kind k = kind::scalar) : shape(s), what(k) {}
  [[gnu::cold, gnu::noinline]] constexpr shape expect_kind(tenon::kind k) const {
    return what == k ? static_cast<const shape&>(*this)
                     : failed({errc::kind, -1, static_cast<extent>(what), static_cast<extent>(k)});
  }
};
/// What flows into a layer: `x[i]`. A slot that is not there reads as rank 0.
using inputs = list<slot, max_inputs>;

/// How a parameter starts: fill + U(−bound, bound) + N(0, deviation²).
struct initial {
  float bound = 0, fill = 0, deviation = 0;
};
constexpr initial constant(float fill) { return {0, fill, 0}; }
constexpr initial normal(float deviation) { return {0, 0, deviation}; }
/// U(−1/√n, 1/√n): what PyTorch gives linear and convolution weights and biases of fan-in n.
constexpr initial uniform_fan_in(extent n) {
  const float v = n > 1 ? static_cast<float>(n) : 1.0f;
  float r = v > 1 ? v : 1.0f;
  for (int i = 0; i < 40; ++i) r = (r + v / r) / 2;
  return {1 / r, 0, 0};
}
struct named_slot : slot {
  const char* name = "";
  initial start{};
};

/// Outputs, parameters, state, what is saved, what backward reads, and what memory may be shared.
struct spec {
  list<slot, max_outputs> y;
  list<named_slot, max_parameters> p;
  list<named_slot, max_states> states;
  list<named_slot, max_saved> saved;
  extent scratch_scalars = 0;
  keep read = keep::both;
  int alias = -1, over = -1;
  bool strided = false;
  extent index_limit[max_inputs]{};

  constexpr spec() = default;
  [[gnu::cold, gnu::noinline]] constexpr spec(const slot& one) { y.add(one); }
  [[gnu::cold, gnu::noinline]] constexpr spec(const shape& one) { y.add(slot{one}); }
  [[gnu::cold, gnu::noinline]] constexpr spec& output(const slot& o) {
    y.add(o);
    return *this;
  }
  [[gnu::cold, gnu::noinline]] constexpr spec& parameter(const char* name, const shape& s, initial start = {}) {
    p.add({{s}, name, start});
    return *this;
  }
  [[gnu::cold, gnu::noinline]] constexpr spec& state(const char* name, const shape& s, float start) {
    states.add({{s, kind::accumulator}, name, constant(start)});
    return *this;
  }
  /// An intermediate for backward and commit: an accumulator, or 32-bit indices (`pass.saved_index`).
  [[gnu::cold, gnu::noinline]] constexpr spec& saves(const char* name, const shape& s, kind k = kind::accumulator) {
    saved.add({{s, k}, name});
    return *this;
  }
  /// Working memory of the bodies, in compute scalars a thread.
  constexpr spec& scratch(extent scalars) {
    scratch_scalars = scalars;
    return *this;
  }
  constexpr spec& reads(keep k) {
    read = k;
    return *this;
  }
  /// y is x(i) under another shape. Where the plan shares the memory the layer is not called: its bodies are the copy for elsewhere.
  constexpr spec& aliases(int i) {
    alias = i;
    return *this;
  }
  /// y may be written over x(i).
  constexpr spec& overwrites(int i) {
    over = i;
    return *this;
  }
  /// Index input i is below n: checked at the door, before anything is written.
  constexpr spec& index_below(int i, extent n) {
    index_limit[i] = n;
    return *this;
  }
  /// `pass.x_strided(i)` is used: a strided network input reaches the layer as it is, else it is packed before.
  constexpr spec& takes_strides() {
    strided = true;
    return *this;
  }

  /// The first thing wrong with it.
  [[gnu::cold, gnu::noinline]] constexpr fault bad() const {
    for (const slot& s : y)
      if (!s.ok()) return s.bad();
    if (y.full()) return {errc::limit, -1, y.n, max_outputs};
    if (p.full()) return {errc::limit, -1, p.n, max_parameters};
    if (states.full()) return {errc::limit, -1, states.n, max_states};
    if (saved.full()) return {errc::limit, -1, saved.n, max_saved};
    if (y.n == 0) return {errc::arity, -1, 0, 1};
    for (const named_slot& q : p)
      for (int i = 0; i < q.rank(); ++i)
        if (q[i] < 0) return {errc::extent, i, q[i], 0};
    for (const named_slot& q : states)
      for (int i = 0; i < q.rank(); ++i)
        if (q[i] < 0) return {errc::extent, i, q[i], 0};
    return {};
  }
};
}  // namespace tenon
