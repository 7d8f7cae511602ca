// SPDX-License-Identifier: Apache-2.0
// The two micro-kernels of the matrix product, included by gemm_kernels.hpp once for each instruction set, which defines
//   TENON_SIMD_NAME    namespace of this instruction set        TENON_SIMD_FMA(a, b, c)  a·b + c on vectors
//   TENON_SIMD_WIDTH   floats in a vector                       TENON_SIMD_KEEP(x)       keeps x in a register
// Each element of C is one chain of multiply-adds whose order depends on k alone, not on the shape of the tile: any tile gives
// the same bits. They read A and B and write C through unaligned loads and stores; no other memory. They know no edges, since each
// KiB of code here costs a compiler 27 ms: the caller gives surplus rows the pointers of the last one.

namespace TENON_SIMD_NAME {

inline constexpr int width = TENON_SIMD_WIDTH;
typedef float vector __attribute__((vector_size(4 * TENON_SIMD_WIDTH)));
typedef float vector_in_memory __attribute__((vector_size(4 * TENON_SIMD_WIDTH), aligned(4), may_alias));

[[gnu::always_inline]] inline vector load(const float* p) noexcept { return *reinterpret_cast<const vector_in_memory*>(p); }
[[gnu::always_inline]] inline void store(float* p, vector v) noexcept { *reinterpret_cast<vector_in_memory*>(p) = v; }

/// c[i][j] = (add ? c[i][j] : 0) + Σ_k a[i][k·a_step] · b[0][k·b_step + j] for i < MR, j < NV·width.
template <int MR, int NV>
void panel(const gemm_tile& t) noexcept {
  vector sum[std::size_t{MR}][std::size_t{NV}];
#pragma GCC unroll 8
  for (int i = 0; i < MR; ++i)
#pragma GCC unroll 8
    for (int j = 0; j < NV; ++j) sum[i][j] = vector{};
  const float* a[std::size_t{MR}];
#pragma GCC unroll 8
  for (int i = 0; i < MR; ++i) a[i] = t.a[i];
  const float* b = t.b[0];
  const std::int64_t a_step = t.a_step, b_step = t.b_step;
  for (std::int64_t k = t.k, ka = 0; k > 0; --k, ka += a_step, b += b_step) {
    vector row[std::size_t{NV}];
#pragma GCC unroll 8
    for (int j = 0; j < NV; ++j) {
      row[j] = load(b + j * width);
      TENON_SIMD_KEEP(row[j]);  // g++ 12 reads it again from memory for each multiply-add
    }
#pragma GCC unroll 8
    for (int i = 0; i < MR; ++i) {
      const vector x = a[i][ka] - vector{};  // a - 0 is a, bit for bit; 0 + a is not
#pragma GCC unroll 8
      for (int j = 0; j < NV; ++j) sum[i][j] = TENON_SIMD_FMA(x, row[j], sum[i][j]);
    }
  }
  if (t.add) {
#pragma GCC unroll 8
    for (int i = 0; i < MR; ++i)
#pragma GCC unroll 8
      for (int j = 0; j < NV; ++j) sum[i][j] += load(t.c[i] + j * width);
  }
#pragma GCC unroll 8
  for (int i = 0; i < MR; ++i)
#pragma GCC unroll 8
    for (int j = 0; j < NV; ++j) store(t.c[i] + j * width, sum[i][j]);
}

#if TENON_SIMD_WIDTH > 4 || !TENON_DISPATCH_X86
/// The end of a dot tile, compiled once for all of them: c[i][j] = (add ? c[i][j] : 0) + Σ_l sums[i][j][l] for i < rows, j < 4, in
/// an order that is the same for each of them.
[[gnu::noinline]] inline void add_lanes(const vector (*sums)[4], const gemm_tile& t) noexcept {
  for (int i = 0; i < t.rows; ++i, ++sums) {
    four_floats q[4];
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
#if TENON_SIMD_WIDTH == 16
      const eight_floats h = __builtin_shufflevector(sums[0][j], sums[0][j], 0, 1, 2, 3, 4, 5, 6, 7) +
                             __builtin_shufflevector(sums[0][j], sums[0][j], 8, 9, 10, 11, 12, 13, 14, 15);
#else
      const vector h = sums[0][j];
#endif
#if TENON_SIMD_WIDTH >= 8
      q[j] = __builtin_shufflevector(h, h, 0, 1, 2, 3) + __builtin_shufflevector(h, h, 4, 5, 6, 7);
#else
      q[j] = h;
#endif
    }
    const four_floats low = __builtin_shufflevector(q[0], q[1], 0, 4, 2, 6) + __builtin_shufflevector(q[0], q[1], 1, 5, 3, 7);
    const four_floats high = __builtin_shufflevector(q[2], q[3], 0, 4, 2, 6) + __builtin_shufflevector(q[2], q[3], 1, 5, 3, 7);
    four_floats v = __builtin_shufflevector(low, high, 0, 1, 4, 5) + __builtin_shufflevector(low, high, 2, 3, 6, 7);
    float* const c = t.c[i] + t.column;
    if (t.add) v += load4(c);
    store4(c, v);
  }
}

/// c[i][j] = (add ? c[i][j] : 0) + Σ_k a[i][k] · b[j][k] for i < rows, j < 4; k is a multiple of width. Lane l sums the k ≡ l.
template <int MR>
void dot(const gemm_tile& t) noexcept {
  vector sum[std::size_t{MR}][4];
#pragma GCC unroll 8
  for (int i = 0; i < MR; ++i)
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) sum[i][j] = vector{};
  const float *a[std::size_t{MR}], *b[4];
#pragma GCC unroll 8
  for (int i = 0; i < MR; ++i) a[i] = t.a[i];
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) b[j] = t.b[j];
  for (std::int64_t k = 0; k < t.k; k += width) {
    vector x[std::size_t{MR}];
#pragma GCC unroll 8
    for (int i = 0; i < MR; ++i) {
      x[i] = load(a[i] + k);
      TENON_SIMD_KEEP(x[i]);
    }
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      vector y = load(b[j] + k);
      TENON_SIMD_KEEP(y);
#pragma GCC unroll 8
      for (int i = 0; i < MR; ++i) sum[i][j] = TENON_SIMD_FMA(x[i], y, sum[i][j]);
    }
  }
  vector sums[std::size_t{MR}][4];  // in memory, where add_lanes takes them
#pragma GCC unroll 8
  for (int i = 0; i < MR; ++i)
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) sums[i][j] = sum[i][j];
  add_lanes(sums, t);
}
#endif

// Few, since each costs a compiler 20 ms. Beside better ones the baseline is for the processors of before 2013: one tile for all.
#if TENON_SIMD_WIDTH == 16
inline constexpr gemm_kernels kernels{6, {16, 64}, {&panel<6, 1>, &panel<6, 4>}, 6, {&dot<1>, &dot<6>}};
#elif TENON_SIMD_WIDTH > 4 || !TENON_DISPATCH_X86
inline constexpr gemm_kernels kernels{6, {2 * width, 2 * width}, {&panel<6, 2>, &panel<6, 2>}, 3, {&dot<1>, &dot<3>}};
#else
inline constexpr gemm_kernels kernels{4, {2 * width, 2 * width}, {&panel<4, 2>, &panel<4, 2>}, 0, {}};
#endif

}  // namespace TENON_SIMD_NAME
