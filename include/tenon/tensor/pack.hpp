// SPDX-License-Identifier: Apache-2.0
// Strided host memory to dense host memory, for elements of any size. Reads what the strides reach, writes numel elements.
#pragma once
#include <cstddef>
#include <cstring>
#include "tenon/tensor/view.hpp"
namespace tenon::detail {
/// dense[i] = source[i] in row-major order, from this axis on; gives back where the next one goes.
[[gnu::noinline]] inline std::byte* pack_axis(std::byte* dense, const std::byte* from, const array_ref& a, int axis) noexcept {
  const extent n = a.shape.d[axis], by = a.strides.d[axis], width = a.bits_each() / 8;
  const bool last = axis == a.shape.rank() - 1;
  const extent run = last && by == 1 ? n : 1;  // neighbours that are copied at once
  for (extent i = 0; i < n; i += run) {  // an axis of one element may carry any stride: 0 times that does not overflow
    const std::byte* row = from + i * by * width;
    if (!last) {
      dense = pack_axis(dense, row, a, axis + 1);
    } else {
      std::memcpy(dense, row, static_cast<std::size_t>(run * width));
      dense += run * width;
    }
  }
  return dense;
}
/// dense[i] = source[i] in row-major order; every shape and stride was checked before. Where elements share bytes, it is dense already.
inline void pack(std::byte* dense, const array_ref& source) noexcept {
  const auto bytes = static_cast<std::size_t>(source.bytes());
  if (bytes == 0) return;
  if (source.dense()) std::memcpy(dense, source.data, bytes);
  else pack_axis(dense, static_cast<const std::byte*>(source.data), source, 0);
}
}  // namespace tenon::detail
