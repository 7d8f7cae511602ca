// SPDX-License-Identifier: Apache-2.0
// `fixed` says the same as `model`.
// expect: accepts_input<tenon::layers::linear, 1, tenon::errc::extent, 1, 8, 9>
// control: -DFIXED
#include <tenon/graph/combine.hpp>
#include <tenon/graph/fixed.hpp>
#include <tenon/layers/layers.hpp>
namespace nn = tenon::layers;
#ifdef FIXED
constexpr int in = 8;
#else
constexpr int in = 9;
#endif
constexpr auto mlp = tenon::network({4}, nn::linear{.out = 8}, nn::linear{.out = 2, .in = in});
tenon::fixed<mlp, 1> net;
