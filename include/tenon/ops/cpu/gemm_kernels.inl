// SPDX-License-Identifier: Apache-2.0
// The two micro-kernels of the matrix product, included by gemm_kernels.hpp once for each instruction set, which defines
//   TENON_SIMD_NAME    namespace of this instruction set        TENON_SIMD_FMA(a, b, c)  a·b + c on vectors
//   TENON_SIMD_WIDTH   floats in a vector                       TENON_SIMD_KEEP(x)       keeps x in a register
// Each element of C is one chain of multiply-adds whose order depends on k alone, not on the shape of the tile: any tile gives
// the same bits. They read A and B and write C through unaligned loads and stores; no other memory.

namespace TENON_SIMD_NAME {

inline constexpr int width = TENON_SIMD_WIDTH;
typedef float vector __attribute__((vector_size(4 * TENON_SIMD_WIDTH)));
typedef float vector_in_memory __attribute__((vector_size(4 * TENON_SIMD_WIDTH), aligned(4), may_alias));
typedef int lanes __attribute__((vector_size(4 * TENON_SIMD_WIDTH)));
typedef int lanes_in_memory __attribute__((vector_size(4 * TENON_SIMD_WIDTH), aligned(4), may_alias));

[[gnu::always_inline]] inline vector load(const float* p) noexcept { return *reinterpret_cast<const vector_in_memory*>(p); }
[[gnu::always_inline]] inline void store(float* p, vector v) noexcept { *reinterpret_cast<vector_in_memory*>(p) = v; }

/// c[i][j] = (add ? c[i][j] : 0) + Σ_k a[i][k·a_step] · b[k·b_step + j] for i < rows, j < NV·width.
/// Reads all MR row pointers (repeat one where rows < MR).
template <int MR, int NV>
void panel(const panel_tile& t) noexcept {
  vector sum[std::size_t{MR}][std::size_t{NV}];
#pragma GCC unroll 8
  for (int i = 0; i < MR; ++i)
#pragma GCC unroll 8
    for (int j = 0; j < NV; ++j) sum[i][j] = vector{};
  const float* a[std::size_t{MR}];
#pragma GCC unroll 8
  for (int i = 0; i < MR; ++i) a[i] = t.a[i];
  const float* b = t.b;
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
  float* c = t.c;
  const int rows = t.rows;
  const bool add = t.add;
#pragma GCC unroll 8
  for (int i = 0; i < MR; ++i) {
    if (i >= rows) return;
#pragma GCC unroll 8
    for (int j = 0; j < NV; ++j) {
      if (add) sum[i][j] += load(c + j * width);
      store(c + j * width, sum[i][j]);
    }
    c += t.ldc;
  }
}

/// The four vectors' sums, in an order that is the same for each of them.
[[gnu::always_inline]] inline four_floats sum_each(const vector* v) noexcept {
  four_floats q[4];
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
#if TENON_SIMD_WIDTH == 16
    const eight_floats h = __builtin_shufflevector(v[j], v[j], 0, 1, 2, 3, 4, 5, 6, 7) +
                           __builtin_shufflevector(v[j], v[j], 8, 9, 10, 11, 12, 13, 14, 15);
#elif TENON_SIMD_WIDTH == 8
    const vector h = v[j];
#endif
#if TENON_SIMD_WIDTH >= 8
    q[j] = __builtin_shufflevector(h, h, 0, 1, 2, 3) + __builtin_shufflevector(h, h, 4, 5, 6, 7);
#else
    q[j] = v[j];
#endif
  }
  const four_floats low = __builtin_shufflevector(q[0], q[1], 0, 4, 2, 6) + __builtin_shufflevector(q[0], q[1], 1, 5, 3, 7);
  const four_floats high = __builtin_shufflevector(q[2], q[3], 0, 4, 2, 6) + __builtin_shufflevector(q[2], q[3], 1, 5, 3, 7);
  return __builtin_shufflevector(low, high, 0, 1, 4, 5) + __builtin_shufflevector(low, high, 2, 3, 6, 7);
}

/// c[i][j] = (add ? c[i][j] : 0) + Σ_k a[i][k] · b[j][k] for i < rows, j < columns (≤ 4). Needs k ≥ width.
/// Lane l sums the k ≡ l (mod width); the last, incomplete vector is read from k - width with the lanes seen before set to 0.
template <int MR>
void dot(const dot_tile& t) noexcept {
  vector sum[std::size_t{MR}][4];
#pragma GCC unroll 8
  for (int i = 0; i < MR; ++i)
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) sum[i][j] = vector{};
  const std::int64_t whole = t.k / width * width, rest = t.k - whole;
  const float *a[std::size_t{MR}], *b[4];
#pragma GCC unroll 8
  for (int i = 0; i < MR; ++i) a[i] = t.a[i];
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) b[j] = t.b[j];
  for (std::int64_t k = 0; k < whole; k += width) {
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
  if (rest) {
    const lanes fresh = *reinterpret_cast<const lanes_in_memory*>(&last_lanes[16 - width + rest]);
    const std::int64_t k = t.k - width;
    vector x[std::size_t{MR}];
#pragma GCC unroll 8
    for (int i = 0; i < MR; ++i) x[i] = reinterpret_cast<vector>(reinterpret_cast<lanes>(load(a[i] + k)) & fresh);
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      const vector y = reinterpret_cast<vector>(reinterpret_cast<lanes>(load(b[j] + k)) & fresh);
#pragma GCC unroll 8
      for (int i = 0; i < MR; ++i) sum[i][j] = TENON_SIMD_FMA(x[i], y, sum[i][j]);
    }
  }
  vector rows[std::size_t{MR}][4];  // through memory, so that what follows is compiled once and not for each row
#pragma GCC unroll 8
  for (int i = 0; i < MR; ++i)
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) rows[i][j] = sum[i][j];
  float* c = t.c;
#pragma GCC unroll 1
  for (int i = 0; i < t.rows; ++i, c += t.ldc) {
    four_floats v = sum_each(rows[i]);
    if (t.columns == 4) {
      if (t.add) v += *reinterpret_cast<const four_floats_in_memory*>(c);
      *reinterpret_cast<four_floats_in_memory*>(c) = v;
    } else {
      for (int j = 0; j < t.columns; ++j) c[j] = t.add ? v[j] + c[j] : v[j];
    }
  }
}

// Few, since each costs a compiler 20 ms: one narrow and one wide panel.
#if TENON_SIMD_WIDTH == 16
inline constexpr gemm_kernels kernels{
    16, 4, {{&panel<4, 1>, &panel<4, 4>}, {&panel<6, 1>, &panel<6, 4>}}, 6, {&dot<1>, &dot<4>, &dot<6>}};
#else
inline constexpr gemm_kernels kernels{
    TENON_SIMD_WIDTH, 2, {{&panel<6, 1>, &panel<6, 2>}, {&panel<6, 1>, &panel<6, 2>}}, 3, {&dot<1>, &dot<3>, &dot<3>}};
#endif

}  // namespace TENON_SIMD_NAME
