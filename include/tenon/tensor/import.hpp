// SPDX-License-Identifier: Apache-2.0
// The door in: from_dlpack. Checks every field before anything is used, in sizes, strides and addresses that cannot overflow.
// On an error the caller's handle keeps ownership and nothing has changed.
#pragma once
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>
#include "tenon/tensor/dlpack.hpp"
#include "tenon/tensor/layout.hpp"
#include "tenon/tensor/tensor.hpp"
namespace tenon {
struct import_options {
  bool assume_writable = false;  // a legacy struct cannot say read-only, and is taken as read-only unless this is set
  copy_policy copies = copy_policy::if_needed;  // always: a copy of our own, counted; if_needed and never: shares (it always can)
  bool strict = false;  // refuse NULL strides from DLPack ≥ 1.2
};

namespace detail {
struct import_request {
  bool any_dtype = true;
  tenon::dtype dtype{};
  std::int64_t alignment = 1;
  bool writable = false;
  device_type device = device_type::cpu;
};
struct import_source {
  void* data;
  dl::device device;
  std::int64_t ndim;
  dl::data_type dtype;
  const std::int64_t* shape;
  const std::int64_t* strides;
  std::uint64_t byte_offset, flags;
  bool versioned, may_omit_strides;
};

inline errc check_import(const import_source& t, const import_request& want, const import_options& o, array_ref& out,
                         failure& why) noexcept {
  constexpr const char* op = "from_dlpack";
  if (t.ndim < 0 || t.ndim > max_rank)
    return fail(why, errc::rank, op, {.argument = "ndim", .got = t.ndim, .expected = max_rank, .relation = "0 to "});
  array_ref a;
  a.dtype = {static_cast<dtype_code>(t.dtype.code), t.dtype.bits, t.dtype.lanes};
  a.device = {static_cast<device_type>(t.device.device_type), t.device.device_id};
  if (!want.any_dtype && a.dtype != want.dtype)
    return fail(why, errc::dtype, op, {.argument = "dtype", .got = a.dtype.packed(), .expected = want.dtype.packed()});
  // Sub-byte elements pass where they come packed in whole bytes (float4_e2m1fn_x2), not one a byte.
  const bool whole = a.dtype.bits * a.dtype.lanes % 8 == 0 && !(a.dtype.bits < 8 && (t.flags & dl::flag_subbyte_padded));
  if (!whole || (want.any_dtype && !a.dtype.known()))
    return fail(why, errc::dtype, op,
                {.argument = "dtype",
                 .got = a.dtype.packed(),
                 .expected = float32.packed(),
                 .relation = "one of whole bytes that DLPack 1.3 knows, such as "});
  if (a.device.type != want.device || (a.device.id < 0 && want.device != device_type::cpu))
    return fail(why, errc::device, op,
                {.argument = "device", .got = a.device.packed(), .expected = device{want.device, 0}.packed()});
  a.read_only = t.versioned ? (t.flags & dl::flag_read_only) != 0 : !o.assume_writable;
  if (want.writable && a.read_only)
    return fail(why, errc::read_only, op,
                {.argument = t.versioned ? "the producer's tensor" : "a legacy tensor, which cannot say that it may be written",
                 .remedy = t.versioned ? "Import it as from_dlpack<const T>."
                                       : "Import it as from_dlpack<const T>, or pass {.assume_writable = true}."});
  if (t.ndim > 0 && !t.shape) return fail(why, errc::null_shape, op, {.argument = "shape"});
  if (t.ndim > 0 && !t.strides && !t.may_omit_strides && o.strict)
    return fail(why, errc::null_strides, op, {.argument = "strides", .remedy = "DLPack 1.2 asks for them."});
  layout_source from{
      .data = t.data, .byte_offset = t.byte_offset, .shape = t.shape, .strides = t.strides, .alignment = want.alignment};
  if (const errc c = check_layout(op, from, static_cast<int>(t.ndim), a, why); c != errc::ok) return c;
  // Elements that share memory cannot be written one by one: a broadcast array is read-only, whatever its producer says.
  for (int i = 0; i < a.shape.rank(); ++i)
    if (a.data && a.strides[i] == 0 && a.shape[i] > 1) {
      a.read_only = true;
      if (want.writable)
        return fail(
            why, errc::read_only, op,
            {.argument = "a broadcast tensor, whose elements share memory", .remedy = "Import it as from_dlpack<const T>."});
    }
  out = a;
  return errc::ok;
}

template <managed_struct M>
import_source read_managed(const M& m) noexcept {
  const auto& t = m.dl_tensor;
  import_source s{t.data,        {static_cast<std::int32_t>(t.device.device_type), t.device.device_id},
                  t.ndim,        {static_cast<std::uint8_t>(t.dtype.code), t.dtype.bits, t.dtype.lanes},
                  t.shape,       t.strides,
                  t.byte_offset, 0,
                  false,         true};
  if constexpr (versioned_struct<M>) {
    s.flags = m.flags;
    s.versioned = true;
    s.may_omit_strides = m.version.minor < 2;
  }
  return s;
}
}  // namespace detail

/// Imports without a copy. `T` is the element type (`const T` where the producer may not be written), or void: known at run time.
/// The device's number is the producer's; a model's door compares it with its own.
/// On success `h` is empty and its deleter runs when the last user of the tensor is gone; on an error `h` is untouched.
/// Errors: null_handle, version, rank, dtype, device, read_only, null_shape, negative_extent, overflow, null_strides, null_data,
/// alignment, no_memory.
template <class T = void, class Device = cpu, managed_struct M>
[[nodiscard]] errc try_from_dlpack(handle<M>& h, tensor<T, Device>& to, failure& why, const import_options& o = {}) noexcept {
  constexpr const char* op = "from_dlpack";
  if (!h)
    return detail::fail(why, errc::null_handle, op,
                        {.argument = "the handle", .remedy = "It was moved from, or the producer gave nothing."});
  if constexpr (versioned_struct<M>)
    if (h->version.major != 1)  // nothing behind the version may be read
      return detail::fail(why, errc::version, op, {.argument = "DLPack major version", .got = h->version.major, .expected = 1});
  const bool copies = o.copies == copy_policy::always;
  if (copies && !device_traits<Device>::host_accessible)
    return detail::fail(why, errc::device, op,
                        {.argument = "a copy at the door",
                         .got = device{device_traits<Device>::type, 0}.packed(),
                         .expected = device{}.packed()});
  detail::import_request want{.device = device_traits<Device>::type};
  if constexpr (!std::is_void_v<T>) {
    static_assert(element<T>, "[from_dlpack] this type is no element: specialise tenon::dtype_of<T>");
    want.any_dtype = false;
    want.dtype = dtype_of<std::remove_const_t<T>>::value;
    static_assert(dtype_of<std::remove_const_t<T>>::value.bytes() == sizeof(T),
                  "[from_dlpack] tenon::dtype_of<T> says another size than sizeof(T)");
    want.alignment = copies ? 1 : alignof(T);
    want.writable = !copies && !std::is_const_v<T>;
  }
  array_ref a;
  if (const errc c = detail::check_import(detail::read_managed(*h), want, o, a, why); c != errc::ok) return c;
  storage s;
  const auto bytes = static_cast<std::size_t>(a.shape.numel() * a.dtype.bytes());
  if (copies) {
    if (const errc c = storage::try_allocate(bytes, s, why); c != errc::ok) return c;
    detail::pack(s.data(), a);
    detail::count(&traffic::copied, bytes);
    a.data = s.data();
    a.strides = dense_strides(a.shape);
    a.read_only = false;
    h.reset();
  } else if (const errc c = storage::try_adopt(std::move(h), a.data, bytes, s, why, a.device.id); c != errc::ok) {
    return c;
  }
  if constexpr (std::is_void_v<T>) to = tensor<void, Device>(std::move(s), a);
  else to = tensor<T, Device>(std::move(s), strided_view<T, Device>(static_cast<T*>(a.data), a.shape, a.strides), a.read_only);
  return errc::ok;
}
#if TENON_EXCEPTIONS
/// As try_from_dlpack, throwing tenon::error; the handle then still owns.
template <class T = void, class Device = cpu, managed_struct M>
[[nodiscard]] tensor<T, Device> from_dlpack(handle<M>&& h, const import_options& o = {}) {
  tensor<T, Device> t;
  if (failure f; try_from_dlpack<T, Device>(h, t, f, o) != errc::ok) [[unlikely]]
    detail::raise(f);
  return t;
}
template <class T = void, class Device = cpu, managed_struct M>
tensor<T, Device> from_dlpack(handle<M>& h, const import_options& o = {}) = delete;  // ownership moves: from_dlpack(std::move(h))
template <class T = void, class Device = cpu, managed_struct M>
tensor<T, Device> from_dlpack(M*, const import_options& = {}) = delete;  // raw pointers enter as from_dlpack(tenon::own(raw))
#endif
}  // namespace tenon
