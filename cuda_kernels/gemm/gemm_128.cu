// SPDX-License-Identifier: Apache-2.0
// The product by tiles of 128×128.
#include "cuda_kernels/gemm/launch.cuh"
namespace tenon_cuda {
int launch_128(const gemm_launch& l, void* stream) { return launch_by_layout<tile_128>(l, stream); }
}  // namespace tenon_cuda
