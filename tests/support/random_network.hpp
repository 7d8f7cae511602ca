// SPDX-License-Identifier: Apache-2.0
// Random graphs of layers, and the plainest possible run of a bound one: every value and every gradient in memory of its own.
// Whatever a plan shares, reuses, aliases or forgets to clear shows as a difference.
#pragma once
#include "support/witness.hpp"

namespace tests {
/// A network value whose lower() draws its nodes: fan-out, dead ends, ties, aliases, outputs that are inputs or given twice.
struct random_network {
  tenon::list<tenon::input, tenon::max_inputs> in;
  std::uint64_t seed;
  int nodes;
  random_network(std::uint64_t s, int n) : seed(s), nodes(n) {
    for (std::uint64_t i = 0; i <= s % 2; ++i) in.add(tenon::input{{tenon::dyn, 6}});
  }
  auto lower(auto& b, const tenon::list<int, tenon::max_inputs>& x) const {
    std::uint64_t s = seed * 77 + 5;
    auto below = [&s](std::size_t n) { return static_cast<std::size_t>(pick(s, 1 << 20) + (1 << 20)) % n; };
    std::vector<int> values(x.begin(), x.end());
    std::vector<tenon::extent> width(values.size(), 6);
    constexpr tenon::extent sizes[]{6, 24, 60};  // one cache line, two, four
    for (int i = 0; i < nodes; ++i) {
      const std::size_t from =
          below(3) ? values.size() - 1 - below(std::min<std::size_t>(3, values.size())) : below(values.size());
      tenon::list<int, tenon::max_inputs> one(values[from]), y;
      const tenon::extent w = width[from];
      tenon::extent out = w;
      const bool ties = below(6) == 0 && w == 6;
      b.enter(i, ties ? "tied" : nullptr);
      if (ties) {
        y = b.add(nn::linear{.out = 6}, one, "tied");
      } else {
        switch (below(11)) {
          case 0: y = b.add(nn::linear{.out = out = sizes[below(3)]}, one); break;
          case 1: y = b.add(nn::relu{}, one); break;
          case 2: y = b.add(nn::tanh{}, one); break;
          case 3: y = b.add(nn::sigmoid{}, one); break;
          case 4: y = b.add(nn::dropout{.rate = 0.25f}, one); break;
          case 5: y = b.add(nn::flatten{}, one); break;
          case 6: y = b.add(nn::batch_norm{}, one); break;
          case 7: y = b.add(nn::softmax{}, one); break;
          case 8: y = w > 1 ? b.add(nn::split{.first = (w + 1) / 3}, one) : b.add(nn::relu{}, one); break;
          default: {
            std::size_t other = from;
            for (std::size_t k = 0; k < values.size(); ++k)
              if (width[k] == w && below(2)) other = k;
            one.add(values[other]);
            y = b.add(nn::add{}, one);
          }
        }
      }
      b.leave();
      if (y.size() == 2) {
        values.push_back(y[0]);
        width.push_back((w + 1) / 3);
        values.push_back(y[1]);
        width.push_back(w - (w + 1) / 3);
      } else {
        values.push_back(y[0]);
        width.push_back(out);
      }
    }
    tenon::list<int, tenon::max_outputs> y;
    for (std::size_t k = 0, n = 1 + below(4); k < n; ++k)
      y.add(below(3) ? values[values.size() - 1 - below(std::min<std::size_t>(4, values.size()))] : values[below(values.size())]);
    return y;
  }
};

/// Runs a bound program of floats with nothing shared.
struct plain_run {
  using arrays = std::vector<std::vector<float>>;
  const tenon::program& program;
  const tenon::detail::plan& plan;
  tenon::extent batch;
  arrays value, gradient;                          // by value
  arrays p, dp, state;                             // by number
  std::vector<std::vector<std::vector<std::byte>>> saved;  // by node, by number
  std::vector<bool> written;                       // gradients
  tenon::random_key key{};
  tenon::cpu device;
  std::vector<std::byte> scratch;

  static std::vector<float> room(const tenon::shape& s) { return std::vector<float>(static_cast<std::size_t>(s.numel()), 1e20f); }
  plain_run(const tenon::program& bound, tenon::extent n)
      : program(bound), plan(bound.planned()), batch(n), scratch(plan.work_per_thread + 64) {
    for (const auto& v : plan.values) {
      value.push_back(room(tenon::detail::with_batch(v.s, n)));
      gradient.push_back(value.back());
    }
    for (const auto& a : plan.parameters) {
      p.push_back(room(a.shape));
      dp.emplace_back(p.back().size(), 0.0f);
    }
    for (const auto& a : plan.states) state.push_back(room(a.shape));
    for (const auto& node : plan.nodes) {
      saved.emplace_back();
      for (const auto& s : node.out.saved)
        saved.back().emplace_back(static_cast<std::size_t>(tenon::detail::with_batch(s, n).numel()) * 4);
    }
    written.assign(value.size(), false);
  }
  tenon::frame frame(int i, bool training) {
    const auto& n = plan.nodes[i];
    tenon::frame f;
    f.in = &n.in;
    f.out = &n.out;
    f.batch = batch;
    f.training = training;
    f.key = key;
    f.key.layer = static_cast<std::uint32_t>(i);
    f.device = &device;
    f.scratch = reinterpret_cast<std::byte*>((reinterpret_cast<std::uintptr_t>(scratch.data()) + 63) / 64 * 64);
    f.scratch_per_thread = plan.work_per_thread;
    auto of = [](arrays& a, int k) { return static_cast<void*>(a[static_cast<std::size_t>(k)].data()); };
    for (int k = 0; k < n.x.size(); ++k) f.x[k] = of(value, n.x[k]);
    for (int k = 0; k < n.y.size(); ++k) f.y[k] = of(value, n.y[k]);
    for (int k = 0; k < n.out.p.size(); ++k) f.p[k] = of(p, n.p[k]), f.dp[k] = of(dp, n.p[k]);
    for (int k = 0; k < n.out.states.size(); ++k) f.state[k] = of(state, n.state + k);
    if (training)
      for (int k = 0; k < n.out.saved.size(); ++k)
        f.saved[k] = saved[static_cast<std::size_t>(i)][static_cast<std::size_t>(k)].data();
    return f;
  }
  void forward(bool training) {
    for (int i = 0; i < plan.nodes.size(); ++i) program.layer_of(i).calls->forward(program.layer_of(i).layer, frame(i, training));
  }
  void commit() {
    for (int i = 0; i < plan.nodes.size(); ++i)
      if (const auto& l = program.layer_of(i); l.calls->commit) l.calls->commit(l.layer, frame(i, true));
  }
  void backward(const arrays& dy) {
    for (int k = 0; k < plan.out.size(); ++k) {
      const auto v = static_cast<std::size_t>(plan.out[k]);
      gradient[v] = dy[static_cast<std::size_t>(k)];
      written[v] = true;
    }
    for (int i = plan.nodes.size(); i-- > 0;) {
      const auto& n = plan.nodes[i];
      tenon::frame f = frame(i, true);
      for (int k = 0; k < n.y.size(); ++k) {
        auto& g = gradient[static_cast<std::size_t>(n.y[k])];
        if (!written[static_cast<std::size_t>(n.y[k])]) g.assign(g.size(), 0.0f);
        f.dy[k] = g.data();
      }
      arrays dx;
      for (int k = 0; k < n.x.size(); ++k) dx.push_back(room(tenon::detail::with_batch(n.in[k], batch)));
      for (int k = 0; k < n.x.size(); ++k) f.dx[k] = dx[static_cast<std::size_t>(k)].data();
      program.layer_of(i).calls->backward(program.layer_of(i).layer, f);
      for (int k = 0; k < n.x.size(); ++k) {
        const auto v = static_cast<std::size_t>(n.x[k]);
        const auto& more = dx[static_cast<std::size_t>(k)];
        for (std::size_t e = 0; e < more.size(); ++e) gradient[v][e] = written[v] ? gradient[v][e] + more[e] : more[e];
        written[v] = true;
      }
    }
    for (int i = 0; i < plan.in.size(); ++i)
      if (auto& g = gradient[static_cast<std::size_t>(i)]; !written[static_cast<std::size_t>(i)]) g.assign(g.size(), 0.0f);
  }
};
}  // namespace tests
