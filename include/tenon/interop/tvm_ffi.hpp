// SPDX-License-Identifier: Apache-2.0
// tvm::ffi::Tensor and TensorView at the doors, without a copy:
//   auto x = tenon::from_tvm_ffi<const float>(t);             // t: a Tensor; keeps its memory alive
//   auto rows = tenon::view_as<tenon::view<const float, tenon::extents<tenon::dyn, 3>>>(v);   // v: a TensorView or Tensor; borrows
//   tvm::ffi::Tensor back = tenon::to_tvm_ffi(y);             // keeps y's memory alive
// tvm-ffi checks nothing of what comes in, and its tensors cannot say read-only: what comes out of them is taken as writable.
#pragma once
#include <tvm/ffi/container/tensor.h>
#include "tenon/interop/described.hpp"
#include "tenon/interop/dlpack.hpp"
#include "tenon/tensor/export.hpp"
namespace tenon {
/// Errors: null_handle, rank, null_shape, overflow and value (a byte offset that leads nowhere).
template <>
struct adapter<tvm::ffi::TensorView> {
  static errc try_describe(const tvm::ffi::TensorView& t, array_ref& a, failure& why) noexcept {
    constexpr const char* op = "view_as";
    if (const errc c = detail::set_rank(op, t.ndim(), a, why); c != errc::ok) return c;
    const std::int64_t *const sizes = t.shape().data(), *steps = nullptr;
    if (a.shape.rank() > 0) {
      if (!sizes) return detail::fail(why, errc::null_shape, op, {.argument = "shape"});
      try {
        steps = t.strides().data();
      } catch (...) {  // they may be missing: row-major
      }
    }
    for (int i = 0; i < a.shape.rank(); ++i) a.shape.d[i] = sizes[i];
    a.strides = dense_strides(a.shape);
    for (int i = 0; steps && i < a.shape.rank(); ++i) a.strides.d[i] = steps[i];
    a.dtype = {static_cast<dtype_code>(t.dtype().code), t.dtype().bits, t.dtype().lanes};
    a.device = {static_cast<device_type>(t.device().device_type), t.device().device_id};
    a.read_only = false;
    const auto base = reinterpret_cast<std::intptr_t>(t.data_ptr());
    std::intptr_t first = 0;  // in the half of the addresses where data is
    if (__builtin_add_overflow(base, t.byte_offset(), &first) || (first ^ base) < 0)
      return detail::fail(why, errc::overflow, op,
                          {.argument = "byte_offset",
                           .got = static_cast<std::int64_t>(t.byte_offset()),
                           .expected = (base < 0 ? -1 : INT64_MAX) - base,
                           .relation = "at most "});
    if (t.byte_offset() != 0 && detail::opaque_devices.contains(a.device.type))
      return detail::fail(why, errc::value, op,
                          {.argument = "byte_offset, where data is a handle and no address",
                           .got = static_cast<std::int64_t>(t.byte_offset()),
                           .expected = 0});
    a.data = t.data_ptr() ? reinterpret_cast<void*>(first) : nullptr;
    return errc::ok;
  }
  static constexpr bool borrows = true;
};
template <>
struct adapter<tvm::ffi::Tensor> {
  static errc try_describe(const tvm::ffi::Tensor& t, array_ref& a, failure& why) noexcept {
    if (!t.defined())
      return detail::fail(why, errc::null_handle, "view_as", {.argument = "the tvm::ffi::Tensor, which is undefined"});
    return adapter<tvm::ffi::TensorView>::try_describe(tvm::ffi::TensorView(t), a, why);
  }
};

/// Shares the tensor's memory and keeps it alive. `T` is the element type (`const T` to read alone), or void: known at run time.
/// Errors: those of its adapter (above), and those of from_dlpack that can arise.
template <class T = void, class Device = cpu>
[[nodiscard]] errc try_from_tvm_ffi(tvm::ffi::Tensor t, tensor<T, Device>& to, failure& why,
                                    const import_options& o = {}) noexcept {
  return detail::try_share("from_tvm_ffi", t, to, why, o);
}
/// Shares a tensor's memory and keeps it alive. Errors: null_data, read_only, no_memory, foreign; `to` is then untouched.
template <class T, class Device>
[[nodiscard]] errc try_to_tvm_ffi(const tensor<T, Device>& t, tvm::ffi::Tensor& to, failure& why,
                                  const leaving_options& o = {}) noexcept {
  constexpr const char* op = "to_tvm_ffi";
  if (const errc c = detail::check_leaving(op, t.describe(), !o.assume_unwritten, why); c != errc::ok) return c;
  handle<DLManagedTensorVersioned> h;
  if (const errc c = try_to_dlpack(t, h, why); c != errc::ok) return c;
  try {
    to = tvm::ffi::Tensor::FromDLPackVersioned(h.get());
    static_cast<void>(h.release());
    return errc::ok;
  } catch (...) { return detail::foreign_failure(op, why); }
}
/// As try_from_tvm_ffi, throwing tenon::error.
template <class T = void, class Device = cpu>
[[nodiscard]] tensor<T, Device> from_tvm_ffi(const tvm::ffi::Tensor& t, const import_options& o = {}) {
  tensor<T, Device> x;
  failure f;
  detail::check(try_from_tvm_ffi(t, x, f, o), f);
  return x;
}
/// As try_to_tvm_ffi, throwing tenon::error.
template <class T, class Device>
[[nodiscard]] tvm::ffi::Tensor to_tvm_ffi(const tensor<T, Device>& t, const leaving_options& o = {}) {
  tvm::ffi::Tensor x;
  failure f;
  detail::check(try_to_tvm_ffi(t, x, f, o), f);
  return x;
}
}  // namespace tenon
