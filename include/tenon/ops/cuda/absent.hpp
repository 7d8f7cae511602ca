// SPDX-License-Identifier: Apache-2.0
// What the calls of the CUDA library are where there is none: each gives TENON_CUDA_NO_LIBRARY. Why there is none,
// try_library says.
#pragma once
#include "tenon/ops/cuda/abi.h"
namespace tenon::cuda::detail {
template <class... A>
tenon_cuda_status absent_call(A...) noexcept {
  return TENON_CUDA_NO_LIBRARY;
}
inline constexpr tenon_cuda_api absent{
    sizeof(tenon_cuda_api),
    TENON_CUDA_ABI_MAJOR << 16 | TENON_CUDA_ABI_MINOR,
    0,
    []() -> const char* { return "There is no CUDA library: tenon::cuda::try_library says why."; },
    absent_call,
    absent_call,
    absent_call,
    absent_call,
    absent_call,
    absent_call,
    absent_call,
    absent_call,
    absent_call,
    absent_call,
    absent_call};
}  // namespace tenon::cuda::detail
