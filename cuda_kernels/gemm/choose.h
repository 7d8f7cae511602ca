// SPDX-License-Identifier: Apache-2.0
// Which tile, and how many parts of k, for a product: a pure function of its sizes, the device's multiprocessors and the workspace.
// A model of time in clocks, not a table: estimates, not measurements, are what its constants are.
#pragma once
#include <cstdint>
#include <cstdio>
#include <initializer_list>
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
  int m, n, warps;
  int resident;  // blocks that a multiprocessor holds at once
  double efficiency;  // of 128 multiply-adds a clock, with enough warps
};
constexpr tile_facts facts_of(tile_kind t) {
  switch (t) {
    case tile_kind::t128: return {tile_128::m, tile_128::n, tile_128::threads / 32, 2, 0.85};
    case tile_kind::t64: return {tile_64::m, tile_64::n, tile_64::threads / 32, 4, 0.70};
    default: return {tile_32::m, tile_32::n, tile_32::threads / 32, 8, 0.45};
  }
}
inline constexpr int most_splits = 32;

/// The expected time of one cut, in clocks.
constexpr double clocks_of(const tile_facts& f, std::int64_t blocks, std::int64_t k_chunk, int splits, double elements,
                           int multiprocessors) {
  const std::int64_t each = (blocks + multiprocessors - 1) / multiprocessors;
  const std::int64_t together = each < f.resident ? each : f.resident;
  const double warps = static_cast<double>(together * f.warps);
  const double busy = warps < 12 ? 0.2 + 0.8 * warps / 12 : 1;  // few warps leave the multiprocessor waiting
  const double work = static_cast<double>(f.m) * f.n * static_cast<double>(k_chunk) / (128 * f.efficiency * busy);
  const double waves = static_cast<double>((each + f.resident - 1) / f.resident);
  const double reduce = splits > 1 ? 3000 + elements * (splits + 1) * 4 / 1500 : 0;
  return static_cast<double>(each) * work + waves * 1500 + reduce;
}

/// m, n and k are at least 1, 1 and 0. Never needs more workspace than there is.
constexpr gemm_choice choose_gemm(std::int64_t m, std::int64_t n, std::int64_t k, int multiprocessors, std::int64_t workspace) {
  gemm_choice best;
  const double elements = static_cast<double>(m) * static_cast<double>(n);
  const std::int64_t steps = (k + depth - 1) / depth;
  for (const tile_kind t : {tile_kind::t128, tile_kind::t64, tile_kind::t32}) {
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
