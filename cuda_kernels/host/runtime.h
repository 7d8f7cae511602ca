// SPDX-License-Identifier: Apache-2.0
// All that the host side asks of the CUDA runtime, launches included, in one table: the library fills it in from cudart
// (runtime_cuda.cu), tests from an imitation that runs kernels on the host and fails when told. Each gives a cudaError_t, 0 is well.
#pragma once
#include <cstddef>
#include <cstdint>
#include "cuda_kernels/gemm/tile.h"
#include "tenon/ops/cuda/abi.h"
namespace tenon_cuda {
enum class tile_kind : int { t128, t64, t64x32, t32 };
struct gemm_launch {
  tile_kind tile = tile_kind::t128;
  layout a = layout::along_k, b = layout::along_k;
  gemm_problem problem{};
};
struct runtime_table {
  int (*device_count)(int* count);
  int (*current)(int* device);
  int (*make_current)(int device);
  int (*properties)(int device, tenon_cuda_device_info* to);  // all but size
  int (*multiprocessors)(int device, int* count);
  int (*allocate)(void** to, std::size_t bytes);
  int (*release)(void* p);
  int (*copy)(void* to, const void* from, std::size_t bytes, int direction, void* stream);
  int (*synchronize)(void* stream);
  int (*gemm)(const gemm_launch& launch, void* stream);
  int (*reduce)(const gemm_problem& problem, void* stream);
  int (*map)(const tenon_cuda_map_args& args, void* stream);
  int (*sum)(const tenon_cuda_sum_args& args, void* stream);
  int (*update)(const tenon_cuda_update_args& args, void* stream);
  const char* (*text)(int error);
};
/// The library has one definition, each test another.
const runtime_table& runtime() noexcept;
}  // namespace tenon_cuda
