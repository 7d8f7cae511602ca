// SPDX-License-Identifier: Apache-2.0
// One optimizer step on one parameter: a pure rule over the parameter, its gradient and the rule's own slots, all in place.
#pragma once
#include <concepts>
#include <cstdint>
#include "tenon/ops/cpu/threads.hpp"
#include "tenon/ops/op.hpp"
namespace tenon {
inline constexpr int max_slots = 4;
/// What a rule is told of one parameter: the step (from 1), and what multiplies its learning rate and its weight decay.
struct step_info {
  std::uint64_t step = 1;
  float lr = 1, decay = 1;
};
/// A rule: `static constexpr int slots` arrays like the parameter, zero at first, and
/// `apply(info, w, g, slots, n) noexcept` for `n` independent elements: it may be called on any part of a parameter, on any thread.
template <class R>
concept update_rule = requires(const R& r, const step_info& i, float* w, const float* g, float* const* s, extent n) {
  { R::name } -> std::convertible_to<const char*>;
  { R::slots } -> std::convertible_to<int>;
  { r.apply(i, w, g, s, n) } noexcept;
} && R::slots <= max_slots;

namespace ops {
template <class W>
struct rule_slots {
  W* p[max_slots]{};
};
/// w, slots = rule(w, g, slots)
struct update_op : op<update_op> {
  template <class Ex, class W, class G, class Rule>
  static void host(const Ex& ex, const view<W>& w, const view<const G>& g, const rule_slots<W>& slots, const Rule& rule,
                   const step_info& info) {
    tenon::detail::parallel(ex.threads(), w.numel(), 16384,
                            [&](extent from, extent to, int) noexcept { part(rule, info, w.data(), g.data(), slots, from, to); });
  }

 private:
  template <class W, class G, class Rule>
  [[gnu::noinline]] static void part(const Rule& rule, const step_info& info, W* w, const G* g, const rule_slots<W>& slots,
                                     extent from, extent to) noexcept {
    W* own[max_slots]{};
    for (int k = 0; k < Rule::slots; ++k) own[k] = slots.p[k] + from;
    rule.apply(info, w + from, g + from, own, to - from);
  }
};
inline constexpr update_op update{};
}  // namespace ops
}  // namespace tenon
