// SPDX-License-Identifier: Apache-2.0
// The product by tiles of 64×64.
#include "cuda_kernels/gemm/launch.cuh"
namespace tenon_cuda {
int launch_64(const gemm_launch& l, void* stream) { return launch_by_layout<tile_64>(l, stream); }
}  // namespace tenon_cuda
