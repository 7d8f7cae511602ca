// SPDX-License-Identifier: Apache-2.0
// What only a plan can find, found in the compiler too: two parameters of one name.
// expect: [network] does not bind
// expect: binds<tenon::errc::name, -1, 2, 1>
// control: -DFIXED
#include <tenon/tenon.hpp>
namespace nn = tenon::layers;
#ifdef FIXED
constexpr auto mlp = tenon::network({4}, nn::tied{"a", nn::linear{.out = 4}}, nn::tied{"a", nn::linear{.out = 4}});
#else
constexpr auto mlp = tenon::network({4}, nn::named{"a", nn::linear{.out = 4}}, nn::named{"a", nn::linear{.out = 4}});
#endif
tenon::model<mlp> net;
