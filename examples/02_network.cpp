// SPDX-License-Identifier: Apache-2.0
// One architecture value, three binders.
//
//   layer         output            parameters
//   input         [batch, 1, 8, 8]
//   0.conv2d      [batch, 4, 8, 8]  40
//   1.batch_norm  [batch, 4, 8, 8]  8
//   2.relu        [batch, 4, 8, 8]
//   3.0.conv2d    [batch, 4, 8, 8]  148
//   3.1.relu      [batch, 4, 8, 8]
//   3.add         [batch, 4, 8, 8]
//   4.max_pool2d  [batch, 4, 4, 4]
//   5.flatten     [batch, 64]
//   head.linear   [batch, 3]        195
//   391 parameters
//   model, graph and fixed agree to the bit: yes
#include <cstdio>
#include <cstring>
#include <tenon/tenon.hpp>
#include <vector>
namespace nn = tenon::layers;

constexpr auto small = tenon::network({1, 8, 8},  // one sample; the batch axis in front is free
                                      nn::conv2d{.out = 4, .kernel = 3, .padding = 1}, nn::batch_norm{}, nn::relu{},
                                      nn::residual{nn::conv2d{.out = 4, .kernel = 3, .padding = 1}, nn::relu{}},
                                      nn::max_pool2d{.kernel = 2}, nn::flatten{}, nn::named("head", nn::linear{.out = 3}));

static tenon::fixed<small, 2> embedded{1};  // no heap: all memory is inside, so not on a small stack

int main() {
  std::fputs(tenon::summary(small).c_str(), stdout);
  std::vector<float> x(2 * 64);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 7) / 7;
  const auto image = tenon::view(x, {2, 1, 8, 8});

  tenon::model<small> known{{.seed = 1}};  // architecture known to the compiler: a wrong extent does not compile
  tenon::graph dynamic{small, {.seed = 1}};  // known at run time: the same value, or layers by name
  const auto a = known(image);
  const auto b = dynamic(image);
  const auto c = embedded(image);
  const bool equal =
      std::memcmp(a.data(), b.data(), 6 * sizeof(float)) == 0 && std::memcmp(a.data(), c.data(), 6 * sizeof(float)) == 0;
  std::printf("model, graph and fixed agree to the bit: %s\n", equal ? "yes" : "no");
  return equal ? 0 : 1;
}
