// SPDX-License-Identifier: Apache-2.0
// torch::stable::Tensor at the doors, so that one binary serves every PyTorch from TORCH_TARGET_VERSION on:
//   auto x = tenon::from_torch_stable<const float>(t);       // keeps t alive
//   torch::stable::Tensor y = tenon::to_torch_stable(x);     // keeps x alive; target 2.11 or newer
// Reads the fields through PyTorch's C functions; its dlpack.h, an #error in such a build, is not needed. The stable functions cannot
// ask whether a tensor requires grad: kernels run below autograd, which has seen to it. They never see a conjugate or negative bit
// either, since PyTorch resolves both before a kernel of ours is called; who calls from elsewhere must do the same. Copies nothing.
#pragma once
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <memory>
#include "tenon/interop/described.hpp"
#include "tenon/interop/torch_types.hpp"
namespace tenon {
/// Errors: null_handle, value (not strided), null_data (a storage that was freed), rank, dtype, device, foreign (an exception of PyTorch's).
template <>
struct adapter<torch::stable::Tensor> {
  static errc try_describe(const torch::stable::Tensor& t, array_ref& a, failure& why) noexcept {
    constexpr const char* op = "view_as";
    try {
      if (!t.get() || !t.defined())
        return detail::fail(why, errc::null_handle, op, {.argument = "the tensor, which is undefined"});
      if (t.layout() != torch::headeronly::Layout::Strided)
        return detail::fail(why, errc::value, op, {.argument = "a tensor that is not strided", .remedy = "Pass t.to_dense()."});
      if (const errc c = detail::set_rank(op, t.dim(), a, why); c != errc::ok) return c;
      if (!detail::dtype_from_torch(t.scalar_type(), a.dtype))
        return detail::fail(why, errc::dtype, op, {.argument = "an element type that DLPack has no name for"});
      if (!detail::device_from_torch(t.device().type(), t.get_device_index(), a.device))
        return detail::fail(why, errc::device, op, {.argument = "a device that DLPack has no name for"});
      const auto sizes = t.sizes(), strides = t.strides();
      for (int i = 0; i < a.shape.rank(); ++i) {
        a.shape.d[i] = sizes[static_cast<std::size_t>(i)];
        a.strides.d[i] = strides[static_cast<std::size_t>(i)];
      }
      std::int64_t bytes = 0;
      TORCH_ERROR_CODE_CHECK(aoti_torch_get_storage_size(t.get(), &bytes));
      if (const errc c = detail::check_torch_storage(op, a, t.storage_offset(), bytes, why); c != errc::ok) return c;
      a.read_only = false;
      a.data = t.data_ptr();
      return errc::ok;
    } catch (...) { return detail::foreign_failure(op, why); }
  }
};

/// Shares the tensor's memory and keeps it alive. Errors: those of its adapter (above), and those of from_dlpack that can arise.
template <class T = void, class Device = cpu>
[[nodiscard]] errc try_from_torch_stable(torch::stable::Tensor t, tensor<T, Device>& to, failure& why,
                                         const import_options& o = {}) noexcept {
  constexpr const char* op = "from_torch_stable";
  array_ref a;
  if (const errc c = adapter<torch::stable::Tensor>::try_describe(t, a, why); c != errc::ok) {
    why.operation = op;
    return c;
  }
  try {
    std::shared_ptr<void> keeps = std::make_shared<torch::stable::Tensor>(std::move(t));  // its own type has hidden visibility
    return detail::import_owned(op, detail::read_array(a), keeps, to, why, o);
  } catch (...) { return detail::foreign_failure(op, why); }
}
/// As try_from_torch_stable, throwing tenon::error.
template <class T = void, class Device = cpu>
[[nodiscard]] tensor<T, Device> from_torch_stable(const torch::stable::Tensor& t, const import_options& o = {}) {
  tensor<T, Device> x;
  failure f;
  detail::check(try_from_torch_stable(t, x, f, o), f);
  return x;
}
#if TORCH_FEATURE_VERSION >= TORCH_VERSION_2_11_0  // older ones cannot keep an owner
/// Shares a tensor's memory and keeps it alive. Errors: null_data, read_only, not_dense (negative strides), dtype, device, foreign; `to`
/// is then untouched.
template <class T, class Device>
[[nodiscard]] errc try_to_torch_stable(const tensor<T, Device>& t, torch::stable::Tensor& to, failure& why,
                                       const leaving_options& o = {}) noexcept {
  constexpr const char* op = "to_torch_stable";
  const array_ref a = t.describe();
  if (const errc c = detail::check_leaving(op, a, !o.assume_unwritten, why); c != errc::ok) return c;
  if (const errc c = detail::check_forward_strides(op, a, why); c != errc::ok) return c;
  torch::headeronly::ScalarType type{};
  torch::headeronly::DeviceType kind{};
  int number = 0;
  if (!detail::dtype_to_torch(a.dtype, type))
    return detail::fail(why, errc::dtype, op,
                        {.argument = "this tensor",
                         .got = a.dtype.packed(),
                         .expected = float32.packed(),
                         .relation = "one that PyTorch has, such as "});
  if (!detail::device_to_torch(a.device, kind, number))
    return detail::fail(why, errc::device, op,
                        {.argument = "this tensor",
                         .got = a.device.packed(),
                         .expected = device{}.packed(),
                         .relation = "one that PyTorch has, such as "});
  try {
    const auto rank = static_cast<std::size_t>(a.shape.rank());
    to = torch::stable::from_blob(a.data, {a.shape.d, rank}, {a.strides.d, rank}, torch::stable::Device(kind, number), type,
                                  [keeps = t.owner()](void*) {});
    return errc::ok;
  } catch (...) { return detail::foreign_failure(op, why); }
}
/// As try_to_torch_stable, throwing tenon::error.
template <class T, class Device>
[[nodiscard]] torch::stable::Tensor to_torch_stable(const tensor<T, Device>& t, const leaving_options& o = {}) {
  torch::stable::Tensor x;
  failure f;
  detail::check(try_to_torch_stable(t, x, f, o), f);
  return x;
}
#endif
}  // namespace tenon
