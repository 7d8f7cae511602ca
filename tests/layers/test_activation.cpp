// SPDX-License-Identifier: Apache-2.0
// relu, tanh, sigmoid, softmax, max_pool2d, dropout: their values, their gradients, and what NaN and infinity do.
#include <cmath>
#include <limits>
#include "../catch.hpp"
#include "support/run_layer.hpp"
#include "tenon/layers/layers.hpp"
using namespace tenon;
namespace nn = tenon::layers;
using tests::layer_run;

namespace {
constexpr float quiet_nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
template <class T>
bool same(const std::vector<T>& a, const std::vector<T>& b) {  // NaN is NaN
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (!(a[i] == b[i]) && !(std::isnan(a[i]) && std::isnan(b[i]))) return false;
  return true;
}
template <class T>
void near(const std::vector<T>& a, const std::vector<double>& b, double within) {
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) CHECK(std::abs(double(a[i]) - b[i]) <= within);
}
}  // namespace

TEMPLATE_TEST_CASE("relu lets NaN pass both ways, as PyTorch does", "", float, double) {
  layer_run<nn::relu, TestType> r({}, inputs{slot{shape(1, 6)}});
  const auto n = TestType(quiet_nan), i = TestType(infinity);
  r.x[0] = {n, -1, 2, 0, i, -i};
  r.dy[0] = {1, 2, 3, 4, 5, n};
  r.forward();
  r.backward();
  CHECK(same(r.y[0], {n, 0, 2, 0, i, 0}));
  CHECK(same(r.dx[0], {1, 0, 3, 0, 5, 0}));
}

TEST_CASE("relu on many elements, in place, on three threads") {
  layer_run<nn::relu> r({}, inputs{slot{shape(41, 1003)}}, 3);
  const auto x = r.x[0];
  r.fill_frame(true);
  r.f.y[0] = r.f.x[0];
  forward_pass<float> pass(r.f);
  r.layer.forward(pass);
  r.y[0] = r.x[0];
  r.backward();
  for (std::size_t i = 0; i < x.size(); ++i) {
    REQUIRE(r.y[0][i] == (x[i] > 0 ? x[i] : 0));
    REQUIRE(r.dx[0][i] == (x[i] > 0 ? r.dy[0][i] : 0));
  }
}

TEMPLATE_TEST_CASE("tanh and sigmoid", "", float, double) {
  const double within = sizeof(TestType) == 4 ? 1e-6 : 1e-15;
  layer_run<nn::tanh, TestType> t({}, inputs{slot{shape(3, 7)}});
  layer_run<nn::sigmoid, TestType> s({}, inputs{slot{shape(3, 7)}});
  t.forward();
  t.backward();
  s.forward();
  s.backward();
  for (std::size_t i = 0; i < 21; ++i) {
    const double y = std::tanh(double(t.x[0][i])), z = 1 / (1 + std::exp(-double(s.x[0][i])));
    CHECK(std::abs(double(t.y[0][i]) - y) <= within);
    CHECK(std::abs(double(t.dx[0][i]) - double(t.dy[0][i]) * (1 - y * y)) <= 8 * within);
    CHECK(std::abs(double(s.y[0][i]) - z) <= within);
    CHECK(std::abs(double(s.dx[0][i]) - double(s.dy[0][i]) * z * (1 - z)) <= 8 * within);
  }
  s.x[0][0] = TestType(quiet_nan);
  s.x[0][1] = -1000;
  s.x[0][2] = 1000;
  s.forward();
  CHECK(std::isnan(s.y[0][0]));
  CHECK(s.y[0][1] == 0);
  CHECK(s.y[0][2] == 1);
}

TEST_CASE("softmax against PyTorch, along an axis in the middle") {
  layer_run<nn::softmax> r(nn::softmax{1}, inputs{slot{shape(2, 3, 2)}});
  for (std::size_t i = 0; i < 12; ++i) {
    r.x[0][i] = float((i * 5 + 3) % 17) / 8 - 1;
    r.dy[0][i] = float((i * 7 + 1) % 13) / 8 - 1;
  }
  r.forward();
  r.backward();
  near(
      r.y[0],
      {0.16819912195205688, 0.34820717573165894, 0.5870726108551025, 0.14515435695648193, 0.24472828209400177, 0.5066384673118591,
       0.6286793351173401, 0.16819912195205688, 0.26207253336906433, 0.5870726108551025, 0.109248086810112, 0.24472828209400177},
      1e-7);
  near(r.dx[0],
       {-0.022633904591202736, -0.050421759486198425, -0.005616012029349804, -0.0028746239840984344, 0.02824993245303631,
        0.05329638347029686, -0.037765465676784515, 0.04425610229372978, 0.017016079276800156, 0.22785304486751556,
        0.020749367773532867, -0.27210915088653564},
       1e-7);
}

TEST_CASE("softmax of large numbers does not overflow; NaN takes its row with it") {
  layer_run<nn::softmax> r({}, inputs{slot{shape(4, 2)}});
  r.x[0] = {1e30f, 1e30f, 1, quiet_nan, -infinity, 0, -1e30f, -1e30f};
  r.forward();
  CHECK(same(r.y[0], {0.5f, 0.5f, quiet_nan, quiet_nan, 0, 1, 0.5f, 0.5f}));
  layer_run<nn::softmax, precision<bfloat16, float>> b({}, inputs{slot{shape(1, 2)}});
  b.x[0] = {1, 1};
  b.forward();
  CHECK(float(b.y[0][0]) == 0.5f);
}

TEST_CASE("max_pool2d against plain loops; argmax is the place in the plane") {
  for (int round = 0; round < 24; ++round) {
    nn::max_pool2d l{
        .kernel = {1 + round % 3, 2 + round % 2}, .stride = {round % 3, round % 4}, .padding = {round % 3 / 2, round % 2}};
    if (round >= 18) l = {.kernel = 2};
    layer_run<nn::max_pool2d> f(l, inputs{slot{shape(2, 3, 6 + round % 4, 5 + round)}}, 1 + round % 3);
    layer_run<nn::max_pool2d, double> d(l, f.in);
    f.forward();
    f.backward();
    d.forward();
    d.backward();
    CHECK(f.y[0] == tests::as<float>(d.y[0]));
    CHECK(f.dx[0] == tests::as<float>(d.dx[0]));
    CHECK(f.saved_index[0] == d.saved_index[0]);
    const shape x = f.in[0], y = f.out.y[0];
    const extent step_h = l.stride.h ? l.stride.h : l.kernel.h, step_w = l.stride.w ? l.stride.w : l.kernel.w;
    std::vector<float> dx(f.dx[0].size());
    std::size_t at = 0;
    for (extent p = 0; p < 6; ++p)
      for (extent i = 0; i < y[2]; ++i)
        for (extent j = 0; j < y[3]; ++j, ++at) {
          float best = -infinity;
          extent place = -1;
          for (extent s = 0; s < l.kernel.h; ++s)
            for (extent t = 0; t < l.kernel.w; ++t) {
              const extent a = i * step_h - l.padding.h + s, b = j * step_w - l.padding.w + t;
              if (a < 0 || b < 0 || a >= x[2] || b >= x[3]) continue;
              if (const float e = f.x[0][std::size_t((p * x[2] + a) * x[3] + b)]; e > best) {
                best = e;
                place = a * x[3] + b;
              }
            }
          REQUIRE(f.y[0][at] == best);
          REQUIRE(f.saved_index[0][at] == place);
          dx[std::size_t(p * x[2] * x[3] + place)] += f.dy[0][at];
        }
    REQUIRE(f.dx[0] == dx);
    f.y[0].assign(f.y[0].size(), 77);
    f.forward(false);  // inference saves nothing
    CHECK(f.y[0] == tests::as<float>(d.y[0]));
  }
}

TEMPLATE_TEST_CASE("max_pool2d of a window with NaN is NaN, at each place", "", float, double) {
  for (std::size_t k = 0; k < 8; ++k)
    for (const int kernel : {2, 4}) {
      layer_run<nn::max_pool2d, TestType> r(nn::max_pool2d{.kernel = {2, kernel}}, inputs{slot{shape(1, 1, 2, 8)}});
      r.x[0].assign(16, 1);
      r.x[0][k] = TestType(quiet_nan);
      r.forward();
      for (std::size_t j = 0; j < r.y[0].size(); ++j) CHECK(std::isnan(r.y[0][j]) == (j == k / std::size_t(kernel)));
      CHECK(std::size_t(r.saved_index[0][k / std::size_t(kernel)]) == k);
      r.x[0].assign(16, -TestType(infinity));
      r.forward();
      CHECK(r.y[0][0] == -TestType(infinity));
      CHECK(r.saved_index[0][0] == 0);
    }
}

TEST_CASE("dropout drops about its rate, scales the rest, and backward draws the same mask") {
  layer_run<nn::dropout> r(nn::dropout{0.25f}, inputs{slot{shape(10, 1001)}}), three(r.layer, r.in, 3);
  r.x[0].assign(10010, 3);
  r.dy[0].assign(10010, 6);
  r.forward();
  r.backward();
  int dropped = 0;
  for (std::size_t i = 0; i < 10010; ++i) {
    REQUIRE((r.y[0][i] == 0 || r.y[0][i] == 4));
    REQUIRE(r.dx[0][i] == 2 * r.y[0][i]);
    REQUIRE((r.y[0][i] == 0) == (r.f.key.uniform(i) < 0.25));
    dropped += r.y[0][i] == 0;
  }
  CHECK(std::abs(dropped - 2502) < 200);
  three.x = r.x;
  three.forward();
  CHECK(three.y == r.y);
  const auto before = r.y[0];
  r.f.key.forward = 4;
  r.forward();
  CHECK(r.y[0] != before);
  r.forward(false);
  CHECK(r.y[0] == r.x[0]);
  r.x[0].assign(10010, quiet_nan);
  r.forward();
  for (const float e : r.y[0]) REQUIRE(std::isnan(e));
}
