// SPDX-License-Identifier: Apache-2.0
// What the calls of the CUDA library are where there is none: each gives TENON_CUDA_NO_LIBRARY, and the text says what was tried.
#pragma once
#include "tenon/ops/cuda/abi.h"
namespace tenon::cuda::detail {
/// What the search for the library tried, for the process; written once, before anybody reads it.
inline char tried[480] = "No library was looked for yet.";

template <class... A>
tenon_cuda_status absent_call(A...) noexcept {
  return TENON_CUDA_NO_LIBRARY;
}
inline constexpr tenon_cuda_api absent{sizeof(tenon_cuda_api),
                                       TENON_CUDA_ABI_MAJOR << 16 | TENON_CUDA_ABI_MINOR,
                                       0,
                                       []() -> const char* { return tried; },
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
