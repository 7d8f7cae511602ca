// SPDX-License-Identifier: Apache-2.0
// at::Tensor at the doors, both ways, without a copy:
//   auto x = tenon::from_torch<const float>(t);                                        // keeps t's memory alive
//   auto rows = tenon::view_as<tenon::view<const float, tenon::extents<tenon::dyn, 3>>>(t);   // borrows
//   at::Tensor back = tenon::to_torch(y);                                              // keeps y's memory alive
// Its fields are read and at::for_blob is called, not at::toDLPack and at::fromDLPack: these check nothing of what is checked here, the
// versioned ones are not in every libtorch, and none carries the read-only flag. Needs libtorch 1.11 or newer.
// A build for several libtorch at once is torch_stable.hpp's.
#pragma once
#include <ATen/core/Tensor.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/DispatchKeySet.h>
#include "tenon/interop/described.hpp"
#include "tenon/interop/torch_types.hpp"
namespace tenon {
namespace detail {
/// What stands between the numbers in memory and the values that PyTorch shows. Errors: null_handle, value.
inline errc check_plain_torch(const char* op, const at::Tensor& t, failure& why) noexcept {
  if (!t.defined()) return fail(why, errc::null_handle, op, {.argument = "the at::Tensor, which is undefined"});
  auto no = [&](const char* what, const char* remedy) {
    return fail(why, errc::value, op, {.argument = what, .remedy = remedy});
  };
  const c10::DispatchKeySet keys = t.unsafeGetTensorImpl()->key_set();
  if (keys.has(c10::DispatchKey::Python) || keys.has(c10::DispatchKey::FuncTorchBatched) ||
      keys.has(c10::DispatchKey::FuncTorchGradWrapper) || keys.has(c10::DispatchKey::Functionalize))
    return no("a tensor subclass or wrapper (fake, vmap, functorch)", "It has no memory of its own: unwrap it first.");
  if (t.layout() != at::kStrided) return no("a tensor that is not strided (sparse, mkldnn)", "Pass t.to_dense().");
  if (t.is_meta() || !t.has_storage()) return no("a meta tensor, or one without storage", "It has no elements.");
  if (t.is_conj()) return no("a tensor with the conjugate bit", "Pass t.resolve_conj().");
  if (t.is_neg()) return no("a tensor with the negative bit", "Pass t.resolve_neg().");
  return errc::ok;
}
}  // namespace detail

/// A tensor that requires grad is described as read-only: what is written behind autograd's back makes its gradients wrong.
/// Errors: null_handle, value (conj, neg, sparse, meta, subclasses), null_data (a storage that was freed), rank, dtype, device, foreign (an
/// exception of PyTorch's).
template <>
struct adapter<at::Tensor> {
  static errc try_describe(const at::Tensor& t, array_ref& a, failure& why) noexcept {
    constexpr const char* op = "view_as";
    try {
      if (const errc c = detail::check_plain_torch(op, t, why); c != errc::ok) return c;
      if (const errc c = detail::set_rank(op, t.dim(), a, why); c != errc::ok) return c;
      if (!detail::dtype_from_torch(t.scalar_type(), a.dtype))
        return detail::fail(why, errc::dtype, op, {.argument = "an element type that DLPack has no name for"});
      if (!detail::device_from_torch(t.device().type(), t.device().index(), a.device))
        return detail::fail(why, errc::device, op, {.argument = "a device that DLPack has no name for"});
      for (int i = 0; i < a.shape.rank(); ++i) {
        a.shape.d[i] = t.sizes()[static_cast<std::size_t>(i)];
        a.strides.d[i] = t.strides()[static_cast<std::size_t>(i)];
      }
      const auto bytes = static_cast<std::int64_t>(t.storage().nbytes());
      if (const errc c = detail::check_torch_storage(op, a, t.storage_offset(), bytes, why); c != errc::ok) return c;
      a.read_only = t.requires_grad();
      a.data = t.data_ptr();
      return errc::ok;
    } catch (...) { return detail::foreign_failure(op, why); }
  }
};

/// Shares an at::Tensor's memory and keeps it alive. `T` is the element type (`const T` to read alone), or void: known at run time.
/// Errors: those of its adapter (above), read_only (a tensor that requires grad, and a T that may be written), and those of from_dlpack
/// that can arise.
template <class T = void, class Device = cpu>
[[nodiscard]] errc try_from_torch(at::Tensor t, tensor<T, Device>& to, failure& why, const import_options& o = {}) noexcept {
  if constexpr (!std::is_void_v<T> && !std::is_const_v<T>)
    if (t.defined() && t.requires_grad() && o.copies == copy_policy::never)
      return detail::fail(
          why, errc::read_only, "from_torch",
          {.argument = "a tensor that requires grad", .remedy = "Ask for from_torch<const T>, or pass t.detach()."});
  return detail::try_share("from_torch", t, to, why, o);
}
/// Shares a tensor's memory and keeps it alive; PyTorch cannot say read-only, and cannot hold negative strides.
/// Errors: null_data, read_only, not_dense (negative strides), dtype, device, foreign; `to` is then untouched.
template <class T, class Device>
[[nodiscard]] errc try_to_torch(const tensor<T, Device>& t, at::Tensor& to, failure& why,
                                const leaving_options& o = {}) noexcept {
  constexpr const char* op = "to_torch";
  const array_ref a = t.describe();
  if (const errc c = detail::check_leaving(op, a, !o.assume_unwritten, why); c != errc::ok) return c;
  if (const errc c = detail::check_forward_strides(op, a, why); c != errc::ok) return c;
  at::ScalarType type{};
  if (!detail::dtype_to_torch(a.dtype, type))
    return detail::fail(why, errc::dtype, op,
                        {.argument = "this tensor",
                         .got = a.dtype.packed(),
                         .expected = float32.packed(),
                         .relation = "one that PyTorch has, such as "});
  at::DeviceType kind{};
  int number = 0;
  if (!detail::device_to_torch(a.device, kind, number))
    return detail::fail(why, errc::device, op,
                        {.argument = "this tensor",
                         .got = a.device.packed(),
                         .expected = device{}.packed(),
                         .relation = "one that PyTorch has, such as "});
  storage keeps = t.owner();
  try {
    const auto rank = static_cast<std::size_t>(a.shape.rank());
    const at::Device where(kind, static_cast<c10::DeviceIndex>(number));
    auto maker = at::for_blob(a.data, at::IntArrayRef(a.shape.d, rank));
    maker.strides(at::IntArrayRef(a.strides.d, rank)).options(at::TensorOptions(type).device(where)).target_device(where);
    maker.context(keeps.detach(), [](void* block) { storage::attach(block).reset(); });
    to = maker.make_tensor();
    return errc::ok;
  } catch (...) { return detail::foreign_failure(op, why); }
}
/// As try_from_torch, throwing tenon::error.
template <class T = void, class Device = cpu>
[[nodiscard]] tensor<T, Device> from_torch(const at::Tensor& t, const import_options& o = {}) {
  tensor<T, Device> x;
  failure f;
  detail::check(try_from_torch(t, x, f, o), f);
  return x;
}
/// As try_to_torch, throwing tenon::error.
template <class T, class Device>
[[nodiscard]] at::Tensor to_torch(const tensor<T, Device>& t, const leaving_options& o = {}) {
  at::Tensor x;
  failure f;
  detail::check(try_to_torch(t, x, f, o), f);
  return x;
}
}  // namespace tenon
