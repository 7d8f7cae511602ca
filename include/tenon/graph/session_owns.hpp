// SPDX-License-Identifier: Apache-2.0
// What a session owns and how it is filled: arenas, initial values, optimizer slots, foreign memory, copies.
#pragma once
#include "tenon/graph/initial.hpp"
#include "tenon/graph/session.hpp"
#if TENON_EXCEPTIONS
namespace tenon {
// Tables, offsets and gradients: what every session has of its own. Gives the bytes of all parameters and states.
template <class D>
std::size_t session<D>::lay_out(std::uint64_t seed) {
  id_ = detail::stamp_session(__atomic_add_fetch(&detail::session_counter, 1, __ATOMIC_RELAXED) << detail::stamp_forward_bits);
  count_.seed = seed;
  const int n = parameter_count(), all = n + state_count();
  parameters_ = detail::owned_array<parameter>(n);
  tables_ = storage::allocate(static_cast<std::size_t>(n + all) * sizeof(void*));
  std::size_t total = 0;
  for (int i = 0; i < all; ++i) {
    if (i < n) at(i).at = total;
    total += detail::bytes_of(array(i).shape, planned().width.widest());
    if (i < n) trainable_ = total;
  }
  if (total > detail::size_limit)  // a few thousand arrays of the limit and one byte are still no overflow of the sum
    detail::raise(errc::overflow, "model",
                  {.argument = "bytes of all parameters",
                   .got = static_cast<extent>(total),
                   .expected = static_cast<extent>(detail::size_limit),
                   .relation = "at most "});
  gradients_ = zeroed(trainable_);
  for (int i = 0; i < n; ++i) dp(i) = gradients_.data() + at(i).at;
  return total;
}

// By way of the empty session: what throws from here on destroys that one, in one call.
template <class D>
session<D>::session(program_ref from, const options<D>& o) : session(std::move(from), o.device, o.packing) {
  const std::size_t total = lay_out(o.seed);
  failure f;
  detail::check(device_.try_allocate(total, arena_, f), f);
  state_owner_ = arena_;
  storage host = arena_;  // initial values are made on the host
  if constexpr (!device_traits<D>::host_accessible) host = storage::allocate(total);
  std::memset(host.data(), 0, total);
  random_key key{o.seed, 0, 0};
  const int n = parameter_count();
  std::size_t used = 0;
  for (int i = 0; i < n + state_count(); ++i, ++key.layer) {
    for (extent e = 0, count = array(i).shape.numel(); e < count; ++e)
      types().store(host.data() + used, e, detail::initial_value(array(i).start, key, static_cast<std::uint64_t>(e)), i >= n);
    if (i < n) at(i).owner = arena_;
    table_entry(i < n ? i : n + i) = arena_.data() + used;
    used += detail::bytes_of(array(i).shape, planned().width.widest());
  }
  if constexpr (!device_traits<D>::host_accessible) device_.upload(arena_.data(), host.data(), total);
}

// shares parameters and state
template <class D>
session<D>::session(const session& o, std::uint64_t seed) : session(program_ref(o.program_), o.device_, o.packing_) {
  lay_out(seed);
  const int n = parameter_count();
  for (int i = 0; i < n; ++i) {
    at(i) = o.at(i);
    p(i) = o.p(i);
  }
  for (int i = 0; i < state_count(); ++i) this->state(i) = o.state(i);
  state_owner_ = o.state_owner_;
}

template <class D>
[[gnu::noinline]] storage session<D>::zeroed(std::size_t bytes) const {
  storage s;
  failure f;
  detail::check(device_.try_allocate(bytes, s, f), f);
  if constexpr (device_traits<D>::host_accessible) {
    std::memset(s.data(), 0, bytes);  // all bits zero is zero
  } else {
    const storage host = storage::allocate(bytes);
    std::memset(host.data(), 0, bytes);
    device_.upload(s.data(), host.data(), bytes);
  }
  return s;
}

template <class D>
[[gnu::noinline]] void session<D>::start_slots(int n, std::string_view rule) {
  storage name = storage::allocate(rule.size());  // no std::string: g++ compiles its assign anew in each file
  if (!rule.empty()) std::memcpy(name.data(), rule.data(), rule.size());
  slots_ = n > 0 ? zeroed(trainable_ * static_cast<std::size_t>(n)) : storage();
  rule_ = std::move(name);
  slot_count_ = n;
  count_.steps = 0;
}

template <class D>
[[gnu::noinline]] std::vector<named_tensor<void, void, D>> session<D>::slots() const {
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
[[gnu::noinline]] int session<D>::find(std::string_view name, const char* op) const {
  for (int i = 0; i < parameter_count(); ++i)
    if (name == parameter_name(i)) return i;
  detail::raise(errc::name, op,
                {.argument = detail::text_copy(name).text, .remedy = "No parameter has this name: see parameters()."});
}

template <class D>
[[gnu::noinline]] void session<D>::bind_parameter(std::string_view name, const tensor<void, D>& t) {
  constexpr const char* op = "bind_parameter";
  const int i = find(name, op);
  const array_ref& a = t.describe();
  failure f;
  detail::check(detail::check_array(
                    a, {op, parameter_name(i), types().master, device_of(device_), planned().parameters[i].shape, true, true}, f),
                f);
  at(i).owner = t.owner();
  p(i) = a.data;
  ++version_;
}

// values of parameters and state, counted; both sessions have programs of one architecture
template <class D>
[[gnu::noinline]] void session<D>::copy_arrays_from(const session& o) {
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
    start_slots(o.slot_count_, o.rule());
    one(slots_.data(), o.slots_.data(), trainable_ * static_cast<std::size_t>(slot_count_));
  }
  count_ = o.count_;
  detail::count(&traffic::copied, bytes);
}
}  // namespace tenon
#endif
