// SPDX-License-Identifier: Apache-2.0
// Three inputs, two outputs, a carry: an LSTM through three steps of time with a tape each, its gradients against those of a
// loop in long double, by differences; and a network of indices.
#include <cmath>
#include "../catch.hpp"
#include "support/witness.hpp"
using namespace tests;
using tenon::extent, tenon::input, tenon::view;

namespace {
constexpr int batch = 2, in = 3, out = 2, steps = 3;
constexpr auto cell = tenon::network(input{{tenon::dyn, in}, "x"}, input{{tenon::dyn, out}, "h"}, input{{tenon::dyn, out}, "c"},
                                     nn::lstm_cell{.out = out});
using real = long double;

struct weights {
  std::vector<real> v;  // weight_ih, weight_hh, bias_ih, bias_hh, then x of all steps, h0, c0
  real ih(int q, int k) const { return v[static_cast<std::size_t>(q * in + k)]; }
  real hh(int q, int k) const { return v[static_cast<std::size_t>(4 * out * in + q * out + k)]; }
  real b(int q) const {
    return v[static_cast<std::size_t>(4 * out * (in + out) + q)] + v[static_cast<std::size_t>(4 * out * (in + out + 1) + q)];
  }
  static constexpr std::size_t inputs = 4 * out * (in + out + 2);
  real x(int t, int b_, int k) const { return v[inputs + static_cast<std::size_t>((t * batch + b_) * in + k)]; }
  real h0(int b_, int k) const { return v[inputs + steps * batch * in + static_cast<std::size_t>(b_ * out + k)]; }
  real c0(int b_, int k) const { return v[inputs + steps * batch * in + batch * out + static_cast<std::size_t>(b_ * out + k)]; }
};
real sigma(real a) { return 1 / (1 + std::exp(-a)); }
/// Σ dh·h over all steps + Σ dc·c of the last.
real objective(const weights& w, const std::vector<float>& dh, const std::vector<float>& dc,
               std::vector<real>* last_h = nullptr) {
  real sum = 0;
  for (int s = 0; s < batch; ++s) {
    real h[out], c[out];
    for (int k = 0; k < out; ++k) h[k] = w.h0(s, k), c[k] = w.c0(s, k);
    for (int t = 0; t < steps; ++t) {
      real gate[4 * out];
      for (int q = 0; q < 4 * out; ++q) {
        gate[q] = w.b(q);
        for (int k = 0; k < in; ++k) gate[q] += w.ih(q, k) * w.x(t, s, k);
        for (int k = 0; k < out; ++k) gate[q] += w.hh(q, k) * h[k];
      }
      for (int k = 0; k < out; ++k) {
        c[k] = sigma(gate[out + k]) * c[k] + sigma(gate[k]) * std::tanh(gate[2 * out + k]);
        h[k] = sigma(gate[3 * out + k]) * std::tanh(c[k]);
        sum += static_cast<real>(dh[static_cast<std::size_t>((t * batch + s) * out + k)]) * h[k];
        if (t == steps - 1) sum += static_cast<real>(dc[static_cast<std::size_t>(s * out + k)]) * c[k];
        if (last_h && t == steps - 1) last_h->push_back(h[k]);
      }
    }
  }
  return sum;
}
template <class T>
weights weights_of(const std::vector<std::vector<T>>& p, const std::vector<T>& x, const std::vector<T>& h,
                   const std::vector<T>& c) {
  weights w;
  for (const auto* list : {&p[0], &p[1], &p[2], &p[3], &x, &h, &c})
    for (const T e : *list) w.v.push_back(static_cast<real>(e));
  return w;
}
template <class T>
std::vector<T> as_type(const std::vector<float>& v) {
  return {v.begin(), v.end()};
}

/// Gradients of everything through three steps of time, over a graph of doubles.
void through_time() {
  tenon::graph g{cell, {.seed = 3, .dtype = tenon::float64}};
  const auto x = as_type<double>(wave(steps * batch * in, 1)), h0 = as_type<double>(wave(batch * out, 2)),
             c0 = as_type<double>(wave(batch * out, 3));
  const std::vector<float> dh = wave(steps * batch * out, 4), dc = wave(batch * out, 5);
  std::vector<tenon::tape> tapes(steps);
  std::vector<tenon::results<void>> y;
  for (int t = 0; t < steps; ++t) {
    const auto xt = view(x.data() + t * batch * in, {batch, in});
    if (t == 0) y.push_back(g.forward_all({xt, view(h0, {batch, out}), view(c0, {batch, out})}, tapes[0]));
    else y.push_back(g.forward_all({xt, y.back()[0], y.back()[1]}, tapes[static_cast<std::size_t>(t)]));
  }
  std::vector<double> dx(x.size(), 9), dh_in(batch * out, 9), dc_in(batch * out, 9), gh(batch * out), gc = as_type<double>(dc);
  for (int t = steps; t-- > 0;) {
    for (std::size_t i = 0; i < gh.size(); ++i)
      gh[i] = static_cast<double>(dh[static_cast<std::size_t>(t * batch * out) + i]) + (t == steps - 1 ? 0 : dh_in[i]);
    g.backward_all({view(gh, {batch, out}), view(gc, {batch, out})}, tapes[static_cast<std::size_t>(t)],
                   {view(dx.data() + t * batch * in, {batch, in}), view(dh_in, {batch, out}), view(dc_in, {batch, out})});
    gc = dc_in;
  }
  std::vector<std::vector<double>> p;
  std::vector<double> got;
  for (const auto& q : g.parameters()) {
    const auto* v = static_cast<const double*>(q.value.data());
    const auto* d = static_cast<const double*>(q.grad.data());
    p.emplace_back(v, v + q.value.numel());
    got.insert(got.end(), d, d + q.grad.numel());
  }
  got.insert(got.end(), dx.begin(), dx.end());
  got.insert(got.end(), dh_in.begin(), dh_in.end());
  got.insert(got.end(), dc_in.begin(), dc_in.end());
  weights w = weights_of(p, x, h0, c0);
  std::vector<real> last;
  (void)objective(w, dh, dc, &last);
  for (int i = 0; i < batch * out; ++i)
    CHECK(static_cast<const double*>(y.back()[0].data())[i] ==
          Approx(static_cast<double>(last[static_cast<std::size_t>(i)])).epsilon(1e-12));
  REQUIRE(got.size() == w.v.size());
  for (std::size_t i = 0; i < got.size(); ++i) {  // differences of fourth order: their error is below 1e-13 in long double
    const real at = w.v[i], e = 1e-4L;
    auto f = [&](real shift) {
      w.v[i] = at + shift;
      const real r = objective(w, dh, dc);
      w.v[i] = at;
      return r;
    };
    const real want = (8 * (f(e) - f(-e)) - (f(2 * e) - f(-2 * e))) / (12 * e);
    CHECK(std::abs(got[i] - static_cast<double>(want)) < 1e-12);
  }
}
}  // namespace

TEST_CASE("three steps of time, a tape each, in doubles against differences") { through_time(); }
TEST_CASE("a tape may take the outputs of its own last forward as inputs") {
  tenon::model<cell> m, twin;
  const auto x = wave(batch * in, 1), h = wave(batch * out, 2), c = wave(batch * out, 3), d = wave(batch * out, 4);
  const auto xv = view(x, {batch, in});
  tenon::tape t{m};
  auto y = m.forward_all({xv, view(h, {batch, out}), view(c, {batch, out})}, t);
  auto z = twin.forward_all({xv, view(h, {batch, out}), view(c, {batch, out})});
  const std::vector<float> h1(z[0].data(), z[0].data() + batch * out), c1(z[1].data(), z[1].data() + batch * out);
  y = m.forward_all({xv, y[0], y[1]}, t);  // the tape holds them while it needs them
  z = twin.forward_all({xv, view(h1, {batch, out}), view(c1, {batch, out})});
  CHECK(bits(y[0]) == bits(z[0]));
  m.backward_all({view(d, {batch, out}), view(d, {batch, out})}, t);
  twin.backward_all({view(d, {batch, out}), view(d, {batch, out})});
  CHECK(gradient_bits(m) == gradient_bits(twin));
  const auto i1 = m.all({xv, view(h, {batch, out}), view(c, {batch, out})});
  CHECK(i1[0].data() != i1[1].data());
}
TEST_CASE("embedding: rows are looked up, and their gradients add up where an index comes twice") {
  static constexpr auto words = tenon::network(input{{tenon::dyn, 3}, "tokens", tenon::kind::index},
                                               nn::embedding{.rows = 4, .out = 2}, nn::flatten{}, nn::linear{.out = 1});
  tenon::model<words> m;
  make_whole(m);
  const std::vector<std::int64_t> ids{0, 3, 3, 1, 0, 0};
  const std::vector<float> dy{1, 2};
  const auto p = m.parameters();
  const auto y = m.forward(view(ids, {2, 3}));
  for (extent b = 0; b < 2; ++b) {
    float want = p[2].value[0];
    for (extent k = 0; k < 3; ++k)
      for (extent e = 0; e < 2; ++e) want += p[1].value[k * 2 + e] * p[0].value[ids[static_cast<std::size_t>(b * 3 + k)] * 2 + e];
    CHECK(y[b] == want);
  }
  m.backward(view(dy, {2, 1}));
  for (extent row = 0; row < 4; ++row)
    for (extent e = 0; e < 2; ++e) {
      float want = 0;
      for (extent i = 0; i < 6; ++i)
        if (ids[static_cast<std::size_t>(i)] == row) want += dy[static_cast<std::size_t>(i / 3)] * p[1].value[i % 3 * 2 + e];
      CHECK(p[0].grad[row * 2 + e] == want);
    }
}
