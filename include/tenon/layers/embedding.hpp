// SPDX-License-Identifier: Apache-2.0
// Embedding: the witness of an index input.
#pragma once
#include "tenon/layers/infer.hpp"
#include "tenon/layers/layer.hpp"
#include "tenon/ops/gather.hpp"
namespace tenon::layers {
/// x is [batch, …] of indices in [0, rows), y is [batch, …, out]: rows of weight, which is [rows, out] (torch.nn.Embedding).
struct embedding {
  size rows{}, out{};
  static constexpr auto name = "embedding";
  static constexpr void fields(auto& self, auto&& visit) {
    visit("rows", self.rows);
    visit("out", self.out);
  }
  constexpr spec infer(inputs x) const {
    shape s = x[0].expect_kind(kind::index).expect_given(rows).expect_given(out);
    if (x.n != 1) s = s.failed({errc::arity, -1, x.n, 1});
    return spec{s.append(out)}.parameter("weight", {rows.v, out.v}, normal(1)).reads(keep::input).index_below(0, rows);
  }
  void forward(auto& pass) const { ops::gather(pass.ex(), pass.y(), pass.p(0), pass.x_index()); }
  void backward(auto& pass) const {
    if (auto dw = pass.dp(0)) ops::gather_dw(pass.ex(), dw, pass.dy(), pass.x_index());
  }
};
}  // namespace tenon::layers
