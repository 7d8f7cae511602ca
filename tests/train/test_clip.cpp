// SPDX-License-Identifier: Apache-2.0
// Clipping against PyTorch's numbers, and what it does with NaN, infinities and huge doubles. The models here are only lists of
// parameters: clipping asks for no more.
#include "tenon/train/clip.hpp"

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "../catch.hpp"

namespace {
template <class T>
struct fake_model {
  struct parameter {
    std::string name;
    tenon::tensor<T> value, grad;
  };
  std::vector<parameter> list;
  void add(const char* name, std::vector<T> g) { list.push_back({name, {}, tenon::copy(g)}); }
  const std::vector<parameter>& parameters() const { return list; }
};
template <class F>
tenon::failure refused(const F& f) {
  try {
    f();
  } catch (const tenon::error& e) { return e.details(); }
  return {};
}
}  // namespace

TEMPLATE_TEST_CASE("clip_gradient_norm is clip_grad_norm_", "", float, double) {
  fake_model<TestType> m;
  m.add("a", {6});
  m.list.push_back({"no gradient", {}, {}});
  m.add("b", {8, 0, 0, 0, 0});
  CHECK(tenon::clip_gradient_norm(m, 11) == 10);
  CHECK(m.list[0].grad[0] == TestType(6));
  CHECK(tenon::clip_gradient_norm(m, 1.0) == 10);
  CHECK(double(m.list[0].grad[0]) == Approx(0.599999940000006).epsilon(1e-7));
  CHECK(double(m.list[2].grad[0]) == Approx(0.79999992000000808).epsilon(1e-7));
  CHECK(tenon::clip_gradient_norm(m, 0) == Approx(1));
  CHECK(m.list[0].grad[0] == TestType(0));
}

TEST_CASE("a gradient that is not finite is named, and nothing is scaled") {
  for (const float bad : {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(), std::nanf("")})
    for (std::size_t where = 0; where < 5; ++where) {
      fake_model<float> m;
      m.add("0.weight", {100, 200});
      std::vector<float> g(5, 1.0f);
      g[where] = bad;
      m.add("2.bias", g);
      m.add("3.bias", g);
      const auto f = refused([&] { tenon::clip_gradient_norm(m, 1); });
      CHECK(f.code == tenon::errc::not_finite);
      CHECK(std::string(f.argument) == "2.bias");
      CHECK(m.list[0].grad[1] == 200.0f);
    }
}

TEST_CASE("squares of large floats and doubles do not overflow") {
  fake_model<float> m;
  m.add("a", {3e38f, -3e38f});
  CHECK(tenon::clip_gradient_norm(m, 1) == Approx(3e38 * std::sqrt(2.0)).epsilon(1e-6));
  CHECK(double(m.list[0].grad[0]) == Approx(std::sqrt(0.5)).epsilon(1e-6));
  fake_model<double> d;
  d.add("a", {3e200});
  d.add("b", {-4e200, 0, 1});
  CHECK(tenon::clip_gradient_norm(d, 1) == Approx(5e200));
  CHECK(d.list[0].grad[0] == Approx(0.6));
}

TEST_CASE("clip_gradient_value") {
  fake_model<float> m;
  m.add("a", {-3, -0.25f, 0, 0.5f, 7, std::nanf("")});
  tenon::clip_gradient_value(m, 0.5);
  const auto& g = m.list[0].grad;
  CHECK((g[0] == -0.5f && g[1] == -0.25f && g[2] == 0.0f && g[3] == 0.5f && g[4] == 0.5f && std::isnan(g[5])));
}

TEST_CASE("limits below zero or NaN are refused") {
  fake_model<float> m;
  m.add("a", {6});
  for (const double bad : {-1.0, std::nan("")}) {
    CHECK(refused([&] { tenon::clip_gradient_norm(m, bad); }).code == tenon::errc::value);
    CHECK(refused([&] { tenon::clip_gradient_value(m, bad); }).code == tenon::errc::value);
  }
  CHECK(m.list[0].grad[0] == 6.0f);
}
