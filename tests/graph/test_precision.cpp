// SPDX-License-Identifier: Apache-2.0
// Storage in bfloat16 with master weights in float, and graphs in float64: within their own rounding of a double reference.
#include <cmath>
#include "../catch.hpp"
#include "support/witness.hpp"
using namespace tests;
using tenon::bfloat16, tenon::extent, tenon::view;

namespace {
constexpr auto net = tenon::network({8}, nn::linear{.out = 6}, nn::relu{}, nn::linear{.out = 4});
using half = tenon::model<net, tenon::cpu, tenon::precision<bfloat16>>;
/// bfloat16 keeps 8 bits: a rounding is off by at most 2^-9 of the number.
constexpr double eps = 0x1p-8;

std::vector<bfloat16> rounded(const std::vector<float>& v) {
  std::vector<bfloat16> r;
  for (const float e : v) r.push_back(bfloat16(e));
  return r;
}
template <class T>
std::vector<double> doubles(const T* p, std::size_t n) {
  std::vector<double> r;
  for (std::size_t i = 0; i < n; ++i) r.push_back(static_cast<double>(static_cast<float>(p[i])));
  return r;
}
/// The same network in doubles over weights rounded to bfloat16: y, and its gradients of the weights.
struct reference {
  std::vector<double> y, dw1, dw2, y_size, dw2_size;
  reference(const half& m, const std::vector<bfloat16>& xs, const std::vector<bfloat16>& dys, int batch) {
    auto p = m.parameters();
    std::vector<std::vector<double>> w;
    for (auto& q : p) {
      std::vector<double> v;
      for (extent i = 0; i < q.value.numel(); ++i) v.push_back(static_cast<double>(static_cast<float>(bfloat16(q.value[i]))));
      w.push_back(v);
    }
    const auto x = doubles(xs.data(), xs.size()), dy = doubles(dys.data(), dys.size());
    dw1.assign(48, 0);
    dw2.assign(24, 0);
    dw2_size.assign(24, 0);
    for (int b = 0; b < batch; ++b) {
      double h[6], dh[6]{};
      for (int o = 0; o < 6; ++o) {
        double s = w[1][static_cast<std::size_t>(o)];
        for (int k = 0; k < 8; ++k) s += w[0][static_cast<std::size_t>(o * 8 + k)] * x[static_cast<std::size_t>(b * 8 + k)];
        h[o] = std::max(0.0, s);
      }
      for (int o = 0; o < 4; ++o) {
        double s = w[3][static_cast<std::size_t>(o)], size = std::abs(s);
        for (int k = 0; k < 6; ++k) {
          s += w[2][static_cast<std::size_t>(o * 6 + k)] * h[k];
          size += std::abs(w[2][static_cast<std::size_t>(o * 6 + k)]) * h[k];
          dw2[static_cast<std::size_t>(o * 6 + k)] += dy[static_cast<std::size_t>(b * 4 + o)] * h[k];
          dw2_size[static_cast<std::size_t>(o * 6 + k)] += std::abs(dy[static_cast<std::size_t>(b * 4 + o)]) * h[k];
          dh[k] += dy[static_cast<std::size_t>(b * 4 + o)] * w[2][static_cast<std::size_t>(o * 6 + k)];
        }
        y.push_back(s);
        y_size.push_back(size);
      }
      for (int o = 0; o < 6; ++o)
        for (int k = 0; k < 8; ++k)
          if (h[o] > 0) dw1[static_cast<std::size_t>(o * 8 + k)] += dh[o] * x[static_cast<std::size_t>(b * 8 + k)];
    }
  }
};
}  // namespace

TEST_CASE("bfloat16 storage: within its rounding of doubles; parameters and gradients are float") {
  half m{{.seed = 4}};
  tenon::model<net> full{{.seed = 4}};
  CHECK(value_bits(m) == value_bits(full));  // master weights start unrounded
  static_assert(std::is_same_v<decltype(m.parameters()[0].value), tenon::tensor<float>>);
  static_assert(std::is_same_v<decltype(m.parameters()[0].grad), tenon::tensor<float>>);
  const auto x = rounded(wave(3 * 8, 1)), dy = rounded(wave(3 * 4, 2));
  const reference r(m, x, dy, 3);
  const auto before = tenon::bytes_moved();
  const tenon::tensor<bfloat16> y = m.forward(view(x, {3, 8}));
  const auto inferred = m(view(x, {3, 8}));
  CHECK(bits(y) == bits(inferred));
  for (extent i = 0; i < 12; ++i)
    CHECK(std::abs(static_cast<double>(static_cast<float>(y[i])) - r.y[static_cast<std::size_t>(i)]) <=
          2 * eps * r.y_size[static_cast<std::size_t>(i)]);
  std::vector<bfloat16> dx(24);
  m.backward(view(dy, {3, 4}), view(dx, {3, 8}));
  const auto p = m.parameters();
  for (extent i = 0; i < 24; ++i)
    CHECK(std::abs(static_cast<double>(p[2].grad[i]) - r.dw2[static_cast<std::size_t>(i)]) <=
          2 * eps * r.dw2_size[static_cast<std::size_t>(i)]);
  for (extent i = 0; i < 48; ++i)
    CHECK(std::abs(static_cast<double>(p[0].grad[i]) - r.dw1[static_cast<std::size_t>(i)]) <= 8 * eps);
  CHECK(tenon::bytes_moved().copied == before.copied);  // casts are the plan's, no copies at a door
  CHECK(tenon::bytes_moved().packed == before.packed);
  // a step smaller than a bfloat16 ulp of the weight is not lost
  const float w = p[0].value[0];
  for (int i = 0; i < 8; ++i) {
    m.forward(view(x, {3, 8}));
    m.backward(view(dy, {3, 4}));
    m.update(tenon::sgd{.lr = 1e-6});
  }
  CHECK((p[0].value[0] != w || p[0].grad[0] == 0));
}
TEST_CASE("a graph in bfloat16 is that model to the bit, one in float64 the reference to a few ulps of double") {
  half m{{.seed = 4}};
  tenon::graph g{net, {.seed = 4, .dtype = tenon::bfloat16_dtype}}, d{net, {.seed = 4, .dtype = tenon::float64}},
      f{net, {.seed = 4}};
  CHECK(g.dtype() == tenon::bfloat16_dtype);
  const auto x = rounded(wave(24, 1)), dy = rounded(wave(12, 2));
  for (int step = 0; step < 3; ++step) {
    CHECK(bits(m.forward(view(x, {3, 8}))) == bits(g.forward(view(x, {3, 8}))));
    m.backward(view(dy, {3, 4}));
    g.backward(view(dy, {3, 4}));
    CHECK(gradient_bits(m) == gradient_bits(g));
    m.update(tenon::adamw{});
    g.update(tenon::adamw{});
    CHECK(value_bits(m) == value_bits(g));
  }
  CHECK(g.parameters()[0].value.dtype() == tenon::float32);
  CHECK(d.parameters()[0].value.dtype() == tenon::float64);
  const std::vector<double> xd = doubles(x.data(), x.size()), dyd = doubles(dy.data(), dy.size());
  const auto xf = wave(24, 1);
  std::vector<float> exact(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) exact[i] = static_cast<float>(x[i]);
  for (int i = 0; i < 2; ++i) {  // the same start in both precisions
    const auto a = d.parameters()[static_cast<std::size_t>(2 * i)].value,
               b = f.parameters()[static_cast<std::size_t>(2 * i)].value;
    for (extent k = 0; k < a.numel(); ++k)
      CHECK(static_cast<float>(static_cast<const double*>(a.data())[k]) == static_cast<const float*>(b.data())[k]);
  }
  const auto yd = d.forward(view(xd, {3, 8})).as<double>();
  const auto yf = f.forward(view(exact, {3, 8})).as<float>();
  for (extent i = 0; i < 12; ++i) CHECK(yd[i] == Approx(static_cast<double>(yf[i])).margin(1e-6));
  d.backward(view(dyd, {3, 4}));
  d.update(tenon::adamw{});
  const auto ya = d(view(xd, {3, 8})).as<double>();
  CHECK(ya[0] != yd[0]);
}
