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
[[gnu::noinline]] constexpr std::int64_t conv_rows_at_once(const conv_shape& s) noexcept {
  const std::int64_t rows = 65536 / ((s.patch() + s.out) * (s.ow > 0 ? s.ow : 1));
  return rows < 1 ? 1 : rows < s.oh ? rows : s.oh;
}

/// Samples whose columns lie side by side in the product for dw, so that its sums are long.
[[gnu::noinline]] constexpr std::int64_t conv_samples_at_once(const conv_shape& s) noexcept {
  const std::int64_t pixels = s.pixels() > 0 ? s.pixels() : 1, samples = 65536 / ((s.patch() + s.out) * pixels);
  return samples < 1 ? 1 : samples < s.n ? samples : s.n > 0 ? s.n : 1;
}

/// Floats of workspace that each thread needs; does not grow with n beyond a bound.
[[gnu::noinline]] constexpr std::int64_t conv_workspace_floats(const conv_shape& s) noexcept {
  const std::int64_t pixels = conv_samples_at_once(s) * conv_rows_at_once(s) * s.ow;
  return (s.patch() + s.out) * whole_lines(pixels) + gemm_workspace_floats + 16;
}

inline namespace TENON_KERNELS {

/// Whether the columns of x are x itself.
constexpr bool conv_is_pointwise(const conv_shape& s) noexcept {
  return s.kh == 1 && s.kw == 1 && s.sh == 1 && s.sw == 1 && s.ph == 0 && s.pw == 0;
}

/// What the threads of one pass share: from, w and bias are read, to is written.
struct conv_job {
  const conv_shape& s;
  const float *from, *w, *bias;
  float *to, *workspace;
  std::int64_t step, room;
  bool add;

  [[gnu::noinline]] conv_job(const conv_shape& sizes, float* t, const float* f, const float* weight, const float* b, float* work,
                             bool accumulate)
      : s(sizes), from(f), w(weight), bias(b), to(t), workspace(align_to_line(work)), step(conv_rows_at_once(s)),
        room(conv_workspace_floats(s)), add(accumulate) {}
  float* columns_of(int worker) const { return workspace + worker * room; }
  float* rest_of(int worker) const { return workspace + (worker + 1) * room - gemm_workspace_floats - 16; }
  /// Calls `call` on pieces of [0, n), on one thread below some 5 microseconds of work.
  [[gnu::noinline]] void run(int threads, std::int64_t n, std::int64_t grain, decltype(thread_pool_state::call) call) const {
    const double multiply_adds = static_cast<double>(s.n * s.groups * s.pixels()) * static_cast<double>(s.patch() * s.out);
    parallel_call(multiply_adds < 3e5 ? 1 : threads, n, grain, call, this);
  }
};

[[gnu::noinline]] inline void conv_forward_part(const void* job, std::int64_t begin, std::int64_t end, int worker) noexcept {
  const conv_job& j = *static_cast<const conv_job*>(job);
  const conv_shape& s = j.s;
  const std::int64_t patch = s.patch(), pixels = s.pixels();
  float* const col = j.columns_of(worker);
  for (std::int64_t i = begin; i < end; ++i) {
    const float* const image = j.from + i * s.c * s.h * s.w;
    const std::int64_t o = i % s.groups * s.out;
    const gemm_options options{false, j.bias ? j.bias + o : nullptr, bias_kind::per_row};
    for (std::int64_t y0 = 0, y1 = 0; y0 < s.oh; y0 = y1) {
      y1 = conv_is_pointwise(s) ? s.oh : smaller(s.oh, y0 + j.step);
      const std::int64_t columns = (y1 - y0) * s.ow;
      matrix b{image, pixels, 1};
      if (!conv_is_pointwise(s)) {
        b = {col, whole_lines(columns), 1};
        im2col(col, b.rows_stride, image, s, 0, patch, y0, y1);
      }
      gemm(s.out, columns, patch, {j.w + o * patch, patch, 1}, b, j.to + i * s.out * pixels + y0 * s.ow, pixels, options,
           j.rest_of(worker));
    }
  }
}

/// y = w * x + bias; bias is [out] or null; `workspace` has threads · conv_workspace_floats(s).
inline void conv_forward(int threads, float* y, const float* x, const float* w, const float* bias, const conv_shape& s,
                         float* workspace) noexcept {
  conv_job(s, y, x, w, bias, workspace, false).run(threads, s.n * s.groups, 1, &conv_forward_part);
}

[[gnu::noinline]] inline void conv_data_part(const void* job, std::int64_t begin, std::int64_t end, int worker) noexcept {
  const conv_job& j = *static_cast<const conv_job*>(job);
  const conv_shape& s = j.s;
  const std::int64_t patch = s.patch(), pixels = s.pixels(), image = s.c * s.h * s.w;
  const bool pointwise = conv_is_pointwise(s);
  for (std::int64_t i = begin; i < end; ++i) {
    float* const dx = j.to + i * image;
    if (!pointwise) zero_run(dx, image);
    for (std::int64_t y0 = 0, y1 = 0; y0 < s.oh; y0 = y1) {
      y1 = pointwise ? s.oh : smaller(s.oh, y0 + j.step);
      const std::int64_t columns = (y1 - y0) * s.ow, ld = pointwise ? pixels : whole_lines(columns);
      float* const col = pointwise ? dx : j.columns_of(worker);
      gemm(patch, columns, s.out, {j.w + i % s.groups * s.out * patch, 1, patch},
           {j.from + i * s.out * pixels + y0 * s.ow, pixels, 1}, col, ld, {}, j.rest_of(worker));
      if (!pointwise) col2im_add(dx, col, ld, s, 0, s.c, y0, y1);
    }
  }
}

/// dx = the adjoint of conv_forward in x, applied to dy; overwrites dx. Workspace as above.
inline void conv_backward_data(int threads, float* dx, const float* dy, const float* w, const conv_shape& s,
                               float* workspace) noexcept {
  conv_job(s, dx, dy, w, nullptr, workspace, false).run(threads, s.n * s.groups, 1, &conv_data_part);
}

/// Rows [begin, end) of the patches: w is x here.
[[gnu::noinline]] inline void conv_weight_part(const void* job, std::int64_t begin, std::int64_t end, int worker) noexcept {
  const conv_job& j = *static_cast<const conv_job*>(job);
  const conv_shape& s = j.s;
  const std::int64_t patch = s.patch(), pixels = s.pixels(), samples = conv_samples_at_once(s), rows = end - begin;
  float* const col = j.columns_of(worker);
  for (std::int64_t i = 0; i < s.n * s.groups; ++i) {  // (samples together, group)
    const std::int64_t first = i / s.groups * samples, g = i % s.groups, count = smaller(samples, s.n - first);
    if (count <= 0) break;
    for (std::int64_t y0 = 0; y0 < s.oh; y0 += j.step) {
      const std::int64_t y1 = smaller(s.oh, y0 + j.step), columns = (y1 - y0) * s.ow, all = count * columns;
      const std::int64_t ld = whole_lines(all);
      float* const dout = col + rows * ld;  // dy of these samples, [out, sample · pixel]
      for (std::int64_t l = 0; l < count; ++l) {
        const std::int64_t sample = (first + l) * s.groups + g;
        im2col(col + l * columns, ld, j.w + sample * s.c * s.h * s.w, s, begin, end, y0, y1);
        for (std::int64_t o = 0; o < s.out; ++o)
          copy_run(dout + o * ld + l * columns, j.from + (sample * s.out + o) * pixels + y0 * s.ow, columns);
      }
      gemm(s.out, rows, all, {dout, ld, 1}, {col, 1, ld}, j.to + g * s.out * patch + begin, patch, {j.add || first > 0 || y0 > 0},
           j.rest_of(worker));
    }
  }
}

/// dw = (accumulate ? dw : 0) + the gradient of the weight, [out, c, kh, kw]. Workspace as above.
inline void conv_backward_weight(int threads, float* dw, const float* dy, const float* x, bool accumulate, const conv_shape& s,
                                 float* workspace) noexcept {
  if (s.n <= 0 || s.pixels() <= 0) {
    if (!accumulate) zero_run(dw, s.groups * s.out * s.patch());
    return;
  }
  conv_job(s, dw, dy, x, nullptr, workspace, accumulate).run(threads, s.patch(), 4, &conv_weight_part);
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
