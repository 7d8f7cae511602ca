// SPDX-License-Identifier: Apache-2.0
// Ort::Value at the doors, both ways, without a copy:
//   tenon::ort_value x = tenon::to_onnxruntime(t);            // keeps t's memory alive; Ort::Value cannot
//   auto out = session.Run({}, inputs, &x.value, 1, outputs, 1);
//   auto y = tenon::from_onnxruntime<const float>(std::move(out[0]));                  // keeps the Value alive
//   auto v = tenon::view_as<tenon::view<const float, tenon::dims<2>>>(out[1]);         // borrows
// ONNX Runtime's tensors are dense and on the host or a device that it names by a number; strings, maps and sequences are refused.
#pragma once
#include <onnxruntime_cxx_api.h>
#include "tenon/interop/described.hpp"
namespace tenon {
namespace detail {
/// For both ways. Strings, and what DLPack has no name for, are not in it.
struct onnxruntime_pair {
  ONNXTensorElementDataType theirs;
  dtype ours;
};
inline constexpr onnxruntime_pair onnxruntime_dtypes[] = {
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, {dtype_code::float_, 32, 1}},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8, {dtype_code::uint_, 8, 1}},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8, {dtype_code::int_, 8, 1}},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16, {dtype_code::uint_, 16, 1}},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16, {dtype_code::int_, 16, 1}},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32, {dtype_code::int_, 32, 1}},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64, {dtype_code::int_, 64, 1}},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL, {dtype_code::bool_, 8, 1}},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16, {dtype_code::float_, 16, 1}},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE, {dtype_code::float_, 64, 1}},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32, {dtype_code::uint_, 32, 1}},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64, {dtype_code::uint_, 64, 1}},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_COMPLEX64, {dtype_code::complex, 64, 1}},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_COMPLEX128, {dtype_code::complex, 128, 1}},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16, {dtype_code::bfloat, 16, 1}},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT8E4M3FN, {dtype_code::f8_e4m3fn, 8, 1}},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT8E4M3FNUZ, {dtype_code::f8_e4m3fnuz, 8, 1}},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT8E5M2, {dtype_code::f8_e5m2, 8, 1}},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT8E5M2FNUZ, {dtype_code::f8_e5m2fnuz, 8, 1}},
};
constexpr bool dtype_from_onnxruntime(ONNXTensorElementDataType t, dtype& d) noexcept {
  for (const auto& [theirs, ours] : onnxruntime_dtypes)
    if (theirs == t) return d = ours, true;
  return false;
}
constexpr bool dtype_to_onnxruntime(dtype d, ONNXTensorElementDataType& t) noexcept {
  for (const auto& [theirs, ours] : onnxruntime_dtypes)
    if (ours == d) return t = theirs, true;
  return false;
}
/// Where ONNX Runtime's memory is. A GPU is CUDA's unless the allocator says otherwise by its name.
inline bool device_from_onnxruntime(const Ort::ConstMemoryInfo& m, device& d) {
  if (m.GetDeviceType() == OrtMemoryInfoDeviceType_CPU) return d = {}, true;
  if (m.GetDeviceType() != OrtMemoryInfoDeviceType_GPU || m.GetAllocatorName() != "Cuda") return false;
  return d = {device_type::cuda, m.GetDeviceId()}, true;
}
}  // namespace detail

/// Errors: null_handle, value (no tensor), dtype, device, rank, foreign.
template <>
struct adapter<Ort::Value> {
  static errc try_describe(const Ort::Value& v, array_ref& a, failure& why) noexcept {
    constexpr const char* op = "view_as";
    try {
      if (!v) return detail::fail(why, errc::null_handle, op, {.argument = "the Ort::Value, which is empty"});
      if (!v.IsTensor()) return detail::fail(why, errc::value, op, {.argument = "an Ort::Value that is no tensor"});
      const Ort::TensorTypeAndShapeInfo info = v.GetTensorTypeAndShapeInfo();
      if (!detail::dtype_from_onnxruntime(info.GetElementType(), a.dtype))
        return detail::fail(why, errc::dtype, op, {.argument = "an element type that DLPack has no name for"});
      if (!detail::device_from_onnxruntime(v.GetTensorMemoryInfo(), a.device))
        return detail::fail(why, errc::device, op, {.argument = "a device that DLPack has no name for"});
      const auto extents = info.GetShape();
      if (const errc c = detail::set_rank(op, extents.size(), a, why); c != errc::ok) return c;
      for (int i = 0; i < a.shape.rank(); ++i) a.shape.d[i] = extents[static_cast<std::size_t>(i)];
      a.strides = dense_strides(a.shape);
      a.read_only = false;
      a.data = const_cast<void*>(v.GetTensorRawData());
      return errc::ok;
    } catch (...) { return detail::foreign_failure(op, why); }
  }
};

/// Shares the Value's memory and keeps it alive. On an error the Value is untouched. Errors: those of its adapter (above), and those of
/// from_dlpack that can arise.
template <class T = void, class Device = cpu>
[[nodiscard]] errc try_from_onnxruntime(Ort::Value&& v, tensor<T, Device>& to, failure& why,
                                        const import_options& o = {}) noexcept {
  return detail::try_share("from_onnxruntime", v, to, why, o);
}
/// An Ort::Value over memory that `owner` keeps alive: let both live as long as ONNX Runtime uses the value.
struct ort_value {
  Ort::Value value{nullptr};
  storage owner;
};
/// Shares a tensor's memory. One that may not be written makes an input, which ONNX Runtime only reads; do not bind it as an output.
/// Errors: null_data, not_dense, dtype, device, foreign; `to` is then untouched.
template <class T, class Device>
[[nodiscard]] errc try_to_onnxruntime(const tensor<T, Device>& t, ort_value& to, failure& why) noexcept {
  constexpr const char* op = "to_onnxruntime";
  const array_ref a = t.describe();
  if (const errc c = detail::check_leaving(op, a, false, why); c != errc::ok) return c;
  if (!a.dense()) return detail::fail(why, errc::not_dense, op, {.argument = "this tensor", .remedy = "Pass tenon::copy(t)."});
  ONNXTensorElementDataType type{};
  if (!detail::dtype_to_onnxruntime(a.dtype, type))
    return detail::fail(why, errc::dtype, op,
                        {.argument = "this tensor",
                         .got = a.dtype.packed(),
                         .expected = float32.packed(),
                         .relation = "one that ONNX Runtime has, such as "});
  const bool host = host_devices.contains(a.device.type);
  if (!host && a.device.type != device_type::cuda)
    return detail::fail(why, errc::device, op,
                        {.argument = "this tensor", .got = a.device.packed(), .expected = device{}.packed()});
  try {
    const Ort::MemoryInfo where = host ? Ort::MemoryInfo::CreateCpu(OrtDeviceAllocator, OrtMemTypeDefault)
                                       : Ort::MemoryInfo("Cuda", OrtDeviceAllocator, a.device.id, OrtMemTypeDefault);
    to.value = Ort::Value::CreateTensor(where, a.data, static_cast<std::size_t>(a.shape.numel() * a.dtype.bytes()), a.shape.d,
                                        static_cast<std::size_t>(a.shape.rank()), type);
    to.owner = t.owner();
    return errc::ok;
  } catch (...) { return detail::foreign_failure(op, why); }
}
/// As try_from_onnxruntime, throwing tenon::error.
template <class T = void, class Device = cpu>
[[nodiscard]] tensor<T, Device> from_onnxruntime(Ort::Value&& v, const import_options& o = {}) {
  tensor<T, Device> x;
  failure f;
  detail::check(try_from_onnxruntime(std::move(v), x, f, o), f);
  return x;
}
/// As try_to_onnxruntime, throwing tenon::error.
template <class T, class Device>
[[nodiscard]] ort_value to_onnxruntime(const tensor<T, Device>& t) {
  ort_value x;
  failure f;
  detail::check(try_to_onnxruntime(t, x, f), f);
  return x;
}
}  // namespace tenon
