// SPDX-License-Identifier: Apache-2.0
// Convolution of float NCHW planes on the pool, by im2col and the matrix product: forward, dx, dw and db. Each thread works in
// its own part of the workspace; columns are made for so many output pixels at a time that they stay in the second-level cache.
// How the work is cut depends on the shape alone, so the bits are the same for any number of threads.
#pragma once

#include <cstdint>

#include "tenon/core/config.hpp"
#include "tenon/ops/cpu/gemm.hpp"
#include "tenon/ops/cpu/im2col.hpp"
#include "tenon/ops/cpu/threads.hpp"
#include "tenon/ops/cpu/vector_math.hpp"

namespace tenon::detail {

/// Rows of columns begin on cache lines: a wide vector across two lines costs twice as much.
constexpr std::int64_t whole_lines(std::int64_t floats) noexcept { return (floats + 15) / 16 * 16; }

/// Output rows whose columns are made at a time: some 256 KiB of them, at least one row.
constexpr std::int64_t conv_rows_at_once(const conv_shape& s) noexcept {
  const std::int64_t rows = 65536 / ((s.patch() + s.out) * (s.ow > 0 ? s.ow : 1));
  return rows < 1 ? 1 : rows < s.oh ? rows : s.oh;
}

/// Samples whose columns lie side by side in the product for dw, so that its sums are long.
constexpr std::int64_t conv_samples_at_once(const conv_shape& s) noexcept {
  const std::int64_t pixels = s.pixels() > 0 ? s.pixels() : 1, samples = 65536 / ((s.patch() + s.out) * pixels);
  return samples < 1 ? 1 : samples < s.n ? samples : s.n > 0 ? s.n : 1;
}

/// Floats of workspace that each thread needs; does not grow with n beyond a bound.
constexpr std::int64_t conv_workspace_floats(const conv_shape& s) noexcept {
  const std::int64_t pixels = conv_samples_at_once(s) * conv_rows_at_once(s) * s.ow;
  return (s.patch() + s.out) * whole_lines(pixels) + gemm_workspace_floats + 16;
}

inline namespace TENON_KERNELS {

/// Whether the columns of x are x itself.
constexpr bool conv_is_pointwise(const conv_shape& s) noexcept {
  return s.kh == 1 && s.kw == 1 && s.sh == 1 && s.sw == 1 && s.ph == 0 && s.pw == 0;
}

/// Threads that a convolution pass pays for: one below some 5 microseconds of work.
inline int conv_threads(int threads, const conv_shape& s) noexcept {
  const double multiply_adds = static_cast<double>(s.n * s.pixels()) * static_cast<double>(s.patch() * s.out);
  return multiply_adds < 3e5 ? 1 : threads;
}

/// y = w * x + bias; bias is [out] or null; `workspace` has threads · conv_workspace_floats(s).
inline void conv_forward(int threads, float* y, const float* x, const float* w, const float* bias, const conv_shape& s,
                         float* workspace) noexcept {
  const std::int64_t patch = s.patch(), pixels = s.pixels(), step = conv_rows_at_once(s), room = conv_workspace_floats(s);
  const gemm_options options{false, bias ? bias_kind::per_row : bias_kind::none, bias};
  workspace = align_to_line(workspace);
  parallel(conv_threads(threads, s), s.n, 1, [&](std::int64_t begin, std::int64_t end, int worker) noexcept {
    float* const col = workspace + worker * room;
    float* const rest = col + room - gemm_workspace_floats - 16;
    for (std::int64_t i = begin; i < end; ++i) {
      const float* const image = x + i * s.c * s.h * s.w;
      float* const out = y + i * s.out * pixels;
      if (conv_is_pointwise(s)) {
        gemm(s.out, pixels, patch, {w, patch, 1}, {image, pixels, 1}, out, pixels, options, rest);
        continue;
      }
      for (std::int64_t y0 = 0; y0 < s.oh; y0 += step) {
        const std::int64_t y1 = smaller(s.oh, y0 + step), columns = (y1 - y0) * s.ow, ld = whole_lines(columns);
        im2col(col, ld, image, s, 0, patch, y0, y1);
        gemm(s.out, columns, patch, {w, patch, 1}, {col, ld, 1}, out + y0 * s.ow, pixels, options, rest);
      }
    }
  });
}

/// dx = the adjoint of conv_forward in x, applied to dy; overwrites dx. Workspace as above.
inline void conv_backward_data(int threads, float* dx, const float* dy, const float* w, const conv_shape& s,
                               float* workspace) noexcept {
  const std::int64_t patch = s.patch(), pixels = s.pixels(), step = conv_rows_at_once(s), room = conv_workspace_floats(s);
  const std::int64_t image = s.c * s.h * s.w;
  workspace = align_to_line(workspace);
  parallel(conv_threads(threads, s), s.n, 1, [&](std::int64_t begin, std::int64_t end, int worker) noexcept {
    float* const col = workspace + worker * room;
    float* const rest = col + room - gemm_workspace_floats - 16;
    for (std::int64_t i = begin; i < end; ++i) {
      const float* const dout = dy + i * s.out * pixels;
      float* const din = dx + i * image;
      if (conv_is_pointwise(s)) {
        gemm(patch, pixels, s.out, {w, 1, patch}, {dout, pixels, 1}, din, pixels, {}, rest);
        continue;
      }
      zero_run(din, image);
      for (std::int64_t y0 = 0; y0 < s.oh; y0 += step) {
        const std::int64_t y1 = smaller(s.oh, y0 + step), columns = (y1 - y0) * s.ow, ld = whole_lines(columns);
        gemm(patch, columns, s.out, {w, 1, patch}, {dout + y0 * s.ow, pixels, 1}, col, ld, {}, rest);
        col2im_add(din, col, ld, s, 0, s.c, y0, y1);
      }
    }
  });
}

/// dw = (accumulate ? dw : 0) + the gradient of the weight, [out, c, kh, kw]. Workspace as above.
inline void conv_backward_weight(int threads, float* dw, const float* dy, const float* x, bool accumulate, const conv_shape& s,
                                 float* workspace) noexcept {
  const std::int64_t patch = s.patch(), pixels = s.pixels(), step = conv_rows_at_once(s), room = conv_workspace_floats(s);
  const std::int64_t samples = conv_samples_at_once(s);
  if (s.n <= 0 || pixels <= 0) {
    if (!accumulate) zero_run(dw, s.out * patch);
    return;
  }
  workspace = align_to_line(workspace);
  parallel(conv_threads(threads, s), patch, 4, [&](std::int64_t begin, std::int64_t end, int worker) noexcept {
    const std::int64_t rows = end - begin;
    float* const col = workspace + worker * room;
    float* const rest = col + room - gemm_workspace_floats - 16;
    for (std::int64_t i = 0; i < s.n; i += samples) {
      const std::int64_t count = smaller(samples, s.n - i);
      for (std::int64_t y0 = 0; y0 < s.oh; y0 += step) {
        const std::int64_t y1 = smaller(s.oh, y0 + step), columns = (y1 - y0) * s.ow, all = count * columns;
        const std::int64_t ld = whole_lines(all);
        float* const dout = col + rows * ld;  // dy of these samples, [out, sample · pixel]
        for (std::int64_t l = 0; l < count; ++l) {
          im2col(col + l * columns, ld, x + (i + l) * s.c * s.h * s.w, s, begin, end, y0, y1);
          for (std::int64_t o = 0; o < s.out; ++o)
            copy_run(dout + o * ld + l * columns, dy + ((i + l) * s.out + o) * pixels + y0 * s.ow, columns);
        }
        gemm(s.out, rows, all, {dout, ld, 1}, {col, 1, ld}, dw + begin, patch, {accumulate || i > 0 || y0 > 0}, rest);
      }
    }
  });
}

/// db[o] = (accumulate ? db[o] : 0) + Σ dy[·, o, ·, ·].
inline void conv_backward_bias(float* db, const float* dy, bool accumulate, const conv_shape& s) noexcept {
  const std::int64_t pixels = s.pixels();
  for (std::int64_t o = 0; o < s.out; ++o) {
    float total = accumulate ? db[o] : 0.0f;
    for (std::int64_t i = 0; i < s.n; ++i) total += sum(dy + (i * s.out + o) * pixels, pixels);
    db[o] = total;
  }
}

}  // namespace TENON_KERNELS
}  // namespace tenon::detail
