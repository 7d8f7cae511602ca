// SPDX-License-Identifier: Apache-2.0
// The table of runtime.h over the CUDA runtime, and the kernels that are not products.
#include <cuda_runtime.h>
#include <cstring>
#include "cuda_kernels/gemm/launch.cuh"
#include "cuda_kernels/small/kernel.h"
namespace tenon_cuda {
namespace {
__global__ void __launch_bounds__(reduce_threads) reduce_kernel(const __grid_constant__ gemm_problem p) {
  device_block hw{nullptr};
  reduce_block(hw, p);
}
__global__ void __launch_bounds__(small_threads) map_kernel(const __grid_constant__ tenon_cuda_map_args p) {
  device_block hw{nullptr};
  map_block(hw, p);
}
__global__ void __launch_bounds__(small_threads) sum_kernel(const __grid_constant__ tenon_cuda_sum_args p) {
  __shared__ float memory[small_threads];
  device_block hw{memory};
  sum_block(hw, p);
}
__global__ void __launch_bounds__(small_threads) update_kernel(const __grid_constant__ tenon_cuda_update_args p) {
  device_block hw{nullptr};
  update_block(hw, p);
}

template <class P>
int start(void (*kernel)(P), const P& p, std::int64_t blocks, int threads, void* stream) {
  void* arguments[] = {const_cast<P*>(&p)};
  return cudaLaunchKernel(reinterpret_cast<const void*>(kernel), dim3(static_cast<unsigned>(blocks)),
                          dim3(static_cast<unsigned>(threads)), arguments, 0, static_cast<cudaStream_t>(stream));
}
/// Blocks of `each` elements; beyond these, blocks take several.
std::int64_t blocks_for(std::int64_t n, std::int64_t each) {
  const std::int64_t blocks = n / each + (n % each != 0);
  return blocks < 16384 ? blocks : 16384;
}

int properties(int device, tenon_cuda_device_info* to) {
  cudaDeviceProp p;
  if (const int e = cudaGetDeviceProperties(&p, device)) return e;
  int driver = 0, runtime_version = 0;
  if (const int e = cudaDriverGetVersion(&driver)) return e;
  if (const int e = cudaRuntimeGetVersion(&runtime_version)) return e;
  to->major = p.major, to->minor = p.minor, to->multiprocessors = p.multiProcessorCount;
  to->driver = driver, to->runtime = runtime_version;
  to->memory = p.totalGlobalMem;
  std::memcpy(to->name, p.name, sizeof to->name);
  to->name[sizeof to->name - 1] = 0;
  return 0;
}
int copy(void* to, const void* from, std::size_t bytes, int direction, void* stream) {
  const cudaMemcpyKind kind = direction == TENON_CUDA_TO_DEVICE ? cudaMemcpyHostToDevice
                              : direction == TENON_CUDA_TO_HOST ? cudaMemcpyDeviceToHost
                                                                : cudaMemcpyDeviceToDevice;
  return cudaMemcpyAsync(to, from, bytes, kind, static_cast<cudaStream_t>(stream));
}
int gemm(const gemm_launch& l, void* stream) {
  switch (l.tile) {
    case tile_kind::t128: return launch_128(l, stream);
    case tile_kind::t64: return launch_64(l, stream);
    case tile_kind::t64x32: return launch_64x32(l, stream);
    default: return launch_32(l, stream);
  }
}
}  // namespace

const runtime_table& runtime() noexcept {
  static constexpr runtime_table table{
      [](int* count) -> int { return cudaGetDeviceCount(count); },
      [](int* device) -> int { return cudaGetDevice(device); },
      [](int device) -> int { return cudaSetDevice(device); },
      properties,
      [](int device, int* count) -> int { return cudaDeviceGetAttribute(count, cudaDevAttrMultiProcessorCount, device); },
      [](void** to, std::size_t bytes) -> int { return cudaMalloc(to, bytes); },
      [](void* p) -> int { return cudaFree(p); },
      copy,
      [](void* stream) -> int { return cudaStreamSynchronize(static_cast<cudaStream_t>(stream)); },
      gemm,
      [](const gemm_problem& p, void* stream) -> int {
        return start(reduce_kernel, p, blocks_for(static_cast<std::int64_t>(p.m) * p.n, reduce_threads), reduce_threads, stream);
      },
      [](const tenon_cuda_map_args& p, void* stream) -> int {
        return start(map_kernel, p, blocks_for(p.n, small_threads), small_threads, stream);
      },
      [](const tenon_cuda_sum_args& p, void* stream) -> int {
        return start(sum_kernel, p, p.length / sum_columns + (p.length % sum_columns != 0), small_threads, stream);
      },
      [](const tenon_cuda_update_args& p, void* stream) -> int {
        return start(update_kernel, p, blocks_for(p.n, small_threads), small_threads, stream);
      },
      [](int error) -> const char* { return cudaGetErrorName(static_cast<cudaError_t>(error)); }};
  return table;
}
}  // namespace tenon_cuda
