// SPDX-License-Identifier: Apache-2.0
// The product by tiles of 64×32.
#include "cuda_kernels/gemm/launch.cuh"
namespace tenon_cuda {
int launch_64x32(const gemm_launch& l, void* stream) { return launch_by_layout<tile_64x32>(l, stream); }
}  // namespace tenon_cuda
