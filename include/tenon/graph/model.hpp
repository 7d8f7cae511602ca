// SPDX-License-Identifier: Apache-2.0
// A network whose architecture the compiler knows: shapes are checked there, the element type is in the type, and all models of
// one architecture share one program. Memory and lifetimes: session.hpp.
#pragma once
#include <new>
#include "tenon/graph/bound.hpp"
#include "tenon/graph/compiled.hpp"
#include "tenon/graph/session_runs.hpp"
#include "tenon/graph/transfer.hpp"
#if TENON_EXCEPTIONS
namespace tenon {
namespace detail {
/// What model and graph have in common: the calls, in terms of what a tensor of theirs is. `T` storage, `M` master, `A` accumulate;
/// void where they are known at run time.
template <class Self, class D, class T, class M, class A>
class calls_of : public session<D> {
  using base = session<D>;
  template <class U>
  [[gnu::noinline]] static tensor<U, D> typed(const tensor<void, D>& t) {
    if constexpr (std::is_void_v<U>) {
      return t;
    } else {
      const array_ref& a = t.describe();
      return {t.owner(), strided_view<U, D>(static_cast<U*>(a.data), a.shape, a.strides), a.read_only, t.stamp()};
    }
  }
  results<T, D> typed_results(const tensor<void, D>* y) const {
    results<T, D> r;
    for (int k = 0; k < this->program_->outputs(); ++k) r.add(typed<T>(y[k]));
    return r;
  }

 public:
  using base::base;
  using output_type = tensor<T, D>;

  /// Inference: const, re-entrant, saves nothing, copies nothing. x is [batch, …]; it is needed only during the call.
  /// Errors: dtype, device, rank, extent, negative_extent, empty_batch, null_data, not_dense (copy_policy::never), index, arity, overflow, no_memory.
  template <class X>
  output_type operator()(const X& x) const {
    const input_arg in(x);
    tensor<void, D> y;
    failure f;
    check(this->run_inference(&in, 1, &y, f, true), f);
    return typed<T>(y);
  }
  results<T, D> all(std::initializer_list<input_arg> x) const {
    tensor<void, D> y[max_outputs];
    failure f;
    check(this->run_inference(x.begin(), static_cast<int>(x.size()), y, f), f);
    return typed_results(y);
  }
  /// Training forward: borrows x until the backward of `t`, so x may not change before; an owning tensor is retained. Updates state
  /// (running statistics). The forward that `t` held before is given up, also where this one fails for want of memory.
  /// y is [batch, …]; its memory is reused once nobody holds it. Errors: as inference.
  template <class X>
  output_type forward(X&& x, tape& t) {
    const input_arg in(std::forward<X>(x));
    tensor<void, D> y;
    failure f;
    check(this->run_forward(&in, 1, t, &y, f, true), f);
    return typed<T>(y);
  }
  template <class X>
  output_type forward(X&& x) {
    return forward(std::forward<X>(x), this->last_);
  }
  results<T, D> forward_all(std::initializer_list<input_arg> x, tape& t) {
    tensor<void, D> y[max_outputs];
    failure f;
    check(this->run_forward(x.begin(), static_cast<int>(x.size()), t, y, f), f);
    return typed_results(y);
  }
  results<T, D> forward_all(std::initializer_list<input_arg> x) { return forward_all(x, this->last_); }

  /// Parameter gradients add up, and are stored first after an update. `dx`, if given, is written: the gradient of x.
  /// Errors: no_forward, stale (dy of another forward; parameters updated since), dtype, device, rank, extent, null_data, not_dense,
  /// read_only (dx), arity.
  void backward(const input_arg& dy, tape& t, const input_arg& dx = {}) {
    failure f;
    check(this->run_backward(&dy, 1, t, &dx, 1, f), f);
  }
  void backward(const input_arg& dy, const input_arg& dx = {}) { backward(dy, this->last_, dx); }
  void backward_all(std::initializer_list<input_arg> dy, tape& t, std::initializer_list<input_arg> dx = {}) {
    failure f;
    check(this->run_backward(dy.begin(), static_cast<int>(dy.size()), t, dx.begin(), static_cast<int>(dx.size()), f), f);
  }
  void backward_all(std::initializer_list<input_arg> dy, std::initializer_list<input_arg> dx = {}) {
    backward_all(dy, this->last_, dx);
  }

  /// The twin of forward that throws nothing: the code, and the details in `why`.
  template <class X>
  [[nodiscard]] errc try_forward(X&& x, output_type& y, failure& why) noexcept {
    return guarded(why, "forward", [&] {
      tensor<void, D> out;
      const input_arg in(std::forward<X>(x));
      const errc c = this->run_forward(&in, 1, this->last_, &out, why, true);
      if (c == errc::ok) y = typed<T>(out);
      return c;
    });
  }
  /// The twin of inference.
  template <class X>
  [[nodiscard]] errc try_infer(const X& x, output_type& y, failure& why) const noexcept {
    return guarded(why, "inference", [&] {
      tensor<void, D> out;
      const input_arg in(x);
      const errc c = this->run_inference(&in, 1, &out, why, true);
      if (c == errc::ok) y = typed<T>(out);
      return c;
    });
  }
  /// The twin of backward.
  [[nodiscard]] errc try_backward(const input_arg& dy, failure& why) noexcept {
    return guarded(why, "backward", [&] { return this->run_backward(&dy, 1, this->last_, nullptr, 0, why); });
  }

  /// Live views by name: the same memory the model works on, in the order of the architecture.
  [[gnu::noinline]] std::vector<named_tensor<M, A, D>> parameters() const {
    std::vector<named_tensor<M, A, D>> r(static_cast<std::size_t>(this->parameter_count()));
    for (int i = 0; i < this->parameter_count(); ++i) {
      auto& one = r[static_cast<std::size_t>(i)];
      const shape& s = this->planned().parameters[i].shape;
      one.name = this->parameter_name(i);
      one.value = typed<M>(this->array_tensor(this->at(i).owner, this->p(i), this->types().master, s));
      one.grad = typed<A>(this->array_tensor(this->gradients_, this->dp(i), this->types().accumulate, s));
    }
    return r;
  }
  /// Running statistics and their like; no gradient.
  [[gnu::noinline]] std::vector<named_tensor<A, A, D>> states() const {
    std::vector<named_tensor<A, A, D>> r(static_cast<std::size_t>(this->state_count()));
    for (int i = 0; i < this->state_count(); ++i) {
      const array_info& a = this->planned().states[i];
      r[static_cast<std::size_t>(i)].name = this->planned().text(a.name);
      r[static_cast<std::size_t>(i)].value =
          typed<A>(this->array_tensor(this->state_owner_, this->state(i), this->types().accumulate, a.shape));
    }
    return r;
  }

 private:
  template <class F>
  static errc guarded(failure& why, const char* op, const F& f) noexcept {
    try {
      return f();
    } catch (const error& e) {
      why = e.details();
      return why.code;
    } catch (const std::bad_alloc&) {
      return fail(why, errc::no_memory, op, {.argument = "the heap", .relation = "enough "});
    } catch (...) {  // a layer of the user's
      return fail(why, errc::foreign, op, {.argument = "a layer", .remedy = "It threw an exception that is not tenon::error."});
    }
  }
};
}  // namespace detail

/// Longer networks are planned at run time: a compiler takes about 10 ms a node for long ones.
inline constexpr int most_planned_by_compiler = 40;

/// `constexpr auto net = tenon::network({784}, …); tenon::model<net> m{{.seed = 1}};` Move-only; see clone() and share().
template <auto Net, class D = cpu, class P = float>
class model : public detail::calls_of<model<Net, D, P>, D, typename precision_of<P>::storage, typename precision_of<P>::master,
                                      typename precision_of<P>::accumulate> {
  using policy = precision_of<P>;
  using base =
      detail::calls_of<model<Net, D, P>, D, typename policy::storage, typename policy::master, typename policy::accumulate>;
  static_assert(executor<D>, "[model] the second argument is an executor: tenon::cpu, or a type like it (ops/executor.hpp)");
  static constexpr auto checked_ = detail::checked<Net>();
  [[no_unique_address]] accepts_input<typename detail::bad_layer<decltype(Net), checked_.bad_node>::type, checked_.bad_position,
                                      checked_.bad.code, checked_.bad.axis, checked_.bad.got, checked_.bad.expected> accepted_;

  model(const model& o, std::uint64_t seed) : base(o, seed) {}

  static program_ref shared() {
    if constexpr (!decltype(Net)::usable || checked_.bad_node >= 0) {
      return shared();  // the compiler has said what is wrong
    } else if constexpr (detail::node_type_count<decltype(Net)> <= most_planned_by_compiler) {
      return program_ref(&compiled_program<Net, P, D>::value);
    } else {
      static const bound_program p{Net, std::type_identity<P>{}, std::type_identity<D>{}};
      return program_ref(&p);
    }
  }

 public:
  using storage_type = typename policy::storage;
  static constexpr auto architecture() { return Net; }  // the value it was made from
  /// Errors: name, tied layers that differ, overflow, no_memory.
  model(const options<D>& o = {}) : base(shared(), o) {}
  model(model&&) = default;
  model& operator=(model&&) = default;

  /// Same values in memory of its own, counted as copied. Optimizer slots and counters too. Errors: null_handle, no_memory.
  model clone() const {
    this->expect_alive("clone");
    model m{{.seed = this->count_.seed, .device = this->device_, .packing = this->packing_}};
    m.copy_arrays_from(*this);
    return m;
  }
  /// Another session over the same parameters and state, with gradients, slots and tapes of its own; `seed` is that of its random
  /// draws. Neither knows of the other: between forward and backward of one, nobody else may update, and networks with state
  /// (batch_norm) may not train in both at once, for both write the same running statistics.
  model share(std::uint64_t seed) const {
    this->expect_alive("share");
    return model(*this, seed);
  }
  model share() const { return share(this->count_.seed); }
  /// A new model on another device, with copies of parameters and state (counted).
  template <class D2>
  model<Net, D2, P> to(const D2& device) const {
    this->expect_alive("to");
    model<Net, D2, P> m{{.seed = this->count_.seed, .device = device, .packing = this->packing_}};
    detail::transfer(*this, m);
    return m;
  }
  /// One step of a rule over all parameters, with the gradients as they are: twice without a backward applies them twice. Marks
  /// them consumed: the next backward stores. Errors: no_memory (the first time).
  template <class Rule>
  void update(const Rule& rule) {
    this->template run_update<typename policy::master, typename policy::accumulate>(rule);
  }
};
}  // namespace tenon
#endif
