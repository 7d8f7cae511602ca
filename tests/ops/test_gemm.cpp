// SPDX-License-Identifier: Apache-2.0
// The matrix product against a naive one. Integer-filled inputs make floating point exact, so the threshold is 0; every shape
// around the tile and block sizes, every transposition, instruction set and bias, misaligned pointers, guard zones around C.
#include "tenon/ops/cpu/gemm.hpp"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
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
  float small_integer() { return static_cast<float>(static_cast<int>(next() % 17) - 8); }
  float uniform() { return static_cast<float>(next() % 2000001) * 1e-6f - 1.0f; }
};

/// A [rows, columns] matrix with some slack between its lines, its first element `shift` floats off a cache line. The block ends
/// with its last element, so that the address sanitizer sees a read past it.
struct storage {
  struct release {
    void operator()(float* p) const { ::operator delete(p, std::align_val_t{64}); }
  };
  std::unique_ptr<float, release> block;
  d::matrix view;
  storage(int64_t rows, int64_t columns, bool transposed, int64_t shift, int64_t slack) {
    const int64_t lines = transposed ? columns : rows, step = (transposed ? rows : columns) + slack;
    const int64_t needed = shift + (lines > 0 ? lines * step - slack : 0);
    block.reset(static_cast<float*>(::operator new(static_cast<std::size_t>(needed) * sizeof(float), std::align_val_t{64})));
    for (int64_t i = 0; i < needed; ++i) block.get()[i] = std::numeric_limits<float>::quiet_NaN();
    view.data = block.get() + shift;
    view.rows_stride = transposed ? 1 : step;
    view.cols_stride = transposed ? step : 1;
  }
  float& at(int64_t r, int64_t c) { return const_cast<float&>(*d::at(view, r, c)); }
};

enum class bias_at : int { none, per_row, per_column };

struct problem {
  int64_t m, n, k;
  bool ta, tb, accumulate;
  bias_at bias;
  int64_t shift = 0, slack = 0;
};

constexpr float guard = 12345.0f;

/// Runs one problem on `threads` threads, compares exactly, checks what lies around C; returns whether all was right.
bool exact(const problem& p, int threads = 1) {
  generator random{static_cast<std::uint64_t>(p.m * 10007 + p.n * 101 + p.k)};
  storage a(p.m, p.k, p.ta, p.shift, p.slack), b(p.k, p.n, p.tb, p.shift, p.slack);
  for (int64_t i = 0; i < p.m; ++i)
    for (int64_t k = 0; k < p.k; ++k) a.at(i, k) = random.small_integer();
  for (int64_t k = 0; k < p.k; ++k)
    for (int64_t j = 0; j < p.n; ++j) b.at(k, j) = random.small_integer();
  const int64_t ldc = p.n + p.slack;
  std::vector<float> c(static_cast<std::size_t>(p.m * ldc + p.shift + 16), guard), bias(static_cast<std::size_t>(p.m + p.n + 1));
  float* const out = c.data() + p.shift;
  for (float& v : bias) v = random.small_integer();
  for (int64_t i = 0; i < p.m; ++i)
    for (int64_t j = 0; j < p.n; ++j)
      out[i * ldc + j] = p.accumulate ? random.small_integer() : std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> before = c;
  std::vector<float> workspace(static_cast<std::size_t>(threads * d::gemm_workspace_floats + 1), guard);
  const d::gemm_options options{p.accumulate, p.bias == bias_at::none ? nullptr : bias.data(),
                                p.bias == bias_at::per_row ? d::bias_kind::per_row : d::bias_kind::per_column};
  if (threads == 1) d::gemm(p.m, p.n, p.k, a.view, b.view, out, ldc, options, workspace.data());
  else d::parallel_gemm(threads, p.m, p.n, p.k, a.view, b.view, out, ldc, options, workspace.data());
  if (workspace.back() != guard) return false;

  std::vector<float> wanted = before;
  for (int64_t i = 0; i < p.m; ++i)
    for (int64_t j = 0; j < p.n; ++j) {
      int64_t sum = 0;
      for (int64_t k = 0; k < p.k; ++k) sum += static_cast<int64_t>(a.at(i, k)) * static_cast<int64_t>(b.at(k, j));
      float& w = wanted[static_cast<std::size_t>(p.shift + i * ldc + j)];
      float start = p.accumulate ? w : 0.0f;
      if (p.bias == bias_at::per_row) start += bias[static_cast<std::size_t>(i)];
      if (p.bias == bias_at::per_column) start += bias[static_cast<std::size_t>(j)];
      w = start + static_cast<float>(sum);
    }
  return wanted == c;  // false too where anything is NaN
}

struct each_isa {
  int level;
  explicit each_isa(int l) : level(l) {}
  ~each_isa() { d::set_isa_for_testing(-1); }
};

/// Calls f() under every instruction set of this machine.
template <class F>
void on_each_isa(F f) {
  int seen = 0;
  for (int level = 0; level <= 2; ++level) {
    const each_isa restore{level};
    if (!d::set_isa_for_testing(level)) continue;
    ++seen;
    INFO("instruction set " << level);
    f();
  }
  REQUIRE(seen >= 1);
}

void check(const problem& p, int threads = 1) {
  INFO("m " << p.m << " n " << p.n << " k " << p.k << " ta " << p.ta << " tb " << p.tb << " accumulate " << p.accumulate
            << " bias " << static_cast<int>(p.bias) << " shift " << p.shift << " slack " << p.slack << " threads " << threads);
  if (!exact(p, threads)) FAIL("differs from the naive product");
}

std::vector<float> random_floats(int64_t n, std::uint64_t seed) {
  generator random{seed};
  std::vector<float> v(static_cast<std::size_t>(n));
  for (float& x : v) x = random.uniform();
  return v;
}

}  // namespace

TEST_CASE("gemm: shapes 1 to 67 in every transposition") {
  on_each_isa([] {
    generator random{7};
    for (int64_t size = 1; size <= 67; ++size)
      for (int t = 0; t < 4; ++t) {
        const auto other = [&] { return static_cast<int64_t>(1 + random.next() % 67); };
        const auto bias = static_cast<bias_at>(random.next() % 3);
        const bool accumulate = random.next() % 2;
        check({size, other(), other(), t % 2 == 1, t / 2 == 1, accumulate, bias});
        check({other(), size, other(), t % 2 == 1, t / 2 == 1, accumulate, bias, 1, 3});
        check({other(), other(), size, t % 2 == 1, t / 2 == 1, !accumulate, bias, 5, 1});
      }
  });
}

TEST_CASE("gemm: every small shape") {
  on_each_isa([] {
    for (int64_t m = 1; m <= 8; ++m)
      for (int64_t n = 1; n <= 9; ++n)
        for (const int64_t k : {1, 2, 3, 15, 16, 17, 31, 33})
          for (int t = 0; t < 4; ++t) check({m, n, k, t % 2 == 1, t / 2 == 1, false, bias_at::none});
  });
}

TEST_CASE("gemm: around the block sizes") {
  const int64_t block = d::gemm_block_k, dot_block = d::gemm_dot_block_k;
  on_each_isa([&] {
    for (const int64_t k : {block - 1, block, block + 1, 2 * block + 3, dot_block, dot_block + 1, dot_block + 17,
                            2 * dot_block - 1, 2 * dot_block, 2 * dot_block + 1, 3 * dot_block + 5})
      for (int t = 0; t < 4; ++t) {
        check({7, 67, k, t % 2 == 1, t / 2 == 1, false, bias_at::per_row});
        check({19, 5, k, t % 2 == 1, t / 2 == 1, true, bias_at::per_column});
      }
    for (const int64_t m : {18, 19, 47, 48, 49, 97})
      for (const int64_t n : {63, 64, 65, 127, 128, 129, 200}) {
        check({m, n, 40, false, false, false, bias_at::none});
        check({m, n, 40, true, false, true, bias_at::none});
        check({m, n, 40, false, true, false, bias_at::per_column});
        check({m, n, 12, true, true, false, bias_at::per_row});
        check({m, n, 12, false, true, false, bias_at::none});
      }
  });
}

TEST_CASE("gemm: every misalignment of a cache line") {
  on_each_isa([] {
    for (int64_t shift = 0; shift < 16; ++shift)
      for (int t = 0; t < 4; ++t) check({13, 83, 37, t % 2 == 1, t / 2 == 1, false, bias_at::per_column, shift, shift % 5});
  });
}

TEST_CASE("gemm: k = 0 leaves the bias, C or 0; m = 0 and n = 0 touch nothing") {
  for (const auto bias : {bias_at::none, bias_at::per_row, bias_at::per_column})
    for (int accumulate = 0; accumulate < 2; ++accumulate) {
      check({9, 21, 0, false, false, accumulate == 1, bias});
      check({9, 21, 0, false, true, accumulate == 1, bias});
      check({0, 21, 5, false, false, accumulate == 1, bias});
      check({9, 0, 5, false, false, accumulate == 1, bias});
    }
}

TEST_CASE("parallel_gemm: exact on 2, 3 and 5 threads") {
  for (int threads : {2, 3, 5})
    for (int t = 0; t < 4; ++t) {
      check({257, 65, 70, t % 2 == 1, t / 2 == 1, true, bias_at::per_row}, threads);
      check({33, 500, 70, t % 2 == 1, t / 2 == 1, false, bias_at::per_column}, threads);
      check({1000, 9, 80, t % 2 == 1, t / 2 == 1, false, bias_at::per_row}, threads);
    }
}

TEST_CASE("parallel_gemm: the bits do not depend on the number of threads, nor on which part of C is asked for") {
  on_each_isa([] {
    struct {
      int64_t m, n, k;
    } shapes[] = {{130, 210, 300}, {10, 512, 784}, {700, 11, 150}, {65, 129, 1500}};
    for (const auto& s : shapes)
      for (int t = 0; t < 4; ++t) {
        const std::vector<float> a = random_floats(s.m * s.k, 1), b = random_floats(s.k * s.n, 2), bias = random_floats(s.n, 3);
        const d::matrix ma{a.data(), t % 2 ? 1 : s.k, t % 2 ? s.m : 1}, mb{b.data(), t / 2 ? 1 : s.n, t / 2 ? s.k : 1};
        std::vector<float> workspace(static_cast<std::size_t>(5 * d::gemm_workspace_floats));
        const std::size_t size = static_cast<std::size_t>(s.m * s.n);
        std::vector<float> one(size), many(size);
        const d::gemm_options options{false, bias.data()};
        d::gemm(s.m, s.n, s.k, ma, mb, one.data(), s.n, options, workspace.data());
        for (int threads : {1, 2, 3, 5}) {
          many.assign(size, 0.0f);
          d::parallel_gemm(threads, s.m, s.n, s.k, ma, mb, many.data(), s.n, options, workspace.data());
          INFO("m " << s.m << " n " << s.n << " k " << s.k << " transposed " << t << " threads " << threads);
          CHECK(std::memcmp(one.data(), many.data(), size * sizeof(float)) == 0);
        }
        many.assign(size, 0.0f);
        d::parallel_gemm(3, s.m, s.n, s.k, ma, mb, many.data(), s.n, options,
                         nullptr);  // brings its own workspace, for one thread
        CHECK(std::memcmp(one.data(), many.data(), size * sizeof(float)) == 0);
        const int64_t i0 = s.m / 3, j0 = s.n / 4 + 1;  // the lower right part alone
        const d::gemm_options shifted{false, bias.data() + j0};
        many = one;
        for (int64_t i = i0; i < s.m; ++i)
          for (int64_t j = j0; j < s.n; ++j) many[static_cast<std::size_t>(i * s.n + j)] = -1.0f;
        d::gemm(s.m - i0, s.n - j0, s.k, {d::at(ma, i0, 0), ma.rows_stride, ma.cols_stride},
                {d::at(mb, 0, j0), mb.rows_stride, mb.cols_stride}, many.data() + i0 * s.n + j0, s.n, shifted, workspace.data());
        CHECK(std::memcmp(one.data(), many.data(), size * sizeof(float)) == 0);
      }
  });
}

TEST_CASE("gemm: error stays within a small multiple of sqrt(k) roundings") {
  on_each_isa([] {
    const int64_t m = 11, n = 70, k = 3000;
    const std::vector<float> a = random_floats(m * k, 4), b = random_floats(k * n, 5);
    std::vector<float> c(static_cast<std::size_t>(m * n)), workspace(static_cast<std::size_t>(d::gemm_workspace_floats));
    for (int tb = 0; tb < 2; ++tb) {
      const d::matrix mb{b.data(), tb ? 1 : n, tb ? k : 1};
      d::gemm(m, n, k, {a.data(), k, 1}, mb, c.data(), n, {}, workspace.data());
      for (int64_t i = 0; i < m; ++i)
        for (int64_t j = 0; j < n; ++j) {
          double sum = 0, size = 0;
          for (int64_t l = 0; l < k; ++l) {
            const double term =
                static_cast<double>(a[static_cast<std::size_t>(i * k + l)]) * static_cast<double>(*d::at(mb, l, j));
            sum += term;
            size += std::fabs(term);
          }
          const double error = std::fabs(sum - static_cast<double>(c[static_cast<std::size_t>(i * n + j)]));
          if (error > 0.5 * std::sqrt(static_cast<double>(k)) * 6e-8 * size) FAIL("error " << error << " at " << i << ", " << j);
        }
    }
  });
}

TEST_CASE("gemm: NaN and Inf reach exactly their row and column, also where the other factor is 0") {
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  on_each_isa([&] {
    for (const float special : {nan, inf})
      for (int t = 0; t < 4; ++t)
        for (const int64_t k : {5, 21, 37, 150}) {
          const int64_t m = 9, n = 37;
          storage a(m, k, t % 2, 0, 2), b(k, n, t / 2, 0, 2);
          for (int64_t i = 0; i < m; ++i)
            for (int64_t l = 0; l < k; ++l) a.at(i, l) = 0;
          for (int64_t l = 0; l < k; ++l)
            for (int64_t j = 0; j < n; ++j) b.at(l, j) = 1;
          std::vector<float> c(static_cast<std::size_t>(m * n)), workspace(static_cast<std::size_t>(d::gemm_workspace_floats));
          a.at(4, k - 1) = special;  // row 4 becomes special · 1
          d::gemm(m, n, k, a.view, b.view, c.data(), n, {}, workspace.data());
          for (int64_t i = 0; i < m; ++i)
            for (int64_t j = 0; j < n; ++j) {
              const float v = c[static_cast<std::size_t>(i * n + j)];
              if (i != 4 ? v != 0 : std::isnan(special) ? !std::isnan(v) : v != inf)
                FAIL("row " << i << " column " << j << " is " << v);
            }
          a.at(4, k - 1) = 0;
          b.at(k / 2, 36) = special;  // column 36 becomes 0 · special = NaN
          d::gemm(m, n, k, a.view, b.view, c.data(), n, {}, workspace.data());
          for (int64_t i = 0; i < m; ++i)
            for (int64_t j = 0; j < n; ++j) {
              const float v = c[static_cast<std::size_t>(i * n + j)];
              if (j == 36 ? !std::isnan(v) : v != 0) FAIL("row " << i << " column " << j << " is " << v);
            }
        }
  });
}

TEST_CASE("gemm: Inf times 1 is Inf and not NaN, wherever it is in k") {
  const float inf = std::numeric_limits<float>::infinity();
  on_each_isa([&] {
    const int64_t m = 7, n = 6, k = 45;
    std::vector<float> c(static_cast<std::size_t>(m * n)), workspace(static_cast<std::size_t>(d::gemm_workspace_floats));
    for (int t = 0; t < 4; ++t)
      for (int64_t where = 0; where < k; ++where)
        for (int in_b = 0; in_b < 2; ++in_b) {
          storage a(m, k, t % 2, 0, 0), b(k, n, t / 2, 0, 0);
          for (int64_t i = 0; i < m; ++i)
            for (int64_t l = 0; l < k; ++l) a.at(i, l) = !in_b && i == 5 && l == where ? inf : 1;
          for (int64_t l = 0; l < k; ++l)
            for (int64_t j = 0; j < n; ++j) b.at(l, j) = in_b && j == 5 && l == where ? inf : 1;
          d::gemm(m, n, k, a.view, b.view, c.data(), n, {}, workspace.data());
          for (int64_t i = 0; i < m; ++i)
            for (int64_t j = 0; j < n; ++j)
              if (c[static_cast<std::size_t>(i * n + j)] != ((in_b ? j : i) == 5 ? inf : static_cast<float>(k)))
                FAIL("Inf at k = " << where);
        }
  });
}

TEST_CASE("set_isa_for_testing refuses what the machine lacks and -1 restores the best") {
  CHECK_FALSE(d::set_isa_for_testing(3));
  CHECK(d::set_isa_for_testing(0));
  CHECK(d::current_isa() == d::isa::baseline);
  CHECK(d::set_isa_for_testing(-1));
  CHECK(d::current_isa() == d::detect_isa());
}

TEST_CASE("gemm: a product of no terms leaves the bias, bit for bit, wherever it lies in C") {
  const std::vector<float> bias(7, -0.0f);
  std::vector<float> workspace(static_cast<std::size_t>(d::gemm_workspace_floats));
  for (const d::bias_kind is : {d::bias_kind::per_row, d::bias_kind::per_column}) {
    std::vector<float> c(49, std::numeric_limits<float>::quiet_NaN());
    d::gemm(7, 7, 0, {bias.data(), 1, 1}, {bias.data(), 1, 1}, c.data(), 7, {false, bias.data(), is}, workspace.data());
    for (const float v : c) REQUIRE((v == 0 && std::signbit(v)));
  }
}
