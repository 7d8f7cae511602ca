// SPDX-License-Identifier: Apache-2.0
// A size that the user must give.
// expect: accepts_input<tenon::layers::linear, 0, tenon::errc::missing_size, -1, 0, 1>
// expect-max-lines: 16
// control: -DFIXED
#include <tenon/tenon.hpp>
namespace nn = tenon::layers;
#ifdef FIXED
constexpr nn::linear first{.out = 10};
#else
constexpr nn::linear first{};
#endif
constexpr auto mlp = tenon::network({784}, first, nn::relu{});
tenon::model<mlp> net;
