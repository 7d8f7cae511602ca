// SPDX-License-Identifier: Apache-2.0
// One layer without a graph: memory for all that its spec asks for, and a frame over it. Outputs begin as rubbish, gradients of
// parameters as 1, scratch ends in a guard: what a body forgets to write, overwrites or writes beyond shows.
#pragma once
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <vector>
#include "tenon/layers/layer.hpp"

namespace tests {
/// 0, 1, 2 … scrambled: small integers in [-range, range], the same on each run.
inline std::int64_t pick(std::uint64_t& seed, std::int64_t range) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return static_cast<std::int64_t>((seed >> 33) % static_cast<std::uint64_t>(2 * range + 1)) - range;
}

template <class L, class P = float>
struct layer_run {
  using policy = tenon::precision_of<P>;
  using storage = typename policy::storage;
  using accumulate = typename policy::accumulate;
  template <class T>
  using arrays = std::vector<std::vector<T>>;

  L layer;
  tenon::inputs in;
  tenon::spec out;
  tenon::cpu device;
  std::uint64_t seed = 1;
  arrays<storage> x, y, dy, dx, p;
  arrays<accumulate> dp, state, saved;
  arrays<tenon::index> x_index;
  arrays<tenon::offset> saved_index;
  std::vector<std::byte> work;
  tenon::frame f;

  /// Inputs are slots with a known batch; everything that flows in is filled with small integers.
  layer_run(const L& l, tenon::inputs slots, int threads = 1) : layer(l), in(slots), out(l.infer(slots)) {
    device.threads = threads;
    const auto count = [](const tenon::shape& s) { return static_cast<std::size_t>(s.numel()); };
    for (int i = 0; i < in.size(); ++i) {
      const bool index = in[i].what == tenon::kind::index;
      x.emplace_back(index ? 0 : count(in[i]));
      x_index.emplace_back(index ? count(in[i]) : 0);
      dx.emplace_back(x.back().size(), storage(77));
      for (auto& e : x.back()) e = storage(pick(seed, 4));
      for (auto& e : x_index.back()) e = (pick(seed, 1000) + 1000) % (out.index_limit[i] > 0 ? out.index_limit[i] : 1);
    }
    for (int i = 0; i < out.y.size(); ++i) {
      y.emplace_back(count(out.y[i]), storage(77));
      dy.emplace_back(count(out.y[i]));
      for (auto& e : dy.back()) e = storage(pick(seed, 4));
    }
    for (int i = 0; i < out.p.size(); ++i) {
      p.emplace_back(count(out.p[i]));
      dp.emplace_back(count(out.p[i]), accumulate(1));
      for (auto& e : p.back()) e = storage(pick(seed, 4));
    }
    for (int i = 0; i < out.states.size(); ++i) state.emplace_back(count(out.states[i]), accumulate(out.states[i].start.fill));
    for (int i = 0; i < out.saved.size(); ++i) {
      const bool index = out.saved[i].what == tenon::kind::index;
      saved.emplace_back(index ? 0 : count(out.saved[i]), accumulate(77));
      saved_index.emplace_back(index ? count(out.saved[i]) : 0, tenon::offset{77});
    }
    f.key = {.seed = 5, .forward = 3, .layer = 2};
    f.scratch_per_thread = (static_cast<std::size_t>(out.scratch_scalars) * sizeof(typename policy::compute) + 63) / 64 * 64;
    work.resize(f.scratch_per_thread * static_cast<std::size_t>(threads) + 128, std::byte{0x5a});
  }

  std::byte* scratch() {
    const auto at = reinterpret_cast<std::uintptr_t>(work.data());
    return work.data() + (64 - at % 64) % 64;
  }
  /// Scratch was kept to.
  bool guard_holds() {
    for (std::size_t i = 0; i < 64; ++i)
      if (scratch()[f.scratch_per_thread * static_cast<std::size_t>(device.threads) + i] != std::byte{0x5a}) return false;
    return true;
  }
  void fill_frame(bool training) {
    const auto pointer = [](auto& v) -> void* { return v.empty() ? nullptr : v.data(); };
    f.in = &in;
    f.out = &out;
    f.batch = in[0][0];
    f.training = training;
    f.device = &device;
    f.scratch = out.scratch_scalars > 0 && scratch_given ? scratch() : nullptr;
    for (std::size_t i = 0; i < x.size(); ++i) {
      f.x[i] = x[i].empty() ? pointer(x_index[i]) : pointer(x[i]);
      f.dx[i] = pointer(dx[i]);
    }
    for (std::size_t i = 0; i < y.size(); ++i) {
      f.y[i] = pointer(y[i]);
      f.dy[i] = pointer(dy[i]);
    }
    for (std::size_t i = 0; i < p.size(); ++i) {
      f.p[i] = pointer(p[i]);
      f.dp[i] = pointer(dp[i]);
    }
    for (std::size_t i = 0; i < state.size(); ++i) f.state[i] = pointer(state[i]);
    for (std::size_t i = 0; i < saved.size(); ++i)
      f.saved[i] = !training ? nullptr : saved[i].empty() ? pointer(saved_index[i]) : pointer(saved[i]);
  }
  bool scratch_given = true;

  void forward(bool training = true) {
    fill_frame(training);
    tenon::forward_pass<P> pass(f);
    layer.forward(pass);
  }
  void backward() {
    fill_frame(true);
    tenon::backward_pass<P, tenon::cpu, tenon::reads_of<L>> pass(f);
    layer.backward(pass);
  }
  void commit() {
    fill_frame(true);
    tenon::commit_pass<P> pass(f);
    layer.commit(pass);
  }
};

inline tenon::slot index_slot(const tenon::shape& s) { return tenon::slot{s, tenon::kind::index}; }

/// Σ a·b
template <class T>
T inner(const std::vector<T>& a, const std::vector<T>& b) {
  T sum{};
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

/// The same numbers in another type.
template <class T, class S>
std::vector<T> as(const std::vector<S>& v) {
  std::vector<T> r;
  for (const S& e : v) r.push_back(T(e));
  return r;
}
}  // namespace tests
