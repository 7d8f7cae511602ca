// SPDX-License-Identifier: Apache-2.0
// Learning rates as functions of the step, counted from 0: `opt.lr = rate(step++)`. Touches no memory.
#pragma once
#include "tenon/core/maths.hpp"
#include "tenon/core/shape.hpp"
#include "tenon/train/real.hpp"
namespace tenon {
namespace detail {
/// From a (part = 0) to b (part = 1) along half a cosine.
inline double cosine_between(double a, double b, double part) {
  constexpr double pi = 3.14159265358979323846;
  return b + (a - b) / 2 * (1 + maths::cos(pi * part));
}
}  // namespace detail

/// The same rate at every step.
struct constant_rate {
  real value = 1e-3;
  double operator()(extent) const { return value; }
};

/// max at step `warmup` (after a straight rise from max/warmup), along half a cosine to min at `steps`, min afterwards.
/// With warmup = 0 it is PyTorch's CosineAnnealingLR(T_max = steps, eta_min = min) on steps 0 … steps.
struct cosine {
  real max = 1e-3, min = 0;
  size steps = 1, warmup = 0;
  double operator()(extent step) const {
    if (step < warmup) return max * static_cast<double>(step + 1) / static_cast<double>(warmup);
    if (step >= steps) return min;
    return detail::cosine_between(max, min, static_cast<double>(step - warmup) / static_cast<double>(steps - warmup));
  }
};

/// From max/start_divisor up to max during the part `rise` of the steps, then down to max/(start_divisor·end_divisor) at the last
/// one, both along half a cosine; later steps keep that. PyTorch's OneCycleLR(max, steps, pct_start = rise) with its defaults.
struct one_cycle {
  real max = 3e-3;
  size steps = 1;
  real rise = 0.3, start_divisor = 25, end_divisor = 1e4;
  double operator()(extent step) const {
    const double start = max / start_divisor, last = static_cast<double>(steps - 1), peak = rise * static_cast<double>(steps) - 1;
    const double at = static_cast<double>(step) < last ? static_cast<double>(step) : last;
    if (at <= peak) return detail::cosine_between(start, max, peak > 0 ? at / peak : 1);
    return detail::cosine_between(max, start / end_divisor, (at - peak) / (last - peak));
  }
};
}  // namespace tenon
