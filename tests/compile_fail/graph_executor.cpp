// SPDX-License-Identifier: Apache-2.0
// expect: [model] the second argument is an executor: tenon::cpu, or a type like it (ops/executor.hpp)
// control: -DFIXED
#include <tenon/tenon.hpp>
namespace nn = tenon::layers;
constexpr auto mlp = tenon::network({4}, nn::linear{.out = 2});
#ifdef FIXED
tenon::model<mlp, tenon::cpu> net;
#else
struct no_executor {
  static constexpr auto type = tenon::device_type::ext;
};
tenon::model<mlp, no_executor> net;
#endif
