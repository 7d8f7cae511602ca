// SPDX-License-Identifier: Apache-2.0
// c = a·b (+ bias) (+ c) in fp32 on the machine of machine.h: a block keeps its tile of c in registers and walks along k; while it
// multiplies one piece of a and b in shared memory, the next one is on its way. Each element sums k in order.
// Where k is split, each block writes its part of the sum, and reduce_block adds the parts in order: no atomics, the same bits.
#pragma once
#include <type_traits>
#include "cuda_kernels/gemm/tile.h"
namespace tenon_cuda {
/// What a thread multiplies at one k, and all it keeps: its sums, and two of these, for while one is multiplied the next is read.
template <class Tile>
struct fragments {
  float a[Tile::tm], b[Tile::tn];
};
template <class Tile>
struct sums {
  float c[Tile::tm][Tile::tn];
  fragments<Tile> f[2];
};

/// Of an operand's tile, the slice from k on, to shared memory at `to`. A thread's copies differ in one coordinate. Edge: rows behind
/// the last are any rows, for nobody stores what becomes of them; what lies behind `k_end` is 0; and a pointer stays where the
/// next copy would be outside.
template <layout L, int W, bool Edge, int Extent, int Threads, class T>
TENON_DEVICE void fetch(const T& t, int to, const operand& from, int first, int k, int k_end) {
  using where = shared_tile<Extent>;
  if constexpr (L == layout::along_k) {  // 8 k of each row: 32 bytes
    constexpr int step = Threads / depth;
    const int along = t.id() % depth, across = t.id() / depth, i = first + across;
    const bool some = !Edge || k + along < k_end;
    const float* p = from.p;
    if (some) p += (!Edge || i < from.extent ? i : 0) * from.ld + along + k;
    TENON_UNROLL
    for (int c = 0; c < Extent; c += step) {
      t.copy4(to + where::at(across + c, along), p, some);
      if (!Edge || (some && i + c + step < from.extent)) p += step * from.ld;
    }
  } else {
    constexpr int in_a_row = Extent / W, step = Threads / in_a_row;
    const int along = t.id() % in_a_row * W, across = t.id() / in_a_row, i = first + along;
    const float* p = from.p;
    if (!Edge || k + across < k_end) p += k * from.ld + (across * from.ld + (!Edge || i < from.extent ? i : 0));
    TENON_UNROLL
    for (int c = 0; c < depth; c += step) {
      const bool some = !Edge || k + across + c < k_end;
      if constexpr (W == 4) t.copy16(to + where::at(along, across + c), p, some);
      else t.copy4(to + where::at(along, across + c), p, some);
      if (!Edge || k + across + c + step < k_end) p += step * from.ld;
    }
  }
}
template <layout L, int Extent, int Threads, class T>
TENON_DEVICE void fetch(const T& t, int to, const operand& from, int first, int k, int k_end) {
  const auto by = [&](auto w) {
    constexpr int width = decltype(w)::value;
    if (first + Extent <= from.extent && k + depth <= k_end)
      fetch<L, width, false, Extent, Threads>(t, to, from, first, k, k_end);
    else fetch<L, width, true, Extent, Threads>(t, to, from, first, k, k_end);
  };
  if (L == layout::across && from.vectors) by(std::integral_constant<int, 4>{});
  else by(std::integral_constant<int, 1>{});
}

/// The fragments at k of the slice at `base`.
template <class Tile, class T>
TENON_DEVICE void read(const T& t, int base, int k, fragments<Tile>& f) {
  using memory = stage<Tile>;
  const place<Tile> me(t.id());
  const auto run = [&](int at, float* to) {
    float four[4];
    t.shared_run(at, four);
    TENON_UNROLL
    for (int q = 0; q < 4; ++q) to[q] = four[q];
  };
  TENON_UNROLL
  for (int i = 0; i < Tile::tm; i += 4) run(base + memory::a::at(me.row(i), k), f.a + i);
  TENON_UNROLL
  for (int j = 0; j < Tile::tn; j += 4) run(base + memory::a::floats + memory::b::at(me.column(j), k), f.b + j);
}
template <class Tile>
TENON_DEVICE void multiply(sums<Tile>& s, const fragments<Tile>& f) {
  TENON_UNROLL
  for (int j = 0; j < Tile::tn; ++j) {
    TENON_UNROLL
    for (int e = 0; e < Tile::tm; ++e) {
      const int i = j % 2 ? Tile::tm - 1 - e : e;  // there and back: an operand stays where the multiplier has it
      s.c[i][j] += f.a[i] * f.b[j];
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
template <class Tile, class T>
TENON_DEVICE void write(const T& t, const gemm_problem& p, const sums<Tile>& s, tile_index at, int split) {
  const place<Tile> me(t.id());
  // What is stored by 16 bytes lies in four registers in a row, four columns of c. Were these the sums' own, c[i][j] would share its
  // bank of registers with b[j], or half of them with a[i], and the multipliers would wait for every other operand (H100: 10 %).
  const int zero = p.m >> 31;
  TENON_UNROLL
  for (int e = 0; e < Tile::tm; ++e) {
    const int i = at.m * Tile::m + me.row(e);
    if (i >= p.m) continue;
    float* const row = p.splits > 1 ? p.partial + (static_cast<std::int64_t>(split) * p.m + i) * p.n : p.c + i * p.c_row;
    TENON_UNROLL
    for (int g = 0; g < Tile::tn; g += 4) {
      const int first = at.n * Tile::n + me.column(g);
      float v[4];
      TENON_UNROLL
      for (int q = 0; q < 4; ++q) {
        const int j = first + q;
        v[q] = t.apart(s.c[e][g + q], zero);
        if (p.splits == 1 && j < p.n) v[q] = finished(t, p, v[q], j, row + j);
      }
      if (p.c_vectors && first + 4 <= p.n) {
        t.store4(row + first, v);
        continue;
      }
      TENON_UNROLL
      for (int q = 0; q < 4; ++q)
        if (first + q < p.n) t.store(row + first + q, v[q]);
    }
  }
}

/// One block's tile of c. Slices of both operands go through a ring of `stages` places. Before a slice's last k is multiplied, the
/// next slice has come and its first fragments are read, so that neither is waited for; then its place is free for another.
template <class Tile, layout A, layout B, class Hw>
TENON_DEVICE void gemm_block(Hw& hw, const gemm_problem& p) {
  using state = sums<Tile>;
  using memory = stage<Tile>;
  static_assert(depth % 2 == 0 && stages >= 2);
  const tile_index at = tile_of(hw.block(), p.tiles_m, p.tiles_n);
  const int k_begin = hw.split() * p.k_chunk, k_end = p.k - k_begin < p.k_chunk ? p.k : k_begin + p.k_chunk;
  const auto request = [&](const auto& t, int k, int to) {
    if (k < k_end) {
      fetch<A, Tile::m, Tile::threads>(t, to, p.a, at.m * Tile::m, k, k_end);
      fetch<B, Tile::n, Tile::threads>(t, to + memory::a::floats, p.b, at.n * Tile::n, k, k_end);
    }
    t.commit();  // of nothing too, for what is waited for is counted
  };
  typename Hw::template registers<state> registers;
  hw.each(registers, [&](auto& t, state& s) {
    TENON_UNROLL
    for (int i = 0; i < Tile::tm; ++i) {
      TENON_UNROLL
      for (int j = 0; j < Tile::tn; ++j) s.c[i][j] = 0;
    }
    TENON_ROLLED
    for (int i = 0; i < stages; ++i) request(t, k_begin + i * depth, i * memory::floats);
    t.template wait<stages - 1>();
  });
  hw.sync();
  hw.each(registers, [&](auto& t, state& s) {
    if (k_begin < k_end) read(t, 0, 0, s.f[0]);
  });
  int here = 0;
  for (int k = k_begin; k < k_end; k += depth) {
    hw.each(registers, [&](auto& t, state& s) {
      TENON_UNROLL
      for (int e = 0; e + 1 < depth; ++e) {
        read(t, here, e + 1, s.f[(e + 1) % 2]);
        multiply(s, s.f[e % 2]);
      }
      t.template wait<stages - 2>();
    });
    hw.sync();  // the next slice is there for all, and nobody reads this one any more
    const int next = here == (stages - 1) * memory::floats ? 0 : here + memory::floats;
    hw.each(registers, [&](auto& t, state& s) {
      if (k + depth < k_end) read(t, next, 0, s.f[0]);
      request(t, k + stages * depth, here);
      multiply(s, s.f[(depth - 1) % 2]);
    });
    here = next;
  }
  hw.each(registers, [&](auto& t, state& s) { write<Tile>(t, p, s, at, hw.split()); });
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
