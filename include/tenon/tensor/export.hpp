// SPDX-License-Identifier: Apache-2.0
// The door out: to_dlpack. One heap block holds the struct, its shape and strides, and keeps the memory alive. Copies only if asked.
#pragma once
#include <cstdint>
#include <new>
#include <type_traits>
#include <utility>
#include "tenon/tensor/dlpack.hpp"
#include "tenon/tensor/tensor.hpp"
#include "tenon/tensor/typed_tensor.hpp"
namespace tenon {
/// How an export is made.
struct export_options {
  /// never, if_needed: shares. always: a dense, writable copy of host memory, counted, and flagged as the consumer's own (IS_COPIED).
  copy_policy copies = copy_policy::never;
  bool negative_strides = true;  // false: refuse them, for consumers that cannot take them (PyTorch ends the process)
};

namespace detail {
/// One heap block: the struct, who keeps the memory alive, and behind both shape and strides.
template <managed_struct M, class Owner>
struct export_block {
  M managed;
  Owner owner;
  static void destroy(M* m) noexcept {
    auto* b = static_cast<export_block*>(m->manager_ctx);
    b->~export_block();
    ::operator delete(static_cast<void*>(b));
  }
};

/// What a consumer may rely on: byte_offset 0, a deleter, shape and strides for each axis, no address for no elements.
/// Errors: read_only, null_data, not_dense, no_memory; `owner` is then as it was.
template <managed_struct M, class Owner>
[[nodiscard]] errc export_fields(void* data, dtype type, device where, int rank, const extent* shape, const extent* strides,
                                 bool read_only, std::uint64_t flags, Owner&& owner, handle<M>& to, failure& why) noexcept {
  using block = export_block<M, std::remove_cvref_t<Owner>>;
  constexpr const char* op = "to_dlpack";
  if (!versioned_struct<M> && read_only) [[unlikely]]
    return fail(why, errc::read_only, op,
                {.argument = "a legacy struct, which cannot say read-only",
                 .remedy = "Export it versioned, or a copy: to_dlpack(t, {.copies = tenon::copy_policy::always})."});
  const auto dims = static_cast<std::size_t>(rank);
  const std::size_t bytes = sizeof(block) + 2 * dims * sizeof(std::int64_t);
  void* p = ::operator new(bytes, std::nothrow);
  if (!p) [[unlikely]]
    return fail(why, errc::no_memory, op, {.argument = "bytes", .got = 0, .expected = static_cast<std::int64_t>(bytes)});
  auto* const b = new (p) block{{}, std::forward<Owner>(owner)};
  auto* const extents = reinterpret_cast<std::int64_t*>(b + 1);
  bool empty = false;
  for (int i = 0; i < rank; ++i) {
    empty |= shape[i] == 0;
    extents[i] = shape[i];
    extents[rank + i] = strides[i];
  }
  M& m = b->managed;
  m.manager_ctx = b;
  m.deleter = block::destroy;
  if constexpr (versioned_struct<M>) {
    m.version.major = dl::spoken.major;
    m.version.minor = dl::spoken.minor;
    m.flags = flags | (read_only ? dl::flag_read_only : 0);
  }
  auto& t = m.dl_tensor;
  t.data = empty ? nullptr : data;
  t.device.device_type = static_cast<decltype(t.device.device_type)>(where.type);
  t.device.device_id = where.id;
  t.ndim = rank;
  t.dtype.code = static_cast<std::uint8_t>(type.code);
  t.dtype.bits = type.bits;
  t.dtype.lanes = type.lanes;
  t.shape = rank ? extents : nullptr;
  t.strides = rank ? extents + rank : nullptr;
  t.byte_offset = 0;
  to = handle<M>(&m);
  return errc::ok;
}
template <managed_struct M>
[[nodiscard]] errc export_array(const array_ref& a, const storage& owner, handle<M>& to, failure& why,
                                std::uint64_t flags = 0) noexcept {
  if (!a.data && a.shape.numel() != 0) [[unlikely]]
    return fail(why, errc::null_data, "to_dlpack", {.argument = "this tensor", .remedy = "It was never filled, or moved from."});
  return export_fields(a.data, a.dtype, a.device, a.shape.rank(), a.shape.d, a.strides.d, a.read_only, flags, owner, to, why);
}
/// The first axis that goes backwards, −1 for none.
constexpr int first_negative(const shape& s, const strides& st) noexcept {
  for (int i = 0; i < s.rank(); ++i)
    if (st.d[i] < 0 && s.d[i] > 1) return i;
  return -1;
}
template <managed_struct M, class T, class Device>
[[gnu::noinline]] errc export_as_asked(const tensor<T, Device>& t, handle<M>& to, failure& why,
                                       const export_options& o) noexcept {
  array_ref a = t.describe();
  if (o.copies == copy_policy::always) {
    storage fresh;
    if (!a.data && a.shape.numel() != 0) return export_array(a, fresh, to, why);  // says so
    if (const errc c = dense_copy(a, fresh, why, {}); c != errc::ok) return c;
    a.data = fresh.data();
    a.strides = dense_strides(a.shape);
    a.read_only = false;
    return export_array(a, fresh, to, why, dl::flag_is_copied);
  }
  if (const int axis = o.negative_strides ? -1 : first_negative(a.shape, a.strides); axis >= 0)
    return fail(why, errc::not_dense, "to_dlpack",
                {.argument = "a tensor with a negative stride",
                 .axis = axis,
                 .remedy = "Export a copy: {.copies = tenon::copy_policy::always}, or allow them: {.negative_strides = true}."});
  return export_array(a, t.owner(), to, why);
}
}  // namespace detail

/// Exports without a copy, unless `o` asks for one: the consumer's call of the deleter lets go of the memory, on any thread. `M` is any
/// managed struct: ours of either generation, or a foreign dlpack.h's. Errors: read_only (const data in a legacy struct), null_data,
/// not_dense (negative strides, where `o` refuses them), device (a copy of what is not the host's), no_memory.
template <managed_struct M = dl::managed_tensor_versioned, class T, class Device>
[[nodiscard]] errc try_to_dlpack(const tensor<T, Device>& t, handle<M>& to, failure& why, const export_options& o = {}) noexcept {
  if (o.copies == copy_policy::always || !o.negative_strides) return detail::export_as_asked(t, to, why, o);
  if constexpr (std::is_void_v<T>) {
    return detail::export_array(t.describe(), t.owner(), to, why);
  } else {
    if (!t.data() && t.shape().numel() != 0) [[unlikely]]
      return detail::export_as_asked(t, to, why, o);
    constexpr bool host = device_traits<Device>::host_accessible;
    const device where{device_traits<Device>::type, host ? 0 : t.owner().device()};
    auto* p = const_cast<std::remove_const_t<T>*>(t.data());
    return detail::export_fields(p, dtype_of<std::remove_const_t<T>>::value, where, t.rank(), t.shape().d, t.strides().d,
                                 t.read_only(), 0, t.owner(), to, why);
  }
}
/// A typed owner hands on what it owns, and is then empty. Errors: read_only, no_memory; nothing has then changed.
template <managed_struct M = dl::managed_tensor_versioned, class T, extent... E, class... Tags>
[[nodiscard]] errc try_to_dlpack(tensor<T, extents<E...>, Tags...>&& t, handle<M>& to, failure& why) noexcept {
  const shape s = t.shape();
  const strides st = t.strides();
  auto* p = const_cast<std::remove_const_t<T>*>(t.data());
  if (!p && t.numel() != 0) [[unlikely]]
    return detail::fail(why, errc::null_data, "to_dlpack",
                        {.argument = "this tensor", .remedy = "It was never filled, or moved from."});
  const errc c = detail::export_fields(p, dtype_of<std::remove_const_t<T>>::value, t.view().device(), t.rank(), s.d, st.d,
                                       std::is_const_v<T>, 0, std::move(t).owner(), to, why);
  if (c == errc::ok) t.reset();
  return c;
}
#if TENON_EXCEPTIONS
/// As try_to_dlpack, throwing tenon::error. `.release()` gives the raw struct away.
template <managed_struct M = dl::managed_tensor_versioned, class T, class Device>
[[nodiscard]] handle<M> to_dlpack(const tensor<T, Device>& t, const export_options& o = {}) {
  handle<M> h;
  if (failure f; try_to_dlpack(t, h, f, o) != errc::ok) [[unlikely]]
    detail::raise(f);
  return h;
}
template <managed_struct M = dl::managed_tensor_versioned, class T, extent... E, class... Tags>
[[nodiscard]] handle<M> to_dlpack(tensor<T, extents<E...>, Tags...>&& t) {
  handle<M> h;
  if (failure f; try_to_dlpack(std::move(t), h, f) != errc::ok) [[unlikely]]
    detail::raise(f);
  return h;
}
template <managed_struct M = dl::managed_tensor_versioned, class T, extent... E, class... Tags>
handle<M> to_dlpack(const tensor<T, extents<E...>, Tags...>&) =
    delete;  // this owner does not share: to_dlpack(std::move(t)), or std::move(t).share() first
template <managed_struct M = dl::managed_tensor_versioned, class T, class Device>
handle<M> to_dlpack(const strided_view<T, Device>&) =
    delete;  // a view owns nothing: export a tensor, or tenon::borrow(view, keep_alive)
template <managed_struct M = dl::managed_tensor_versioned, class T, class Device>
handle<M> to_dlpack(const view<T, Device>&) = delete;  // a view owns nothing: export a tensor, or tenon::borrow(view, keep_alive)
#endif
}  // namespace tenon
