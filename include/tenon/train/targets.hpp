// SPDX-License-Identifier: Apache-2.0
// What losses and batches are given, whatever its type: one description of it, and its elements as numbers. Reads host memory.
#pragma once
#include <type_traits>
#include "tenon/tensor/tensor.hpp"
namespace tenon::detail {
/// What a tensor of either kind, or anything adaptable, is.
template <class X>
array_ref describe_any(const X& x) {
  if constexpr (is_tensor<X>) {
    return x.describe();
  } else {
    static_assert(expect_adaptable<const X>());
    const shape s = adapter<X>::shape(x);
    return describe(adapter<X>::data(x), s, adapted_strides(x, s), adapted_device(x));
  }
}
constexpr bool is_integer(dtype d) {
  return d.lanes == 1 && (d.code == dtype_code::int_ || d.code == dtype_code::uint_ || d.code == dtype_code::bool_);
}
constexpr bool is_real(dtype d) { return d == float32 || d == float64 || d == bfloat16_dtype; }

/// The elements of an array as numbers, in row-major order. Refers to the description; whether it is dense is asked once.
class numbers {
  const array_ref& a_;
  bool flat_;

  [[gnu::noinline]] extent at(extent i) const noexcept {
    if (flat_) return i;
    extent offset = 0;
    for (int axis = a_.shape.rank() - 1; axis >= 0; --axis) {
      offset += i % a_.shape[axis] * a_.strides[axis];
      i /= a_.shape[axis];
    }
    return offset;
  }
  template <class T>
  T get(extent i) const noexcept {
    return static_cast<const T*>(a_.data)[at(i)];
  }

 public:
  explicit numbers(const array_ref& a) noexcept : a_(a), flat_(a.dense()) {}
  numbers(array_ref&&) = delete;  // it refers to the description
  /// An element of integer type; unsigned ones above INT64_MAX come out negative.
  [[gnu::noinline]] std::int64_t integer(extent i) const noexcept {
    const bool is_signed = a_.dtype.code == dtype_code::int_;
    switch (a_.dtype.bits) {
      case 8: return is_signed ? get<std::int8_t>(i) : get<std::uint8_t>(i);
      case 16: return is_signed ? get<std::int16_t>(i) : get<std::uint16_t>(i);
      case 32: return is_signed ? get<std::int32_t>(i) : std::int64_t{get<std::uint32_t>(i)};
      default: return get<std::int64_t>(i);
    }
  }
  /// An element of real type.
  [[gnu::noinline]] double real(extent i) const noexcept {
    if (a_.dtype == float32) return static_cast<double>(get<float>(i));
    if (a_.dtype == float64) return get<double>(i);
    return static_cast<double>(static_cast<float>(get<bfloat16>(i)));
  }
};
/// Host memory is behind it.
[[gnu::cold]] inline errc check_host(const array_ref& a, const char* operation, const char* argument, failure& f) noexcept {
  if (a.device.type != device_type::cpu)
    return fail(f, errc::device, operation, {.argument = argument, .got = a.device.packed(), .expected = device{}.packed()});
  if (!a.data && a.shape.numel() != 0) return fail(f, errc::null_data, operation, {.argument = argument});
  const auto off = reinterpret_cast<std::uintptr_t>(a.data) % (a.dtype.bits < 8 ? 1 : a.dtype.bits / 8u);
  if (off)
    return fail(f, errc::alignment, operation, {.argument = argument, .got = static_cast<std::int64_t>(off), .expected = 0});
  return errc::ok;
}
/// Both shapes are the same.
[[gnu::cold]] inline errc check_shape(const shape& got, const shape& expected, const char* operation, const char* argument,
                                      failure& f) noexcept {
  if (got.rank() != expected.rank())
    return fail(f, errc::rank, operation, {.argument = argument, .got = got.rank(), .expected = expected.rank()});
  for (int i = 0; i < got.rank(); ++i)
    if (got[i] != expected[i])
      return fail(f, errc::extent, operation, {.argument = argument, .axis = i, .got = got[i], .expected = expected[i]});
  return errc::ok;
}
}  // namespace tenon::detail
