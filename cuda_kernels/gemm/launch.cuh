// SPDX-License-Identifier: Apache-2.0
// The kernels of one tile, by layout, and their launch. Each gemm_*.cu instantiates one tile, so that they compile side by side.
#pragma once
#include <cuda_runtime.h>
#include "cuda_kernels/gemm/kernel.h"
#include "cuda_kernels/host/runtime.h"
#include "cuda_kernels/machine/device.cuh"
namespace tenon_cuda {
template <class Tile>
inline constexpr int blocks_a_multiprocessor = (Tile::tm * Tile::tn > 64 ? 256 : 512) / Tile::threads;

template <class Tile, layout A, layout B>
__global__ void __launch_bounds__(Tile::threads, blocks_a_multiprocessor<Tile>)
    gemm_kernel(const __grid_constant__ gemm_problem p) {
  extern __shared__ __align__(16) float memory[];
  device_block hw{memory};
  gemm_block<Tile, A, B>(hw, p);
}

/// cudaLaunchKernel gives this launch's own error; cudaGetLastError could be somebody else's.
template <class Tile, layout A, layout B>
int launch(const gemm_launch& l, cudaStream_t stream) {
  const gemm_problem& p = l.problem;
  void* arguments[] = {const_cast<gemm_problem*>(&p)};
  const dim3 grid(static_cast<unsigned>(static_cast<std::int64_t>(p.tiles_m) * p.tiles_n), static_cast<unsigned>(p.splits));
  return cudaLaunchKernel(reinterpret_cast<const void*>(&gemm_kernel<Tile, A, B>), grid, dim3(Tile::threads), arguments,
                          stage<Tile>::bytes, stream);
}
template <class Tile>
int launch_by_layout(const gemm_launch& l, void* stream) {
  const auto s = static_cast<cudaStream_t>(stream);
  const bool a = l.a == layout::along_k, b = l.b == layout::along_k;
  if (a) return b ? launch<Tile, layout::along_k, layout::along_k>(l, s) : launch<Tile, layout::along_k, layout::across>(l, s);
  return b ? launch<Tile, layout::across, layout::along_k>(l, s) : launch<Tile, layout::across, layout::across>(l, s);
}
int launch_128(const gemm_launch& l, void* stream);
int launch_64(const gemm_launch& l, void* stream);
int launch_64x32(const gemm_launch& l, void* stream);
int launch_32(const gemm_launch& l, void* stream);
}  // namespace tenon_cuda
