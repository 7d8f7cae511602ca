// SPDX-License-Identifier: Apache-2.0
// One translation unit that includes every header; tests/tools/odr.py compiles it under several flags and links all into one
// program, so what the linker merges must be the same everywhere. PART is the name of the function, EVERYTHING the headers.
#include EVERYTHING

double PART() {
  double sum = 0;
#if TENON_EXCEPTIONS && __has_include(<tenon/tenon.hpp>)
  namespace nn = tenon::layers;
  static constexpr auto net = tenon::network({3}, nn::linear{.out = 4}, nn::tanh{}, nn::linear{.out = 2});
  tenon::model<net> model{{.seed = 1}};
  const float x[] = {1, 2, 3, 4, 5, 6};
  const auto y = model(tenon::view(x, {2, 3}));
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 2; ++j) sum += double(y(i, j));
#endif
  return sum;
}
