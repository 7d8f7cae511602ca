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
inline void pack_strip(float* TENON_RESTRICT strip, const matrix& b, std::int64_t rows, std::int64_t valid,
                       std::int64_t columns) noexcept {
  if (b.cols_stride == 1) {
    for (std::int64_t k = 0; k < rows; ++k, strip += columns) {
      copy_run(strip, b.data + k * b.rows_stride, valid);
      zero_run(strip + valid, columns - valid);
    }
    return;
  }
  const std::int64_t step = b.cols_stride, rows4 = rows / 4 * 4, valid4 = valid / 4 * 4;
  for (std::int64_t j = 0; j < valid4; j += 4) {
    const float* p = b.data + j * step;
    float* out = strip + j;
    for (std::int64_t k = 0; k < rows4; k += 4, p += 4, out += 4 * columns) {
      const four_floats r0 = load4(p), r1 = load4(p + step), r2 = load4(p + 2 * step), r3 = load4(p + 3 * step);
      const four_floats a = __builtin_shufflevector(r0, r1, 0, 4, 1, 5), c = __builtin_shufflevector(r0, r1, 2, 6, 3, 7),
                        d = __builtin_shufflevector(r2, r3, 0, 4, 1, 5), e = __builtin_shufflevector(r2, r3, 2, 6, 3, 7);
      store4(out, __builtin_shufflevector(a, d, 0, 1, 4, 5));
      store4(out + columns, __builtin_shufflevector(a, d, 2, 3, 6, 7));
      store4(out + 2 * columns, __builtin_shufflevector(c, e, 0, 1, 4, 5));
      store4(out + 3 * columns, __builtin_shufflevector(c, e, 2, 3, 6, 7));
    }
  }
  for (std::int64_t k = 0; k < rows; ++k) {
    for (std::int64_t j = k < rows4 ? valid4 : 0; j < valid; ++j) strip[k * columns + j] = b.data[k * b.rows_stride + j * step];
    for (std::int64_t j = valid; j < columns; ++j) strip[k * columns + j] = 0;
  }
}

/// C = (accumulate ? C : 0) + bias: what the products are added to.
inline void begin_with_bias(std::int64_t m, std::int64_t n, float* c, std::int64_t ldc, const gemm_options& options) noexcept {
  for (std::int64_t i = 0; i < m; ++i, c += ldc) {
    if (!options.accumulate) zero_run(c, n);
    if (options.bias_is == bias_kind::per_row) {
      const float value = options.bias[i];
      map_lanes(c, n, [value](four_floats v) noexcept { return v + value; }, c);
    } else if (options.bias_is == bias_kind::per_column) {
      add_run(c, options.bias, n);
    }
  }
}

/// The panel way; C is added to if `add`, else overwritten.
inline void gemm_panel(const gemm_kernels& kernels, std::int64_t m, std::int64_t n, std::int64_t k, const matrix& a,
                       const matrix& b, float* c, std::int64_t ldc, bool add, float* workspace) noexcept {
  alignas(64) float edge[max_tile_rows * max_tile_columns];
  const std::int64_t width = kernels.width;
  for (std::int64_t k0 = 0; k0 < k; k0 += gemm_block_k, add = true) {
    panel_tile t{};
    t.k = smaller(gemm_block_k, k - k0);
    t.a_step = a.cols_stride;
    for (std::int64_t j = 0, columns = 0; j < n; j += columns) {
      const std::int64_t vectors_left = (n - j + width - 1) / width;
      const bool wide = vectors_left >= kernels.panel_vectors;
      columns = wide ? width * kernels.panel_vectors : width;
      const std::int64_t valid = smaller(columns, n - j);
      t.b = at(b, k0, j);
      t.b_step = b.rows_stride;
      if (b.cols_stride != 1 || valid < columns || m > 3 * max_tile_rows) {
        pack_strip(workspace, {t.b, b.rows_stride, b.cols_stride}, t.k, valid, columns);
        t.b = workspace;
        t.b_step = columns;
      }
      for (std::int64_t i = 0; i < m; i += t.rows) {
        const bool tall = m - i > 4;
        t.rows = static_cast<int>(smaller(tall ? 6 : 4, m - i));
        for (int r = 0; r < max_tile_rows; ++r) t.a[r] = at(a, smaller(i + r, m - 1), k0);
        float* const out = c + i * ldc + j;
        const auto kernel = kernels.panel[tall][wide];
        if (valid == columns) {
          t.c = out;
          t.ldc = ldc;
          t.add = add;
          kernel(t);
        } else {
          t.c = edge;
          t.ldc = columns;
          t.add = false;
          kernel(t);
          for (int r = 0; r < t.rows; ++r) {
            float* const row = out + r * ldc;
            const float* const sums = edge + r * columns;
            if (!add) copy_run(row, sums, valid);
            else add_run(row, sums, valid);
          }
        }
      }
    }
  }
}

/// The dot way; A[i, ·] and B[·, j] are contiguous and k ≥ 16.
inline void gemm_dot(const gemm_kernels& kernels, std::int64_t m, std::int64_t n, std::int64_t k, const matrix& a,
                     const matrix& b, float* c, std::int64_t ldc, bool add) noexcept {
  constexpr std::int64_t block_n = 128;  // their rows of B stay in the second-level cache
  dot_tile t{};
  t.ldc = ldc;
  for (std::int64_t k0 = 0; k0 < k; k0 += t.k, add = true) {
    const std::int64_t left = k - k0;  // a block is never shorter than a vector
    t.k = left >= 2 * gemm_dot_block_k ? gemm_dot_block_k : left > gemm_dot_block_k ? (left / 2 + 15) / 16 * 16 : left;
    t.add = add;
    for (std::int64_t j0 = 0; j0 < n; j0 += block_n) {
      const std::int64_t j1 = smaller(n, j0 + block_n);
      for (std::int64_t i = 0; i < m; i += t.rows) {
        const std::int64_t rows = smaller(kernels.dot_rows, m - i);
        const auto kernel = kernels.dot[rows == 1 ? 0 : rows <= 4 ? 1 : 2];
        t.rows = static_cast<int>(rows);
        for (int r = 0; r < max_tile_rows; ++r) t.a[r] = at(a, smaller(i + r, m - 1), k0);
        for (std::int64_t j = j0; j < j1; j += 4) {
          t.columns = static_cast<int>(smaller(4, j1 - j));
          for (int s = 0; s < 4; ++s) t.b[s] = at(b, k0, smaller(j + s, j1 - 1));
          t.c = c + i * ldc + j;
          kernel(t);
        }
      }
    }
  }
}

/// Which way a product of this shape goes; ask for the whole product, not for a part of it.
inline bool gemm_is_dot(std::int64_t k, const matrix& a, const matrix& b) noexcept {
  return k >= 16 && a.cols_stride == 1 && b.rows_stride == 1;
}

inline void gemm_part(bool is_dot, std::int64_t m, std::int64_t n, std::int64_t k, const matrix& a, const matrix& b, float* c,
                      std::int64_t ldc, const gemm_options& options, float* workspace) noexcept {
  if (m <= 0 || n <= 0) return;
  const bool begun = options.bias_is != bias_kind::none || k <= 0;
  if (begun) begin_with_bias(m, n, c, ldc, options);
  const gemm_kernels& kernels = current_gemm_kernels();
  if (is_dot) gemm_dot(kernels, m, n, k, a, b, c, ldc, begun || options.accumulate);
  else gemm_panel(kernels, m, n, k, a, b, c, ldc, begun || options.accumulate, align_to_line(workspace));
}

/// C = A·B + (accumulate ? C : 0) + bias on this thread; A is [m, k], B is [k, n], C is [m, n] with rows ldc apart and overlaps
/// neither. `workspace` has gemm_workspace_floats. k = 0 leaves the bias or 0.
inline void gemm(std::int64_t m, std::int64_t n, std::int64_t k, const matrix& a, const matrix& b, float* c, std::int64_t ldc,
                 const gemm_options& options, float* workspace) noexcept {
  gemm_part(gemm_is_dot(k, a, b), m, n, k, a, b, c, ldc, options, workspace);
}

/// gemm() on up to `threads` threads, with the same bits for any number; `workspace` has threads · gemm_workspace_floats.
inline void parallel_gemm(int threads, std::int64_t m, std::int64_t n, std::int64_t k, const matrix& a, const matrix& b, float* c,
                          std::int64_t ldc, const gemm_options& options, float* workspace) noexcept {
  const bool is_dot = gemm_is_dot(k, a, b);
  constexpr double worth_a_fork = 5e5;  // multiply-adds: some 5 microseconds
  if (threads <= 1 || static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k) < worth_a_fork)
    return gemm_part(is_dot, m, n, k, a, b, c, ldc, options, workspace);
  const std::int64_t row_unit = 6, column_unit = is_dot ? 4 : max_tile_columns;
  const std::int64_t row_units = (m + row_unit - 1) / row_unit, column_units = (n + column_unit - 1) / column_unit;
  const bool by_rows = column_units < 2 * threads && row_units > column_units;
  parallel(threads, by_rows ? row_units : column_units, 1, [&](std::int64_t begin, std::int64_t end, int worker) noexcept {
    float* const mine = workspace + worker * gemm_workspace_floats;
    gemm_options part = options;
    if (by_rows) {
      const std::int64_t first = begin * row_unit, last = smaller(m, end * row_unit);
      if (part.bias_is == bias_kind::per_row) part.bias += first;
      gemm_part(is_dot, last - first, n, k, {at(a, first, 0), a.rows_stride, a.cols_stride}, b, c + first * ldc, ldc, part, mine);
    } else {
      const std::int64_t first = begin * column_unit, last = smaller(n, end * column_unit);
      if (part.bias_is == bias_kind::per_column) part.bias += first;
      gemm_part(is_dot, m, last - first, k, a, {at(b, 0, first), b.rows_stride, b.cols_stride}, c + first, ldc, part, mine);
    }
  });
}

}  // namespace TENON_KERNELS
}  // namespace tenon::detail
