// SPDX-License-Identifier: Apache-2.0
// The rules for memory that somebody else describes in DLPack's terms: what may come in, and as what. Every field is checked before
// anything is used. Reads shapes and strides, never elements.
#pragma once
#include <cstddef>
#include <cstdint>
#include "tenon/tensor/dlpack.hpp"
#include "tenon/tensor/layout.hpp"
#include "tenon/tensor/overlap.hpp"
#include "tenon/tensor/storage.hpp"
namespace tenon {
/// Why a door copied, or would have had to.
enum class copy_reason : std::uint8_t { none, asked_for, misaligned, read_only, layout };
/// What an import did.
struct import_report {
  bool copied = false;  // into memory of our own
  copy_reason reason = copy_reason::none;
  std::uint64_t bytes = 0;  // that were copied
  bool producer_copied = false;  // DLPack's IS_COPIED: nobody else holds this memory. Producers may forget to say so.
};
struct import_options {
  bool assume_writable = false;  // a legacy struct cannot say read-only, and is taken as read-only unless this is set
  /// never: shares or fails. if_needed: copies what cannot be shared as it was asked for (address, read-only memory, layout). always: copies.
  /// A copy is counted in bytes_moved().copied.
  copy_policy copies = copy_policy::never;
  bool strict = false;  // refuse NULL strides from DLPack ≥ 1.2
  std::size_t alignment = 1;  // of the first element's address, where more is wanted than the element's own: a power of two
  std::uint64_t known_bytes = 0;  // behind the producer's `data` pointer, where they are known: DLPack cannot say it
  import_report* report = nullptr;
};

namespace detail {
inline constexpr std::size_t most_alignment = std::size_t{1} << 30;
/// What the importer asks for.
struct import_request {
  const char* operation = "from_dlpack";
  bool any_dtype = true;
  tenon::dtype dtype{};
  std::int64_t alignment = 1;
  bool writable = false;
  device_set devices{device_type::cpu};
  int rank = -1;  // any
  const extent* extents = nullptr;  // dyn: any
  bool row_major = false, column_major = false;
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
/// A tensor struct, ours or from somebody's dlpack.h.
template <class D>
concept tensor_struct = requires(const D& t) {
  t.data;
  t.device.device_type;
  t.ndim;
  t.dtype.lanes;
  t.shape;
  t.strides;
  t.byte_offset;
};
template <tensor_struct D>
constexpr import_source read_tensor(const D& t, std::uint64_t flags = 0, bool versioned = false,
                                    bool may_omit_strides = true) noexcept {
  return {t.data,        {static_cast<std::int32_t>(t.device.device_type), t.device.device_id},
          t.ndim,        {static_cast<std::uint8_t>(t.dtype.code), t.dtype.bits, t.dtype.lanes},
          t.shape,       t.strides,
          t.byte_offset, flags,
          versioned,     may_omit_strides};
}
template <managed_struct M>
constexpr import_source read_managed(const M& m) noexcept {
  if constexpr (versioned_struct<M>) return read_tensor(m.dl_tensor, m.flags, true, m.version.minor < 2);
  else return read_tensor(m.dl_tensor);
}
/// The same of an array that is described already; `a` must live as long as what comes back.
constexpr import_source read_array(const array_ref& a) noexcept {
  return {a.data,
          to_dl(a.device),
          a.shape.rank(),
          to_dl(a.dtype),
          a.shape.d,
          a.strides.d,
          0,
          (a.read_only ? dl::flag_read_only : 0) | (a.padded ? dl::flag_subbyte_padded : 0),
          true,
          true};
}

/// The first axis whose strides are not those without gaps, −1 for none. `a` is not empty, its strides are canonical.
constexpr int first_gap(const array_ref& a, bool row_major, extent& expected) noexcept {
  expected = 1;
  for (int k = 0; k < a.shape.rank(); ++k) {
    const int i = row_major ? a.shape.rank() - 1 - k : k;
    if (a.shape.d[i] == 1) continue;
    if (a.strides.d[i] != expected) return i;
    expected *= a.shape.d[i];
  }
  return -1;
}
/// What was checked, as the request wants it: strides and extents. Errors: rank, extent, not_dense.
inline errc check_promises(const import_request& want, const array_ref& a, failure& why) noexcept {
  const char* op = want.operation;
  for (int i = 0; want.extents && i < want.rank; ++i)
    if (want.extents[i] != dyn && want.extents[i] != a.shape.d[i])
      return fail(why, errc::extent, op, {.argument = "shape", .axis = i, .got = a.shape.d[i], .expected = want.extents[i]});
  if ((want.row_major || want.column_major) && a.data) {
    extent expected = 0;
    if (const int axis = first_gap(a, want.row_major, expected); axis >= 0)
      return fail(why, errc::not_dense, op,
                  {.argument = want.row_major ? "strides of a row-major array" : "strides of a column-major array",
                   .axis = axis,
                   .got = a.strides.d[axis],
                   .expected = expected,
                   .remedy = "Ask for tenon::layout_strided, or for a copy with copy_policy::if_needed."});
  }
  return errc::ok;
}

/// Whether these options ask for nothing that takes a closer look.
constexpr bool plain(const import_options& o) noexcept {
  return o.copies != copy_policy::always && !o.strict && o.alignment <= 1 && !o.known_bytes && !o.report;
}
/// The quick check for a type that does not say the rank (one that does has its own: fits_plainly). False says nothing.
[[gnu::noinline]] inline bool comes_plainly(const import_source& t, const import_request& want, const import_options& o,
                                            array_ref& out) noexcept {
  const dtype type{static_cast<dtype_code>(t.dtype.code), t.dtype.bits, t.dtype.lanes};
  const device where{static_cast<device_type>(t.device.device_type), t.device.device_id};
  const bool read_only = t.versioned ? (t.flags & dl::flag_read_only) != 0 : !o.assume_writable;
  const bool wanted = want.any_dtype ? type.known() && type.lanes == 1 : type == want.dtype;
  if (!plain(o) || t.ndim < 0 || t.ndim > max_rank || want.rank >= 0 || type.bits % 8 || !wanted ||
      !want.devices.contains(where.type) || opaque_devices.contains(where.type) || where.id < 0 || (read_only && want.writable))
    return false;
  const auto rank = static_cast<int>(t.ndim);
  const auto keep = [&out](int i, extent e, extent step) {
    out.shape.d[i] = e;
    out.strides.d[i] = step;
    return true;
  };
  const plain_source from{t.shape, t.strides, static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(t.data)),
                          static_cast<std::int64_t>(t.byte_offset)};
  if (!lies_plainly<-1, false, false, true>(from, rank, type.bytes(), static_cast<std::uint64_t>(want.alignment) - 1, keep))
    return false;
  out.shape.rank_ = rank;
  out.data = static_cast<std::byte*>(t.data) + from.offset;
  out.dtype = type;
  out.device = where;
  out.read_only = read_only;
  return true;
}

/// Errors: rank, dtype, device, read_only, null_shape, null_strides, negative_extent, overflow, null_data, alignment, extent, not_dense.
[[gnu::noinline]] inline errc check_import(const import_source& t, const import_request& want, const import_options& o,
                                           array_ref& out, failure& why) noexcept {
  const char* op = want.operation;
  if (want.rank >= 0 && t.ndim != want.rank)
    return fail(why, errc::rank, op, {.argument = "ndim", .got = t.ndim, .expected = want.rank});
  if (t.ndim < 0 || t.ndim > max_rank)
    return fail(why, errc::rank, op, {.argument = "ndim", .got = t.ndim, .expected = max_rank, .relation = "0 to "});
  array_ref a;
  a.dtype = {static_cast<dtype_code>(t.dtype.code), t.dtype.bits, t.dtype.lanes};
  a.device = {static_cast<device_type>(t.device.device_type), t.device.device_id};
  if (!want.any_dtype && a.dtype != want.dtype)
    return fail(why, errc::dtype, op, {.argument = "dtype", .got = a.dtype.packed(), .expected = want.dtype.packed()});
  a.padded = a.dtype.bits < 8 && (t.flags & dl::flag_subbyte_padded);
  // Code that learns the type at run time counts in numbers: vectors of them come in only where the C++ type says so.
  const bool vector = a.dtype.lanes > 1 && a.dtype.bits >= 8;
  if (want.any_dtype && (!a.dtype.known() || vector))
    return fail(why, errc::dtype, op,
                {.argument = "dtype",
                 .got = a.dtype.packed(),
                 .expected = float32.packed(),
                 .relation = "one that DLPack 1.3 knows, such as ",
                 .remedy = vector ? "Import vectors as from_dlpack<T>, with tenon::dtype_of<T>." : nullptr});
  // Elements that share bytes have no type of their own here; how several lanes would have bytes of their own, nobody says.
  if (want.any_dtype ? a.padded && a.dtype.lanes != 1 : a.padded || a.bits_each() % 8 != 0)
    return fail(
        why, errc::dtype, op,
        {.argument = a.padded ? "dtype of small elements that have a byte each" : "dtype of elements that share bytes",
         .got = a.dtype.packed(),
         .expected = float32.packed(),
         .relation = "one of whole bytes, such as ",
         .remedy = want.any_dtype ? nullptr : "Import it without a type: tenon::from_dlpack(…), then tenon::as_packed(t)."});
  if (!want.devices.contains(a.device.type) || (a.device.id < 0 && a.device.type != device_type::cpu))
    return fail(why, errc::device, op,
                {.argument = "device", .got = a.device.packed(), .expected = device{want.devices.first(), 0}.packed()});
  if (t.byte_offset != 0 && opaque_devices.contains(a.device.type))
    return fail(why, errc::value, op,
                {.argument = "byte_offset, where data is a handle and no address",
                 .got = static_cast<std::int64_t>(t.byte_offset),
                 .expected = 0});
  a.read_only = t.versioned ? (t.flags & dl::flag_read_only) != 0 : !o.assume_writable;
  if (want.writable && a.read_only)
    return fail(why, errc::read_only, op,
                {.argument = t.versioned ? "the producer's tensor" : "a legacy tensor, which cannot say that it may be written",
                 .remedy = t.versioned ? "Import it as from_dlpack<const T>."
                                       : "Import it as from_dlpack<const T>, or pass {.assume_writable = true}."});
  if (t.ndim > 0 && !t.shape) return fail(why, errc::null_shape, op, {.argument = "shape"});
  if (t.ndim > 0 && !t.strides && !t.may_omit_strides && o.strict)
    return fail(why, errc::null_strides, op, {.argument = "strides", .remedy = "DLPack 1.2 asks for them."});
  const auto asked = static_cast<std::int64_t>(o.alignment);
  layout_source from{.data = t.data,
                     .byte_offset = t.byte_offset,
                     .shape = t.shape,
                     .strides = t.strides,
                     .alignment = want.alignment > asked ? want.alignment : asked,
                     .known_bytes = o.known_bytes};
  if (const errc c = check_layout(op, from, static_cast<int>(t.ndim), a, why); c != errc::ok) return c;
  // Elements that share memory cannot be written one by one: such an array is read-only, whatever its producer says.
  if (!a.read_only && a.data && self_overlap(a.shape, a.strides) != overlap::none) {
    a.read_only = true;
    if (want.writable)
      return fail(why, errc::read_only, op,
                  {.argument = "a tensor whose elements share memory (broadcast, or sliding windows)",
                   .remedy = "Import it as from_dlpack<const T>."});
  }
  if (const errc c = check_promises(want, a, why); c != errc::ok) return c;
  out = a;
  return errc::ok;
}
}  // namespace detail
}  // namespace tenon
