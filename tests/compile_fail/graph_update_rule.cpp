// SPDX-License-Identifier: Apache-2.0
// expect: [update] a rule needs: name, slots, apply(const step_info&, W* w, const G* g, W* const* slots, extent n) const
// control: -DFIXED
#include <tenon/tenon.hpp>
namespace nn = tenon::layers;
constexpr auto mlp = tenon::network({4}, nn::linear{.out = 2});
struct rule {
  static constexpr const char* name = "rule";
#ifdef FIXED
  static constexpr int slots = 0;
#endif
  void apply(const tenon::step_info&, auto*, const auto*, auto* const*, tenon::extent) const noexcept {}
};
int main() {
  tenon::model<mlp> net;
  net.update(rule{});
}
