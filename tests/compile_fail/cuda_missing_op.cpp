// SPDX-License-Identifier: Apache-2.0
// A layer whose op the CUDA part does not have: the compiler stops with the overload to add.
// expect: [ops] this executor cannot run this op (Self): add beside the executor void run_op(Self, const tenon::execution<your_device, C>& ex, …)
// expect: max_pool_op
// expect-max-lines: 60
// control: -DFIXED
#include "tenon/tenon.hpp"
#include "tenon/train/cuda.hpp"
namespace nn = tenon::layers;
#ifdef FIXED
constexpr auto net = tenon::network({1, 8, 8}, nn::flatten{}, nn::linear{.out = 2});
#else
constexpr auto net = tenon::network({1, 8, 8}, nn::max_pool2d{.kernel = 2}, nn::flatten{}, nn::linear{.out = 2});
#endif
tenon::model<net, tenon::cuda_device> m;
