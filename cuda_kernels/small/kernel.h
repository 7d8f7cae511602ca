// SPDX-License-Identifier: Apache-2.0
// The small kernels of a training step on the machine of machine.h: element by element, sums of columns, optimizer steps.
#pragma once
#include <cmath>
#include "cuda_kernels/machine/machine.h"
#include "tenon/ops/cuda/abi.h"
namespace tenon_cuda {
struct no_state {};
inline constexpr int small_threads = 256;

template <class T>
TENON_DEVICE float mapped(const T& t, const tenon_cuda_map_args& p, std::int64_t i) {
  const auto a = [&] { return t.load(p.a + i); };
  const auto b = [&] { return t.load(p.b + i); };
  switch (p.kind) {
    case TENON_CUDA_ADD: return a() + b();
    case TENON_CUDA_RELU: {
      const float x = a();
      return x < 0 ? 0 : x;  // not max(x, 0): NaN stays
    }
    case TENON_CUDA_RELU_DX: return b() <= 0 ? 0 : a();
    case TENON_CUDA_TANH: return tanhf(a());
    case TENON_CUDA_TANH_DX: {
      const float y = b();
      return a() * (1 - y * y);
    }
    case TENON_CUDA_SIGMOID: return 1 / (1 + expf(-a()));
    case TENON_CUDA_SIGMOID_DX: {
      const float y = b();
      return a() * y * (1 - y);
    }
    default: return p.value;  // TENON_CUDA_FILL; abi.cpp lets no other kind through
  }
}
template <class Hw>
TENON_DEVICE void map_block(Hw& hw, const tenon_cuda_map_args& p) {
  typename Hw::template registers<no_state> registers;
  hw.each(registers, [&](auto& t, no_state&) {
    for (std::int64_t i = hw.block() * small_threads + t.id(); i < p.n; i += hw.blocks() * small_threads)
      t.store(p.y + i, mapped(t, p, i));
  });
}

template <class T>
TENON_DEVICE void update_one(const T& t, const tenon_cuda_update_args& p, std::int64_t i) {
  const float w = t.load(p.w + i);
  float g = t.load(p.g + i);
  if (p.kind == TENON_CUDA_SGD) {
    const float d = g + p.decay * w;
    if (!p.first) return t.store(p.w + i, w - p.rate * d);
    const float b = p.keep * t.load(p.first + i) + p.take * d;
    t.store(p.first + i, b);
    t.store(p.w + i, w - p.rate * (p.now * d + p.buffer * b));
  } else {
    if (p.l2 != 0) g += p.l2 * w;  // not with 0: an infinite weight times zero would be NaN
    float m = t.load(p.first + i), v = t.load(p.second + i);
    m += p.take1 * (g - m);
    v = p.keep2 * v + p.take2 * g * g;
    t.store(p.first + i, m);
    t.store(p.second + i, v);
    t.store(p.w + i, w - (p.shrink * w + p.scale * m / (sqrtf(v) * p.root + p.epsilon)));
  }
}
template <class Hw>
TENON_DEVICE void update_block(Hw& hw, const tenon_cuda_update_args& p) {
  typename Hw::template registers<no_state> registers;
  hw.each(registers, [&](auto& t, no_state&) {
    for (std::int64_t i = hw.block() * small_threads + t.id(); i < p.n; i += hw.blocks() * small_threads) update_one(t, p, i);
  });
}

/// A block has 32 neighbouring columns; thread (lane, column) adds every eighth row, then one warp adds the eight lanes in order.
inline constexpr int sum_columns = 32, sum_lanes = small_threads / sum_columns;
template <class Hw>
TENON_DEVICE void sum_block(Hw& hw, const tenon_cuda_sum_args& p) {
  typename Hw::template registers<no_state> registers;
  const std::int64_t rows = p.outer * p.inner;
  const auto column = [&](const auto& t) { return hw.block() * sum_columns + t.id() % sum_columns; };
  hw.each(registers, [&](auto& t, no_state&) {
    const std::int64_t c = column(t);
    float sum = 0;
    if (c < p.length)
      for (std::int64_t r = t.id() / sum_columns; r < rows; r += sum_lanes)
        sum += t.load(p.x + (p.inner == 1 ? r * p.length + c : (r / p.inner * p.length + c) * p.inner + r % p.inner));
    t.put(t.id(), sum);
  });
  hw.sync();
  hw.each(registers, [&](auto& t, no_state&) {
    if (t.id() >= sum_columns || column(t) >= p.length) return;
    float sum = 0;
    for (int lane = 0; lane < sum_lanes; ++lane) sum += t.shared(lane * sum_columns + t.id());
    float* const y = p.y + column(t);
    t.store(y, t.load(y) + sum);
  });
}
}  // namespace tenon_cuda
