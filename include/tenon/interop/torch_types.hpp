// SPDX-License-Identifier: Apache-2.0
// PyTorch's numbers for element types and devices, and ours. Templates over its enums, which several of its headers declare, and
// whose later members older releases lack; and what both of its doors ask of a storage. Touches no memory.
#pragma once
#include "tenon/core/device.hpp"
#include "tenon/core/dtype.hpp"
#include "tenon/interop/described.hpp"
namespace tenon::detail {
/// One fp4 is half a byte: PyTorch's element holds two.
template <class S>
constexpr bool torch_small_float(S s, dtype& d) noexcept {
  if constexpr (requires { S::Float8_e4m3fn; })
    if (s == S::Float8_e4m3fn) return d = {dtype_code::f8_e4m3fn, 8, 1}, true;
  if constexpr (requires { S::Float8_e5m2; })
    if (s == S::Float8_e5m2) return d = {dtype_code::f8_e5m2, 8, 1}, true;
  if constexpr (requires { S::Float8_e4m3fnuz; })
    if (s == S::Float8_e4m3fnuz) return d = {dtype_code::f8_e4m3fnuz, 8, 1}, true;
  if constexpr (requires { S::Float8_e5m2fnuz; })
    if (s == S::Float8_e5m2fnuz) return d = {dtype_code::f8_e5m2fnuz, 8, 1}, true;
  if constexpr (requires { S::Float8_e8m0fnu; })
    if (s == S::Float8_e8m0fnu) return d = {dtype_code::f8_e8m0fnu, 8, 1}, true;
  if constexpr (requires { S::Float4_e2m1fn_x2; })
    if (s == S::Float4_e2m1fn_x2) return d = {dtype_code::f4_e2m1fn, 4, 2}, true;
  return false;
}
/// False for what DLPack has no name for (quantised types, bits).
template <class S>
constexpr bool dtype_from_torch(S s, dtype& d) noexcept {
  if constexpr (requires { S::UInt64; }) {
    if (s == S::UInt16) return d = {dtype_code::uint_, 16, 1}, true;
    if (s == S::UInt32) return d = {dtype_code::uint_, 32, 1}, true;
    if (s == S::UInt64) return d = {dtype_code::uint_, 64, 1}, true;
  }
  if (s == S::Byte) return d = {dtype_code::uint_, 8, 1}, true;
  if (s == S::Char) return d = {dtype_code::int_, 8, 1}, true;
  if (s == S::Short) return d = {dtype_code::int_, 16, 1}, true;
  if (s == S::Int) return d = {dtype_code::int_, 32, 1}, true;
  if (s == S::Long) return d = {dtype_code::int_, 64, 1}, true;
  if (s == S::Half) return d = {dtype_code::float_, 16, 1}, true;
  if (s == S::Float) return d = {dtype_code::float_, 32, 1}, true;
  if (s == S::Double) return d = {dtype_code::float_, 64, 1}, true;
  if (s == S::ComplexHalf) return d = {dtype_code::complex, 32, 1}, true;
  if (s == S::ComplexFloat) return d = {dtype_code::complex, 64, 1}, true;
  if (s == S::ComplexDouble) return d = {dtype_code::complex, 128, 1}, true;
  if (s == S::Bool) return d = {dtype_code::bool_, 8, 1}, true;
  if (s == S::BFloat16) return d = {dtype_code::bfloat, 16, 1}, true;
  return torch_small_float(s, d);
}
/// The way back, by asking for each: one table serves both.
template <class S>
constexpr bool dtype_to_torch(dtype d, S& s) noexcept {
  for (int i = 0; i < 64; ++i)
    if (dtype of; dtype_from_torch(static_cast<S>(i), of) && of == d) return s = static_cast<S>(i), true;
  return false;
}
/// False for devices that hold no memory that DLPack could name.
template <class D>
constexpr bool device_from_torch(D kind, int number, device& d) noexcept {
  const auto id = static_cast<std::int32_t>(number < 0 ? 0 : number);
  if (kind == D::CPU) return d = {device_type::cpu, 0}, true;
  if (kind == D::CUDA) return d = {device_type::cuda, id}, true;
  if (kind == D::HIP) return d = {device_type::rocm, id}, true;
  if (kind == D::XPU) return d = {device_type::oneapi, id}, true;
  if (kind == D::MPS) return d = {device_type::metal, id}, true;
  if (kind == D::Vulkan) return d = {device_type::vulkan, id}, true;
  if (kind == D::PrivateUse1) return d = {device_type::ext, id}, true;
  return false;
}
/// All memory that the host can reach is the CPU's there, which has no number.
template <class D>
constexpr bool device_to_torch(device d, D& kind, int& number) noexcept {
  if (host_devices.contains(d.type)) return kind = D::CPU, number = -1, true;
  for (int i = 0; i < 64; ++i)
    if (device of; device_from_torch(static_cast<D>(i), d.id, of) && of.type == d.type)
      return kind = static_cast<D>(i), number = d.id, true;
  return false;
}
/// A storage that was resized to nothing, as sharding libraries do, leaves tensors whose address is their offset alone; one that was made
/// shorter, tensors that reach behind it. `offset` is in elements. Errors: null_data.
[[nodiscard]] inline errc check_torch_storage(const char* op, const array_ref& a, std::int64_t offset, std::int64_t bytes,
                                              failure& why) noexcept {
  std::int64_t last = offset;
  for (int i = 0; i < a.shape.rank(); ++i) {
    if (a.shape.d[i] == 0) return errc::ok;
    last += (a.shape.d[i] - 1) * a.strides.d[i];
  }
  if (bytes / a.dtype.bytes() > last) return errc::ok;
  return fail(why, errc::null_data, op, {.argument = "a tensor whose storage was freed or made too short"});
}
}  // namespace tenon::detail
