// SPDX-License-Identifier: Apache-2.0
// batch_norm against PyTorch 2.13 and against sums in double; when its state changes, and when not.
#include <cmath>
#include "../catch.hpp"
#include "support/run_layer.hpp"
#include "tenon/layers/batch_norm.hpp"
using namespace tenon;
using layers::batch_norm;
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
}  // namespace

TEMPLATE_TEST_CASE("numbers of torch.nn.BatchNorm2d", "", float, double) {
  layer_run<batch_norm, TestType> r({}, inputs{slot{shape(2, 3, 2, 2)}}, 2);
  ramp(r.x[0], 5, 3, 17);
  ramp(r.dy[0], 7, 1, 13);
  r.p[0] = {1, 2, TestType(-0.5)};
  r.p[1] = {0, TestType(0.25), 1};
  for (auto& g : r.dp) g.assign(3, 0);
  r.forward();
  near(r.y[0], {-0.7504677176475525, 0.32162901759147644, 1.3937257528305054,  -1.1793063879013062, -1.250935435295105,
                0.8932580947875977,  3.0374515056610107,  -2.1086127758026123, 0.9249070286750793,  0.42428725957870483,
                1.625774621963501,   1.125154972076416,   1.1793063879013062,  -1.3937257528305054, -0.32162904739379883,
                0.7504677176475525,  2.6086127758026123,  -2.5374515056610107, -0.3932580351829529, 1.750935435295105,
                1.7258986234664917,  1.2252788543701172,  0.7246591448783875,  0.22403937578201294},
       1e-6);
  CHECK(r.state[0][0] == 0);  // forward leaves the state alone
  r.backward();
  near(r.dx[0], {-0.8083854913711548,  0.6987112760543823,  -0.5816435217857361, 0.9045048356056213,  -1.6167709827423096,
                 1.3974225521087646,   -1.1632870435714722, 1.8090096712112427,  0.22170279920101166, -0.4195687770843506,
                 0.038144372403621674, 0.6984841227531433,  0.4892209768295288,  -0.8120822310447693, 0.695014476776123,
                 -0.5853403210639954,  0.9784419536590576,  -1.6241644620895386, 1.390028953552246,   -1.1706806421279907,
                 -0.4743945598602295,  0.18594516813755035, -0.4553264081478119, 0.20501331984996796},
       1e-6);
  near(r.dp[0], {-0.026802418753504753, -0.026802418753504753, 0.5944859385490417}, 1e-6);
  near(r.dp[1], {-3.25, -1.25, -0.875}, 0);
  r.commit();
  near(r.state[0], {-0.01875000074505806, 0.01875000074505806, 0.0031250000465661287}, 1e-8);
  near(r.state[1], {0.9388392567634583, 0.9388392567634583, 0.9445312023162842}, 1e-7);
  const auto state = r.state;
  r.forward(false);
  near(r.y[0], {-0.6256821751594543, 0.019350996240973473, 0.6643841862678528,  -0.8836954832077026, -0.30472856760025024,
                0.9853378534317017,  2.275404214859009,    -0.820755124092102,  0.9372991323471069,  0.6157557368278503,
                1.3874597549438477,  1.0659164190292358,   0.535377562046051,   -1.0127021074295044, -0.36766892671585083,
                0.2773642838001251,  2.0173909664154053,   -1.0787683725357056, 0.21129800379276276, 1.5013643503189087,
                1.4517685174942017,  1.1302251815795898,   0.8086817264556885,  0.48713839054107666},
       1e-6);
  CHECK(r.state == state);
}

TEST_CASE("float statistics of numbers far from zero are as good as those in double") {
  for (const shape& s : {shape(64, 5), shape(7, 5, 33), shape(2, 5, 40, 41)}) {
    layer_run<batch_norm> f({}, inputs{slot{s}});
    layer_run<batch_norm, double> d({}, inputs{slot{s}});
    for (std::size_t i = 0; i < f.x[0].size(); ++i) d.x[0][i] = double(f.x[0][i] = 100 + float(i * 7919 % 1000) / 1024);
    f.forward();
    d.forward();
    f.backward();
    d.backward();
    for (std::size_t c = 0; c < 5; ++c) {
      CHECK(std::abs(double(f.saved[0][c]) / d.saved[0][c] - 1) < 1e-6);
      CHECK(std::abs(double(f.saved[1][c]) / d.saved[1][c] - 1) < 1e-4);
      CHECK(std::abs(double(f.dp[1][c]) - d.dp[1][c]) == 0);
    }
    for (std::size_t i = 0; i < f.dx[0].size(); ++i) REQUIRE(std::abs(double(f.dx[0][i]) - d.dx[0][i]) < 2e-2);
  }
}

TEST_CASE("one value a channel has variance 0: y is the bias, dx is 0") {
  layer_run<batch_norm> r({}, inputs{slot{shape(1, 3)}});
  r.forward();
  r.backward();
  r.commit();
  CHECK(r.y[0] == r.p[1]);
  CHECK(r.dx[0] == std::vector<float>(3, 0));
  near(r.state[1], {0.9, 0.9, 0.9}, 1e-7);
}

TEST_CASE("dx that nobody wants is not written") {
  layer_run<batch_norm> r({}, inputs{slot{shape(4, 2)}}), all({}, r.in);
  r.forward();
  r.dx[0].clear();
  r.backward();
  all.forward();
  all.backward();
  CHECK(r.dp == all.dp);
}
