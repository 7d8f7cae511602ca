// SPDX-License-Identifier: Apache-2.0
// A field that takes any number: `{.lr = 1e-3f}`, `opt.lr = rate(step)` and `{.lr = 0.001}` are no narrowing. Touches no memory.
#pragma once
#include <type_traits>
namespace tenon {
/// A double that any number converts to without a warning: hyper-parameters have double precision, as PyTorch's have.
struct real {
  double v = 0;
  constexpr real() = default;
  template <class N>
    requires std::is_arithmetic_v<N>
  constexpr real(N n) : v(static_cast<double>(n)) {}
  constexpr operator double() const { return v; }
};
}  // namespace tenon
