// SPDX-License-Identifier: Apache-2.0
// Which tile and how many parts of k: sound for any sizes, sensible for a few, and the same at compile time.
#include "catch.hpp"
#include "cuda_kernels/gemm/choose.h"
using namespace tenon_cuda;

namespace {
constexpr int h100 = 132;
constexpr std::int64_t enough = 32 << 20;
}  // namespace

TEST_CASE("a choice covers c and k once, within the workspace") {
  std::uint64_t seed = 1;
  const auto pick = [&](std::int64_t n) {
    return static_cast<std::int64_t>((seed = seed * 6364136223846793005u + 1442695040888963407u) >> 33) % n;
  };
  for (int round = 0; round < 3000; ++round) {
    const std::int64_t scale = std::int64_t{1} << pick(16);
    const std::int64_t m = 1 + pick(scale), n = 1 + pick(std::int64_t{1} << pick(16)), k = pick(std::int64_t{1} << pick(20));
    const std::int64_t workspace = pick(2) * pick(enough);
    const gemm_choice c = choose_gemm(m, n, k, 1 + static_cast<int>(pick(200)), workspace);
    const tile_facts f = facts_of(c.tile);
    const bool covers = (std::int64_t{c.tiles_m} - 1) * f.m < m && std::int64_t{c.tiles_m} * f.m >= m &&
                        (std::int64_t{c.tiles_n} - 1) * f.n < n && std::int64_t{c.tiles_n} * f.n >= n;
    const bool parts = c.k_chunk % depth == 0 && c.k_chunk > 0 && std::int64_t{c.k_chunk} * c.splits >= k &&
                       (c.splits == 1 || std::int64_t{c.k_chunk} * (c.splits - 1) < k) && c.splits <= most_splits;
    INFO("m " << m << " n " << n << " k " << k << " workspace " << workspace);
    CHECK(covers);
    CHECK(parts);
    CHECK(c.workspace <= workspace);
    CHECK(c.workspace == (c.splits > 1 ? m * n * 4 * c.splits : 0));
  }
}

TEST_CASE("large products take large tiles, small ones cut k") {
  static_assert(choose_gemm(4096, 4096, 4096, h100, enough).tile == tile_kind::t128);
  CHECK(choose_gemm(4096, 4096, 4096, h100, enough).splits == 1);
  CHECK(choose_gemm(64, 256, 784, h100, enough).splits > 1);
  CHECK(choose_gemm(64, 256, 784, h100, 0).splits == 1);
  CHECK(choose_gemm(64, 256, 784, h100, 0).tile == tile_kind::t32);
  CHECK(choose_gemm(10, 10, 0, h100, enough).splits == 1);
  char text[100];
  print(choose_gemm(4096, 4096, 4096, h100, enough), text, sizeof text);
  CHECK(std::string(text) == "1024 tiles of 128x128, k in 1 part of 4096");
}
