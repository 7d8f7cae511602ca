// SPDX-License-Identifier: Apache-2.0
// The float matrix product C = A·B (+ C) (+ bias) on one thread or on the pool. Two ways, chosen by the shape of the whole product:
//   panel  C tiles of 6 x 64 (avx512); A is read where it lies, B where it lies or packed, a strip at a time, into the workspace
//   dot    where k is the contiguous axis of both (a linear layer: x is [m, k], the weight [n, k]); nothing is packed
// The bits of an element depend on k, the way and the instruction set, never on the number of threads or the place in C.
// Writes C and the workspace only. NaN and Inf propagate: no zero is skipped.
#pragma once

#include <cstdint>

#include "tenon/core/config.hpp"
#include "tenon/ops/cpu/gemm_kernels.hpp"
#include "tenon/ops/cpu/threads.hpp"
#include "tenon/ops/cpu/vector_math.hpp"

namespace tenon::detail {

/// A matrix whose element (r, c) is data[r·rows_stride + c·cols_stride]; of A and B at least one of the strides is 1.
struct matrix {
  const float* data;
  std::int64_t rows_stride, cols_stride;
};

/// Whether a bias has one value for each column of C, or one for each row.
enum class bias_kind : int { per_column, per_row };

/// How C begins: overwritten or added to, and with what bias.
struct gemm_options {
  bool accumulate = false;
  const float* bias = nullptr;  // null: none
  bias_kind bias_is = bias_kind::per_column;
};

inline constexpr std::int64_t gemm_block_k = 128;  // k of one panel pass: a strip of B is 32 KiB
inline constexpr std::int64_t gemm_dot_block_k = 1024;  // k of one dot pass: 10 rows are 40 KiB
inline constexpr std::int64_t gemm_dot_block_n = 128;  // rows of B in one dot pass: they stay in the second-level cache
inline constexpr std::int64_t gemm_dot_unit = 16;  // k of the dot way in all: a multiple of every vector
/// Floats of workspace that a product needs, for each thread.
inline constexpr std::int64_t gemm_workspace_floats = gemm_block_k * max_tile_columns + 16;

inline namespace TENON_KERNELS {

constexpr std::int64_t smaller(std::int64_t a, std::int64_t b) noexcept { return a < b ? a : b; }

inline float* align_to_line(float* p) noexcept {
  return p + ((64 - reinterpret_cast<std::uintptr_t>(p) % 64) % 64) / sizeof(float);
}

/// Row-major view: at(r, c) is element (r, c).
inline const float* at(const matrix& x, std::int64_t r, std::int64_t c) noexcept {
  return x.data + r * x.rows_stride + c * x.cols_stride;
}

/// strip[k][columns] = B[k, j] for k < rows, j < valid, and 0 for valid ≤ j < columns.
[[gnu::noinline]] inline void pack_strip(float* TENON_RESTRICT strip, const matrix& b, std::int64_t rows, std::int64_t valid,
                                         std::int64_t columns) noexcept {
  const float* from = b.data;
  for (; rows > 0; --rows, strip += columns, from += b.rows_stride) {
    std::int64_t j = 0;
    if (b.cols_stride == 1)
      for (; j + 4 <= valid; j += 4) store4(strip + j, load4(from + j));
    for (; j < valid; ++j) strip[j] = from[j * b.cols_stride];
    for (; j % 4 != 0; ++j) strip[j] = 0;
    for (; j < columns; j += 4) store4(strip + j, four_floats{});
  }
}

/// C = what, or C + what: a bias (with a stride of 0), or the part of a wider tile that lies in C.
[[gnu::noinline]] inline void put(std::int64_t m, std::int64_t n, float* TENON_RESTRICT c, std::int64_t ldc, const matrix& what,
                                  bool add) noexcept {
  const float* from = what.data;
  for (; m > 0; --m, c += ldc, from += what.rows_stride) {
    four_floats v = *from - four_floats{};  // a - 0 is a, bit for bit; 0 + a is not
    std::int64_t j = 0;
    for (; j + 4 <= n; j += 4) {
      if (what.cols_stride) v = load4(from + j);
      store4(c + j, add ? v + load4(c + j) : v);
    }
    for (; j < n; ++j) c[j] = add ? c[j] + from[j * what.cols_stride] : from[j * what.cols_stride];
  }
}

/// Which way a product of this shape goes; ask for the whole product, not for a part of it.
inline bool gemm_is_dot(std::int64_t k, const matrix& a, const matrix& b) noexcept {
  return k >= gemm_dot_unit && a.cols_stride == 1 && b.rows_stride == 1;
}

/// C = A·B + (accumulate ? C : 0) + bias on this thread; A is [m, k], B is [k, n], C is [m, n] with rows ldc apart and overlaps
/// neither. `workspace` has gemm_workspace_floats. k = 0 leaves the bias or 0.
[[gnu::noinline]] inline void gemm(std::int64_t m, std::int64_t n, std::int64_t k, const matrix& a, const matrix& b, float* c,
                                   std::int64_t ldc, const gemm_options& options, float* workspace) noexcept {
  if (m <= 0 || n <= 0) return;
  const gemm_kernels& kernels = current_gemm_kernels();
  bool add = options.accumulate;
  const float zero = 0;
  if (options.bias || k <= 0) {
    const std::int64_t by_row = options.bias_is == bias_kind::per_row;
    put(m, n, c, ldc, options.bias ? matrix{options.bias, by_row, !by_row} : matrix{&zero, 0, 0}, add);
    add = true;
  }
  workspace = align_to_line(workspace);
  alignas(64) float edge[max_tile_rows * max_tile_columns];
  gemm_tile t;
  t.a_step = a.cols_stride;
  const bool by_dot = kernels.dot_rows && gemm_is_dot(k, a, b);
  for (std::int64_t k0 = 0; k0 < k; k0 += t.k, add = true) {
    const bool dot = by_dot && k - k0 >= gemm_dot_unit;  // the last k are left to the other way
    const std::int64_t tall = dot ? kernels.dot_rows : kernels.panel_rows;
    t.k = dot ? smaller(gemm_dot_block_k, (k - k0) / gemm_dot_unit * gemm_dot_unit) : smaller(gemm_block_k, k - k0);
    for (std::int64_t j0 = 0, j1 = 0; j0 < n; j0 = j1) {
      const bool wide = n - j0 > kernels.columns[1] - kernels.columns[0];
      const std::int64_t columns = dot ? 4 : kernels.columns[wide];
      j1 = smaller(n, j0 + (dot ? gemm_dot_block_n : columns));
      t.b[0] = at(b, k0, j0);
      t.b_step = b.rows_stride;
      if (!dot && (b.cols_stride != 1 || j1 - j0 < columns || m > 3 * max_tile_rows)) {
        pack_strip(workspace, {t.b[0], b.rows_stride, b.cols_stride}, t.k, j1 - j0, columns);
        t.b[0] = workspace;
        t.b_step = columns;
      }
      for (std::int64_t i = 0; i < m; i += tall) {
        t.rows = static_cast<int>(smaller(tall, m - i));
        t.add = add;
        const float* const pa = at(a, i, k0);
        float* const pc = c + i * ldc + j0;
        for (int r = 0; r < max_tile_rows; ++r) {
          const int row = r < t.rows ? r : t.rows - 1;  // surplus rows are the last one again
          t.a[r] = pa + row * a.rows_stride;
          t.c[r] = pc + row * ldc;
        }
        gemm_kernel* const kernel = dot ? kernels.dot[t.rows > 1] : kernels.panel[wide];
        for (std::int64_t j = j0; j < j1; j += columns) {
          if (dot)
            for (int s = 0; s < 4; ++s) t.b[s] = at(b, k0, smaller(j + s, j1 - 1));
          t.column = j - j0;
          if (j + columns <= j1) {
            kernel(t);
            continue;
          }
          for (int r = 0; r < max_tile_rows; ++r) t.c[r] = edge + r * columns;
          t.column = 0;
          t.add = false;
          kernel(t);
          put(t.rows, j1 - j, c + i * ldc + j, ldc, {edge, columns, 1}, add);
        }
      }
    }
  }
}

/// gemm() with a workspace of its own.
[[gnu::noinline]] inline void gemm_alone(std::int64_t m, std::int64_t n, std::int64_t k, const matrix& a, const matrix& b,
                                         float* c, std::int64_t ldc, const gemm_options& options) noexcept {
  alignas(64) float own[gemm_workspace_floats];
  gemm(m, n, k, a, b, c, ldc, options, own);
}

/// gemm() on up to `threads` threads, with the same bits for any number; `workspace` has threads · gemm_workspace_floats, or is
/// null: then one thread brings its own.
[[gnu::noinline]] inline void parallel_gemm(int threads, std::int64_t m, std::int64_t n, std::int64_t k, const matrix& a,
                                            const matrix& b, float* c, std::int64_t ldc, const gemm_options& options,
                                            float* workspace) noexcept {
  constexpr double worth_a_fork = 5e5;  // multiply-adds: some 5 microseconds
  if (!workspace) return gemm_alone(m, n, k, a, b, c, ldc, options);
  if (threads <= 1 || static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k) < worth_a_fork)
    return gemm(m, n, k, a, b, c, ldc, options, workspace);
  // Parts are whole tiles: 12 rows, or 64 columns.
  const std::int64_t row_units = (m + 11) / 12, column_units = (n + max_tile_columns - 1) / max_tile_columns;
  const bool by_rows = column_units < 2 * threads && row_units > column_units;
  parallel(threads, by_rows ? row_units : column_units, 1, [&](std::int64_t begin, std::int64_t end, int worker) noexcept {
    const std::int64_t row = by_rows ? begin * 12 : 0, rows = by_rows ? smaller(m, end * 12) - row : m;
    const std::int64_t column = by_rows ? 0 : begin * max_tile_columns;
    const std::int64_t columns = by_rows ? n : smaller(n, end * max_tile_columns) - column;
    gemm_options part = options;
    if (part.bias) part.bias += part.bias_is == bias_kind::per_row ? row : column;
    gemm(rows, columns, k, {at(a, row, 0), a.rows_stride, a.cols_stride}, {at(b, 0, column), b.rows_stride, b.cols_stride},
         c + row * ldc + column, ldc, part, workspace + worker * gemm_workspace_floats);
  });
}

}  // namespace TENON_KERNELS
}  // namespace tenon::detail
