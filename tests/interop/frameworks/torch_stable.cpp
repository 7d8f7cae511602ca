// SPDX-License-Identifier: Apache-2.0
// torch::stable::Tensor through interop/torch_stable.hpp: operators of a library that no PyTorch header outside the stable ones has
// touched. torch_stable.py loads it and calls them.
#include <torch/csrc/stable/library.h>
#include <tenon/interop/torch_stable.hpp>

#include <stdexcept>
#include <string>

namespace {

using torch::stable::Tensor;

/// y = by · x, in memory of ours that the result keeps alive.
Tensor scaled(const Tensor& x, double by) {
  const auto in = tenon::from_torch_stable<const float>(x);
  tenon::tensor<float> out(in.shape());
  for (tenon::extent i = 0; i < in.numel(); ++i) out[i] = static_cast<float>(by) * in[i];
  return tenon::to_torch_stable(out);
}
/// The same memory, through us.
Tensor shared(const Tensor& x) { return tenon::to_torch_stable(tenon::from_torch_stable(x)); }
/// Adds one to each element of a matrix of three columns, through a typed view.
void increment(Tensor x) {
  const auto v = tenon::view_as<tenon::view<float, tenon::extents<tenon::dyn, 3>>>(x);
  for (tenon::extent i = 0; i < v.extent_of(0); ++i)
    for (tenon::extent j = 0; j < 3; ++j) v(i, j) += 1;
}

}  // namespace

STABLE_TORCH_LIBRARY(tenon_stable, m) {
  m.def("scaled(Tensor x, float by) -> Tensor");
  m.def("shared(Tensor x) -> Tensor");
  m.def("increment(Tensor(a!) x) -> ()");
}
STABLE_TORCH_LIBRARY_IMPL(tenon_stable, CompositeExplicitAutograd, m) {
  m.impl("scaled", TORCH_BOX(&scaled));
  m.impl("shared", TORCH_BOX(&shared));
  m.impl("increment", TORCH_BOX(&increment));
}
