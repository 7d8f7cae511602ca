// SPDX-License-Identifier: Apache-2.0
// c = a·b (+ bias) (+ c) in fp32 on the machine of machine.h: a block keeps its tile of c in registers and walks along k; while it
// multiplies one piece of a and b in shared memory, the next one is on its way. Each element sums k in order.
// Where k is split, each block writes its part of the sum, and reduce_block adds the parts in order: no atomics, the same bits.
#pragma once
#include "cuda_kernels/gemm/tile.h"
namespace tenon_cuda {
template <class Tile>
struct accumulators {
  float c[Tile::tm][Tile::tn];
};

/// A tile of [Extent, depth], from `first` and `k`, to shared memory at `to`; what lies outside the operand or behind `k_end` is 0.
template <layout L, int Extent, int Threads, class T>
TENON_DEVICE void fetch(const T& t, int to, const operand& from, int first, int k, int k_end) {
  using where = shared_tile<L, Extent>;
  const auto at = [&](int i, int kk) { return from.p + (L == layout::along_k ? i * from.ld + kk : kk * from.ld + i); };
  if (from.vectors) {
    constexpr int in_a_row = (L == layout::along_k ? depth : Extent) / 4;
    TENON_UNROLL
    for (int c = 0; c < Extent * depth / 4; c += Threads) {
      const int chunk = c + t.id(), across = chunk / in_a_row, along = chunk % in_a_row * 4;
      const int i = first + (L == layout::along_k ? across : along), kk = k + (L == layout::along_k ? along : across);
      const int left = L == layout::along_k ? k_end - kk : from.extent - i;
      const bool inside = i < from.extent && kk < k_end;
      const int valid = inside ? left < 4 ? left : 4 : 0;
      t.copy16(to + (L == layout::along_k ? where::at(across, along) : where::at(along, across)), inside ? at(i, kk) : from.p,
               valid);
    }
  } else {
    constexpr int in_a_row = L == layout::along_k ? depth : Extent;
    TENON_ROLLED  // its addresses would take the registers of the sums
        for (int c = 0; c < Extent * depth; c += Threads) {
      const int one = c + t.id(), across = one / in_a_row, along = one % in_a_row;
      const int i = first + (L == layout::along_k ? across : along), kk = k + (L == layout::along_k ? along : across);
      const bool inside = i < from.extent && kk < k_end;
      t.copy4(to + (L == layout::along_k ? where::at(across, along) : where::at(along, across)), inside ? at(i, kk) : from.p,
              inside);
    }
  }
}

/// v[i][e] = element i of this thread at k + e, for e < Q: 16 bytes at a time, or 8 of an operand that lies along k where Q is 2.
template <layout L, int Extent, int Threads, int N, int Q, class T>
TENON_DEVICE void fragment(const T& t, int base, int warp, int thread, int k, float (&v)[N][Q]) {
  using where = shared_tile<L, Extent>;
  if constexpr (L == layout::along_k) {
    TENON_UNROLL
    for (int i = 0; i < N; ++i) t.shared_run(base + where::at(element<L, Threads>(warp, thread, i), k), v[i]);
  } else {
    TENON_UNROLL
    for (int e = 0; e < Q; ++e) {
      TENON_UNROLL
      for (int i = 0; i < N; i += 4) {
        float four[4];
        t.shared_run(base + where::at(element<L, Threads>(warp, thread, i), k + e), four);
        TENON_UNROLL
        for (int q = 0; q < 4; ++q) v[i + q][e] = four[q];
      }
    }
  }
}

/// How many k a thread takes from shared memory at once, and how far the loop over them is unrolled: as far as no register spills.
template <class Tile, layout A, layout B>
inline constexpr int quantum = Tile::tm * Tile::tn < 64 || A == B ? 4 : 2;
template <class Tile, layout A, layout B>
inline constexpr int unrolled = Tile::tm * Tile::tn < 64 || (A == layout::across && B == layout::across) ? depth : 1;

/// s.c += the tiles of a and b in shared memory at `base`.
template <class Tile, layout A, layout B, class T>
TENON_DEVICE void multiply(const T& t, accumulators<Tile>& s, int base) {
  using memory = stage<Tile, A, B>;
  constexpr int q = quantum<Tile, A, B>;
  const place<Tile> me(t.id());
  TENON_UNROLL_BY((unrolled<Tile, A, B>))
  for (int k = 0; k < depth; k += q) {
    float a[Tile::tm][q];
    fragment<A, Tile::m, 4>(t, base, me.m, me.ty, k, a);
    if constexpr (B == layout::along_k) {
      TENON_UNROLL
      for (int j = 0; j < Tile::tn; ++j) {
        float b[q];
        t.shared_run(base + memory::a::floats + memory::b::at(element<B, 8>(me.n, me.tx, j), k), b);
        TENON_UNROLL
        for (int e = 0; e < q; ++e) {
          TENON_UNROLL
          for (int i = 0; i < Tile::tm; ++i) s.c[i][j] += a[i][e] * b[e];
        }
      }
    } else {
      TENON_UNROLL
      for (int e = 0; e < q; ++e) {
        TENON_UNROLL
        for (int j = 0; j < Tile::tn; j += 4) {
          float b[4];
          t.shared_run(base + memory::a::floats + memory::b::at(element<B, 8>(me.n, me.tx, j), k + e), b);
          TENON_UNROLL
          for (int r = 0; r < 4; ++r) {
            TENON_UNROLL
            for (int i = 0; i < Tile::tm; ++i) s.c[i][j + r] += a[i][e] * b[r];
          }
        }
      }
    }
  }
}

/// What becomes of a finished sum.
template <class T>
TENON_DEVICE float finished(const T& t, const gemm_problem& p, float sum, int j, const float* old) {
  if (p.bias) sum += t.load(p.bias + j);
  if (p.accumulate) sum += t.load(old);
  return sum;
}

/// The thread's elements of c, or of this split's part of it.
template <class Tile, layout A, layout B, class T>
TENON_DEVICE void write(const T& t, const gemm_problem& p, const accumulators<Tile>& s, tile_index at, int split) {
  const place<Tile> me(t.id());
  TENON_UNROLL
  for (int e = 0; e < Tile::tm; ++e) {
    const int i = at.m * Tile::m + element<A, 4>(me.m, me.ty, e);
    if (i >= p.m) continue;
    float* const row = p.splits > 1 ? p.partial + (static_cast<std::int64_t>(split) * p.m + i) * p.n : p.c + i * p.c_row;
    TENON_UNROLL
    for (int g = 0; g < Tile::tn; g += 4) {
      const int first = at.n * Tile::n + element<B, 8>(me.n, me.tx, g);
      float v[4];
      TENON_UNROLL
      for (int q = 0; q < 4; ++q) {
        const int j = at.n * Tile::n + element<B, 8>(me.n, me.tx, g + q);
        v[q] = s.c[e][g + q];
        if (p.splits == 1 && j < p.n) v[q] = finished(t, p, v[q], j, row + j);
      }
      if (B == layout::across && p.c_vectors && first + 4 <= p.n) {
        t.store4(row + first, v);
        continue;
      }
      TENON_UNROLL
      for (int q = 0; q < 4; ++q) {
        const int j = at.n * Tile::n + element<B, 8>(me.n, me.tx, g + q);
        if (j < p.n) t.store(row + j, v[q]);
      }
    }
  }
}

/// One block's tile of c.
template <class Tile, layout A, layout B, class Hw>
TENON_DEVICE void gemm_block(Hw& hw, const gemm_problem& p) {
  using state = accumulators<Tile>;
  using memory = stage<Tile, A, B>;
  const tile_index at = tile_of(hw.block(), p.tiles_m, p.tiles_n);
  const int k_begin = hw.split() * p.k_chunk, k_end = p.k - k_begin < p.k_chunk ? p.k : k_begin + p.k_chunk;
  const auto request = [&](const auto& t, int k, int which) {
    const int to = which * memory::floats;
    fetch<A, Tile::m, Tile::threads>(t, to, p.a, at.m * Tile::m, k, k_end);
    fetch<B, Tile::n, Tile::threads>(t, to + memory::a::floats, p.b, at.n * Tile::n, k, k_end);
    t.commit();
  };
  typename Hw::template registers<state> registers;
  hw.each(registers, [&](auto& t, state& s) {
    TENON_UNROLL
    for (int i = 0; i < Tile::tm; ++i) {
      TENON_UNROLL
      for (int j = 0; j < Tile::tn; ++j) s.c[i][j] = 0;
    }
    if (k_begin < k_end) request(t, k_begin, 0);
  });
  int which = 0;
  for (int k = k_begin; k < k_end; k += depth, which ^= 1) {
    hw.each(registers, [&](auto& t, state&) { t.wait(); });
    hw.sync();  // what was requested is there for all, and nobody reads the other stage any more
    hw.each(registers, [&](auto& t, state& s) {
      if (k_end - k > depth) request(t, k + depth, which ^ 1);
      multiply<Tile, A, B>(t, s, which * memory::floats);
    });
  }
  hw.each(registers, [&](auto& t, state& s) { write<Tile, A, B>(t, p, s, at, hw.split()); });
}

inline constexpr int reduce_threads = 256;
/// c = the sum of the parts, in order of k.
template <class Hw>
TENON_DEVICE void reduce_block(Hw& hw, const gemm_problem& p) {
  struct nothing {};
  typename Hw::template registers<nothing> registers;
  hw.each(registers, [&](auto& t, nothing&) {
    const std::int64_t all = static_cast<std::int64_t>(p.m) * p.n;
    for (std::int64_t e = hw.block() * reduce_threads + t.id(); e < all; e += hw.blocks() * reduce_threads) {
      float sum = 0;
      for (int s = 0; s < p.splits; ++s) sum += t.load(p.partial + s * all + e);
      const int j = static_cast<int>(e % p.n);
      float* const to = p.c + e / p.n * p.c_row + j;
      t.store(to, finished(t, p, sum, j, to));
    }
  });
}
}  // namespace tenon_cuda
