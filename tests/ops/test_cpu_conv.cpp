// SPDX-License-Identifier: Apache-2.0
// im2col, its adjoint, the convolution passes and the elementwise loops against naive loops on integers: threshold 0.
#include "tenon/ops/cpu/conv.hpp"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "../catch.hpp"

namespace d = tenon::detail;
using std::int64_t;

namespace {

struct generator {
  std::uint64_t state;
  std::uint32_t next() {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<std::uint32_t>(state >> 33);
  }
};

std::vector<float> integers(int64_t n, std::uint64_t seed) {
  generator random{seed};
  std::vector<float> v(static_cast<std::size_t>(n));
  for (float& x : v) x = static_cast<float>(static_cast<int>(random.next() % 9) - 4);
  return v;
}

std::vector<float> uniform(int64_t n, std::uint64_t seed) {
  generator random{seed};
  std::vector<float> v(static_cast<std::size_t>(n));
  for (float& x : v) x = static_cast<float>(random.next() % 2000001) * 1e-6f - 1.0f;
  return v;
}

std::size_t index(int64_t i) { return static_cast<std::size_t>(i); }

d::conv_shape shape(int64_t n, int64_t c, int64_t h, int64_t w, int64_t out, int64_t kh, int64_t kw, int64_t sh, int64_t sw,
                    int64_t ph, int64_t pw, int64_t dh = 1, int64_t dw = 1) {
  d::conv_shape s{n, c, h, w, out, kh, kw, sh, sw, ph, pw, 0, 0, dh, dw};
  s.oh = (h + 2 * ph - dh * (kh - 1) - 1) / sh + 1;
  s.ow = (w + 2 * pw - dw * (kw - 1) - 1) / sw + 1;
  return s;
}

/// Calls f(x index, w index, y index) for each product of the convolution.
template <class F>
void each_product(const d::conv_shape& s, F f) {
  for (int64_t n = 0; n < s.n; ++n)
    for (int64_t o = 0; o < s.out; ++o)
      for (int64_t y = 0; y < s.oh; ++y)
        for (int64_t x = 0; x < s.ow; ++x)
          for (int64_t c = 0; c < s.c; ++c)
            for (int64_t r = 0; r < s.kh; ++r)
              for (int64_t q = 0; q < s.kw; ++q) {
                const int64_t iy = y * s.sh - s.ph + r * s.dh, ix = x * s.sw - s.pw + q * s.dw;
                if (iy < 0 || iy >= s.h || ix < 0 || ix >= s.w) continue;
                f(index(((n * s.c + c) * s.h + iy) * s.w + ix), index(((o * s.c + c) * s.kh + r) * s.kw + q),
                  index(((n * s.out + o) * s.oh + y) * s.ow + x));
              }
}

struct passes {
  std::vector<float> y, dx, dw, db;
};

passes run(const d::conv_shape& s, int threads, const std::vector<float>& x, const std::vector<float>& w,
           const std::vector<float>& bias, const std::vector<float>& dy, bool accumulate) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> workspace(index(threads * d::conv_workspace_floats(s) + 2), nan);
  workspace.back() = 77;
  float* const ws = workspace.data() + 1;
  passes p{std::vector<float>(dy.size(), nan), std::vector<float>(x.size(), nan),
           std::vector<float>(w.size(), accumulate ? 5.0f : nan), std::vector<float>(index(s.out), accumulate ? 5.0f : nan)};
  d::conv_forward(threads, p.y.data(), x.data(), w.data(), bias.empty() ? nullptr : bias.data(), s, ws);
  d::conv_backward_data(threads, p.dx.data(), dy.data(), w.data(), s, ws);
  d::conv_backward_weight(threads, p.dw.data(), dy.data(), x.data(), accumulate, s, ws);
  d::conv_backward_bias(p.db.data(), dy.data(), accumulate, s);
  CHECK(workspace.back() == 77);
  return p;
}

void check(const d::conv_shape& s, int threads, bool accumulate, bool with_bias) {
  INFO("n " << s.n << " c " << s.c << " " << s.h << "x" << s.w << " out " << s.out << " k " << s.kh << "x" << s.kw << " s "
            << s.sh << "x" << s.sw << " p " << s.ph << "x" << s.pw << " d " << s.dh << "x" << s.dw << " threads " << threads);
  REQUIRE((s.oh > 0 && s.ow > 0));
  const std::vector<float> x = integers(s.n * s.c * s.h * s.w, 1), w = integers(s.out * s.patch(), 2),
                           dy = integers(s.n * s.out * s.pixels(), 3),
                           bias = with_bias ? integers(s.out, 4) : std::vector<float>{};
  const passes got = run(s, threads, x, w, bias, dy, accumulate);
  passes wanted{std::vector<float>(dy.size(), 0.0f), std::vector<float>(x.size(), 0.0f),
                std::vector<float>(w.size(), accumulate ? 5.0f : 0.0f),
                std::vector<float>(index(s.out), accumulate ? 5.0f : 0.0f)};
  for (std::size_t i = 0; i < dy.size(); ++i) {
    const std::size_t o = i / index(s.pixels()) % index(s.out);
    if (with_bias) wanted.y[i] = bias[o];
    wanted.db[o] += dy[i];
  }
  each_product(s, [&](std::size_t xi, std::size_t wi, std::size_t yi) {
    wanted.y[yi] += x[xi] * w[wi];
    wanted.dx[xi] += dy[yi] * w[wi];
    wanted.dw[wi] += dy[yi] * x[xi];
  });
  CHECK((got.y == wanted.y));
  CHECK((got.dx == wanted.dx));
  CHECK((got.dw == wanted.dw));
  CHECK((got.db == wanted.db));
}

/// A scalar with nothing but what im2col and col2im_add may use.
struct plain {
  int64_t value;
  plain() : value(0) {}
  explicit plain(int64_t v) : value(v) {}
  friend plain operator+(plain a, plain b) { return plain{a.value + b.value}; }
};

}  // namespace

TEST_CASE("convolution: forward, dx, dw, db equal naive loops") {
  for (int threads : {1, 2, 3})
    for (int accumulate = 0; accumulate < 2; ++accumulate) {
      check(shape(3, 1, 28, 28, 6, 5, 5, 1, 1, 2, 2), threads, accumulate, true);
      check(shape(2, 6, 14, 14, 16, 5, 5, 1, 1, 0, 0), threads, accumulate, true);
      check(shape(7, 1, 28, 28, 4, 3, 3, 1, 1, 0, 0), threads, accumulate, false);
      check(shape(5, 4, 26, 26, 4, 3, 3, 1, 1, 0, 0), threads, accumulate, true);
      check(shape(2, 3, 9, 11, 5, 3, 2, 2, 3, 1, 2), threads, accumulate, true);
      check(shape(2, 2, 13, 10, 3, 3, 3, 1, 2, 4, 4, 2, 3), threads, accumulate, false);
      check(shape(3, 8, 7, 7, 9, 1, 1, 1, 1, 0, 0), threads, accumulate, true);
      check(shape(3, 8, 7, 7, 9, 1, 1, 2, 2, 0, 0), threads, accumulate, true);
      check(shape(1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0), threads, accumulate, true);
      check(shape(1, 1, 1, 1, 2, 3, 3, 1, 1, 3, 3), threads, accumulate, true);  // output rows that see padding only
      check(shape(2, 48, 30, 30, 8, 3, 3, 1, 1, 1, 1), threads, accumulate, true);  // several pieces of columns a sample
    }
}

TEST_CASE("convolution: random shapes") {
  generator random{11};
  const auto up_to = [&random](std::uint32_t most) { return static_cast<int64_t>(1 + random.next() % most); };
  for (int i = 0; i < 150; ++i) {
    const int64_t kh = up_to(4), kw = up_to(4), dh = up_to(2), dw = up_to(2), ph = up_to(4) - 1, pw = up_to(4) - 1;
    const int64_t h = dh * (kh - 1) + up_to(8), w = dw * (kw - 1) + up_to(8);
    check(shape(up_to(4), up_to(4), h, w, up_to(9), kh, kw, up_to(3), up_to(3), ph, pw, dh, dw), static_cast<int>(up_to(3)),
          i % 2, i % 3 != 0);
  }
}

TEST_CASE("convolution: the same bits for any number of threads") {
  for (const d::conv_shape& s : {shape(9, 6, 14, 14, 16, 5, 5, 1, 1, 0, 0), shape(33, 1, 28, 28, 6, 5, 5, 1, 1, 2, 2),
                                 shape(2, 48, 30, 30, 8, 3, 3, 1, 1, 1, 1)}) {
    const std::vector<float> x = uniform(s.n * s.c * s.h * s.w, 1), w = uniform(s.out * s.patch(), 2),
                             dy = uniform(s.n * s.out * s.pixels(), 3), bias = uniform(s.out, 4);
    const auto same = [](const std::vector<float>& a, const std::vector<float>& b) {
      return std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
    };
    const passes one = run(s, 1, x, w, bias, dy, false);
    for (int threads : {2, 3, 5}) {
      const passes many = run(s, threads, x, w, bias, dy, false);
      CHECK(same(one.y, many.y));
      CHECK(same(one.dx, many.dx));
      CHECK(same(one.dw, many.dw));
    }
  }
}

TEST_CASE("convolution of no samples clears or keeps dw and db") {
  const d::conv_shape s = shape(0, 2, 5, 5, 3, 3, 3, 1, 1, 0, 0);
  const passes kept = run(s, 2, {}, integers(s.out * s.patch(), 1), {}, {}, true),
               cleared = run(s, 2, {}, integers(s.out * s.patch(), 1), {}, {}, false);
  const auto all = [](const std::vector<float>& v, float value) {
    for (const float x : v)
      if (x != value) return false;
    return true;
  };
  CHECK((all(kept.dw, 5) && all(kept.db, 5)));
  CHECK((all(cleared.dw, 0) && all(cleared.db, 0)));
}

TEST_CASE("im2col on parts and on a scalar of one's own; col2im_add is its adjoint") {
  for (const d::conv_shape& s : {shape(1, 3, 8, 9, 1, 3, 2, 1, 1, 1, 1), shape(1, 2, 9, 7, 1, 2, 3, 2, 2, 1, 0, 2, 2)}) {
    const std::vector<float> x = integers(s.c * s.h * s.w, 1), g = integers(s.patch() * s.pixels(), 2);
    std::vector<float> col(g.size(), -1.0f), part(g.size(), -1.0f), dx(x.size(), 2.0f);
    d::im2col(col.data(), s.pixels(), x.data(), s, 0, s.patch(), 0, s.oh);
    const int64_t r0 = s.patch() / 2, y0 = s.oh / 2;
    d::im2col(part.data() + r0 * s.pixels() + y0 * s.ow, s.pixels(), x.data(), s, r0, s.patch(), y0, s.oh);
    for (int64_t r = 0; r < s.patch(); ++r)
      for (int64_t p = 0; p < s.pixels(); ++p)
        CHECK(part[index(r * s.pixels() + p)] == (r >= r0 && p >= y0 * s.ow ? col[index(r * s.pixels() + p)] : -1.0f));

    std::vector<plain> px, pcol(g.size()), pg, pdx(x.size());
    for (const float v : x) px.emplace_back(static_cast<int64_t>(v));
    for (const float v : g) pg.emplace_back(static_cast<int64_t>(v));
    d::im2col(pcol.data(), s.pixels(), px.data(), s, 0, s.patch(), 0, s.oh);
    d::col2im_add(pdx.data(), pg.data(), s.pixels(), s, 0, s.c, 0, s.oh);
    d::col2im_add(dx.data(), g.data(), s.pixels(), s, 0, 1, 0, s.oh);  // in two parts
    d::col2im_add(dx.data(), g.data() + s.kh * s.kw * s.pixels(), s.pixels(), s, 1, s.c, 0, s.oh);
    int64_t left = 0, right = 0;
    for (std::size_t i = 0; i < g.size(); ++i) {
      CHECK(static_cast<float>(pcol[i].value) == col[i]);
      left += pcol[i].value * pg[i].value;
    }
    for (std::size_t i = 0; i < x.size(); ++i) {
      CHECK(static_cast<float>(pdx[i].value) + 2.0f == dx[i]);
      right += px[i].value * pdx[i].value;
    }
    CHECK(left == right);
  }
}

TEST_CASE("elementwise loops and sums, every length and misalignment") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (int64_t n = 0; n <= 40; ++n)
    for (int64_t shift = 0; shift < 5; ++shift) {
      INFO("n " << n << " shift " << shift);
      const std::vector<float> a = integers(n + shift, 5), b = integers(n + shift, 6);
      const float *pa = a.data() + shift, *pb = b.data() + shift;
      const auto elementwise = [&](auto&& run, auto&& one) {
        std::vector<float> y(index(n + shift + 4), 7.0f);
        run(y.data() + shift);
        for (int64_t i = -shift; i < n + 4; ++i) {
          const float wanted = i < 0 || i >= n ? 7.0f : one(pa[i], pb[i]);
          if (y[index(i + shift)] != wanted) FAIL("element " << i);
        }
      };
      elementwise([&](float* y) { d::relu(y, pa, n); }, [](float u, float) { return u > 0 ? u : 0.0f; });
      elementwise([&](float* y) { d::relu_back(y, pa, pb, n); }, [](float u, float v) { return v > 0 ? u : 0.0f; });
      elementwise([&](float* y) { d::add(y, pa, pb, n); }, [](float u, float v) { return u + v; });
      elementwise([&](float* y) { d::accumulate(y, pa, n); }, [](float u, float) { return u + 7; });
      elementwise([&](float* y) { d::scale(y, 3, pa, n); }, [](float u, float) { return 3 * u; });
      elementwise([&](float* y) { d::axpy(y, 3, pa, n); }, [](float u, float) { return 3 * u + 7; });
      elementwise([&](float* y) { d::copy_run(y, pa, n); }, [](float u, float) { return u; });
      elementwise([&](float* y) { d::zero_run(y, n); }, [](float, float) { return 0.0f; });
      elementwise([&](float* y) { d::add_run(y, pa, n); }, [](float u, float) { return u + 7; });
      float total = 0;
      for (int64_t i = 0; i < n; ++i) total += pa[i];
      CHECK(d::sum(pa, n) == total);
      for (int64_t i = 0; i < n; ++i) {
        std::vector<float> c = a;
        c[index(i + shift)] = 100;
        CHECK(d::max(c.data() + shift, n) == 100.0f);
        c[index(i + shift)] = nan;
        CHECK(std::isnan(d::max(c.data() + shift, n)));
        CHECK(std::isnan(d::sum(c.data() + shift, n)));
        d::relu(c.data() + shift, c.data() + shift, n);  // in place
        CHECK(std::isnan(c[index(i + shift)]));
      }
    }
  const float negative[5] = {-3, -2, -7, -9, -2.5f};
  CHECK(d::max(negative, 5) == -2.0f);
}
