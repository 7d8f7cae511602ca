// SPDX-License-Identifier: Apache-2.0
// Products on a real device against sums in double on the host: exact on integers, within √k units of rounding on reals; guard
// zones around c, NaN in c before, every layout, alignment, edge and cut. Ends with `check: N passed, N failed`.
//
//   check [--tiny]     --tiny: few and small cases, for compute-sanitizer
#include <thread>
#include "case.hpp"
using namespace bench_cuda;

namespace {
int passed = 0, failed = 0;
void expect(bool holds, const std::string& what) {
  (holds ? passed : failed)++;
  if (!holds) std::printf("FAILED %s\n", what.c_str());
}
std::uint32_t bits(float f) {
  std::uint32_t u = 0;
  std::memcpy(&u, &f, 4);
  return u;
}
constexpr std::uint32_t poison_bits = 0x7fc0dead;
constexpr std::size_t guard = 256;
float poison() {
  float f = 0;
  std::memcpy(&f, &poison_bits, 4);
  return f;
}

struct how {
  sizes s;
  const char* layout = "NN";
  int pad_a = 0, pad_b = 0, pad_c = 0, off_a = 0, off_b = 0, off_c = 0;
  bool bias = false, accumulate = false, integers = true;
  std::size_t workspace = 0;
};
std::string text(const how& h) {
  char t[200];
  std::snprintf(t, sizeof t, "%s pads %d %d %d offsets %d %d %d%s%s%s workspace %zu", name_of(h.s, h.layout).c_str(), h.pad_a,
                h.pad_b, h.pad_c, h.off_a, h.off_b, h.off_c, h.bias ? " bias" : "", h.accumulate ? " accumulate" : "",
                h.integers ? " integers" : " reals", h.workspace);
  return t;
}

void check(const how& h, draws& d) {
  tenon_cuda_gemm_args g = product(h.s, h.layout, h.pad_a, h.pad_b, h.pad_c);
  const std::size_t na = span(g.m, g.k, g.a_row, g.a_column), nb = span(g.k, g.n, g.b_row, g.b_column),
                    nc = span(g.m, g.n, g.c_row, 1);
  std::vector<float> a(na), b(nb), bias(static_cast<std::size_t>(g.n)), c(guard * 2 + nc, poison());
  for (float& v : a) v = h.integers ? d.integer() : d.real();
  for (float& v : b) v = h.integers ? d.integer() : d.real();
  for (float& v : bias) v = d.integer();
  if (h.accumulate)
    for (std::int64_t i = 0; i < g.m; ++i)
      for (std::int64_t j = 0; j < g.n; ++j) c[guard + static_cast<std::size_t>(i * g.c_row + j)] = d.integer();
  const auto off = [](int n) { return static_cast<std::size_t>(n); };
  const device_floats da(na + off(h.off_a)), db(nb + off(h.off_b)), dbias(bias.size()), dc(c.size() + off(h.off_c)),
      work(h.workspace / 4);
  upload(da.data() + h.off_a, a);
  upload(db.data() + h.off_b, b);
  upload(dbias.data(), bias);
  upload(dc.data() + h.off_c, c);
  g.a = da.data() + h.off_a, g.b = db.data() + h.off_b, g.c = dc.data() + h.off_c + guard;
  g.bias = h.bias ? dbias.data() : nullptr;
  g.flags = h.accumulate ? TENON_CUDA_ACCUMULATE : 0;
  g.workspace = work.data(), g.workspace_bytes = h.workspace;
  const tenon_cuda_status s = api().gemm(&g);
  const tenon_cuda_status done = s ? s : api().synchronize(0, nullptr);
  if (done) return expect(false, text(h) + ": status " + std::to_string(done) + ", " + api().last_error());
  const std::vector<float> got = download(dc.data() + h.off_c, c.size());
  // c again, for the same bits
  upload(dc.data() + h.off_c, c);
  const tenon_cuda_status again = api().gemm(&g);
  const std::vector<float> second = download(dc.data() + h.off_c, c.size());
  expect(again == 0 && std::memcmp(got.data(), second.data(), got.size() * 4) == 0, text(h) + ": other bits the second time");

  const auto whole = static_cast<double>(g.m) * static_cast<double>(g.n) * static_cast<double>(g.k + 1);
  const bool all = whole <= 4e8;
  const std::int64_t elements = g.m * g.n, count = all ? elements : 4096;
  std::vector<std::int64_t> wrong(16, -1);
  std::vector<double> worst(16, 0);
  const std::uint64_t seed = static_cast<std::uint64_t>(d.below(1 << 30));
  auto part = [&](std::size_t t) {
    draws own(seed + t);
    for (auto e = static_cast<std::int64_t>(t); e < count; e += 16) {
      const std::int64_t at = all       ? e
                              : e == 15 ? elements - 1
                              : e == 0  ? 0
                                        : (own.below(1 << 30) * 1024 + own.below(1024)) % elements;
      const std::int64_t i = at / g.n, j = at % g.n;
      const auto to = guard + static_cast<std::size_t>(i * g.c_row + j);
      double sum = (h.bias ? bias[static_cast<std::size_t>(j)] : 0.0) + (h.accumulate ? c[to] : 0.0), size = std::abs(sum);
      for (std::int64_t p = 0; p < g.k; ++p) {
        const double term = static_cast<double>(a[static_cast<std::size_t>(i * g.a_row + p * g.a_column)]) *
                            static_cast<double>(b[static_cast<std::size_t>(p * g.b_row + j * g.b_column)]);
        sum += term, size += std::abs(term);
      }
      const double error = std::abs(static_cast<double>(got[to]) - sum);
      const double most = h.integers ? 0 : (std::sqrt(static_cast<double>(g.k)) + 4) * size * 6e-8;
      if (!(error <= most)) wrong[t] = at;
      if (size > 0 && error / size > worst[t]) worst[t] = error / size;
    }
  };
  if (whole > 1e6) {
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < 16; ++t) threads.emplace_back(part, t);
    for (auto& t : threads) t.join();
  } else {
    for (std::size_t t = 0; t < 16; ++t) part(t);
  }
  std::string bad;
  for (const std::int64_t w : wrong)
    if (w >= 0) bad = ": element " + std::to_string(w / g.n) + ", " + std::to_string(w % g.n) + " is wrong";
  for (std::size_t e = 0; e < c.size(); ++e) {
    const bool in = e >= guard && e < guard + nc && static_cast<std::int64_t>((e - guard)) % g.c_row < g.n;
    if (!in && bits(got[e]) != bits(c[e])) {
      bad = ": written outside of c, at " + std::to_string(static_cast<std::int64_t>(e) - static_cast<std::int64_t>(guard));
      break;
    }
  }
  expect(bad.empty(), text(h) + bad);
}

/// Rows so far apart that an element's number needs more than 32 bits.
void far_rows(draws& d) {
  constexpr std::int64_t m = 5, n = 40, k = 70, apart = (std::int64_t{1} << 29) + 4;
  void* p = nullptr;
  if (api().allocate(0, static_cast<std::uint64_t>(m) * apart * 4, &p)) {
    std::printf("left out: rows 2^29 floats apart need 11 GB: %s\n", api().last_error());
    return;
  }
  auto* const far = static_cast<float*>(p);
  const device_floats near(8192);
  std::vector<float> rows(m * k), b(k * n);
  for (float& v : rows) v = d.integer();
  for (float& v : b) v = d.integer();
  for (std::int64_t i = 0; i < m; ++i)
    upload(far + i * apart, std::vector<float>(rows.begin() + i * k, rows.begin() + (i + 1) * k));
  upload(near.data(), b);
  tenon_cuda_gemm_args g = product({m, n, k}, "NN");
  g.a = far, g.a_row = apart;
  g.b = near.data();
  g.c = far + 128, g.c_row = apart;  // behind each row of a
  const tenon_cuda_status s = api().gemm(&g);
  bool right = s == 0;
  for (std::int64_t i = 0; i < m && right; ++i) {
    const std::vector<float> got = download(far + 128 + i * apart, n);
    for (std::int64_t j = 0; j < n; ++j) {
      float sum = 0;
      for (std::int64_t q = 0; q < k; ++q)
        sum += rows[static_cast<std::size_t>(i * k + q)] * b[static_cast<std::size_t>(q * n + j)];
      right &= got[static_cast<std::size_t>(j)] == sum;
    }
  }
  expect(right, "rows 2^29 floats apart");
  (void)api().release(0, p);
}

void special_values() {
  const std::int64_t m = 40, n = 50, k = 33;
  std::vector<float> a(m * k, 1), b(k * n, 1);
  a[5 * k + 32] = NAN;
  a[6 * k] = INFINITY;
  b[0] = 0;  // times infinity
  const device_floats da(a.size()), db(b.size()), dc(m * n);
  upload(da.data(), a);
  upload(db.data(), b);
  tenon_cuda_gemm_args g = product({m, n, k}, "NN");
  g.a = da.data(), g.b = db.data(), g.c = dc.data();
  must(api().gemm(&g), "gemm");
  const std::vector<float> c = download(dc.data(), m * n);
  bool right = true;
  for (std::size_t e = 0; e < c.size(); ++e) {
    const std::size_t i = e / n, j = e % n;
    const bool want_nan = i == 5 || (i == 6 && j == 0);
    right &= want_nan ? c[e] != c[e] : i == 6 ? c[e] == INFINITY : c[e] == static_cast<float>(k - (j == 0));
  }
  expect(right, "NaN and infinity get through, and only there");
}

void errors() {
  tenon_cuda_gemm_args g = product({4, 4, 4}, "NN");
  expect(api().gemm(&g) == TENON_CUDA_NULL, "null operands are refused");
  const device_floats x(64);
  g.a = g.b = x.data(), g.c = x.data() + 32;
  g.device = 99;
  expect(api().gemm(&g) == 101, std::string("device 99 is CUDA error 101, not: ") + api().last_error());
  g.device = 0, g.c_row = 1;
  expect(api().gemm(&g) == TENON_CUDA_STRIDE, "overlapping rows of c are refused");
  void* p = nullptr;
  expect(api().allocate(0, std::uint64_t{1} << 50, &p) == 2 && !p, "a petabyte is out of memory");
  g = product({4, 4, 4}, "NN");
  g.a = g.b = x.data(), g.c = x.data() + 32;
  expect(api().gemm(&g) == 0 && api().synchronize(0, nullptr) == 0, "and the device works on");
}
}  // namespace

int main(int argc, char** argv) {
  const bool tiny = argc > 1 && !std::strcmp(argv[1], "--tiny"), quick = argc > 1 && !std::strcmp(argv[1], "--quick");
  draws d(7);
  constexpr std::size_t work = 32 << 20;
  const int rounds = tiny ? 24 : quick ? 200 : 600;
  for (int r = 0; r < rounds; ++r) {
    how h{};
    const std::int64_t wide = tiny ? 150 : r % 8 == 0 ? 1500 : 300;
    h.s = {1 + d.below(wide), 1 + d.below(wide), r % 10 == 0 ? d.below(3) : d.below(tiny ? 80 : 400)};
    if (r % 7 == 0) h.s.k = d.below(tiny ? 300 : 9000), h.s.m = 1 + d.below(40), h.s.n = 1 + d.below(40);  // cut along k
    if (r % 3 == 0) h.s.m = (h.s.m + 3) / 4 * 4, h.s.n = (h.s.n + 3) / 4 * 4, h.s.k = (h.s.k + 3) / 4 * 4;
    h.layout = layouts[r % 4];
    if (d.below(2))
      h.pad_a = static_cast<int>(d.below(9)), h.pad_b = static_cast<int>(d.below(9)), h.pad_c = static_cast<int>(d.below(9));
    if (d.below(2))
      h.off_a = static_cast<int>(d.below(4)), h.off_b = static_cast<int>(d.below(4)), h.off_c = static_cast<int>(d.below(4));
    h.bias = d.below(2), h.accumulate = d.below(2), h.integers = d.below(3) > 0;
    h.workspace = d.below(2) ? work : 0;
    check(h, d);
  }
  special_values();
  errors();
  if (!tiny) {
    far_rows(d);
    for (const sizes& s : shapes)
      for (const char* layout : layouts) {
        if (quick && s.m * s.n * s.k > (std::int64_t{1} << 31)) continue;
        check({.s = s, .layout = layout, .integers = false, .workspace = work}, d);
      }
  }
  std::printf("check: %d passed, %d failed\n", passed, failed);
  return failed > 0;
}
