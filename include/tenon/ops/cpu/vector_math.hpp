// SPDX-License-Identifier: Apache-2.0
// Elementwise loops and sums over contiguous floats, four at a time by hand, since g++ 12 at -O2 leaves such loops scalar. They
// are bound by memory; wider vectors gain little. Each function reads its inputs and writes y (or dx) over [0, n); y may be one
// of the inputs, but must not overlap one otherwise. NaN propagates. Sums have one order, the same on every machine.
#pragma once

#include <cstdint>

#include "tenon/core/config.hpp"

namespace tenon::detail {

typedef float four_floats __attribute__((vector_size(16)));
typedef float four_floats_in_memory __attribute__((vector_size(16), aligned(4), may_alias));

inline namespace TENON_KERNELS {

[[gnu::always_inline]] inline four_floats load4(const float* p) noexcept {
  return *reinterpret_cast<const four_floats_in_memory*>(p);
}
[[gnu::always_inline]] inline void store4(float* p, four_floats v) noexcept { *reinterpret_cast<four_floats_in_memory*>(p) = v; }

/// The first `count` (1 … 3) floats of p, then zeros.
[[gnu::noinline]] inline four_floats load_some(const float* p, std::int64_t count) noexcept {
  return four_floats{p[0], count > 1 ? p[1] : 0, count > 2 ? p[2] : 0, 0};
}
[[gnu::noinline]] inline void store_some(float* p, four_floats v, std::int64_t count) noexcept {
  p[0] = v[0];
  if (count > 1) p[1] = v[1];
  if (count > 2) p[2] = v[2];
}

/// y[i] = f(x[i]…) for i < n; f takes and returns vectors of four lanes and must be defined on zeros.
template <class F, class... X>
[[gnu::always_inline]] inline void map_lanes(float* y, std::int64_t n, const F& f, const X*... x) noexcept {
  const std::int64_t whole = n / 4 * 4;
  for (std::int64_t i = 0; i < whole; i += 4) store4(y + i, f(load4(x + i)...));
  if (n > whole) store_some(y + whole, f(load_some(x + whole, n - whole)...), n - whole);
}

/// y = max(x, 0).
inline void relu(float* y, const float* x, std::int64_t n) noexcept {
  map_lanes(y, n, [](four_floats v) noexcept { return v < 0.0f ? four_floats{} : v; }, x);
}

/// dx = dy where `kept` > 0 (the input or the output of relu), else 0; NaN in `kept` lets dy pass, as in PyTorch.
inline void relu_back(float* dx, const float* dy, const float* kept, std::int64_t n) noexcept {
  map_lanes(dx, n, [](four_floats d, four_floats k) noexcept { return k <= 0.0f ? four_floats{} : d; }, dy, kept);
}

/// y = a + b.
inline void add(float* y, const float* a, const float* b, std::int64_t n) noexcept {
  map_lanes(y, n, [](four_floats u, four_floats v) noexcept { return u + v; }, a, b);
}

/// y += x.
inline void accumulate(float* y, const float* x, std::int64_t n) noexcept { add(y, y, x, n); }

/// y = factor · x.
inline void scale(float* y, float factor, const float* x, std::int64_t n) noexcept {
  map_lanes(y, n, [factor](four_floats v) noexcept { return v * factor; }, x);
}

/// y += factor · x.
inline void axpy(float* y, float factor, const float* x, std::int64_t n) noexcept {
  map_lanes(y, n, [factor](four_floats u, four_floats v) noexcept { return u + v * factor; }, y, x);
}

/// Σ x: sixteen partial sums, then their sum pairwise.
inline float sum(const float* x, std::int64_t n) noexcept {
  four_floats s0{}, s1{}, s2{}, s3{};
  std::int64_t i = 0;
  for (; i + 16 <= n; i += 16) {
    s0 += load4(x + i);
    s1 += load4(x + i + 4);
    s2 += load4(x + i + 8);
    s3 += load4(x + i + 12);
  }
  for (; i + 4 <= n; i += 4) s0 += load4(x + i);
  if (i < n) s1 += load_some(x + i, n - i);
  const four_floats s = (s0 + s1) + (s2 + s3);
  return (s[0] + s[2]) + (s[1] + s[3]);
}

/// The largest of x, NaN if there is one; needs n ≥ 1.
inline float max(const float* x, std::int64_t n) noexcept {
  float best = x[0];
  std::int64_t i = 0;
  if (n >= 4) {
    four_floats m = load4(x);
    for (i = 4; i + 4 <= n; i += 4) {
      const four_floats v = load4(x + i);
      m = ((v > m) | (v != v)) ? v : m;  // a NaN stays: nothing is larger than it
    }
    best = m[0];
    for (int l = 1; l < 4; ++l) best = m[l] > best || m[l] != m[l] ? m[l] : best;
  }
  for (; i < n; ++i) best = x[i] > best || x[i] != x[i] ? x[i] : best;
  return best;
}

/// y = x without a call into the C library, which short runs do not repay.
template <class T>
inline void copy_run(T* TENON_RESTRICT y, const T* TENON_RESTRICT x, std::int64_t n) noexcept {
  for (std::int64_t i = 0; i < n; ++i) y[i] = x[i];
}
inline void copy_run(float* TENON_RESTRICT y, const float* TENON_RESTRICT x, std::int64_t n) noexcept {
  if (n < 4) {
    for (std::int64_t i = 0; i < n; ++i) y[i] = x[i];
    return;
  }
  for (std::int64_t i = 0; i + 4 < n; i += 4) store4(y + i, load4(x + i));
  store4(y + n - 4, load4(x + n - 4));
}

/// y = 0.
template <class T>
inline void zero_run(T* y, std::int64_t n) noexcept {
  for (std::int64_t i = 0; i < n; ++i) y[i] = T{};
}
[[gnu::noinline]] inline void zero_run(float* y, std::int64_t n) noexcept {
  if (n < 4) {
    for (std::int64_t i = 0; i < n; ++i) y[i] = 0;
    return;
  }
  for (std::int64_t i = 0; i + 4 < n; i += 4) store4(y + i, four_floats{});
  store4(y + n - 4, four_floats{});
}

/// y += x.
template <class T>
inline void add_run(T* TENON_RESTRICT y, const T* TENON_RESTRICT x, std::int64_t n) noexcept {
  for (std::int64_t i = 0; i < n; ++i) y[i] = y[i] + x[i];
}
inline void add_run(float* TENON_RESTRICT y, const float* TENON_RESTRICT x, std::int64_t n) noexcept {
  std::int64_t i = 0;
  for (; i + 4 <= n; i += 4) store4(y + i, load4(y + i) + load4(x + i));
  for (; i < n; ++i) y[i] += x[i];
}

}  // namespace TENON_KERNELS
}  // namespace tenon::detail
