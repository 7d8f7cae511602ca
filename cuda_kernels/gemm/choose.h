// SPDX-License-Identifier: Apache-2.0
// Which tile, and how many parts of k, for a product: a pure function of its sizes, the device's multiprocessors and the workspace.
// A model of time in clocks, not a table. Its constants were fitted to every tile and cut of bench/cuda/sweep on an H100: there what
// it takes is within 7 % of the best, mostly the best.
#pragma once
#include <cstdint>
#include <cstdio>
#include "cuda_kernels/host/runtime.h"
namespace tenon_cuda {
struct gemm_choice {
  tile_kind tile = tile_kind::t128;
  int splits = 1, k_chunk = 0;
  int tiles_m = 0, tiles_n = 0;
  std::int64_t workspace = 0;  // bytes
  double clocks = 0;  // what the model expects
};
struct tile_facts {
  int m, n;
  int resident;  // blocks that a multiprocessor holds at once
  double efficiency, alone;  // of 128 multiply-adds a clock, with as many blocks as it holds, and with one
};
constexpr tile_facts facts_of(tile_kind t) {
  switch (t) {
    case tile_kind::t128: return {tile_128::m, tile_128::n, 2, 0.68, 0.54};
    case tile_kind::t64: return {tile_64::m, tile_64::n, 4, 0.555, 0.43};
    case tile_kind::t64x32: return {tile_64x32::m, tile_64x32::n, 8, 0.51, 0.256};
    default: return {tile_32::m, tile_32::n, 8, 0.446, 0.19};
  }
}
inline constexpr tile_kind all_tiles[] = {tile_kind::t128, tile_kind::t64, tile_kind::t64x32, tile_kind::t32};
inline constexpr int most_splits = 32;

/// The expected time of one cut, in clocks.
constexpr double clocks_of(const tile_facts& f, std::int64_t blocks, std::int64_t k_chunk, int splits, double elements,
                           int multiprocessors) {
  const std::int64_t each = (blocks + multiprocessors - 1) / multiprocessors;
  const std::int64_t together = each < f.resident ? each : f.resident;
  const double share = static_cast<double>(together - 1) / (f.resident - 1);
  const double work =
      static_cast<double>(f.m) * f.n * static_cast<double>(k_chunk) / 128 / (f.alone + (f.efficiency - f.alone) * share);
  const double waves = static_cast<double>((each + f.resident - 1) / f.resident);
  const double reduce = splits > 1 ? 4000 + 50 * splits + elements * (splits + 1) * 4 / 1650 : 0;
  return static_cast<double>(each) * work + waves * 4500 + reduce;
}

/// m, n and k are at least 1, 1 and 0. Never needs more workspace than there is.
constexpr gemm_choice choose_gemm(std::int64_t m, std::int64_t n, std::int64_t k, int multiprocessors, std::int64_t workspace) {
  gemm_choice best;
  const double elements = static_cast<double>(m) * static_cast<double>(n);
  const std::int64_t steps = (k + depth - 1) / depth;
  for (const tile_kind t : all_tiles) {
    const tile_facts f = facts_of(t);
    const std::int64_t tiles_m = (m + f.m - 1) / f.m, tiles_n = (n + f.n - 1) / f.n;
    for (int splits = 1; splits <= most_splits; ++splits) {
      if (splits > 1 && (splits > steps || elements * 4 * splits > static_cast<double>(workspace))) break;
      const std::int64_t chunk = steps == 0 ? depth : (steps + splits - 1) / splits * depth;
      if (splits > 1 && (splits - 1) * chunk >= k) continue;  // the last part would be empty
      const double c = clocks_of(f, tiles_m * tiles_n * splits, chunk, splits, elements, multiprocessors);
      if (best.clocks > 0 && c >= best.clocks) continue;
      best = {t,
              splits,
              static_cast<int>(chunk),
              static_cast<int>(tiles_m),
              static_cast<int>(tiles_n),
              splits > 1 ? m * n * 4 * splits : 0,
              c};
    }
  }
  return best;
}

/// "12 tiles of 64x64, k in 4 parts of 128": what was chosen, for people.
inline int print(const gemm_choice& c, char* to, std::size_t room) noexcept {
  const tile_facts f = facts_of(c.tile);
  return std::snprintf(to, room, "%lld tiles of %dx%d, k in %d part%s of %d", static_cast<long long>(c.tiles_m) * c.tiles_n, f.m,
                       f.n, c.splits, c.splits > 1 ? "s" : "", c.k_chunk);
}
}  // namespace tenon_cuda
