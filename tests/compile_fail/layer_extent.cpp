// SPDX-License-Identifier: Apache-2.0
// A wrong extent deep in a network: the layer's type, its position, the axis, got and expected.
// expect: [network] this layer does not accept its input (Layer, layer, what, axis, got, expected)
// expect: accepts_input<tenon::layers::linear, 6, tenon::errc::extent, 1, 84, 64>
// expect-max-lines: 16
// control: -DFIXED
#include <tenon/tenon.hpp>
namespace nn = tenon::layers;
#ifdef FIXED
constexpr int in = 84;
#else
constexpr int in = 64;
#endif
constexpr auto lenet = tenon::network({1, 28, 28}, nn::conv2d{.out = 6, .kernel = 5, .padding = 2}, nn::relu{},
                                      nn::max_pool2d{.kernel = 2}, nn::flatten{}, nn::linear{.out = 84},
                                      nn::residual{nn::linear{.out = 84}, nn::relu{}}, nn::linear{.out = 10, .in = in});
tenon::model<lenet> net;
