// SPDX-License-Identifier: Apache-2.0
// Recurrent cells: one step of time. The carry goes in and out as values of the network; what joins the steps is the caller's.
#pragma once
#include "tenon/layers/infer.hpp"
#include "tenon/layers/layer.hpp"
#include "tenon/ops/recurrent.hpp"
namespace tenon::layers {
/// One step of an LSTM (torch.nn.LSTMCell): inputs x [batch, in], h [batch, out], c [batch, out], outputs h', c' [batch, out];
/// weight_ih is [4·out, in], weight_hh is [4·out, out]; gates in the order i, f, g, o.
struct lstm_cell {
  size out{}, in = dyn;
  static constexpr int arity = 3;
  static constexpr auto name = "lstm_cell";
  static constexpr void fields(auto& self, auto&& visit) {
    visit("out", self.out);
    visit("in", self.in);
  }
  constexpr spec infer(inputs x) const {
    shape s = x.n == 3 ? x[0].expect_kind(kind::scalar) : x[0].failed({errc::arity, -1, x.n, 3});
    s = detail::expect_positive_or_dyn(s.expect_rank(2).expect_given(out), in).expect(1, in);
    for (int i = 1; i < 3; ++i) {
      const shape carry = x[i].expect_kind(kind::scalar).expect_rank(2).expect(0, s[0]).expect(1, out);
      if (!carry.ok()) s = s.failed(carry.bad());
    }
    const extent gates = detail::saturating_mul(4, out), features = s[1] == dyn ? in.v : s[1];
    const initial start = uniform_fan_in(out);
    const shape y = s.with(1, out);
    return spec{y}
        .output(y)
        .parameter("weight_ih", {gates, features}, start)
        .parameter("weight_hh", {gates, out.v}, start)
        .parameter("bias_ih", {gates}, start)
        .parameter("bias_hh", {gates}, start)
        .saves("gates", y.with(1, gates))
        .saves("tanh_c", y)
        .scratch(out > 0 ? detail::lstm_scratch(out) : 0)
        .reads(keep::input);
  }
  void forward(auto& pass) const {
    ops::lstm(pass.ex(), pass.y(0), pass.y(1), pass.saved(0), pass.saved(1), pass.x(0), pass.x(1), pass.x(2), pass.p(0),
              pass.p(1), pass.p(2), pass.p(3));
  }
  void backward(auto& pass) const {
    using P = std::remove_reference_t<decltype(pass)>;
    const ops::lstm_tape<typename P::storage, typename P::accumulate, typename P::device_type> tape{
        pass.saved(0), pass.saved(1), pass.x(2), pass.dy(0), pass.dy(1)};
    for (int i = 0; i < 2; ++i) {  // x by weight_ih, h by weight_hh
      if (auto dx = pass.dx(i)) ops::lstm_dx(pass.ex(), dx, tape, pass.p(i));
      if (auto dw = pass.dp(i)) ops::lstm_dw(pass.ex(), dw, tape, pass.x(i));
      if (auto db = pass.dp(2 + i)) ops::lstm_db(pass.ex(), db, tape);
    }
    if (auto dc = pass.dx(2)) ops::lstm_dc(pass.ex(), dc, tape);
  }
};
}  // namespace tenon::layers
