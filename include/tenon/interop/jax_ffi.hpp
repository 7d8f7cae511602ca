// SPDX-License-Identifier: Apache-2.0
// Buffers of XLA's foreign functions (jax.ffi) at the doors. They live for the call, so they are borrowed, never owned:
//   namespace ffi = xla::ffi;
//   ffi::Error scale(float by, ffi::AnyBuffer x, ffi::Result<ffi::AnyBuffer> y) {
//     tenon::view<const float, tenon::dims<2>, tenon::layout_right> in;
//     tenon::view<float, tenon::dims<2>, tenon::layout_right> out;
//     tenon::failure why;
//     if (tenon::try_view_as(x, in, why) != tenon::errc::ok || tenon::try_view_as(y, out, why) != tenon::errc::ok)
//       return tenon::jax_error(why);
//     for (tenon::extent i = 0; i < in.numel(); ++i) out[i] = by * in[i];
//     return ffi::Error::Success();
//   }
// Arguments are read-only, results may be written. A buffer does not say where it is: the host, or wrap it in tenon::jax_buffer_on.
#pragma once
#include <xla/ffi/api/ffi.h>
#include "tenon/interop/described.hpp"
namespace tenon {
namespace detail {
/// False for tokens, and for what DLPack has no name for.
constexpr bool dtype_from_jax(xla::ffi::DataType t, dtype& d) noexcept {
  using enum xla::ffi::DataType;
  switch (t) {
    case PRED: return d = {dtype_code::bool_, 8, 1}, true;
    case S8: return d = {dtype_code::int_, 8, 1}, true;
    case S16: return d = {dtype_code::int_, 16, 1}, true;
    case S32: return d = {dtype_code::int_, 32, 1}, true;
    case S64: return d = {dtype_code::int_, 64, 1}, true;
    case U8: return d = {dtype_code::uint_, 8, 1}, true;
    case U16: return d = {dtype_code::uint_, 16, 1}, true;
    case U32: return d = {dtype_code::uint_, 32, 1}, true;
    case U64: return d = {dtype_code::uint_, 64, 1}, true;
    case F16: return d = {dtype_code::float_, 16, 1}, true;
    case F32: return d = {dtype_code::float_, 32, 1}, true;
    case F64: return d = {dtype_code::float_, 64, 1}, true;
    case BF16: return d = {dtype_code::bfloat, 16, 1}, true;
    case C64: return d = {dtype_code::complex, 64, 1}, true;
    case C128: return d = {dtype_code::complex, 128, 1}, true;
    case F8E3M4: return d = {dtype_code::f8_e3m4, 8, 1}, true;
    case F8E4M3: return d = {dtype_code::f8_e4m3, 8, 1}, true;
    case F8E4M3B11FNUZ: return d = {dtype_code::f8_e4m3b11fnuz, 8, 1}, true;
    case F8E4M3FN: return d = {dtype_code::f8_e4m3fn, 8, 1}, true;
    case F8E4M3FNUZ: return d = {dtype_code::f8_e4m3fnuz, 8, 1}, true;
    case F8E5M2: return d = {dtype_code::f8_e5m2, 8, 1}, true;
    case F8E5M2FNUZ: return d = {dtype_code::f8_e5m2fnuz, 8, 1}, true;
    case F8E8M0FNU: return d = {dtype_code::f8_e8m0fnu, 8, 1}, true;
    default: return false;
  }
}
/// Errors: dtype, rank.
template <class B>
errc describe_jax(const B& b, bool read_only, device where, array_ref& a, failure& why) noexcept {
  constexpr const char* op = "view_as";
  if (!dtype_from_jax(b.element_type(), a.dtype))
    return fail(why, errc::dtype, op, {.argument = "an element type that DLPack has no name for"});
  const auto extents = b.dimensions();
  if (const errc c = set_rank(op, extents.size(), a, why); c != errc::ok) return c;
  for (int i = 0; i < a.shape.rank(); ++i) a.shape.d[i] = extents[static_cast<std::size_t>(i)];
  a.strides = dense_strides(a.shape);
  a.device = where;
  a.read_only = read_only;
  a.data = b.untyped_data();
  return errc::ok;
}
template <class B, bool ReadOnly>
struct jax_adapter {
  static errc try_describe(const B& b, array_ref& a, failure& why) noexcept { return describe_jax(b, ReadOnly, {}, a, why); }
  static constexpr bool borrows = true;
};
}  // namespace detail

/// A buffer, or a result, of a function that is registered for another device than the host:
/// `tenon::jax_buffer_on(x, {tenon::device_type::cuda, 0})`.
template <class B>
struct jax_buffer_on {
  B buffer;
  device where;
};
template <class B>
jax_buffer_on(B, device) -> jax_buffer_on<B>;

template <>
struct adapter<xla::ffi::AnyBuffer> : detail::jax_adapter<xla::ffi::AnyBuffer, true> {};
template <xla::ffi::DataType Type, std::size_t Rank>
struct adapter<xla::ffi::Buffer<Type, Rank>> : detail::jax_adapter<xla::ffi::Buffer<Type, Rank>, true> {};
template <class B>
struct adapter<xla::ffi::Result<B>> {
  static errc try_describe(xla::ffi::Result<B> b, array_ref& a, failure& why) noexcept {
    return detail::describe_jax(*b, false, {}, a, why);
  }
  static constexpr bool borrows = true;
};
template <class B>
struct adapter<jax_buffer_on<B>> {
  static errc try_describe(const jax_buffer_on<B>& b, array_ref& a, failure& why) noexcept {
    const errc c = adapter<B>::try_describe(b.buffer, a, why);
    a.device = b.where;
    return c;
  }
  static constexpr bool borrows = true;
};

/// What a handler gives back for a failure of ours: JAX raises it with our message.
inline xla::ffi::Error jax_error(const failure& why) { return xla::ffi::Error::InvalidArgument(why.message()); }
}  // namespace tenon
