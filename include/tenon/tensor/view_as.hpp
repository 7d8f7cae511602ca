// SPDX-License-Identifier: Apache-2.0
// How a typed view is made: what its type promises is checked here, once. A tensor that is as it should be passes in one run over its
// axes; whatever is odd about one is looked at again, rule by rule. Reads shapes and strides, never elements.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include "tenon/tensor/import.hpp"
#include "tenon/tensor/typed_view.hpp"
namespace tenon {
namespace detail {
/// What a typed view asks for.
template <class V>
constexpr import_request request_of_view(const char* operation) noexcept {
  import_request want = request_of_element<typename V::element_type>();
  want.operation = operation;
  want.alignment = static_cast<std::int64_t>(V::alignment);
  want.devices = V::devices;
  want.rank = V::rank();
  want.extents = V::extents_type::d;
  want.row_major = V::row_major;
  want.column_major = V::column_major;
  return want;
}
/// True where `t` is beyond doubt what `V` promises; `v` then views it. False says nothing, and `v` may hold anything: check_import
/// decides. Every rule is here, in the order in which a good tensor is read, and no rule is waived.
template <class V, tensor_struct D>
[[nodiscard, gnu::always_inline]] inline bool fits_plainly(const D& t, std::uint64_t flags, bool writable, V& v) noexcept {
  using T = typename V::element_type;
  using E = typename V::extents_type;
  constexpr int n = V::rank();
  constexpr dtype want = dtype_of<std::remove_const_t<T>>::value;
  constexpr auto width = static_cast<std::int64_t>(sizeof(T));
  constexpr std::uint64_t unwanted = dl::flag_subbyte_padded | (std::is_const_v<T> ? 0 : dl::flag_read_only);
  constexpr dl::data_type wanted = to_dl(want);
  static_assert(sizeof t.dtype == sizeof wanted);
  const device where{static_cast<device_type>(t.device.device_type), static_cast<std::int32_t>(t.device.device_id)};
  const bool there = V::devices.size() == 1 ? where.type == V::devices.first() : V::devices.contains(where.type);
  constexpr bool handles = !(V::devices & opaque_devices).empty();
  if (t.ndim != n || std::memcmp(&t.dtype, &wanted, sizeof wanted) != 0 || !there || (flags & unwanted) ||
      (!std::is_const_v<T> && !writable) || (where.id < 0 && where.type != device_type::cpu) || (handles && t.byte_offset != 0))
    return false;
  extent* const shape = view_access::extents(v);
  const auto keep = [&](int i, extent e, extent step) {
    shape[i] = e;
    view_access::stride(v, i, step);
    return E::d[i] == dyn || E::d[i] == e;
  };
  const plain_source from{t.shape, t.strides, static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(t.data)),
                          static_cast<std::int64_t>(t.byte_offset)};
  if (!lies_plainly<n, V::row_major, V::column_major, !std::is_const_v<T>>(from, n, width, V::alignment - 1, keep)) return false;
  view_access::place(
      v, reinterpret_cast<T*>(static_cast<std::byte*>(const_cast<void*>(static_cast<const void*>(t.data))) + from.offset), where);
  return true;
}
/// A checked array as the view that it was checked for.
template <class V>
V view_of(const array_ref& a) noexcept {
  return V(static_cast<typename V::element_type*>(a.data), a.shape.d, a.strides.d, a.device);
}
template <class V>
[[gnu::cold, gnu::noinline]] errc view_closely(const import_source& from, const import_options& o, V& to, failure& why) noexcept {
  import_options shares = o;
  shares.copies = copy_policy::never;  // a view has no place for a copy
  array_ref a;
  storage none;
  if (const errc c = admit(from, request_of_view<V>("view_as"), shares, a, none, why); c != errc::ok) return c;
  to = view_of<V>(a);
  return errc::ok;
}
}  // namespace detail

/// A DLTensor (ours, or of any dlpack.h) as a typed view, for as long as its producer keeps it. It cannot say read-only, so it is taken
/// as read-only unless `o.assume_writable`. Errors: rank, dtype, device, read_only, null_shape, null_strides, negative_extent, overflow,
/// null_data, alignment, extent, not_dense; `to` is then untouched.
template <class V, detail::tensor_struct D>
  requires is_typed_view<V>
[[nodiscard]] errc try_view_as(const D& t, V& to, failure& why, const import_options& o = {}) noexcept {
  if (V v{detail::to_be_filled{}}; detail::plain(o) && detail::fits_plainly(t, 0, o.assume_writable, v)) [[likely]] {
    to = v;
    return errc::ok;
  }
  return detail::view_closely(detail::read_tensor(t), o, to, why);
}
/// A tensor, or anything adaptable that outlives the line, as a typed view. Errors as above, and those of the adapter.
template <class V, class X>
  requires(is_typed_view<V> && !detail::tensor_struct<std::remove_cvref_t<X>>)
[[nodiscard]] errc try_view_as(X&& x, V& to, failure& why) noexcept {
  static_assert(outlives_call<X>, "[view_as] this temporary owns its elements and dies at the end of the line: name it first");
  array_ref a;
  using A = adapter<std::remove_cvref_t<X>>;
  if constexpr (requires { A::try_describe(x, a, why); }) {
    if (const errc c = A::try_describe(x, a, why); c != errc::ok) return c;
  } else {
    a = detail::describe(x);
  }
  const std::int32_t number = a.device.id;
  if (number == device::any_number) a.device.id = 0;  // a view of a device's memory knows its kind alone
  if (const errc c = detail::view_closely(detail::read_array(a), {}, to, why); c != errc::ok) return c;
  detail::view_access::place(to, to.data(), {a.device.type, number});
  return errc::ok;
}
#if TENON_EXCEPTIONS
namespace detail {
template <class V>
[[gnu::cold, gnu::noinline]] void view_or_raise(const import_source& from, const import_options& o, V& v) {
  if (failure f; view_closely(from, o, v, f) != errc::ok) raise(f);
}
}  // namespace detail
/// As try_view_as, throwing tenon::error: `tenon::view_as<tenon::view<const float, tenon::extents<tenon::dyn, 3>>>(t)`.
template <class V, detail::tensor_struct D>
  requires is_typed_view<V>
V view_as(const D& t, const import_options& o = {}) {
  V v{detail::to_be_filled{}};
  if (!detail::plain(o) || !detail::fits_plainly(t, 0, o.assume_writable, v)) [[unlikely]]
    detail::view_or_raise(detail::read_tensor(t), o, v);
  return v;
}
template <class V, class X>
  requires(is_typed_view<V> && !detail::tensor_struct<std::remove_cvref_t<X>>)
V view_as(X&& x) {
  V v;
  if (failure f; try_view_as(std::forward<X>(x), v, f) != errc::ok) [[unlikely]]
    detail::raise(f);
  return v;
}
template <class V, class X>
  requires is_typed_view<V>
V view_as(X* pointer) = delete;  // pass the struct itself: view_as<V>(*pointer)
template <class V, managed_struct M>
  requires is_typed_view<V>
V view_as(const M& managed) = delete;  // pass what it manages: view_as<V>(managed.dl_tensor)
#endif
}  // namespace tenon
