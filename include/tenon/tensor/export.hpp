// SPDX-License-Identifier: Apache-2.0
// The door out: to_dlpack. One heap block holds the struct, its shape and strides, and keeps the memory alive. Copies only if asked.
#pragma once
#include <concepts>
#include <cstddef>
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
  /// never: shares or fails. if_needed: copies what cannot be shared so (read-only data in a legacy struct, a negative stride that is
  /// refused). always: copies. A copy is dense, writable host memory, counted, and flagged as the consumer's own (IS_COPIED).
  copy_policy copies = copy_policy::never;
  bool negative_strides = true;  // false: refuse them, for consumers that cannot take them (PyTorch ends the process)
};

namespace detail {
/// One heap block: the struct, who keeps the memory alive, and behind both shape and strides.
template <managed_struct M, class Owner>
struct export_block {
  alignas(M) std::byte managed[sizeof(M)];  // no M: files that see other headers would disagree on this type, and linkers say so
  Owner owner;
  explicit export_block(Owner&& o) noexcept : owner(std::move(o)) {}
  static void destroy(M* m) noexcept {
    auto* b = static_cast<export_block*>(m->manager_ctx);
    b->~export_block();
    ::operator delete(static_cast<void*>(b));
  }
};
/// In the room of the memory's own block, where nobody else has it; manager_ctx is the share that it holds.
template <managed_struct M>
void destroy_in_room(M* m) noexcept {
  storage::attach(m->manager_ctx).give_room_back();
}
static_assert(sizeof(dl::managed_tensor_versioned) + 2 * max_rank * sizeof(std::int64_t) <= storage::room_bytes);

/// What a consumer may rely on: byte_offset 0, a deleter, shape and strides for each axis, no address for no elements. Null where no
/// memory is left; `owner` is then as it was.
template <managed_struct M, class Owner>
[[nodiscard]] M* export_fields(void* data, dtype type, device where, int rank, const extent* shape, const extent* strides,
                               std::uint64_t flags, Owner&& owner) noexcept {
  M* m = nullptr;
  std::int64_t* extents = nullptr;
  if constexpr (std::same_as<std::remove_cvref_t<Owner>, storage> &&
                sizeof(M) + 2 * max_rank * sizeof(std::int64_t) <= storage::room_bytes)
    if (void* room = owner.take_room()) [[likely]] {
      m = new (room) M;
      extents = reinterpret_cast<std::int64_t*>(m + 1);
      m->manager_ctx = storage(std::forward<Owner>(owner)).detach();
      m->deleter = destroy_in_room<M>;
    }
  if (!m) [[unlikely]] {
    using block = export_block<M, std::remove_cvref_t<Owner>>;
    void* p = ::operator new(sizeof(block) + 2 * static_cast<std::size_t>(rank) * sizeof(std::int64_t), std::nothrow);
    if (!p) return nullptr;
    auto* const b = new (p) block(std::remove_cvref_t<Owner>(std::forward<Owner>(owner)));
    m = new (b->managed) M;
    extents = reinterpret_cast<std::int64_t*>(b + 1);
    m->manager_ctx = b;
    m->deleter = block::destroy;
  }
  bool empty = false;
  for (int i = 0; i < rank; ++i) {
    empty |= shape[i] == 0;
    extents[i] = shape[i];
    extents[rank + i] = strides[i];
  }
  if constexpr (versioned_struct<M>) {
    m->version.major = dl::spoken.major;
    m->version.minor = dl::spoken.minor;
    m->flags = flags;
  }
  auto& t = m->dl_tensor;
  t.data = empty ? nullptr : data;
  t.device.device_type = static_cast<decltype(t.device.device_type)>(where.type);
  t.device.device_id = host_devices.contains(where.type) ? 0 : where.id;  // some frameworks number parts of the host
  t.ndim = rank;
  t.dtype.code = static_cast<std::uint8_t>(type.code);
  t.dtype.bits = type.bits;
  t.dtype.lanes = type.lanes;
  t.shape = rank ? extents : nullptr;
  t.strides = rank ? extents + rank : nullptr;
  t.byte_offset = 0;
  return m;
}
/// What a struct says in its flags.
constexpr std::uint64_t flags_of(const array_ref& a) noexcept {
  return (a.read_only ? dl::flag_read_only : 0) | (a.padded ? dl::flag_subbyte_padded : 0);
}
/// What of an export does not depend on its size. Errors: read_only, null_data.
template <managed_struct M>
[[nodiscard, gnu::cold, gnu::noinline]] errc check_export(const void* data, bool empty, bool read_only, failure& why) noexcept {
  if (!versioned_struct<M> && read_only)
    return fail(why, errc::read_only, "to_dlpack",
                {.argument = "a legacy struct, which cannot say read-only",
                 .remedy = "Export it versioned, or a copy: to_dlpack(t, {.copies = tenon::copy_policy::if_needed})."});
  if (!data && !empty)
    return fail(why, errc::null_data, "to_dlpack", {.argument = "this tensor", .remedy = "It was never filled, or moved from."});
  return errc::ok;
}
[[nodiscard, gnu::cold, gnu::noinline]] inline errc no_memory_to_export(failure& why) noexcept {
  return fail(why, errc::no_memory, "to_dlpack", {.argument = "the struct"});
}
/// Errors: read_only, dtype (small elements with a byte each in a legacy struct), null_data, no_memory.
template <managed_struct M, class Owner>
[[nodiscard]] errc export_array(const array_ref& a, Owner&& owner, handle<M>& to, failure& why,
                                std::uint64_t flags = 0) noexcept {
  if (!a.data || a.read_only)
    if (const errc c = check_export<M>(a.data, a.shape.numel() == 0, a.read_only, why); c != errc::ok) return c;
  if (!versioned_struct<M> && a.padded)
    return fail(why, errc::dtype, "to_dlpack",
                {.argument = "a legacy struct, which cannot say that small elements have a byte each",
                 .got = a.dtype.packed(),
                 .expected = uint8.packed(),
                 .relation = "one of whole bytes, such as ",
                 .remedy = "Export it versioned."});
  flags |= flags_of(a);
  M* const m =
      export_fields<M>(a.data, a.dtype, a.device, a.shape.rank(), a.shape.d, a.strides.d, flags, std::forward<Owner>(owner));
  if (!m) return no_memory_to_export(why);
  to = handle<M>(m);
  return errc::ok;
}
/// The struct, or null where something is to be said about it.
template <managed_struct M, class T, class Device>
[[nodiscard, gnu::always_inline]] inline M* export_plainly(const tensor<T, Device>& t) noexcept {
  if (!t.data() || (t.read_only() && !versioned_struct<M>)) [[unlikely]]
    return nullptr;
  if constexpr (std::is_void_v<T>) {
    const array_ref& a = t.describe();
    if (!versioned_struct<M> && a.padded) [[unlikely]]
      return nullptr;
    return export_fields<M>(a.data, a.dtype, a.device, a.shape.rank(), a.shape.d, a.strides.d, flags_of(a), t.owner());
  } else {
    const std::uint64_t flags = t.read_only() ? dl::flag_read_only : 0;
    constexpr bool host = device_traits<Device>::host_accessible;
    const device where{device_traits<Device>::type, host ? 0 : t.owner().device()};
    auto* p = const_cast<std::remove_const_t<T>*>(t.data());
    return export_fields<M>(p, dtype_of<std::remove_const_t<T>>::value, where, t.rank(), t.shape().d, t.strides().d, flags,
                            t.owner());
  }
}
/// The first axis that goes backwards, −1 for none.
constexpr int first_negative(const shape& s, const strides& st) noexcept {
  for (int i = 0; i < s.rank(); ++i)
    if (s.d[i] > 1 && st.d[i] < 0) return i;
  return -1;
}
/// Errors: read_only, dtype, null_data, not_dense, device, no_memory; `owner` is then as it was.
template <managed_struct M, class Owner>
[[gnu::noinline]] errc export_as_asked(array_ref a, Owner&& owner, handle<M>& to, failure& why,
                                       const export_options& o) noexcept {
  const int backward = o.negative_strides ? -1 : first_negative(a.shape, a.strides);
  const bool must = backward >= 0 || (!versioned_struct<M> && a.read_only);
  if (const bool filled = a.data || a.shape.numel() == 0;
      filled && (o.copies == copy_policy::always || (o.copies == copy_policy::if_needed && must))) {
    storage fresh;
    if (const errc c = dense_copy(a, fresh, why, {.operation = "to_dlpack"}); c != errc::ok) return c;
    return export_array(a, fresh, to, why, dl::flag_is_copied);
  }
  if (backward >= 0)
    return fail(
        why, errc::not_dense, "to_dlpack",
        {.argument = "a tensor with a negative stride",
         .axis = backward,
         .remedy = "Export a copy: {.copies = tenon::copy_policy::if_needed}, or allow them: {.negative_strides = true}."});
  return export_array(a, std::forward<Owner>(owner), to, why);
}
template <class V>
concept any_view =
    is_view<V> || is_typed_view<V> || std::same_as<V, strided_view<typename V::element_type, typename V::device_type>>;
constexpr bool plain(const export_options& o) noexcept { return o.copies != copy_policy::always && o.negative_strides; }
}  // namespace detail

/// Exports without a copy, unless `o` asks for one: the consumer's call of the deleter lets go of the memory, on any thread. `M` is any
/// managed struct: ours of either generation, or a foreign dlpack.h's. Errors: read_only and dtype (what a legacy struct cannot say), null_data,
/// not_dense (negative strides, where `o` refuses them), device (a copy of what is not the host's), no_memory.
template <managed_struct M = dl::managed_tensor_versioned, class T, class Device>
  requires(!detail::is_extents<Device>)
[[nodiscard]] errc try_to_dlpack(const tensor<T, Device>& t, handle<M>& to, failure& why, const export_options& o = {}) noexcept {
  if (detail::plain(o)) [[likely]]
    if (M* m = detail::export_plainly<M>(t)) [[likely]] {
      to = handle<M>(m);
      return errc::ok;
    }
  return detail::export_as_asked(t.describe(), t.owner(), to, why, o);
}
/// A typed owner hands on what it owns, and is then empty. Errors as above; nothing has then changed.
template <managed_struct M = dl::managed_tensor_versioned, class T, extent... E, class... Tags>
[[nodiscard]] errc try_to_dlpack(tensor<T, extents<E...>, Tags...>&& t, handle<M>& to, failure& why,
                                 const export_options& o = {}) noexcept {
  const errc c = detail::export_as_asked(detail::describe(t), std::move(detail::owner_access::of(t)), to, why, o);
  if (c == errc::ok) t.reset();
  return c;
}
template <managed_struct M = dl::managed_tensor_versioned, class T, extent... E, class... Tags>
errc try_to_dlpack(const tensor<T, extents<E...>, Tags...>&, handle<M>&, failure&,
                   const export_options& = {}) = delete;  // this owner does not share: pass std::move(t), or share it first
#if TENON_EXCEPTIONS
namespace detail {
template <managed_struct M, class T, class Device>
[[gnu::cold, gnu::noinline]] handle<M> export_or_raise(const tensor<T, Device>& t, const export_options& o) {
  handle<M> h;
  if (failure f; export_as_asked(t.describe(), t.owner(), h, f, o) != errc::ok) raise(f);
  return h;
}
}  // namespace detail
/// As try_to_dlpack, throwing tenon::error. `.release()` gives the raw struct away.
template <managed_struct M = dl::managed_tensor_versioned, class T, class Device>
  requires(!detail::is_extents<Device>)
[[nodiscard]] handle<M> to_dlpack(const tensor<T, Device>& t, const export_options& o = {}) {
  if (detail::plain(o)) [[likely]]
    if (M* m = detail::export_plainly<M>(t)) [[likely]]
      return handle<M>(m);
  return detail::export_or_raise<M>(t, o);
}
template <managed_struct M = dl::managed_tensor_versioned, class T, extent... E, class... Tags>
[[nodiscard]] handle<M> to_dlpack(tensor<T, extents<E...>, Tags...>&& t, const export_options& o = {}) {
  handle<M> h;
  if (failure f; try_to_dlpack(std::move(t), h, f, o) != errc::ok) [[unlikely]]
    detail::raise(f);
  return h;
}
template <managed_struct M = dl::managed_tensor_versioned, class T, extent... E, class... Tags>
handle<M> to_dlpack(const tensor<T, extents<E...>, Tags...>&, const export_options& = {}) =
    delete;  // this owner does not share: to_dlpack(std::move(t)), or std::move(t).share() first
template <managed_struct M = dl::managed_tensor_versioned, detail::any_view V>
handle<M> to_dlpack(const V&, auto...) = delete;  // a view owns nothing: export a tensor, or tenon::borrow(view, keep_alive)
#endif
}  // namespace tenon
