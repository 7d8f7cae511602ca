// SPDX-License-Identifier: Apache-2.0
// Strided host memory to dense host memory, for elements of any size. Reads what the strides reach, writes numel elements.
#pragma once
#include <cstddef>
#include <cstring>
#include "tenon/tensor/view.hpp"
namespace tenon::detail {
/// dense[i] = source[i] in row-major order; every shape and stride was checked before.
inline void pack(std::byte* dense, const array_ref& source) noexcept {
  const auto width = static_cast<std::size_t>(source.dtype.bytes());
  const shape& s = source.shape;
  const auto* from = static_cast<const std::byte*>(source.data);
  if (s.numel() == 0) return;
  if (source.dense()) {
    std::memcpy(dense, from, static_cast<std::size_t>(s.numel()) * width);
    return;
  }
  const int last = s.rank() - 1;
  strides by = source.strides;
  for (int i = 0; i <= last; ++i)
    if (s[i] == 1) by.d[i] = 0;  // such an axis may carry any stride, which must not overflow below
  const extent inner = s[last], step = by[last] * static_cast<extent>(width);
  extent at[max_rank]{}, offset = 0;  // offset of the row, in elements
  for (;;) {
    const std::byte* row = from + offset * static_cast<extent>(width);
    if (by[last] == 1) {
      std::memcpy(dense, row, static_cast<std::size_t>(inner) * width);
      dense += static_cast<std::size_t>(inner) * width;
    } else {
      for (extent i = 0; i < inner; ++i, dense += width) std::memcpy(dense, row + i * step, width);
    }
    int axis = last - 1;
    for (; axis >= 0; --axis) {
      offset += by[axis];
      if (++at[axis] < s[axis]) break;
      offset -= by[axis] * s[axis];
      at[axis] = 0;
    }
    if (axis < 0) return;
  }
}
}  // namespace tenon::detail
