// SPDX-License-Identifier: Apache-2.0
// Convolution as a matrix product: im2col lays the input window of each output pixel out as a column, col2im_add is its adjoint.
// One sample in NCHW; rows of `col` are (channel, kernel row, kernel column), columns are output pixels of the rows asked for.
// Generic in the scalar (col2im_add needs +); im2col writes col, col2im_add adds to dx, nothing else is touched.
#pragma once

#include <cstdint>

#include "tenon/core/config.hpp"
#include "tenon/ops/cpu/vector_math.hpp"

namespace tenon::detail {

/// A 2-d convolution: x is [n, c, h, w], the weight [out, c, kh, kw], y [n, out, oh, ow]; s, p, d: stride, padding, dilation.
struct conv_shape {
  std::int64_t n, c, h, w, out, kh, kw, sh, sw, ph, pw, oh, ow;
  std::int64_t dh = 1, dw = 1;
  std::int64_t groups = 1;  // c and out are those of one group; then x is [n, groups, c, h, w], y is [n, groups, out, oh, ow]

  /// Rows of the column matrix.
  constexpr std::int64_t patch() const noexcept { return c * kh * kw; }
  /// Columns of it: pixels of one output plane.
  constexpr std::int64_t pixels() const noexcept { return oh * ow; }
};

inline namespace TENON_KERNELS {

/// One row of `col` seen from the input: where its plane begins, how far the kernel shifts it, which output columns lie inside.
struct col_row {
  std::int64_t channel, shift_y, shift_x, begin, end;
};

[[gnu::noinline]] inline col_row col_row_of(const conv_shape& s, std::int64_t row) noexcept {
  col_row r{};
  r.channel = row / (s.kh * s.kw);
  r.shift_y = row / s.kw % s.kh * s.dh - s.ph;
  r.shift_x = row % s.kw * s.dw - s.pw;
  r.begin = r.shift_x >= 0 ? 0 : (-r.shift_x + s.sw - 1) / s.sw;
  r.end = s.w > r.shift_x ? (s.w - r.shift_x + s.sw - 1) / s.sw : 0;
  if (r.begin > s.ow) r.begin = s.ow;
  if (r.end > s.ow) r.end = s.ow;
  if (r.end < r.begin) r.end = r.begin;
  return r;
}

/// col[row - first_row, (oy - first_y)·ow + ox] = x[c, oy·sh - ph + r·dh, ox·sw - pw + q·dw], 0 outside, for rows (c, r, q) in
/// [first_row, last_row) and output rows oy in [first_y, last_y); x is [c, h, w]; rows of col are `ld` apart.
template <class T>
[[gnu::noinline]] void im2col(T* TENON_RESTRICT col, std::int64_t ld, const T* TENON_RESTRICT x, const conv_shape& s,
                              std::int64_t first_row, std::int64_t last_row, std::int64_t first_y, std::int64_t last_y) noexcept {
  for (std::int64_t row = first_row; row < last_row; ++row, col += ld) {
    const col_row r = col_row_of(s, row);
    T* out = col;
    for (std::int64_t oy = first_y; oy < last_y; ++oy, out += s.ow) {
      const std::int64_t iy = oy * s.sh + r.shift_y;
      const bool seen = iy >= 0 && iy < s.h;
      if (!seen || r.end - r.begin < s.ow) zero_run(out, s.ow);
      if (!seen) continue;
      const T* const in = x + (r.channel * s.h + iy) * s.w;
      if (s.sw == 1) copy_run(out + r.begin, in + (r.begin + r.shift_x), r.end - r.begin);
      else
        for (std::int64_t ox = r.begin; ox < r.end; ++ox) out[ox] = in[ox * s.sw + r.shift_x];
    }
  }
}

/// The adjoint of im2col: adds each element of col[rows of the channels, pixels of output rows [first_y, last_y)] to the element
/// of dx, [c, h, w], that im2col reads for it; channels [first_channel, last_channel), the first row of col is the first one's.
template <class T>
[[gnu::noinline]] void col2im_add(T* TENON_RESTRICT dx, const T* TENON_RESTRICT col, std::int64_t ld, const conv_shape& s,
                                  std::int64_t first_channel, std::int64_t last_channel, std::int64_t first_y,
                                  std::int64_t last_y) noexcept {
  const std::int64_t taps = s.kh * s.kw;
  for (std::int64_t row = first_channel * taps; row < last_channel * taps; ++row, col += ld) {
    const col_row r = col_row_of(s, row);
    const T* in = col;
    for (std::int64_t oy = first_y; oy < last_y; ++oy, in += s.ow) {
      const std::int64_t iy = oy * s.sh + r.shift_y;
      if (iy < 0 || iy >= s.h || r.begin == r.end) continue;
      T* const out = dx + (r.channel * s.h + iy) * s.w;
      if (s.sw == 1) add_run(out + (r.begin + r.shift_x), in + r.begin, r.end - r.begin);
      else
        for (std::int64_t ox = r.begin; ox < r.end; ++ox) out[ox * s.sw + r.shift_x] = out[ox * s.sw + r.shift_x] + in[ox];
    }
  }
}

}  // namespace TENON_KERNELS
}  // namespace tenon::detail
