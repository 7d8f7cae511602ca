// SPDX-License-Identifier: Apache-2.0
// How a parameter starts: a pure function of seed, array and element, so that every binder starts from the same bits.
#pragma once
#include "tenon/core/maths.hpp"
#include "tenon/layers/spec.hpp"
#include "tenon/ops/random.hpp"
namespace tenon::detail {
/// fill + U(−bound, bound) + N(0, deviation²), element i of array `key.layer`.
[[gnu::noinline]] inline double initial_value(const initial& start, const random_key& key, std::uint64_t i) {
  const random_block r = key.block(i);
  const double u = (static_cast<double>(r.v[0]) + 0.5) * 0x1p-32;
  double v = static_cast<double>(start.fill) + static_cast<double>(start.bound) * (2 * u - 1);
  if (start.deviation > 0) {  // Box and Muller 1958
    const double a = (static_cast<double>(r.v[1]) + 0.5) * 0x1p-32, b = static_cast<double>(r.v[2]) * 0x1p-32;
    v += static_cast<double>(start.deviation) * maths::sqrt(-2 * maths::log(a)) * maths::cos(6.283185307179586 * b);
  }
  return v;
}
}  // namespace tenon::detail
