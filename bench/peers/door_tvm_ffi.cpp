// SPDX-License-Identifier: Apache-2.0
// The tvm-ffi peer of bench_door.
#include <tvm/ffi/container/tensor.h>
#include <tvm/ffi/function.h>

namespace {
volatile float sink;
void read3(tvm::ffi::TensorView a, tvm::ffi::TensorView b, tvm::ffi::TensorView c) {
  sink = static_cast<const float*>(a.data_ptr())[0] + static_cast<const float*>(b.data_ptr())[0] +
         static_cast<const float*>(c.data_ptr())[0];
}
}  // namespace
TVM_FFI_DLL_EXPORT_TYPED_FUNC(read3, read3)
