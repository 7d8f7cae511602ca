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
  if ((o.alignment & (o.alignment - 1)) != 0 || o.alignment > most_alignment)
    return fail(why, errc::value, want.operation,
                {.argument = "alignment: a power of two",
                 .got = static_cast<std::int64_t>(o.alignment),
                 .expected = static_cast<std::int64_t>(most_alignment),
                 .relation = "at most "});
  import_report done{.producer_copied = (from.flags & dl::flag_is_copied) != 0};
  done.reason = copy_reason::asked_for;
  if (o.copies != copy_policy::always) {
    const errc c = check_import(from, want, o, a, why);
    done.reason = mended_by_copy(c);
    // A copy is host memory: where it cannot be made, or is not what was asked for, the first cause is told.
    const bool copies = o.copies == copy_policy::if_needed && want.devices.contains(device_type::cpu) &&
                        host_devices.contains(static_cast<device_type>(from.device.device_type));
    if (c != errc::ok && (!copies || done.reason == copy_reason::none)) return c;
  }
  if (done.reason != copy_reason::none) {
    import_request shared = want;
    shared.alignment = 1;
    shared.writable = shared.row_major = shared.column_major = false;
    import_options as_it_is = o;
    as_it_is.alignment = 1;
    if (const errc c = check_import(from, shared, as_it_is, a, why); c != errc::ok) return c;
    if (!want.devices.contains(device_type::cpu))
      return fail(why, errc::device, want.operation,
                  {.argument = "a copy at the door, which is host memory",
                   .got = device{}.packed(),
                   .expected = device{want.devices.first(), 0}.packed()});
    const auto least = static_cast<std::size_t>(want.alignment);
    const copy_form form{want.operation, least > o.alignment ? least : o.alignment, want.column_major};
    if (const errc c = dense_copy(a, copied, why, form); c != errc::ok) return c;
    if (a.shape.numel() == 0) a.data = nullptr;
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
template <class T>
inline constexpr bool says_its_size = dtype_of<std::remove_const_t<T>>::value.bytes() == sizeof(T);
/// Called at the doors too, so that a compiler's way back to the user's line is short.
template <class T>
constexpr void expect_element() noexcept {
  if constexpr (!std::is_void_v<T>) {
    static_assert(element<T>, "[from_dlpack] this type is no element: specialise tenon::dtype_of<T>");
    if constexpr (element<T>)
      static_assert(says_its_size<T>, "[from_dlpack] tenon::dtype_of<T> says another size than sizeof(T)");
  }
}
/// What an element type asks for; void: nothing.
template <class T>
constexpr import_request request_of_element() noexcept {
  expect_element<T>();
  import_request want;
  if constexpr (element<T>) {
    want.any_dtype = false;
    want.dtype = dtype_of<std::remove_const_t<T>>::value;
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
  detail::expect_element<T>();
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
