// SPDX-License-Identifier: Apache-2.0
// The door in: from_dlpack. Checks every field before anything is used, in sizes, strides and addresses that cannot overflow.
// On an error the caller's handle keeps ownership and nothing has changed.
#pragma once
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>
#include "tenon/tensor/check_import.hpp"
#include "tenon/tensor/dlpack.hpp"
#include "tenon/tensor/extents.hpp"
#include "tenon/tensor/pack.hpp"
#include "tenon/tensor/tensor.hpp"
namespace tenon {
namespace detail {
/// Fresh memory with what a checked array holds; `a` then describes it. Errors: device, no_memory, overflow.
inline errc copy_in(const import_request& want, std::size_t aligned_to, array_ref& a, storage& to, failure& why) noexcept {
  if (!host_devices.contains(a.device.type))
    return fail(why, errc::device, want.operation,
                {.argument = "a copy at the door", .got = a.device.packed(), .expected = device{}.packed()});
  const auto bytes = static_cast<std::size_t>(a.bytes());
  const std::size_t spare = aligned_to > alignment ? aligned_to : 0;
  if (const errc c = storage::try_allocate(bytes + spare, to, why); c != errc::ok) return c;
  std::byte* p = to.data();
  if (spare) p += (aligned_to - reinterpret_cast<std::uintptr_t>(p) % aligned_to) % aligned_to;
  array_ref from = a;
  if (want.column_major)  // is row-major with the axes in reverse
    for (int i = 0, n = a.shape.rank(); i < n; ++i) {
      from.shape.d[i] = a.shape.d[n - 1 - i];
      from.strides.d[i] = a.strides.d[n - 1 - i];
    }
  pack(p, from);
  count(&traffic::copied, bytes);
  const strides dense = dense_strides(from.shape);
  for (int i = 0, n = a.shape.rank(); i < n; ++i) a.strides.d[i] = dense.d[want.column_major ? n - 1 - i : i];
  a.data = a.shape.numel() ? p : nullptr;
  a.device = {};
  a.read_only = false;
  return errc::ok;
}
/// What a copy mends.
constexpr copy_reason mended_by_copy(errc c) noexcept {
  return c == errc::alignment   ? copy_reason::misaligned
         : c == errc::read_only ? copy_reason::read_only
         : c == errc::not_dense ? copy_reason::layout
                                : copy_reason::none;
}
/// The rules, and the copy that the policy allows: `copied` then holds what `a` describes, else it is empty.
[[gnu::noinline]] inline errc admit(const import_source& from, const import_request& want, const import_options& o, array_ref& a,
                                    storage& copied, failure& why) noexcept {
  if (comes_plainly(from, want, o, a)) [[likely]]
    return errc::ok;
  a = {};
  import_report done{.producer_copied = (from.flags & dl::flag_is_copied) != 0};
  done.reason = copy_reason::asked_for;
  if (o.copies != copy_policy::always) {
    const errc c = check_import(from, want, o, a, why);
    done.reason = mended_by_copy(c);
    if (c != errc::ok && (o.copies == copy_policy::never || done.reason == copy_reason::none)) return c;
  }
  if (done.reason != copy_reason::none) {
    import_request shared = want;
    shared.alignment = 1;
    shared.writable = shared.row_major = shared.column_major = false;
    import_options as_it_is = o;
    as_it_is.alignment = 1;
    if (const errc c = check_import(from, shared, as_it_is, a, why); c != errc::ok) return c;
    if (const errc c = copy_in(want, o.alignment, a, copied, why); c != errc::ok) return c;
    done.copied = true;
    done.bytes = static_cast<std::uint64_t>(a.bytes());
  }
  if (o.report) *o.report = done;
  return errc::ok;
}
template <managed_struct M>
[[nodiscard]] errc check_handle(const handle<M>& h, failure& why) noexcept {
  constexpr const char* op = "from_dlpack";
  if (!h) [[unlikely]]
    return fail(why, errc::null_handle, op,
                {.argument = "the handle", .remedy = "It was moved from, or the producer gave nothing."});
  if constexpr (versioned_struct<M>)
    if (h->version.major != dl::spoken.major) [[unlikely]]  // nothing behind the version may be read
      return fail(why, errc::version, op,
                  {.argument = "DLPack major version", .got = h->version.major, .expected = dl::spoken.major});
  return errc::ok;
}
/// What an element type asks for; void: nothing.
template <class T>
constexpr import_request request_of_element() noexcept {
  import_request want;
  if constexpr (!std::is_void_v<T>) {
    static_assert(element<T>, "[from_dlpack] this type is no element: specialise tenon::dtype_of<T>");
    want.any_dtype = false;
    want.dtype = dtype_of<std::remove_const_t<T>>::value;
    static_assert(dtype_of<std::remove_const_t<T>>::value.bytes() == sizeof(T),
                  "[from_dlpack] tenon::dtype_of<T> says another size than sizeof(T)");
    want.alignment = alignof(T);
    want.writable = !std::is_const_v<T>;
  }
  return want;
}
/// A tensor of what `from` describes and `owner` keeps alive. The owner moves in on success (after a copy it is let go at once); on an
/// error it is untouched.
template <class T, class Device, class Owner>
[[nodiscard]] errc import_owned(const char* operation, const import_source& from, Owner& owner, tensor<T, Device>& to,
                                failure& why, const import_options& o) noexcept {
  import_request want = request_of_element<T>();
  want.operation = operation;
  want.devices = device_set{device_traits<Device>::type};
  array_ref a;
  storage s;
  if (const errc c = admit(from, want, o, a, s, why); c != errc::ok) return c;
  const auto bytes = static_cast<std::size_t>(a.bytes());
  if (s) const Owner spent(std::move(owner));
  else if (const errc c = storage::try_adopt(std::move(owner), a.data, bytes, s, why, a.device.id); c != errc::ok) return c;
  if constexpr (std::is_void_v<T>) to = tensor<void, Device>(std::move(s), a);
  else to = tensor<T, Device>(std::move(s), strided_view<T, Device>(static_cast<T*>(a.data), a.shape, a.strides), a.read_only);
  return errc::ok;
}
}  // namespace detail

/// Imports without a copy, unless `o` allows one. `T` is the element type (`const T` where the producer may not be written), or void:
/// known at run time. The device's number is the producer's; a model's door compares it with its own.
/// On success `h` is empty and its deleter runs when the last user of the tensor is gone (after a copy: at once); on an error `h` is
/// untouched. Errors: null_handle, version, rank, dtype, device, read_only, null_shape, negative_extent, overflow, null_strides,
/// null_data, alignment, no_memory.
template <class T = void, class Device = cpu, managed_struct M>
  requires(!detail::is_extents<Device>)
[[nodiscard]] errc try_from_dlpack(handle<M>& h, tensor<T, Device>& to, failure& why, const import_options& o = {}) noexcept {
  if (const errc c = detail::check_handle(h, why); c != errc::ok) return c;
  return detail::import_owned("from_dlpack", detail::read_managed(*h), h, to, why, o);
}
#if TENON_EXCEPTIONS
/// As try_from_dlpack, throwing tenon::error; the handle then still owns.
template <class T = void, class Device = cpu, managed_struct M>
  requires(!detail::is_extents<Device>)
[[nodiscard]] tensor<T, Device> from_dlpack(handle<M>&& h, const import_options& o = {}) {
  tensor<T, Device> t;
  if (failure f; try_from_dlpack<T, Device>(h, t, f, o) != errc::ok) [[unlikely]]
    detail::raise(f);
  return t;
}
template <class T = void, class Device = cpu, class... Promises, managed_struct M>
void from_dlpack(handle<M>& h, const import_options& o = {}) = delete;  // ownership moves: from_dlpack(std::move(h))
template <class T = void, class Device = cpu, class... Promises, managed_struct M>
void from_dlpack(M*, const import_options& = {}) = delete;  // raw pointers enter as from_dlpack(tenon::own(raw))
#endif
}  // namespace tenon
