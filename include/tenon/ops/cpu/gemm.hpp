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

/// A matrix whose element (r, c) is data[r·rows_stride + c·cols_stride]; at least one of the strides is 1.
struct matrix {
  const float* data;
  std::int64_t rows_stride, cols_stride;
};

/// Whether `bias` has one value for each row of C, or one for each column.
enum class bias_kind : int { none, per_row, per_column };

/// How C begins: overwritten or added to, and with what bias.
struct gemm_options {
  bool accumulate = false;
  bias_kind bias_is = bias_kind::none;
  const float* bias = nullptr;
};

inline constexpr std::int64_t gemm_block_k = 128;  // k of one panel pass: a strip of B is 32 KiB
inline constexpr std::int64_t gemm_dot_block_k = 1024;  // k of one dot pass: 10 rows are 40 KiB
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
  for (std::int64_t k = 0; k < rows; ++k, strip += columns) {
    const float* const from = b.data + k * b.rows_stride;
    if (valid < columns) zero_run(strip, columns);
    if (b.cols_stride == 1) {
      copy_run(strip, from, valid);
    } else {
      for (std::int64_t j = 0; j < valid; ++j) strip[j] = from[j * b.cols_stride];
    }
  }
}

/// C = (accumulate ? C : 0) + bias: what the products are added to.
[[gnu::noinline]] inline void begin_with_bias(std::int64_t m, std::int64_t n, float* c, std::int64_t ldc,
                                              const gemm_options& options) noexcept {
  const float* const row = options.bias_is == bias_kind::per_column ? options.bias : nullptr;
  for (std::int64_t i = 0; i < m; ++i, c += ldc) {
    const float start = options.bias_is == bias_kind::per_row ? options.bias[i] : 0.0f;
    std::int64_t j = 0;
    for (; j + 4 <= n; j += 4) {
      four_floats v = four_floats{} + start;
      if (options.accumulate) v += load4(c + j);
      if (row) v += load4(row + j);
      store4(c + j, v);
    }
    for (; j < n; ++j) c[j] = (options.accumulate ? c[j] : 0.0f) + (row ? row[j] : start);
  }
}

/// C = (add ? C : 0) + sums, rows of which are `step` apart: the end of a tile that is wider than C.
[[gnu::noinline]] inline void finish_edge(float* c, std::int64_t ldc, const float* sums, std::int64_t step, std::int64_t rows,
                                          std::int64_t columns, bool add) noexcept {
  for (; rows > 0; --rows, c += ldc, sums += step) {
    std::int64_t j = 0;
    for (; j + 4 <= columns; j += 4) {
      four_floats v = load4(sums + j);
      if (add) v += load4(c + j);
      store4(c + j, v);
    }
    for (; j < columns; ++j) c[j] = add ? c[j] + sums[j] : sums[j];
  }
}

/// The panel way; C is added to if `add`, else overwritten.
[[gnu::noinline]] inline void gemm_panel(const gemm_kernels& kernels, std::int64_t m, std::int64_t n, std::int64_t k,
                                         const matrix& a, const matrix& b, float* c, std::int64_t ldc, bool add,
                                         float* workspace) noexcept {
  alignas(64) float edge[max_tile_rows * max_tile_columns];
  gemm_tile t;
  t.a_step = a.cols_stride;
  for (std::int64_t k0 = 0; k0 < k; k0 += gemm_block_k, add = true) {
    t.k = smaller(gemm_block_k, k - k0);
    for (std::int64_t j = 0, columns = 0; j < n; j += columns) {
      const bool wide = n - j > kernels.columns[1] - kernels.columns[0];
      columns = kernels.columns[wide];
      const std::int64_t valid = smaller(columns, n - j);
      const bool inside = valid == columns;
      t.b[0] = at(b, k0, j);
      t.b_step = b.rows_stride;
      if (b.cols_stride != 1 || !inside || m > 3 * max_tile_rows) {
        pack_strip(workspace, {t.b[0], b.rows_stride, b.cols_stride}, t.k, valid, columns);
        t.b[0] = workspace;
        t.b_step = columns;
      }
      t.add = inside && add;
      for (std::int64_t i = 0; i < m; i += kernels.panel_rows) {
        for (int r = 0; r < max_tile_rows; ++r) {
          const std::int64_t row = smaller(i + r, m - 1);
          t.a[r] = at(a, row, k0);
          t.c[r] = inside ? c + row * ldc + j : edge + r * columns;
        }
        kernels.panel[wide](t);
        if (!inside) finish_edge(c + i * ldc + j, ldc, edge, columns, smaller(kernels.panel_rows, m - i), valid, add);
      }
    }
  }
}

/// The dot way; A[i, ·] and B[·, j] are contiguous and k is a multiple of gemm_dot_unit.
[[gnu::noinline]] inline void gemm_dot(const gemm_kernels& kernels, std::int64_t m, std::int64_t n, std::int64_t k,
                                       const matrix& a, const matrix& b, float* c, std::int64_t ldc, bool add) noexcept {
  constexpr std::int64_t block_n = 128;  // their rows of B stay in the second-level cache
  alignas(64) float edge[max_tile_rows * 4];
  gemm_tile t;
  for (std::int64_t k0 = 0; k0 < k; k0 += gemm_dot_block_k, add = true) {
    t.k = smaller(gemm_dot_block_k, k - k0);
    for (std::int64_t j0 = 0; j0 < n; j0 += block_n) {
      const std::int64_t j1 = smaller(n, j0 + block_n);
      for (std::int64_t i = 0; i < m; i += t.rows) {
        t.rows = static_cast<int>(smaller(kernels.dot_rows, m - i));
        for (int r = 0; r < max_tile_rows; ++r) {
          const std::int64_t row = smaller(i + r, m - 1);
          t.a[r] = at(a, row, k0);
          t.c[r] = c + row * ldc;
        }
        t.add = add;
        for (std::int64_t j = t.column = j0; j < j1; t.column = j += 4) {
          for (int s = 0; s < 4; ++s) t.b[s] = at(b, k0, smaller(j + s, j1 - 1));
          const bool inside = j + 4 <= j1;
          if (!inside) {
            for (int r = 0; r < max_tile_rows; ++r) t.c[r] = edge + 4 * r;
            t.column = 0;
            t.add = false;
          }
          kernels.dot[t.rows > 1](t);
          if (!inside) finish_edge(c + i * ldc + j, ldc, edge, 4, t.rows, j1 - j, add);
        }
      }
    }
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
  if (options.bias_is != bias_kind::none || k <= 0) {
    begin_with_bias(m, n, c, ldc, options);
    add = true;
  }
  std::int64_t whole = 0;  // the dot way leaves the last k to the other
  if (kernels.dot_rows && gemm_is_dot(k, a, b)) {
    whole = k / gemm_dot_unit * gemm_dot_unit;
    gemm_dot(kernels, m, n, whole, a, b, c, ldc, add);
    add = true;
  }
  if (whole < k)
    gemm_panel(kernels, m, n, k - whole, {at(a, 0, whole), a.rows_stride, a.cols_stride},
               {at(b, whole, 0), b.rows_stride, b.cols_stride}, c, ldc, add, align_to_line(workspace));
}

/// gemm() on up to `threads` threads, with the same bits for any number; `workspace` has threads · gemm_workspace_floats.
[[gnu::noinline]] inline void parallel_gemm(int threads, std::int64_t m, std::int64_t n, std::int64_t k, const matrix& a,
                                            const matrix& b, float* c, std::int64_t ldc, const gemm_options& options,
                                            float* workspace) noexcept {
  constexpr double worth_a_fork = 5e5;  // multiply-adds: some 5 microseconds
  if (threads <= 1 || static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k) < worth_a_fork)
    return gemm(m, n, k, a, b, c, ldc, options, workspace);
  // Parts are whole tiles: 12 rows, or 64 columns.
  const std::int64_t row_units = (m + 11) / 12, column_units = (n + max_tile_columns - 1) / max_tile_columns;
  const bool by_rows = column_units < 2 * threads && row_units > column_units;
  const std::int64_t unit = by_rows ? 12 : max_tile_columns;
  parallel(threads, by_rows ? row_units : column_units, 1, [&](std::int64_t begin, std::int64_t end, int worker) noexcept {
    const std::int64_t first = begin * unit, count = smaller(by_rows ? m : n, end * unit) - first;
    const std::int64_t row = by_rows ? first : 0, column = by_rows ? 0 : first;
    gemm_options part = options;
    if (part.bias_is != bias_kind::none) part.bias += part.bias_is == bias_kind::per_row ? row : column;
    gemm(by_rows ? count : m, by_rows ? n : count, k, {at(a, row, 0), a.rows_stride, a.cols_stride},
         {at(b, 0, column), b.rows_stride, b.cols_stride}, c + row * ldc + column, ldc, part,
         workspace + worker * gemm_workspace_floats);
  });
}

}  // namespace TENON_KERNELS
}  // namespace tenon::detail
