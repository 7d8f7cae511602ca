// SPDX-License-Identifier: Apache-2.0
// Optimizer steps on an NVIDIA GPU, and arrays from the host to a device and back. Opt-in, like tenon/ops/cuda/device.hpp.
#pragma once
#include "tenon/ops/cuda/device.hpp"
#include "tenon/tensor/tensor.hpp"
#include "tenon/train/optimizer.hpp"
#if TENON_EXCEPTIONS
namespace tenon {
namespace cuda::detail {
inline tenon_cuda_update_args step(const execution& ex, int kind, const array& w, const constant& g,
                                   const ops::rule_slots<float>& slots) {
  auto a = arguments<tenon_cuda_update_args>(ex);
  a.kind = kind;
  a.n = w.numel();
  a.w = w.data(), a.g = g.data();
  a.first = slots.p[0], a.second = slots.p[1];
  return a;
}
/// The numbers of detail::adam_step, worked out as there.
template <class Rule>
void adam(const execution& ex, const array& w, const constant& g, const ops::rule_slots<float>& slots, const Rule& rule,
          const step_info& info, double coupled, double decoupled) {
  namespace maths = tenon::detail::maths;
  auto a = step(ex, TENON_CUDA_ADAM, w, g, slots);
  const double beta1 = rule.beta1, beta2 = rule.beta2, t = static_cast<double>(info.step),
               rate = rule.lr * static_cast<double>(info.lr);
  a.l2 = static_cast<float>(coupled);
  a.take1 = static_cast<float>(1 - beta1);
  a.keep2 = static_cast<float>(beta2), a.take2 = static_cast<float>(1 - beta2);
  a.shrink = static_cast<float>(rate * decoupled);
  a.scale = static_cast<float>(rate / (1 - maths::pow(beta1, t)));
  a.root = static_cast<float>(1 / maths::sqrt(1 - maths::pow(beta2, t)));
  a.epsilon = static_cast<float>(static_cast<double>(rule.epsilon));
  cuda_device::check(calls().update(&a), "cuda");
}
}  // namespace cuda::detail

/// Errors of all three: as cuda_device::try_allocate.
inline void run_op(ops::update_op, const cuda::execution& ex, const cuda::array& w, const cuda::constant& g,
                   const ops::rule_slots<float>& slots, const sgd& rule, const step_info& info) {
  auto a = cuda::detail::step(ex, TENON_CUDA_SGD, w, g, slots);
  a.rate = static_cast<float>(rule.lr * static_cast<double>(info.lr));
  a.decay = static_cast<float>(rule.weight_decay * static_cast<double>(info.decay));
  a.keep = static_cast<float>(static_cast<double>(rule.momentum));
  a.take = info.step > 1 ? static_cast<float>(1 - rule.dampening) : 1;
  a.now = rule.nesterov ? 1 : 0;
  a.buffer = rule.nesterov ? a.keep : 1;
  if (rule.momentum == 0) a.first = nullptr, a.now = 1, a.buffer = 0;
  cuda_device::check(cuda::calls().update(&a), "cuda");
}
inline void run_op(ops::update_op, const cuda::execution& ex, const cuda::array& w, const cuda::constant& g,
                   const ops::rule_slots<float>& slots, const adam& rule, const step_info& info) {
  cuda::detail::adam(ex, w, g, slots, rule, info, rule.weight_decay * static_cast<double>(info.decay), 0);
}
inline void run_op(ops::update_op, const cuda::execution& ex, const cuda::array& w, const cuda::constant& g,
                   const ops::rule_slots<float>& slots, const adamw& rule, const step_info& info) {
  cuda::detail::adam(ex, w, g, slots, rule, info, 0, rule.weight_decay * static_cast<double>(info.decay));
}

/// A copy of a dense array in memory of `device`, counted as copied. Errors: not_dense, those of the device.
template <executor D, class T>
tensor<std::remove_const_t<T>, D> to_device(const D& device, const view<T>& x) {
  using bare = std::remove_const_t<T>;
  const auto bytes = static_cast<std::size_t>(x.numel()) * sizeof(bare);
  storage m;
  failure f;
  detail::check(device.try_allocate(bytes, m, f), f);
  device.upload(m.data(), x.data(), bytes);
  detail::count(&traffic::copied, bytes);
  auto* const p = reinterpret_cast<bare*>(m.data());
  return {std::move(m), strided_view<bare, D>(view<bare, D>(p, x.shape()))};
}
template <executor D, class T>
auto to_device(const D& device, const tensor<T>& x) {
  return to_device(device, x.view());
}
/// And back, once all that is queued is done. Errors: device (another one's memory), not_dense, no_memory, those of the device.
template <class T, executor D>
tensor<std::remove_const_t<T>> to_host(const D& device, const tensor<T, D>& x) {
  if (const tenon::device has = x.describe().device, own = device_of(device); !detail::serves(has, own))
    detail::raise(errc::device, "to_host", {.argument = "x", .got = has.packed(), .expected = own.packed()});
  tensor<std::remove_const_t<T>> y(x.shape());
  const auto bytes = static_cast<std::size_t>(x.numel()) * sizeof(T);
  device.download(y.data(), x.view().data(), bytes);
  detail::count(&traffic::copied, bytes);
  return y;
}
}  // namespace tenon
#endif
