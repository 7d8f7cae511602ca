// SPDX-License-Identifier: Apache-2.0
// What a layer's bodies are given: one growable argument a pass. The program fills in a frame of pointers; a pass dresses them as
// views with the types of the precision policy and of the device. Nothing here allocates.
#pragma once
#include <cstddef>
#include <cstdint>
#include "tenon/core/precision.hpp"
#include "tenon/layers/spec.hpp"
#include "tenon/ops/executor.hpp"
#include "tenon/ops/random.hpp"
#include "tenon/tensor/view.hpp"
namespace tenon {
using index = std::int64_t;  // an element of an index input
using offset = std::int32_t;  // an element of a saved index

/// What a program fills in for one call of one layer.
struct frame {
  const inputs* in = nullptr;
  const spec* out = nullptr;
  extent batch = 0;
  bool training = false;
  random_key key{};
  const void* device = nullptr;
  std::byte* scratch = nullptr;
  std::size_t scratch_per_thread = 0;
  const strides* x_strides[max_inputs]{};  // null: dense
  void *x[max_inputs]{}, *y[max_outputs]{}, *dy[max_outputs]{}, *dx[max_inputs]{}, *p[max_parameters]{}, *dp[max_parameters]{},
      *state[max_states]{}, *saved[max_saved]{};
};

/// Stands for what a layer did not ask to keep: its shape, and nothing to read.
template <class T>
class not_kept {
  tenon::shape shape_;

 public:
  explicit not_kept(const tenon::shape& s) : shape_(s) {}
  const tenon::shape& shape() const { return shape_; }
  extent numel() const { return shape_.numel(); }
  template <class I>
  T operator[](I) const {
    static_assert(sizeof(I) == 0,
                  "[layer.reads] backward reads what infer did not keep: add .reads(tenon::keep::input), output or both");
    return T{};
  }
};

/// What all passes offer. `P` is a precision, `D` a device.
template <class P, class D>
class any_pass {
 protected:
  using policy = precision_of<P>;
  const frame& f_;
  [[gnu::noinline]] shape with_batch(const shape& s) const { return s[0] == dyn ? s.with(0, f_.batch) : s; }
  /// Empty where the layer has no such array (`s` is null), or the call none for it.
  template <class U>
  [[gnu::noinline]] view<U, D> at(void* const* p, const shape* s, int i) const {
    return s && p[i] ? view<U, D>(static_cast<U*>(p[i]), with_batch(*s)) : view<U, D>{};
  }
  template <class U>
  view<U, D> maybe(void* const* p, const auto& l, int i) const {
    return at<U>(p, i < l.size() ? &l[i] : nullptr, i);
  }

 public:
  using storage = typename policy::storage;  // elements of x, y, p, dx, dy
  using scalar = typename policy::compute;  // arithmetic
  using accumulate = typename policy::accumulate;  // elements of dp, state, saved
  using device_type = D;
  explicit any_pass(const frame& f) : f_(f) {}
  bool training() const { return f_.training; }
  extent batch() const { return f_.batch; }
  /// The draws of this layer in this forward; backward sees the same.
  const random_key& rng() const { return f_.key; }
  /// What ops take: executor, compute type and scratch.
  execution<D, scalar> ex() const { return {*static_cast<const D*>(f_.device), f_.scratch, f_.scratch_per_thread}; }
  /// The scratch that infer asked for, of the calling thread.
  scalar* scratch() const { return reinterpret_cast<scalar*>(f_.scratch); }
  int inputs() const { return f_.in->size(); }
  int outputs() const { return f_.out->y.size(); }
  /// Shape of an input or output, with the batch of this call.
  shape x_shape(int i = 0) const { return with_batch((*f_.in)[i]); }
  shape y_shape(int i = 0) const { return with_batch(f_.out->y[i]); }
  /// Parameter i, read-only. Empty when the layer has none such.
  view<const storage, D> p(int i) const { return maybe<const storage>(f_.p, f_.out->p, i); }
};

template <class P, class D = cpu>
class forward_pass : public any_pass<P, D> {
  using base = any_pass<P, D>;

 public:
  using base::base;
  using typename base::accumulate, typename base::storage;
  view<const storage, D> x(int i = 0) const { return this->template maybe<const storage>(this->f_.x, *this->f_.in, i); }
  view<const index, D> x_index(int i = 0) const { return this->template maybe<const index>(this->f_.x, *this->f_.in, i); }
  /// For layers that said takes_strides().
  strided_view<const storage, D> x_strided(int i = 0) const {
    const shape s = this->x_shape(i);
    return {static_cast<const storage*>(this->f_.x[i]), s, this->f_.x_strides[i] ? *this->f_.x_strides[i] : dense_strides(s)};
  }
  view<storage, D> y(int i = 0) const { return this->template maybe<storage>(this->f_.y, this->f_.out->y, i); }
  view<const accumulate, D> state(int i) const {
    return this->template maybe<const accumulate>(this->f_.state, this->f_.out->states, i);
  }
  /// Empty in inference: nothing is saved.
  view<accumulate, D> saved(int i) const { return this->template maybe<accumulate>(this->f_.saved, this->f_.out->saved, i); }
  view<offset, D> saved_index(int i) const { return this->template maybe<offset>(this->f_.saved, this->f_.out->saved, i); }
};

template <class P, class D, keep Kept>
class backward_pass : public any_pass<P, D> {
  using base = any_pass<P, D>;

 public:
  using base::base;
  using typename base::accumulate, typename base::storage;
  auto x(int i = 0) const {
    if constexpr (keeps_input(Kept)) return this->template maybe<const storage>(this->f_.x, *this->f_.in, i);
    else return not_kept<storage>{this->x_shape(i)};
  }
  view<const index, D> x_index(int i = 0) const
    requires(keeps_input(Kept))
  {
    return this->template maybe<const index>(this->f_.x, *this->f_.in, i);
  }
  strided_view<const storage, D> x_strided(int i = 0) const
    requires(keeps_input(Kept))
  {
    const shape s = this->x_shape(i);
    return {static_cast<const storage*>(this->f_.x[i]), s, this->f_.x_strides[i] ? *this->f_.x_strides[i] : dense_strides(s)};
  }
  auto y(int i = 0) const {
    if constexpr (keeps_output(Kept)) return this->template maybe<const storage>(this->f_.y, this->f_.out->y, i);
    else return not_kept<storage>{this->y_shape(i)};
  }
  view<const storage, D> dy(int i = 0) const { return this->template maybe<const storage>(this->f_.dy, this->f_.out->y, i); }
  /// dx = …; empty when nobody wants it.
  view<storage, D> dx(int i = 0) const { return this->template maybe<storage>(this->f_.dx, *this->f_.in, i); }
  /// dp += …; empty when nobody wants it.
  view<accumulate, D> dp(int i) const { return this->template maybe<accumulate>(this->f_.dp, this->f_.out->p, i); }
  view<const accumulate, D> state(int i) const {
    return this->template maybe<const accumulate>(this->f_.state, this->f_.out->states, i);
  }
  view<const accumulate, D> saved(int i) const {
    return this->template maybe<const accumulate>(this->f_.saved, this->f_.out->saved, i);
  }
  view<const offset, D> saved_index(int i) const {
    return this->template maybe<const offset>(this->f_.saved, this->f_.out->saved, i);
  }
};

/// Sees shapes, state and what forward saved. The only pass that may write state.
template <class P, class D = cpu>
class commit_pass : public any_pass<P, D> {
  using base = any_pass<P, D>;

 public:
  using base::base;
  using typename base::accumulate, typename base::storage;
  not_kept<storage> x(int i = 0) const { return not_kept<storage>{this->x_shape(i)}; }
  view<accumulate, D> state(int i) const { return this->template maybe<accumulate>(this->f_.state, this->f_.out->states, i); }
  view<const accumulate, D> saved(int i) const {
    return this->template maybe<const accumulate>(this->f_.saved, this->f_.out->saved, i);
  }
  view<const offset, D> saved_index(int i) const {
    return this->template maybe<const offset>(this->f_.saved, this->f_.out->saved, i);
  }
};
}  // namespace tenon
