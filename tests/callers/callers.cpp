// SPDX-License-Identifier: Apache-2.0
// A user's own loops, each in a function that calls us first. They must be compiled as if the call were not there: a compiler that
// takes the call for cold makes the whole function small instead of fast.
#include <string>
#include <vector>
#include "tenon/tenon.hpp"

namespace nn = tenon::layers;
constexpr auto net = tenon::network({16}, nn::linear{.out = 8}, nn::relu{}, nn::linear{.out = 4});
using model = tenon::model<net>;

#define HIS_LOOP \
  for (int i = 0; i < 100000; ++i) out[i] = 2 * in[i] + out[i]

void inference(const model& m, const float* in, float* out) {
  auto y = m(tenon::view(in, {1, 16}));
  HIS_LOOP;  // vectorised
  out[0] = y.data()[0];
}
void inference_of_many(const model& m, const float* in, float* out) {
  auto y = m.all({tenon::view(in, {1, 16})});
  HIS_LOOP;  // vectorised
  out[0] = y[0].data()[0];
}
void forward(model& m, const float* in, float* out) {
  auto y = m.forward(tenon::view(in, {1, 16}));
  HIS_LOOP;  // vectorised
  out[0] = y.data()[0];
}
void backward(model& m, const tenon::tensor<float>& dy, const float* in, float* out) {
  m.backward(dy);
  HIS_LOOP;  // vectorised
}
void twins(model& m, const tenon::tensor<float>& dy, const float* in, float* out) {
  tenon::tensor<float> y;
  tenon::failure why;
  if (m.try_forward(tenon::view(in, {1, 16}), y, why) != tenon::errc::ok) return;
  if (m.try_backward(dy, why) != tenon::errc::ok) return;
  HIS_LOOP;  // vectorised
}
void training(model& m, const std::vector<int>& labels, const float* in, float* out) {
  tenon::cross_entropy loss;
  auto y = m.forward(tenon::view(in, {4, 16}));
  auto [l, dy] = loss(y, labels);
  m.backward(dy);
  m.update(tenon::adamw{});
  HIS_LOOP;  // vectorised
  out[0] = float(l);
}
void squares(const tenon::tensor<float>& y, const tenon::tensor<float>& target, const float* in, float* out) {
  tenon::mse loss;
  auto [l, dy] = loss(y, target);
  HIS_LOOP;  // vectorised
  out[0] = float(l) + dy.data()[0];
}
void making(const float* in, float* out) {
  model m{{.seed = 1}};
  HIS_LOOP;  // vectorised
  out[0] = static_cast<float>(m.parameters().size());
}
void making_a_graph(const float* in, float* out) {
  tenon::graph g{net};
  HIS_LOOP;  // vectorised
  out[0] = static_cast<float>(g.parameters().size());
}
void copies(const model& m, const float* in, float* out) {
  model other = m.clone(), same = m.share();
  HIS_LOOP;  // vectorised
  out[0] = static_cast<float>(other.parameters().size() + same.states().size());
}
std::string words(const tenon::shape& s, const float* in, float* out) {
  std::string r = tenon::summary(net) + tenon::text(s) + tenon::name(tenon::float32) + tenon::word(tenon::errc::rank);
  HIS_LOOP;  // vectorised
  return r;
}
void tensors(const tenon::shape& s, const float* in, float* out) {
  tenon::tensor<float> t(s);
  auto copy = tenon::copy(t);
  tenon::shape larger = s.with(0, 3).append(4);
  HIS_LOOP;  // vectorised
  out[0] = copy.data()[0] + static_cast<float>(larger.numel());
}
void bridge(tenon::dl::managed_tensor_versioned* from, const float* in, float* out) {
  auto t = tenon::from_dlpack<const float>(tenon::own(from));
  auto to = tenon::to_dlpack(t);
  HIS_LOOP;  // vectorised
  out[0] = static_cast<float>(to->dl_tensor.ndim);
}
