// SPDX-License-Identifier: Apache-2.0
// What the host side checks before it queues anything, and how it says what is wrong. Touches the thread's text alone.
#pragma once
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include "cuda_kernels/host/runtime.h"
namespace tenon_cuda {
inline thread_local char last_text[256] = "ok";

/// Writes the text of an error and gives its status.
[[gnu::format(printf, 2, 3)]] inline tenon_cuda_status fail(tenon_cuda_status code, const char* format, ...) noexcept {
  va_list values;
  va_start(values, format);
  std::vsnprintf(last_text, sizeof last_text, format, values);
  va_end(values);
  return code;
}
inline tenon_cuda_status runtime_failed(int error, const char* what) noexcept {
  return fail(error, "%s: CUDA error %d, %s", what, error, runtime().text(error));
}

constexpr std::uint64_t largest_struct = 4096;
/// A struct of a caller as this library knows it: what an earlier caller did not have is zero, and what a later one has beyond it
/// must be, so that nothing is ignored that somebody asked for. Errors: STRUCT, NULL.
template <class Args>
tenon_cuda_status take(const Args* given, Args& to, std::uint64_t first_size) noexcept {
  if (!given) return fail(TENON_CUDA_NULL, "the arguments are a null pointer");
  const std::uint64_t size = given->size;
  if (size < first_size || size > largest_struct)
    return fail(TENON_CUDA_STRUCT, "size of the arguments: got %llu, expected %llu to %llu",
                static_cast<unsigned long long>(size), static_cast<unsigned long long>(first_size),
                static_cast<unsigned long long>(largest_struct));
  const auto* const bytes = reinterpret_cast<const unsigned char*>(given);
  for (std::uint64_t i = sizeof(Args); i < size; ++i)
    if (bytes[i])
      return fail(TENON_CUDA_STRUCT, "byte %llu of the arguments: got %d, expected 0: this library knows %llu",
                  static_cast<unsigned long long>(i), bytes[i], static_cast<unsigned long long>(sizeof(Args)));
  std::memset(&to, 0, sizeof to);
  std::memcpy(&to, given, static_cast<std::size_t>(size < sizeof(Args) ? size : sizeof(Args)));
  return TENON_CUDA_OK;
}

/// An array of n floats. Errors: NULL, ALIGNMENT.
inline tenon_cuda_status floats(const char* name, const void* p, std::uint64_t align = 4) noexcept {
  if (!p) return fail(TENON_CUDA_NULL, "%s is a null pointer", name);
  if (const auto off = reinterpret_cast<std::uintptr_t>(p) % align)
    return fail(TENON_CUDA_ALIGNMENT, "address of %s: got %llu more than a multiple of %llu", name,
                static_cast<unsigned long long>(off), static_cast<unsigned long long>(align));
  return TENON_CUDA_OK;
}
/// 0 ≤ n ≤ most.
inline tenon_cuda_status extent(const char* name, std::int64_t n, std::int64_t most) noexcept {
  if (n >= 0 && n <= most) return TENON_CUDA_OK;
  return fail(TENON_CUDA_EXTENT, "%s: got %lld, expected 0 to %lld", name, static_cast<long long>(n),
              static_cast<long long>(most));
}
/// The last of [rows, columns] floats, `row` apart, has an address. Errors: OVERFLOW.
inline tenon_cuda_status addressable(const char* name, std::int64_t rows, std::int64_t columns, std::int64_t row) noexcept {
  std::int64_t last = 0;
  if (rows <= 1 || (!__builtin_mul_overflow(rows - 1, row, &last) && !__builtin_add_overflow(last, columns, &last) &&
                    !__builtin_mul_overflow(last, std::int64_t{4}, &last)))
    return TENON_CUDA_OK;
  return fail(TENON_CUDA_OVERFLOW, "%s: [%lld, %lld] with rows %lld apart has no address", name, static_cast<long long>(rows),
              static_cast<long long>(columns), static_cast<long long>(row));
}

/// An operand, seen as [extent, k], from its two strides. Errors: NULL, ALIGNMENT, STRIDE, OVERFLOW.
inline tenon_cuda_status take_operand(const char* name, const float* p, std::int64_t extent_stride, std::int64_t k_stride,
                                      std::int64_t extent, std::int64_t k, operand& to, layout& how) noexcept {
  if (const auto s = floats(name, p)) return s;
  if (extent_stride < 0 || k_stride < 0 || (extent_stride != 1 && k_stride != 1 && extent > 1 && k > 1))
    return fail(TENON_CUDA_STRIDE, "strides of %s: got %lld and %lld, expected one to be 1 and none below 0", name,
                static_cast<long long>(extent_stride), static_cast<long long>(k_stride));
  how = k_stride == 1 || k <= 1 ? layout::along_k : layout::across;
  to = {p, how == layout::along_k ? extent_stride : k_stride, static_cast<int>(extent), false};
  const std::int64_t rows = how == layout::along_k ? extent : k;
  if (rows <= 1) to.ld = 0;  // whatever it says
  to.vectors = how == layout::across && reinterpret_cast<std::uintptr_t>(p) % 16 == 0 && to.ld % 4 == 0 && extent % 4 == 0;
  return addressable(name, rows, how == layout::along_k ? k : extent, to.ld);
}
}  // namespace tenon_cuda
