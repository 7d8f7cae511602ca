// SPDX-License-Identifier: Apache-2.0
// What a session does: inference, forward, backward, update. The checks come first: session_doors.hpp.
#pragma once
#include "tenon/graph/session_doors.hpp"
#if TENON_EXCEPTIONS
namespace tenon {
template <class D>
errc session<D>::run_inference(const input_arg* x, int n, tensor<void, D>* y, failure& why, bool one_output,
                               call_info* observed) const {
  extent batch = 0;
  if (const errc c = check_inputs("inference", x, n, batch, why, one_output); c != errc::ok) return c;
  call_info c = observed ? *observed : call(batch, false);
  c.batch = batch;
  buffers b;
  strides st[max_inputs];
  bool strided = false;
  const workspace* mine = nullptr;
  for (const workspace& w : inference_)
    if (__atomic_exchange_n(&w.busy, 1u, __ATOMIC_ACQUIRE) == 0) {
      mine = &w;
      break;
    }
  workspace own;  // more calls at once than workspaces: this one pays with fresh memory
  const workspace& w = mine ? *mine : own;
  struct release {
    const workspace* w;
    ~release() {
      if (w) __atomic_store_n(&w->busy, 0u, __ATOMIC_RELEASE);
    }
  } at_end{mine};
  for (int i = 0; i < n; ++i)
    if (const errc e = take_input(x[i], i, b, w.packed(i), st[i], strided, why); e != errc::ok) return e;
  for (int k = 0; k < program_->outputs(); ++k) {
    if (w.out(k) && !w.out(k).sole()) w.out(k).swap(w.spare(k));
    if (w.out(k) && !w.out(k).sole()) {  // somebody still holds both
      w.out(k).reset();
      detail::count(&traffic::fresh_slots, 1);
    }
    if (const errc e = detail::grow(w.out(k), detail::output_bytes(planned(), k, batch), why, device_); e != errc::ok) return e;
    b.y[k] = w.out(k).data();
  }
  if (const errc e = detail::grow(w.memory(), program_->scratch_bytes(batch, c.training, c.threads), why, device_); e != errc::ok)
    return e;
  if (c.training)
    if (const errc e = detail::grow(w.saved(), program_->saved_bytes(batch), why, device_); e != errc::ok) return e;
  b.scratch = w.memory().data();
  b.saved = w.saved().data();
  program_->forward(table(), b, c);
  for (int k = 0; k < program_->outputs(); ++k)
    y[k] = output_tensor(w.out(k), k, batch, false, id_ << detail::stamp_forward_bits);  // forward 0: no backward takes it
  return errc::ok;
}

template <class D>
errc session<D>::run_forward(const input_arg* x, int n, tape& t, tensor<void, D>* y, failure& why, bool one_output) {
  extent batch = 0;
  if (const errc c = check_inputs("forward", x, n, batch, why, one_output); c != errc::ok) return c;
  t.stamp_ = 0;
  for (storage& s : t.held_) s.reset();
  if (!t.saved_.sole()) t.saved_.reset();
  buffers b;
  for (int i = 0; i < n; ++i) {
    if (const errc c = take_input(x[i], i, b, t.packed_[i], t.x_strides_[i], t.x_strided_[i], why); c != errc::ok) return c;
    t.x_[i] = b.x[i];
    t.x_owner(i) = x[i].owner;
  }
  if (const errc c = detail::grow(t.saved_, program_->saved_bytes(batch), why, device_); c != errc::ok) return c;
  if (const errc c = detail::grow(scratch_, program_->scratch_bytes(batch, true, threads_of(device_)), why, device_);
      c != errc::ok)
    return c;
  for (int k = 0; k < program_->outputs(); ++k) {
    if (const errc c = take_output(detail::output_bytes(planned(), k, batch), t.y(k), why); c != errc::ok) return c;
    b.y[k] = t.y(k).data();
  }
  b.saved = t.saved_.data();
  b.scratch = scratch_.data();
  call_info c = call(batch, true);
  c.key = {count_.seed, count_.forwards + 1, 0};
  program_->forward(table(), b, c);
  program_->commit(table(), b, c);
  ++count_.forwards;
  t.batch_ = batch;
  t.key_ = c.key;
  t.version_ = version_;
  t.stamp_ = id_ << detail::stamp_forward_bits | detail::stamp_forward(count_.forwards);
  for (int k = 0; k < program_->outputs(); ++k) y[k] = output_tensor(t.y(k), k, batch, program_->output_is_kept(k), t.stamp_);
  return errc::ok;
}

namespace detail {
[[gnu::cold, gnu::noinline]] inline errc stale(failure& why, const char* argument, std::uint64_t got, std::uint64_t expected,
                                               const char* remedy) noexcept {
  return fail(
      why, errc::stale, "backward",
      {.argument = argument, .got = static_cast<extent>(got), .expected = static_cast<extent>(expected), .remedy = remedy});
}
/// dy says that it is of `made`; the tape holds `held`.
[[gnu::cold, gnu::noinline]] inline errc stale_dy(failure& why, std::uint64_t made, std::uint64_t held) noexcept {
  const bool inference = stamp_forward(made) == 0;
  const char* const remedy = inference ? "An inference saves nothing: call net.forward(x)."
                                       : "Several in flight need a tape each: tenon::tape t{net}; net.forward(x, t); "
                                         "net.backward(dy, t).";
  if (stamp_session(made) != stamp_session(held))
    return stale(why, "dy belongs to another model, by number", stamp_session(made), stamp_session(held), remedy);
  return stale(why,
               inference ? "dy belongs to an inference, by number of the forward" : "dy belongs to another forward, by number",
               stamp_forward(made), stamp_forward(held), remedy);
}
}  // namespace detail

template <class D>
errc session<D>::run_backward(const input_arg* dy, int n, tape& t, const input_arg* dx, int wanted, failure& why) {
  using detail::fail;
  constexpr const char* op = "backward";
  if (const errc c = alive(op, why); c != errc::ok) return c;
  if (!t.stamp_)
    return fail(why, errc::no_forward, op,
                {.argument = "the tape", .remedy = "Call forward first; a forward that failed leaves nothing to go back over."});
  if (detail::stamp_session(t.stamp_) != id_)
    return detail::stale(why, "tape, by number of the model", detail::stamp_session(t.stamp_), id_, "");
  if (t.version_ != version_)
    return detail::stale(why, "parameters, by number of updates since the forward", version_ - t.version_, 0,
                         "Go back before update.");
  if (n != program_->outputs()) return fail(why, errc::arity, op, {.argument = "dy", .got = n, .expected = program_->outputs()});
  buffers b;
  for (int k = 0; k < n; ++k) {
    if (dy[k].stamp && dy[k].stamp != t.stamp_) return detail::stale_dy(why, dy[k].stamp, t.stamp_);
    if (const errc c = check_gradient(false, k, n, dy[k].array, planned().out[k], t, why); c != errc::ok) return c;
    b.dy[k] = dy[k].array.data;
    b.y[k] = t.y(k).data();
  }
  for (int i = 0; i < wanted; ++i) {
    const array_ref& a = dx[i].array;
    if (!a.data) continue;
    if (i >= planned().in.n) return fail(why, errc::arity, op, {.argument = "dx", .got = wanted, .expected = planned().in.n});
    if (const errc c = check_gradient(true, i, planned().in.n, a, i, t, why); c != errc::ok) return c;
    b.dx[i] = a.data;
  }
  if (const errc c = check_overlaps(b, t, why); c != errc::ok) return c;
  for (int i = 0; i < planned().in.n; ++i) {
    if (const extent limit = planned().index_limit[i]; limit > 0) {  // borrowed: they may have changed since the forward
      const shape s = detail::with_batch(planned().at(i).s, t.batch_);
      const array_ref now{const_cast<void*>(t.x_[i]), int64, device_of(device_), s, dense_strides(s), true};
      if (const errc c = check_indices(op, now, detail::argument_text("x", i, planned().in.n).text, limit, why); c != errc::ok)
        return c;
    }
    b.x[i] = t.x_[i];
    b.x_strides[i] = t.x_strided_[i] ? &t.x_strides_[i] : nullptr;
  }
  if (const errc c = detail::grow(scratch_, program_->scratch_bytes(t.batch_, true, threads_of(device_)), why, device_);
      c != errc::ok)
    return c;
  b.saved = t.saved_.data();
  b.scratch = scratch_.data();
  call_info c = call(t.batch_, true);
  c.key = t.key_;
  const std::uint64_t stamp = std::exchange(t.stamp_.v, 0);  // a layer that throws leaves sums half made: the tape is spent
  program_->backward(table(), b, c, fresh_);
  t.stamp_ = stamp;
  fresh_ = false;
  return errc::ok;
}

template <class D>
[[gnu::noinline]] void session<D>::count_step(int slots, const char* rule) {
  ensure_slots(slots, rule);
  ++count_.steps;
  ++version_;
  fresh_ = true;
}

template <class D>
template <class M, class A, class Rule>
void session<D>::run_update(const Rule& rule) {
  static_assert(
      update_rule<Rule>,
      "[update] a rule needs: name, slots, apply(const step_info&, W* w, const G* g, W* const* slots, extent n) const noexcept");
  count_step(Rule::slots, Rule::name);
  for (int i = 0; i < parameter_count(); ++i) {
    if (!dp(i)) continue;  // a binding has no gradient for it: no step, and no decay either
    const shape s{planned().parameters[i].shape.numel()};
    ops::rule_slots<M> slots;
    for (int k = 0; k < Rule::slots; ++k)
      slots.p[k] = reinterpret_cast<M*>(slots_.data() + trainable_ * static_cast<std::size_t>(k) + at(i).at);
    const step_info info{count_.steps, at(i).scale.lr, at(i).scale.decay};
    ops::update(device_, view<M, D>(static_cast<M*>(p(i)), s), view<const A, D>(static_cast<const A*>(dp(i)), s), slots, rule,
                info);
  }
}

template <class D>
[[gnu::noinline]] std::string session<D>::first_not_finite(const input_arg& x) const {
  failure f;
  extent batch = 0;
  detail::check(check_inputs("first_not_finite", &x, 1, batch, f), f);
  struct observer {
    const session& s;
    std::string found;
  } seen{*this, {}};
  auto finite = [this](const void* p, extent n, int which) {
    const auto& w = planned().width;
    const std::size_t bytes = static_cast<std::size_t>(n) * (which == 0 ? w.storage : which == 1 ? w.accumulate : w.master);
    if constexpr (device_traits<D>::host_accessible) return types().finite(p, n, which);
    const storage host = storage::allocate(bytes);
    device_.download(host.data(), p, bytes);
    return types().finite(host.data(), n, which);
  };
  for (int i = 0; i < parameter_count(); ++i)
    if (!finite(p(i), planned().parameters[i].shape.numel(), 2)) return detail::concat("parameter ", parameter_name(i));
  if (planned().at(0).s.what == kind::scalar && x.array.dense() && !finite(x.array.data, x.array.shape.numel(), 0))
    return "input x";
  call_info c = call(0, true);
  c.key = {count_.seed, count_.forwards, 0};
  c.self = &seen;
  c.after = [](void* self, int node, const frame& at) {
    auto& o = *static_cast<observer*>(self);
    const auto& nd = o.s.planned().nodes[node];
    for (int k = 0; k < nd.y.size(); ++k) {
      const extent n = detail::with_batch(nd.out.y[k], at.batch).numel();
      bool good = true;
      if constexpr (device_traits<D>::host_accessible) {
        good = o.s.types().finite(at.y[k], n, 0);
      } else {
        const auto bytes = static_cast<std::size_t>(n) * o.s.planned().width.storage;
        const storage host = storage::allocate(bytes);
        o.s.device_.download(host.data(), at.y[k], bytes);
        good = o.s.types().finite(host.data(), n, 0);
      }
      if (!good) {
        o.found = detail::concat("layer ", o.s.planned().text(nd.path));
        return false;
      }
    }
    return true;
  };
  tensor<void, D> y[max_outputs];
  detail::check(run_inference(&x, 1, y, f, false, &c), f);
  return seen.found;
}
}  // namespace tenon
#endif
