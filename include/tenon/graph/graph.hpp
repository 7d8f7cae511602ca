// SPDX-License-Identifier: Apache-2.0
// A network whose architecture, dtype and sizes are known only at run time: bound from the same value as a model, or by name.
// Its tensors say their dtype at run time: y.as<float>().
#pragma once
#include "tenon/graph/model.hpp"
#if TENON_EXCEPTIONS
namespace tenon {
/// How a graph is made. dtype: float32, float64, or bfloat16_dtype (bfloat16 storage with float parameters and arithmetic).
struct graph_options {
  std::uint64_t seed = 0;
  tenon::dtype dtype = float32;
  cpu device{};
  copy_policy packing = copy_policy::if_needed;
};

/// `tenon::graph g{tenon::network({n}, nn::linear{.out = hidden}, nn::relu{})};`
class graph : public detail::calls_of<graph, cpu, void, void, void> {
  using base = detail::calls_of<graph, cpu, void, void, void>;
  template <class Net>
  static program_ref bind(const Net& from, dtype d) {
    // by pointer: planning is cold code, and g++ takes whoever calls such for cold too, with all his loops
    const auto make = d == float32          ? &bound_program::make<Net, float, cpu>
                      : d == float64        ? &bound_program::make<Net, double, cpu>
                      : d == bfloat16_dtype ? &bound_program::make<Net, precision<bfloat16>, cpu>
                                            : nullptr;
    if (!make)
      detail::raise(errc::dtype, "graph",
                    {.argument = "dtype",
                     .got = d.packed(),
                     .expected = float32.packed(),
                     .remedy = "A graph computes in float32, float64 or bfloat16."});
    return make(from);
  }

 public:
  /// Anything with `in` and `lower(builder, values)`: a network value or a layer_list. Errors: dtype, and what binding finds.
  template <class Net>
    requires requires(const Net& n) { n.in; }
  explicit graph(const Net& from, const graph_options& o = {})
      : base(bind(from, o.dtype), options<cpu>{o.seed, o.device, o.packing}) {}
  graph(graph&&) = default;
  graph& operator=(graph&&) = default;

  /// dtype of x, y and their gradients.
  tenon::dtype dtype() const { return types().storage; }
  template <class Rule>
  void update(const Rule& rule) {
    if (types().master == float64) run_update<double, double>(rule);
    else run_update<float, float>(rule);
  }
};
}  // namespace tenon
#endif
