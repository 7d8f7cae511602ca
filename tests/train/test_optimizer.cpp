// SPDX-License-Identifier: Apache-2.0
// Rules against PyTorch 2.13 (float64, five steps) and against a straightforward double implementation over 50 steps; pieces of a
// parameter give the bits of the whole.
#include "tenon/train/optimizer.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "../catch.hpp"

namespace {

template <class T, class G = T>
struct state {
  std::vector<T> w, m, v;
  std::vector<G> g;
  explicit state(std::size_t n) : w(n), m(n), v(n), g(n) {}
  template <class Rule>
  void step(const Rule& rule, tenon::step_info info, std::size_t cut = 0) {
    for (std::size_t from = 0, to = cut ? cut : w.size(); from < w.size(); from = to, to = w.size()) {
      T* const slots[tenon::max_slots]{m.data() + from, v.data() + from};
      rule.apply(info, w.data() + from, g.data() + from, slots, std::int64_t(to - from));
    }
  }
};

template <class Rule>
void five_steps(const Rule& rule, double a, double b, double c) {
  state<double> s(3);
  s.w = {0.5, -1.25, 2.0};
  for (int t = 0; t < 5; ++t) {
    s.g = {0.1 * (t + 1), -0.3 + 0.05 * t, std::cos(double(t))};
    s.step(rule, {std::uint64_t(t) + 1});
  }
  CHECK(s.w[0] == Approx(a).epsilon(1e-14));
  CHECK(s.w[1] == Approx(b).epsilon(1e-14));
  CHECK(s.w[2] == Approx(c).epsilon(1e-14));
}

struct reference {  // torch's formulas, one element, double
  double w, a = 0, b = 0;
  double terms = 0, size = 0;  // sums of magnitudes: of what made g, of what made w
  void operator()(const tenon::sgd& r, tenon::step_info i, double g) {
    terms = std::fabs(g) + std::fabs(r.weight_decay * double(i.decay) * w) + r.momentum * std::fabs(a);
    size = std::fabs(w) + 3 * r.lr * double(i.lr) * terms;
    g += r.weight_decay * double(i.decay) * w;
    if (r.momentum != 0) {
      a = i.step == 1 ? g : r.momentum * a + (1 - r.dampening) * g;
      g = r.nesterov ? g + r.momentum * a : a;
    }
    w -= r.lr * double(i.lr) * g;
  }
  void operator()(const tenon::adam& r, tenon::step_info i, double g) { moments(r, i, g + r.weight_decay * double(i.decay) * w); }
  void operator()(const tenon::adamw& r, tenon::step_info i, double g) {
    w *= 1 - r.lr * double(i.lr) * r.weight_decay * double(i.decay);
    moments(r, i, g);
  }
  void moments(const auto& r, tenon::step_info i, double g) {
    const double c1 = 1 - std::pow(r.beta1, double(i.step)), c2 = 1 - std::pow(r.beta2, double(i.step));
    terms = std::fabs(g) + 0.1 * std::fabs(w);
    size = std::fabs(w) + 3 * r.lr * double(i.lr);
    a += (1 - r.beta1) * (g - a);
    b = r.beta2 * b + (1 - r.beta2) * g * g;
    w -= r.lr * double(i.lr) / c1 * a / (std::sqrt(b) / std::sqrt(c2) + r.epsilon);
  }
};

double random(std::uint64_t& s) {
  return double(std::int64_t(s = s * 6364136223846793005u + 1442695040888963407u) >> 12) * 0x1p-51;
}

template <class T, class Rule>
void fifty_steps(const Rule& rule, tenon::step_info info, double tolerance) {
  for (const std::size_t n : {1u, 3u, 4u, 13u, 64u}) {
    state<T> s(n);
    std::uint64_t seed = n;
    for (auto& w : s.w) w = static_cast<T>(random(seed));
    for (std::uint64_t t = 1; t <= 50; ++t) {
      std::vector<reference> r;
      for (std::size_t k = 0; k < n; ++k) {
        s.g[k] = static_cast<T>(random(seed) * std::pow(10, double(k % 5) - 3));
        r.push_back({double(s.w[k]), double(s.m[k]), double(s.v[k])});  // each step from the same state: the error of one step
      }
      info.step = t;
      s.step(rule, info);
      bool close = true;
      double worst = 0;
      for (std::size_t k = 0; k < n; ++k) {
        r[k](rule, info, double(s.g[k]));
        worst = std::max(worst, std::fabs(double(s.w[k]) - r[k].w) / r[k].size);
        close = close && std::fabs(double(s.w[k]) - r[k].w) <= tolerance * r[k].size;
        if (Rule::slots == 2)
          close = close && std::fabs(double(s.v[k]) - r[k].b) <= 2 * tolerance * (r[k].b + r[k].terms * r[k].terms * 0.001);
      }
      INFO(Rule::name << ", " << n << " elements, step " << t << ", wrong by " << worst);
      CHECK(close);
      if (!close) return;
    }
  }
}

}  // namespace

TEST_CASE("five steps of PyTorch's") {
  five_steps(tenon::sgd{.lr = 0.1}, 0.34999999999999998, -1.1500000000000001, 2.0519480648143058);
  five_steps(tenon::sgd{.lr = 0.1, .momentum = 0.9, .dampening = 0.25, .weight_decay = 0.01}, 0.24687526408186736,
             -0.98012849083310061, 1.705505993197725);
  five_steps(tenon::sgd{.lr = 0.1, .momentum = 0.9, .nesterov = true}, 0.064672099999999899, -0.87862479999999998,
             1.8457749543553077);
  five_steps(tenon::adam{.lr = 0.01, .weight_decay = 0.1}, 0.45078787299741224, -1.2010885420776274, 1.972365743089719);
  five_steps(tenon::adamw{.lr = 0.01, .weight_decay = 0.1}, 0.44909430927115829, -1.1958550954641267, 1.9694308311129469);
}

TEMPLATE_TEST_CASE("50 steps of a plain double implementation, every tail", "", float, double) {
  const double eps = std::is_same_v<TestType, float> ? 1e-7 : 1e-15;
  for (const tenon::step_info info : {tenon::step_info{1, 1, 1}, tenon::step_info{1, 0.5f, 0}, tenon::step_info{1, 2, 3}}) {
    fifty_steps<TestType>(tenon::sgd{.lr = 0.05, .weight_decay = 0.02}, info, eps);
    fifty_steps<TestType>(tenon::sgd{.lr = 0.05, .momentum = 0.9, .dampening = 0.5, .weight_decay = 0.02}, info, eps);
    fifty_steps<TestType>(tenon::sgd{.lr = 0.05, .momentum = 0.9, .weight_decay = 0.02, .nesterov = true}, info, eps);
    fifty_steps<TestType>(tenon::adam{.lr = 0.003, .weight_decay = 0.02}, info, eps);
    fifty_steps<TestType>(tenon::adamw{.lr = 0.003, .weight_decay = 0.02}, info, eps);
  }
}

TEST_CASE("pieces of a parameter give the bits of the whole") {
  const auto check = [](const auto& rule) {
    for (std::size_t cut = 1; cut < 23; ++cut) {
      state<float> a(23), b(23);
      std::uint64_t seed = 5;
      for (std::size_t k = 0; k < 23; ++k) a.w[k] = b.w[k] = float(random(seed));
      for (std::uint64_t t = 1; t < 5; ++t) {
        for (std::size_t k = 0; k < 23; ++k) a.g[k] = b.g[k] = float(random(seed));
        a.step(rule, {t});
        b.step(rule, {t}, cut);
      }
      CHECK((a.w == b.w && a.m == b.m && a.v == b.v));
    }
  };
  check(tenon::sgd{.momentum = 0.9, .weight_decay = 0.1, .nesterov = true});
  check(tenon::adam{.weight_decay = 0.1});
  check(tenon::adamw{});
}

TEST_CASE("bfloat16 parameters compute in float, and fields take any number") {
  state<tenon::bfloat16, float> s(5);
  for (auto& w : s.w) w = 1.0f;
  for (auto& g : s.g) g = 0.5f;
  tenon::adamw rule{.lr = 1e-2f, .weight_decay = 0};
  rule.lr = 0.25;
  s.step(rule, {1});
  for (const auto w : s.w) CHECK(float(w) == 0.75f);  // the first step is lr·sign(g)
  CHECK(double(tenon::adamw{}.beta2) == 0.999);
}

TEST_CASE("a NaN gradient reaches its own element only") {
  state<float> s(6);
  for (auto& g : s.g) g = 1;
  s.g[2] = std::nanf("");
  s.step(tenon::adamw{}, {1});
  for (std::size_t k = 0; k < 6; ++k) CHECK(std::isnan(s.w[k]) == (k == 2));
}
