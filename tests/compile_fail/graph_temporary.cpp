// SPDX-License-Identifier: Apache-2.0
// A training forward borrows x until its backward: a temporary that owns its elements does not compile.
// expect: [forward] this temporary owns its elements, and a training forward borrows x until its backward: name it first
// expect: graph_temporary.cpp:18
// control: -DFIXED
#include <tenon/tenon.hpp>
#include <vector>
namespace nn = tenon::layers;
constexpr auto mlp = tenon::network({4}, nn::linear{.out = 2});
std::vector<float> make();
int main() {
  tenon::model<mlp> net;
#ifdef FIXED
  const auto x = make();
  (void)net.forward(x);
#else

  (void)net.forward(make());
#endif
}
