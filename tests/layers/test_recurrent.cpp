// SPDX-License-Identifier: Apache-2.0
// lstm_cell against PyTorch 2.13; float kernels against the reference, over threads, scratch and batches.
#include <cmath>
#include "../catch.hpp"
#include "support/run_layer.hpp"
#include "tenon/layers/recurrent.hpp"
using namespace tenon;
using layers::lstm_cell;
using tests::layer_run;

namespace {
template <class T>
void near(const std::vector<T>& a, const std::vector<double>& b, double within) {
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) CHECK(std::abs(double(a[i]) - b[i]) <= within);
}
template <class T>
void ramp(std::vector<T>& v, std::size_t a, std::size_t b, std::size_t m) {
  for (std::size_t i = 0; i < v.size(); ++i) v[i] = T((i * a + b) % m) / T(8) - T(1);
}
inputs step(extent batch, extent in, extent out) {
  return {slot{shape(batch, in)}, slot{shape(batch, out)}, slot{shape(batch, out)}};
}
}  // namespace

TEMPLATE_TEST_CASE("numbers of torch.nn.LSTMCell", "", float, double) {
  for (const bool scratch : {true, false}) {
    layer_run<lstm_cell, TestType> r({.out = 2}, step(2, 3, 2));
    r.scratch_given = scratch;
    ramp(r.p[0], 5, 3, 17);
    ramp(r.p[1], 7, 1, 13);
    ramp(r.p[2], 3, 2, 11);
    ramp(r.p[3], 2, 5, 7);
    ramp(r.x[0], 3, 1, 7);
    ramp(r.x[1], 5, 2, 9);
    ramp(r.x[2], 2, 3, 5);
    ramp(r.dy[0], 3, 4, 11);
    ramp(r.dy[1], 4, 1, 7);
    for (auto& g : r.dp) g.assign(g.size(), 0);
    r.forward();
    near(r.y[0], {-0.1330043077468872, -0.04930894821882248, -0.17236179113388062, -0.04278840497136116}, 1e-6);
    near(r.y[1], {-0.2394564151763916, -0.5000642538070679, -0.34481626749038696, -0.35386502742767334}, 1e-6);
    r.backward();
    near(r.dx[0],
         {-0.1306665539741516, 0.21218803524971008, 0.2526695430278778, -0.08040309697389603, 0.04551690071821213,
          0.2167138308286667},
         1e-6);
    near(r.dx[1], {-0.047976382076740265, -0.07714949548244476, -0.07738136500120163, 0.00712485471740365}, 1e-6);
    near(r.dx[2], {-0.2934003472328186, -0.08074798434972763, -0.17653051018714905, -0.06731227785348892}, 1e-6);
    near(r.dp[0],
         {-0.08551603555679321,  -0.04277413338422775, -0.09976333379745483, -0.09038693457841873,  -0.045858483761548996,
          -0.10522975772619247,  -0.17896705865859985, -0.09202861785888672, -0.2079465538263321,   -0.07264444231987,
          -0.0386328361928463,   -0.08398164063692093, 0.4633789658546448,   0.24525685608386993,   0.5360863208770752,
          0.11289076507091522,   0.05802985653281212,  0.13117773830890656,  -0.012313091196119785, -0.009254341945052147,
          -0.013332674279808998, -0.02234918810427189, -0.00976557843387127, -0.02654372528195381},
         1e-6);
    near(r.dp[1],
         {-0.07837627083063126, -0.007139767054468393, -0.08230051398277283, -0.008086423389613628, -0.16193224489688873,
          -0.017034824937582016, -0.06466522067785263, -0.007979216054081917, 0.4134579002857208, 0.04992105811834335,
          0.10216280817985535, 0.010727956891059875, -0.008705503307282925, -0.0036075878888368607, -0.02166093699634075,
          -0.0006882523302920163},
         1e-6);
    const std::vector<double> db{0.11397840082645416, 0.11874254047870636,  0.23183587193489075,  0.09069761633872986,
                                 -0.5816589593887329, -0.14629577100276947, 0.008156664669513702, 0.033556293696165085};
    near(r.dp[2], db, 1e-6);
    near(r.dp[3], db, 1e-6);
    CHECK(r.guard_holds());
    const auto y = r.y;
    r.forward(false);  // inference saves nothing
    CHECK(r.y == y);
  }
}

TEST_CASE("float kernels and reference agree; threads do not change a bit") {
  for (const extent batch : {1, 16, 37}) {
    layer_run<lstm_cell> one({.out = 9}, step(batch, 21, 9)), three({.out = 9}, step(batch, 21, 9), 3);
    layer_run<lstm_cell, double> exact({.out = 9}, step(batch, 21, 9));
    const auto quiet = [](auto& r) {
      for (auto& w : r.p)
        for (auto& e : w) e /= 32;
      r.forward();
      r.backward();
    };
    quiet(one);
    quiet(three);
    quiet(exact);
    CHECK(one.y == three.y);
    CHECK(one.dx == three.dx);
    CHECK(one.dp == three.dp);
    CHECK(three.guard_holds());
    for (std::size_t i = 0; i < 2; ++i) near(one.y[i], exact.y[i], 1e-6);
    for (std::size_t i = 0; i < 3; ++i) near(one.dx[i], exact.dx[i], 1e-5);
    for (std::size_t i = 0; i < 4; ++i) near(one.dp[i], exact.dp[i], 1e-4);
  }
}

TEST_CASE("a gradient that is not there counts as zero") {
  for (const std::size_t absent : {0u, 1u}) {
    layer_run<lstm_cell> zero({.out = 4}, step(3, 5, 4)), none({.out = 4}, step(3, 5, 4));
    zero.dy[absent].assign(12, 0);
    none.dy[absent].clear();
    zero.forward();
    zero.backward();
    none.forward();
    none.backward();
    CHECK(none.dx == zero.dx);
    CHECK(none.dp == zero.dp);
  }
}
