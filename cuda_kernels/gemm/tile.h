// SPDX-License-Identifier: Apache-2.0
// The shapes of the product c = a·b: which block computes which tile, which thread which elements, and where operands lie in
// shared memory. Index arithmetic only, the same on host and device.
#pragma once
#include "cuda_kernels/machine/machine.h"
namespace tenon_cuda {
/// How an operand lies in memory: neighbours along k, or along the other axis (m of a, n of b).
enum class layout : int { along_k, across };

/// One operand, seen as [extent, k]; `ld` is the distance between two of what is not contiguous.
struct operand {
  const float* p = nullptr;
  std::int64_t ld = 0;
  int extent = 0;
  bool vectors = false;  // it lies across, and p, ld and extent allow 16 bytes at a time: a piece is there, or it is not
};

struct gemm_problem {
  operand a, b;
  float* c = nullptr;
  std::int64_t c_row = 0;
  const float* bias = nullptr;
  float* partial = nullptr;  // [splits, m, n], where splits > 1
  int m = 0, n = 0, k = 0;
  int splits = 1, k_chunk = 0;  // of k, for each split: a multiple of depth
  int tiles_m = 0, tiles_n = 0;
  bool accumulate = false, c_vectors = false;
};

/// How many k a slice has: what a block's threads bring to shared memory, and multiply, at a time. And how many slices are on their
/// way or in use at once.
inline constexpr int depth = 8, stages = 4;

/// A block of M×N, by threads that each have TM×TN. A warp is 4×8 threads.
template <int M, int N, int TM, int TN>
struct tile {
  static constexpr int m = M, n = N, tm = TM, tn = TN;
  static constexpr int warps_m = M / (4 * TM), warps_n = N / (8 * TN), threads = 32 * warps_m * warps_n;
  static_assert(M == 4 * TM * warps_m && N == 8 * TN * warps_n && TM % 4 == 0 && TN % 4 == 0);
};
using tile_128 = tile<128, 128, 8, 16>;
using tile_64 = tile<64, 64, 4, 8>;
using tile_64x32 = tile<64, 32, 8, 4>;
using tile_32 = tile<32, 32, 4, 4>;

/// A slice of an operand's tile in shared memory, however it lies outside: for each k a row of `Extent`, and 4 floats more, so that a warp
/// that brings 8 k of 4 neighbours meets 32 banks.
template <int Extent>
struct shared_tile {
  static constexpr int row = Extent + 4, floats = depth * row;
  static TENON_BOTH int at(int i, int k) { return k * row + i; }
};
template <class Tile>
struct stage {
  using a = shared_tile<Tile::m>;
  using b = shared_tile<Tile::n>;
  static constexpr int floats = a::floats + b::floats;
  static constexpr int bytes = stages * floats * 4;
  static_assert(bytes <= 48 * 1024, "more than a kernel gets without asking");
};

/// Where a thread is in its block. Of eight neighbouring lanes, four differ in m and two in n, so that 16-byte reads of both
/// operands meet few different addresses at a time.
template <class Tile>
struct place {
  int m, n;  // of its warp
  int ty, tx;  // in its warp
  TENON_BOTH explicit place(int thread) {
    const int warp = thread / 32, lane = thread % 32;
    m = warp / Tile::warps_n * (4 * Tile::tm);
    n = warp % Tile::warps_n * (8 * Tile::tn);
    tx = (lane & 1) | (lane >> 3 & 3) << 1;
    ty = lane >> 1 & 3;
  }
  /// The row, or column, of the tile that is element i of the thread: four are side by side, then the neighbours' follow.
  TENON_BOTH int row(int i) const { return m + i / 4 * 16 + ty * 4 + i % 4; }
  TENON_BOTH int column(int j) const { return n + j / 4 * 32 + tx * 4 + j % 4; }
};

/// Which tile a block computes: columns of up to `tall` tiles, so that blocks that run together share operands in the L2 cache.
struct tile_index {
  int m, n;
};
TENON_BOTH tile_index tile_of(std::int64_t block, int tiles_m, int tiles_n) {
  constexpr int tall = 8;
  const std::int64_t group = block / (static_cast<std::int64_t>(tall) * tiles_n);
  const std::int64_t within = block - group * tall * tiles_n;
  const int first = static_cast<int>(group) * tall, height = tiles_m - first < tall ? tiles_m - first : tall;
  return {first + static_cast<int>(within % height), static_cast<int>(within / height)};
}
}  // namespace tenon_cuda
