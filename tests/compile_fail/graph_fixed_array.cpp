// SPDX-License-Identifier: Apache-2.0
// Sizes of `fixed` are checked in the compiler. Fields take any integer without narrowing, which the control says too.
// expect: [fixed] this array has another number of elements than x
// control: -DFIXED
#include <cstddef>
#include <tenon/graph/combine.hpp>
#include <tenon/graph/fixed.hpp>
#include <tenon/layers/layers.hpp>
namespace nn = tenon::layers;
constexpr std::size_t out = 3;
constexpr unsigned char kernel = 3;
constexpr auto net = tenon::network({1, 4, 4}, nn::conv2d{.out = out, .kernel = kernel, .padding = {1, kernel / 3}},
                                    nn::flatten{}, nn::linear{.out = out});
tenon::fixed<net, 2> f;
#ifdef FIXED
float x[32];
#else
float x[31];
#endif
auto y = f(x);
