// SPDX-License-Identifier: Apache-2.0
// expect: [tied] holds one layer: tie each layer of a combinator by a name of its own
// control: -DFIXED
#include <tenon/graph/combine.hpp>
#include <tenon/tenon.hpp>
namespace nn = tenon::layers;
#ifdef FIXED
constexpr auto mlp = tenon::network({4}, nn::residual{nn::tied{"w", nn::linear{.out = 4}}});
#else
constexpr auto mlp = tenon::network({4}, nn::tied{"w", nn::residual{nn::linear{.out = 4}}});
#endif
