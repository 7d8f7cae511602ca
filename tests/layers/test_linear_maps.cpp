// SPDX-License-Identifier: Apache-2.0
// linear, conv2d, avg_pool2d, flatten, add, split, embedding: on integers, so that every comparison is exact. The reference in
// int64 against plain loops and against its own adjoint; the float kernels, on one and three threads, against the reference.
#include "../catch.hpp"
#include "support/run_layer.hpp"
#include "tenon/layers/layers.hpp"
using namespace tenon;
namespace nn = tenon::layers;
using tests::layer_run, tests::as, tests::inner, tests::pick;
using integer = std::int64_t;

namespace {
template <class L>
layer_run<L, integer> ran(const L& l, const inputs& in) {
  REQUIRE(!l.infer(in).bad());
  layer_run<L, integer> r(l, in);
  r.forward();
  r.backward();
  return r;
}
/// The float kernels agree with the reference, with scratch and without, on one thread and on three.
template <class L>
void same_in_float(const layer_run<L, integer>& reference) {
  for (const int threads : {1, 3})
    for (const bool scratch : {true, false}) {
      layer_run<L, float> r(reference.layer, reference.in, threads);
      r.scratch_given = scratch;
      r.forward();
      r.backward();
      CHECK(r.y.size() == reference.y.size());
      for (std::size_t i = 0; i < r.y.size(); ++i) CHECK(r.y[i] == as<float>(reference.y[i]));
      for (std::size_t i = 0; i < r.dx.size(); ++i) CHECK(r.dx[i] == as<float>(reference.dx[i]));
      for (std::size_t i = 0; i < r.dp.size(); ++i) CHECK(r.dp[i] == as<float>(reference.dp[i]));
      CHECK(r.guard_holds());
    }
}
/// ⟨A x, dy⟩ = ⟨x, Aᵀ dy⟩ where there is no bias, and the gradient of the weights is the same number seen from them.
template <class L>
void adjoint(layer_run<L, integer>& r, bool bias) {
  integer out = 0, in = 0, from_weight = 0;
  for (std::size_t i = 0; i < r.y.size(); ++i) out += inner(r.y[i], r.dy[i]);
  for (std::size_t i = 0; i < r.x.size(); ++i) in += inner(r.x[i], r.dx[i]);
  for (auto& g : r.dp)
    for (auto& e : g) e -= 1;  // it began as 1
  if (bias) out -= inner(r.p.back(), r.dp.back());
  CHECK(out == in);
  if (!r.p.empty()) {
    from_weight = inner(r.p[0], r.dp[0]);
    CHECK(out == from_weight);
  }
}
}  // namespace

TEST_CASE("linear is x times the transposed weight plus the bias") {
  std::uint64_t seed = 7;
  for (int round = 0; round < 12; ++round) {
    const extent batch = 1 + pick(seed, 4) + 4, in = 5 + pick(seed, 4) + round, out = 6 + pick(seed, 5);
    const bool bias = round % 2 == 0;
    auto r = ran(nn::linear{.out = out, .bias = bias}, inputs{slot{shape(batch, in)}});
    for (extent b = 0; b < batch; ++b)
      for (extent o = 0; o < out; ++o) {
        integer want = bias ? r.p[1][std::size_t(o)] : 0;
        for (extent k = 0; k < in; ++k) want += r.x[0][std::size_t(b * in + k)] * r.p[0][std::size_t(o * in + k)];
        REQUIRE(r.y[0][std::size_t(b * out + o)] == want);
      }
    same_in_float(r);
    adjoint(r, bias);
  }
}

TEST_CASE("linear keeps the axes between") {
  auto r = ran(nn::linear{.out = 3}, inputs{slot{shape(2, 4, 5)}});
  CHECK(r.y[0].size() == 24);
  same_in_float(r);
  adjoint(r, true);
}

TEST_CASE("large products are cut among threads and stay exact") {
  same_in_float(ran(nn::linear{.out = 70}, inputs{slot{shape(130, 300)}}));
}

TEST_CASE("linear stores what it computes: bfloat16 with float sums") {
  layer_run<nn::linear, precision<bfloat16, float>> r(nn::linear{.out = 2}, inputs{slot{shape(3, 600)}});
  for (auto& e : r.x[0]) e = 1;
  for (auto& e : r.p[0]) e = 1;
  for (auto& e : r.p[1]) e = 0;
  for (auto& e : r.dy[0]) e = 1;
  r.forward();
  r.backward();
  for (const bfloat16 e : r.y[0]) CHECK(float(e) == 600);  // a bfloat16 sum stops at 256
  for (const float e : r.dp[0]) CHECK(e == 4);
  for (const bfloat16 e : r.dx[0]) CHECK(float(e) == 2);
}

TEST_CASE("conv2d, with all that can be said of a window") {
  std::uint64_t seed = 11;
  for (int round = 0; round < 40; ++round) {
    const auto small = [&](extent least, extent most) { return least + (pick(seed, 100) + 100) % (most - least + 1); };
    const extent groups = small(1, 3), in = groups * small(1, 3), out = groups * small(1, 3);
    nn::conv2d l{.out = out, .groups = groups, .bias = round % 2 == 0};
    l.kernel = {small(1, 4), small(1, 4)};
    l.stride = {small(1, 3), small(1, 3)};
    l.padding = {small(0, 3), small(0, 3)};
    l.dilation = {small(1, 2), small(1, 2)};
    const shape x{small(1, 3), in, small(1, 9) + 6, small(1, 9) + 6};
    auto r = ran(l, inputs{slot{x}});
    const shape y = r.out.y[0];
    extent at = 0;
    for (extent n = 0; n < y[0]; ++n)
      for (extent o = 0; o < y[1]; ++o)
        for (extent i = 0; i < y[2]; ++i)
          for (extent j = 0; j < y[3]; ++j, ++at) {
            integer want = l.bias ? r.p[1][std::size_t(o)] : 0;
            for (extent c = 0; c < in / groups; ++c)
              for (extent s = 0; s < l.kernel.h; ++s)
                for (extent t = 0; t < l.kernel.w; ++t) {
                  const extent a = i * l.stride.h - l.padding.h + s * l.dilation.h,
                               b = j * l.stride.w - l.padding.w + t * l.dilation.w;
                  if (a < 0 || b < 0 || a >= x[2] || b >= x[3]) continue;
                  const extent channel = o / (out / groups) * (in / groups) + c;
                  want += r.x[0][std::size_t(((n * in + channel) * x[2] + a) * x[3] + b)] *
                          r.p[0][std::size_t(((o * (in / groups) + c) * l.kernel.h + s) * l.kernel.w + t)];
                }
            REQUIRE(r.y[0][std::size_t(at)] == want);
          }
    same_in_float(r);
    adjoint(r, l.bias);
  }
}

TEST_CASE("conv2d of more pixels than fit in scratch at once") {
  same_in_float(ran(nn::conv2d{.out = 8, .kernel = 5, .padding = 2}, inputs{slot{shape(5, 6, 40, 44)}}));
}

TEST_CASE("avg_pool2d is the mean of each window, padding counted") {
  for (int round = 0; round < 20; ++round) {
    nn::avg_pool2d l{
        .kernel = {1 + round % 3, 1 + round % 4}, .stride = {round % 3, round % 2}, .padding = {round % 3 / 2, round % 4 / 3}};
    layer_run<nn::avg_pool2d, integer> r(l, inputs{slot{shape(2, 3, 6 + round % 3, 7)}});
    const integer count = l.kernel.h * l.kernel.w;
    for (auto& e : r.x[0]) e *= count;
    for (auto& e : r.dy[0]) e *= count;
    r.forward();
    r.backward();
    const shape x = r.in[0], y = r.out.y[0];
    const extent step_h = l.stride.h ? l.stride.h : l.kernel.h, step_w = l.stride.w ? l.stride.w : l.kernel.w;
    extent at = 0;
    for (extent p = 0; p < 6; ++p)
      for (extent i = 0; i < y[2]; ++i)
        for (extent j = 0; j < y[3]; ++j, ++at) {
          integer want = 0;
          for (extent s = 0; s < l.kernel.h; ++s)
            for (extent t = 0; t < l.kernel.w; ++t) {
              const extent a = i * step_h - l.padding.h + s, b = j * step_w - l.padding.w + t;
              if (a >= 0 && b >= 0 && a < x[2] && b < x[3]) want += r.x[0][std::size_t((p * x[2] + a) * x[3] + b)];
            }
          REQUIRE(r.y[0][std::size_t(at)] * count == want);
        }
    adjoint(r, false);
    layer_run<nn::avg_pool2d, float> f(l, r.in, 3);
    f.x[0] = as<float>(r.x[0]);
    f.dy[0] = as<float>(r.dy[0]);
    f.forward();
    f.backward();
    CHECK(f.y[0] == as<float>(r.y[0]));
    CHECK(f.dx[0] == as<float>(r.dx[0]));
  }
}

TEST_CASE("layers that move numbers") {
  auto r = ran(nn::flatten{}, inputs{slot{shape(2, 3, 4)}});
  CHECK(r.y[0] == r.x[0]);
  CHECK(r.dx[0] == r.dy[0]);

  auto a = ran(nn::add{}, inputs{slot{shape(3, 50)}, slot{shape(3, 50)}});
  for (std::size_t i = 0; i < a.y[0].size(); ++i) CHECK(a.y[0][i] == a.x[0][i] + a.x[1][i]);
  same_in_float(a);
  adjoint(a, false);

  for (const extent axis : {extent{1}, extent{2}, extent{-1}}) {
    auto s = ran(nn::split{.first = 2, .axis = axis}, inputs{slot{shape(3, 5, 4)}});
    const bool last = axis != 1;
    for (extent n = 0; n < 3; ++n)
      for (extent c = 0; c < 5; ++c)
        for (extent i = 0; i < 4; ++i) {
          const extent k = last ? i : c, part = k >= 2, rest = last ? 2 : 3, width = part ? rest : 2, j = part ? k - 2 : k;
          const extent to = last ? (n * 5 + c) * width + j : (n * width + j) * 4 + i;
          CHECK(s.y[std::size_t(part)][std::size_t(to)] == s.x[0][std::size_t((n * 5 + c) * 4 + i)]);
        }
    adjoint(s, false);
    s.dy[1].clear();  // nobody uses the second output
    s.dx[0].assign(60, 77);
    s.backward();
    CHECK(inner(s.x[0], s.dx[0]) == inner(s.y[0], s.dy[0]));
  }
}

TEST_CASE("embedding takes rows and adds gradients to them, in order") {
  for (const extent out : {3, 40}) {
    auto r = ran(nn::embedding{.rows = 7, .out = out}, inputs{tests::index_slot(shape(4, 5))});
    auto want = r.dp[0];
    for (auto& e : want) e = 1;
    for (std::size_t i = 0; i < 20; ++i)
      for (std::size_t j = 0; j < std::size_t(out); ++j) {
        const std::size_t at = std::size_t(r.x_index[0][i] * out) + j;
        CHECK(r.y[0][i * std::size_t(out) + j] == r.p[0][at]);
        want[at] += r.dy[0][i * std::size_t(out) + j];
      }
    CHECK(r.dp[0] == want);
    same_in_float(r);
  }
}
