// SPDX-License-Identifier: Apache-2.0
// What a session owns and how it is filled: arenas, initial values, optimizer slots, foreign memory, copies.
#pragma once
#include "tenon/graph/initial.hpp"
#include "tenon/graph/session.hpp"
#if TENON_EXCEPTIONS
namespace tenon {
template <class D>
[[gnu::cold]] session<D>::session(program_ref from, const options<D>& o)
    : program_(std::move(from)), device_(o.device), packing_(o.packing) {
  id_ = detail::stamp_session(__atomic_add_fetch(&detail::session_counter, 1, __ATOMIC_RELAXED) << detail::stamp_forward_bits);
  count_.seed = o.seed;
  const auto& w = planned().width;
  const std::size_t width = w.master > w.accumulate ? w.master : w.accumulate;
  std::size_t total = 0;
  auto sum = [&](const detail::array_view<detail::array_info>& all) {
    for (const auto& a : all) {
      total += detail::bytes_of(a.shape, width);
      if (total > detail::size_limit)
        detail::raise(errc::overflow, "model",
                      {.argument = "bytes of all parameters",
                       .got = static_cast<extent>(total),
                       .expected = static_cast<extent>(detail::size_limit),
                       .relation = "at most "});
    }
  };
  sum(planned().parameters);
  trainable_ = total;
  sum(planned().states);
  failure f;
  detail::check(device_.try_allocate(total, arena_, f), f);
  detail::check(device_.try_allocate(trainable_, gradients_, f), f);
  const storage host =
      device_traits<D>::host_accessible ? arena_ : storage::allocate(total);  // initial values are made on the host
  std::memset(host.data(), 0, total);
  random_key key{count_.seed, 0, 0};
  std::size_t used = 0;
  auto fill = [&](const detail::array_info& a, bool accumulator) {
    const std::size_t mine = used;
    for (extent i = 0; i < a.shape.numel(); ++i)
      types().store(host.data() + mine, i, detail::initial_value(a.start, key, static_cast<std::uint64_t>(i)), accumulator);
    ++key.layer;
    used += detail::bytes_of(a.shape, width);
    return mine;
  };
  const int n = parameter_count();
  parameters_ = detail::owned_array<parameter>(n);
  tables_ = detail::owned_array<void*>(2 * n + state_count());
  for (int i = 0; i < n; ++i) {
    at(i).at = fill(planned().parameters[i], false);
    at(i).owner = arena_;
    p(i) = arena_.data() + at(i).at;
    dp(i) = gradients_.data() + at(i).at;
  }
  for (int i = 0; i < state_count(); ++i) this->state(i) = arena_.data() + fill(planned().states[i], true);
  state_owner_ = arena_;
  if (!device_traits<D>::host_accessible) device_.upload(arena_.data(), host.data(), total);
  for (int i = 0; i < n; ++i) types().zero(&device_, dp(i), planned().parameters[i].shape.numel(), true);
}

template <class D>
[[gnu::cold]] void session<D>::start_slots(int n, std::string_view rule) {
  storage fresh;
  const std::size_t bytes = trainable_ * static_cast<std::size_t>(n);
  failure f;
  if (n > 0) {
    detail::check(device_.try_allocate(bytes, fresh, f), f);
    storage host = device_traits<D>::host_accessible ? fresh : storage::allocate(bytes);
    std::memset(host.data(), 0, bytes);
    if (!device_traits<D>::host_accessible) device_.upload(fresh.data(), host.data(), bytes);
  }
  rule_ = std::string(rule);
  slots_ = std::move(fresh);
  slot_count_ = n;
  count_.steps = 0;
}

template <class D>
[[gnu::cold]] std::vector<named_tensor<void, void, D>> session<D>::slots() const {
  std::vector<named_tensor<void, void, D>> r;
  for (int k = 0; k < slot_count_; ++k)
    for (int i = 0; i < parameter_count(); ++i)
      r.push_back({detail::concat(parameter_name(i), ".", std::to_string(k)),
                   array_tensor(slots_, slots_.data() + trainable_ * static_cast<std::size_t>(k) + at(i).at, types().master,
                                planned().parameters[i].shape),
                   {}});
  return r;
}

template <class D>
[[gnu::cold]] int session<D>::find(std::string_view name, const char* op) const {
  for (int i = 0; i < parameter_count(); ++i)
    if (name == parameter_name(i)) return i;
  detail::raise(errc::name, op, {.argument = name, .remedy = "No parameter has this name: see parameters()."});
}

template <class D>
[[gnu::cold]] void session<D>::bind_parameter(std::string_view name, const tensor<void, D>& t) {
  constexpr const char* op = "bind_parameter";
  const int i = find(name, op);
  const array_ref& a = t.describe();
  failure f;
  detail::check(
      detail::check_array(
          a, {op, parameter_name(i), types().master, device_traits<D>::type, planned().parameters[i].shape, true, true}, f),
      f);
  at(i).owner = t.owner();
  p(i) = a.data;
  ++version_;
}

// values of parameters and state, counted; both sessions have programs of one architecture
template <class D>
[[gnu::cold]] void session<D>::copy_arrays_from(const session& o) {
  std::uint64_t bytes = 0;
  storage host;
  auto one = [&](void* to, const void* from, std::size_t n) {
    if constexpr (device_traits<D>::host_accessible) {
      std::memcpy(to, from, n);
    } else {
      if (host.bytes() < n) host = storage::allocate(n);
      o.device_.download(host.data(), from, n);
      device_.upload(to, host.data(), n);
    }
    bytes += n;
  };
  for (int i = 0; i < parameter_count(); ++i)
    one(p(i), o.p(i), static_cast<std::size_t>(planned().parameters[i].shape.numel()) * planned().width.master);
  for (int i = 0; i < state_count(); ++i)
    one(state(i), o.state(i), static_cast<std::size_t>(planned().states[i].shape.numel()) * planned().width.accumulate);
  for (int i = 0; i < parameter_count(); ++i) at(i).scale = o.at(i).scale;
  if (o.slot_count_ > 0) {
    start_slots(o.slot_count_, o.rule_);
    one(slots_.data(), o.slots_.data(), trainable_ * static_cast<std::size_t>(slot_count_));
  }
  count_ = o.count_;
  detail::count(&traffic::copied, bytes);
}

template <class D>
[[gnu::cold]] void session<D>::share_arrays_of(const session& o) {
  for (int i = 0; i < parameter_count(); ++i) {
    at(i) = o.at(i);
    p(i) = o.p(i);
  }
  for (int i = 0; i < state_count(); ++i) state(i) = o.state(i);
  state_owner_ = o.state_owner_;
}
}  // namespace tenon
#endif
