// SPDX-License-Identifier: Apache-2.0
// The door out: to_dlpack. One heap block holds the struct, its shape and strides, and keeps the memory alive.
#pragma once
#include <cstdint>
#include <new>
#include <type_traits>
#include "tenon/tensor/dlpack.hpp"
#include "tenon/tensor/tensor.hpp"
namespace tenon {
namespace detail {
template <managed_struct M>
struct export_block {
  M managed{};
  storage owner;
  std::int64_t dims[2 * max_rank];
  static void destroy(M* m) noexcept { delete static_cast<export_block*>(m->manager_ctx); }
};

template <managed_struct M>
[[nodiscard]] errc export_array(const array_ref& a, const storage& owner, handle<M>& to, failure& why) noexcept {
  if (!versioned_struct<M> && a.read_only)
    return fail(
        why, errc::read_only, "to_dlpack",
        {.argument = "a legacy struct, which cannot say read-only", .remedy = "Export it versioned, or export tenon::copy(t)."});
  if (!a.data && a.shape.numel() != 0)
    return fail(why, errc::null_data, "to_dlpack", {.argument = "this tensor", .remedy = "It was never filled, or moved from."});
  auto* b = new (std::nothrow) export_block<M>;
  if (!b)
    return fail(why, errc::no_memory, "to_dlpack",
                {.argument = "bytes", .got = 0, .expected = static_cast<std::int64_t>(sizeof(export_block<M>))});
  b->owner = owner;
  const int rank = a.shape.rank();
  for (int i = 0; i < rank; ++i) {
    b->dims[i] = a.shape[i];
    b->dims[rank + i] = a.strides[i];
  }
  M& m = b->managed;
  m.manager_ctx = b;
  m.deleter = export_block<M>::destroy;
  if constexpr (versioned_struct<M>) {
    m.version.major = dl::spoken.major;
    m.version.minor = dl::spoken.minor;
    m.flags = a.read_only ? dl::flag_read_only : 0;
  }
  auto& t = m.dl_tensor;
  t.data = a.shape.numel() == 0 ? nullptr : a.data;
  t.device.device_type = static_cast<decltype(t.device.device_type)>(a.device.type);
  t.device.device_id = a.device.id;
  t.ndim = rank;
  t.dtype.code = static_cast<std::uint8_t>(a.dtype.code);
  t.dtype.bits = a.dtype.bits;
  t.dtype.lanes = a.dtype.lanes;
  t.shape = rank ? b->dims : nullptr;
  t.strides = rank ? b->dims + rank : nullptr;
  t.byte_offset = 0;
  to = handle<M>(&m);
  return errc::ok;
}
}  // namespace detail

/// Exports without a copy: the consumer's call of the deleter lets go of the memory, on any thread. `M` is any managed struct:
/// ours of either generation, or a foreign dlpack.h's. Errors: read_only (const data in a legacy struct), null_data, no_memory.
template <managed_struct M = dl::managed_tensor_versioned, class T, class Device>
[[nodiscard]] errc try_to_dlpack(const tensor<T, Device>& t, handle<M>& to, failure& why) noexcept {
  return detail::export_array(t.describe(), t.owner(), to, why);
}
#if TENON_EXCEPTIONS
/// As try_to_dlpack, throwing tenon::error. `.release()` gives the raw struct away.
template <managed_struct M = dl::managed_tensor_versioned, class T, class Device>
[[nodiscard]] handle<M> to_dlpack(const tensor<T, Device>& t) {
  handle<M> h;
  if (failure f; try_to_dlpack(t, h, f) != errc::ok) [[unlikely]]
    detail::raise(f);
  return h;
}
template <managed_struct M = dl::managed_tensor_versioned, class T, class Device>
handle<M> to_dlpack(const strided_view<T, Device>&) =
    delete;  // a view owns nothing: export a tensor, or tenon::borrow(view, keep_alive)
template <managed_struct M = dl::managed_tensor_versioned, class T, class Device>
handle<M> to_dlpack(const view<T, Device>&) = delete;  // a view owns nothing: export a tensor, or tenon::borrow(view, keep_alive)
#endif
}  // namespace tenon
