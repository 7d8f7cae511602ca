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
  bool vectors = false;  // p and ld allow 16 bytes at a time
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

/// k that is in shared memory at once.
inline constexpr int depth = 16;

/// A block of M×N, by threads that each have TM×TN. A warp is 4×8 threads.
template <int M, int N, int TM, int TN>
struct tile {
  static constexpr int m = M, n = N, tm = TM, tn = TN;
  static constexpr int warps_m = M / (4 * TM), warps_n = N / (8 * TN), threads = 32 * warps_m * warps_n;
  static_assert(M == 4 * TM * warps_m && N == 8 * TN * warps_n && TM % 4 == 0 && TN % 4 == 0);
};
using tile_128 = tile<128, 128, 8, 8>;
using tile_64 = tile<64, 64, 8, 4>;
using tile_32 = tile<32, 32, 4, 4>;

/// An operand's tile in shared memory: rows of `depth` and 4 floats more, so that rows start in different banks; or `depth` rows
/// of `Extent`.
template <layout L, int Extent>
struct shared_tile {
  static constexpr int row = L == layout::along_k ? depth + 4 : Extent;
  static constexpr int floats = L == layout::along_k ? Extent * row : depth * row;
  static TENON_BOTH int at(int i, int k) { return L == layout::along_k ? i * row + k : k * row + i; }
};
template <class Tile, layout A, layout B>
struct stage {
  using a = shared_tile<A, Tile::m>;
  using b = shared_tile<B, Tile::n>;
  static constexpr int floats = a::floats + b::floats;
  static constexpr int bytes = 2 * floats * 4;  // two of them
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
};
/// The row (or column) of the tile that is element i of a thread: side by side with the neighbouring threads' where an operand
/// lies along k, four at a time where it lies across.
template <layout L, int Threads>
TENON_BOTH int element(int warp, int thread, int i) {
  return L == layout::along_k ? warp + i * Threads + thread : warp + i / 4 * (4 * Threads) + thread * 4 + i % 4;
}

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
