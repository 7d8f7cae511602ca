// SPDX-License-Identifier: Apache-2.0
// Foreign functions of XLA over interop/jax_ffi.hpp. jax_ffi.py registers and calls them.
#include <tenon/interop/jax_ffi.hpp>

namespace ffi = xla::ffi;

namespace {

using tenon::errc;
using matrix_in = tenon::view<const float, tenon::dims<2>, tenon::layout_right>;
using matrix_out = tenon::view<float, tenon::dims<2>, tenon::layout_right>;

/// y = by · x; x and y are [rows, columns].
ffi::Error scale(float by, ffi::AnyBuffer x, ffi::Result<ffi::AnyBuffer> y) {
  matrix_in in;
  matrix_out out;
  tenon::failure why;
  if (tenon::try_view_as(x, in, why) != errc::ok || tenon::try_view_as(y, out, why) != errc::ok) return tenon::jax_error(why);
  for (tenon::extent i = 0; i < in.numel(); ++i) out[i] = by * in[i];
  return ffi::Error::Success();
}
/// An argument may not be written to.
ffi::Error overwrite(ffi::AnyBuffer x, ffi::Result<ffi::AnyBuffer>) {
  matrix_out out;
  tenon::failure why;
  return tenon::try_view_as(x, out, why) == errc::ok ? ffi::Error::Success() : tenon::jax_error(why);
}
/// The sum of a typed buffer of any rank, for every device that JAX says it is on.
ffi::Error total(ffi::Buffer<ffi::F32> x, ffi::ResultBufferR0<ffi::F32> y) {
  tenon::array_ref a;
  tenon::failure why;
  if (tenon::adapter<ffi::Buffer<ffi::F32>>::try_describe(x, a, why) != errc::ok) return tenon::jax_error(why);
  tenon::view<float, tenon::dims<0>> out;
  if (tenon::try_view_as(y, out, why) != errc::ok) return tenon::jax_error(why);
  float sum = 0;
  for (tenon::extent i = 0; i < a.shape.numel(); ++i) sum += static_cast<const float*>(a.data)[i];
  out() = sum;
  return ffi::Error::Success();
}
/// Told that the buffer is a GPU's, a view of host memory refuses it.
ffi::Error elsewhere(ffi::AnyBuffer x, ffi::Result<ffi::AnyBuffer>) {
  matrix_in in;
  tenon::failure why;
  const auto c = tenon::try_view_as(tenon::jax_buffer_on(x, {tenon::device_type::cuda, 1}), in, why);
  return c == errc::ok ? ffi::Error::Success() : tenon::jax_error(why);
}
/// The element type, as ours: code · 1000 + bits.
ffi::Error kind(ffi::AnyBuffer x, ffi::ResultBufferR0<ffi::S32> y) {
  tenon::array_ref a;
  tenon::failure why;
  if (tenon::adapter<ffi::AnyBuffer>::try_describe(x, a, why) != errc::ok) return tenon::jax_error(why);
  *y->typed_data() = static_cast<int>(a.dtype.code) * 1000 + a.dtype.bits;
  return ffi::Error::Success();
}

}  // namespace

XLA_FFI_DEFINE_HANDLER_SYMBOL(Scale, scale, ffi::Ffi::Bind().Attr<float>("by").Arg<ffi::AnyBuffer>().Ret<ffi::AnyBuffer>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(Overwrite, overwrite, ffi::Ffi::Bind().Arg<ffi::AnyBuffer>().Ret<ffi::AnyBuffer>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(Total, total, ffi::Ffi::Bind().Arg<ffi::Buffer<ffi::F32>>().Ret<ffi::BufferR0<ffi::F32>>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(Elsewhere, elsewhere, ffi::Ffi::Bind().Arg<ffi::AnyBuffer>().Ret<ffi::AnyBuffer>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(Kind, kind, ffi::Ffi::Bind().Arg<ffi::AnyBuffer>().Ret<ffi::BufferR0<ffi::S32>>());
