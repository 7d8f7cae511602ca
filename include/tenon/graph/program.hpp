// SPDX-License-Identifier: Apache-2.0
// A bound network: a plan, one call table a (layer type, precision, device), and the walks forward and back. Immutable and
// stateless: any batch size, any number of threads and sessions. It writes only into memory it is given.
#pragma once
#include "tenon/graph/walk.hpp"
namespace tenon {
/// One per (layer type, precision, device): how a program calls a layer.
struct call_table {
  void (*forward)(const void*, const frame&);
  void (*backward)(const void*, const frame&);
  void (*commit)(const void*, const frame&);  // null for most
};
/// A node's layer: its bytes and its calls.
struct bound_layer {
  const void* layer = nullptr;
  const call_table* calls = nullptr;
};
namespace detail {
template <class L, class P, class D>
inline constexpr call_table calls{[](const void* l, const frame& f) {
                                    forward_pass<P, D> p{f};
                                    static_cast<const L*>(l)->forward(p);
                                  },
                                  [](const void* l, const frame& f) {
                                    backward_pass<P, D, reads_of<L>> p{f};
                                    static_cast<const L*>(l)->backward(p);
                                  },
                                  [] {
                                    using call = void (*)(const void*, const frame&);
                                    if constexpr (has_commit<L, P, D>)
                                      return call([](const void* l, const frame& f) {
                                        commit_pass<P, D> p{f};
                                        static_cast<const L*>(l)->commit(p);
                                      });
                                    else return call(nullptr);
                                  }()};
}  // namespace detail

/// A bound network. The compiler makes one for each architecture it knows (compiled.hpp); others bind at run time (bound.hpp).
class program {
  detail::plan plan_;
  const detail::array_calls* arrays_;
  const bound_layer* layers_;
  mutable int refs_ = 0;
  friend class program_ref;

  detail::walk walk() const { return {plan_, *arrays_}; }

 protected:
  void (*destroy_)(const program*) = nullptr;  // null: not on the heap

  constexpr void refer_to(const detail::plan& p, const bound_layer* layers) {
    plan_ = p;
    layers_ = layers;
  }

 public:
  constexpr program(const detail::plan& p, const detail::array_calls& arrays, const bound_layer* layers)
      : plan_(p), arrays_(&arrays), layers_(layers) {}
  program(const program&) = delete;
  program& operator=(const program&) = delete;

  const detail::plan& planned() const { return plan_; }
  const detail::array_calls& array_types() const { return *arrays_; }
  /// The layer of node i.
  const bound_layer& layer_of(int i) const { return layers_[i]; }
  int inputs() const { return plan_.in.n; }
  int outputs() const { return plan_.out.n; }
  /// Whether every reader of input i takes strides.
  bool takes_strides(int i) const { return plan_.takes_strides[i]; }
  std::size_t scratch_bytes(extent batch, bool training, int threads) const {
    return plan_.scratch_bytes(batch, training, threads);
  }
  std::size_t saved_bytes(extent batch) const { return plan_.saved.at(batch); }
  /// Backward reads the memory of output k.
  bool output_is_kept(int k) const { return plan_.at(plan_.at(plan_.out[k]).root).kept; }

  /// Writes y, and saved when training.
  void forward(const arrays& a, const buffers& b, const call_info& c) const {
    const detail::walk w = walk();
    w.cast_parameters(a, b, c);
    for (int i = 0; i < plan_.nodes.size(); ++i) {
      const bound_layer& l = layers_[i];
      if (!w.forward(i, a, b, c, [&](const frame& f) { l.calls->forward(l.layer, f); })) return;
    }
  }
  /// Folds what a training forward saved into the state.
  void commit(const arrays& a, const buffers& b, const call_info& c) const {
    for (int i = 0; i < plan_.nodes.size(); ++i)
      if (const bound_layer& l = layers_[i]; l.calls->commit) l.calls->commit(l.layer, walk().start(i, a, b, c));
  }
  /// Writes dx where wanted. Parameter gradients are stored when `fresh`, else added to.
  void backward(const arrays& a, const buffers& b, const call_info& c, bool fresh) const {
    const detail::walk w = walk();
    const unsigned wanted = w.wanted(b);
    w.begin_backward(b, c, wanted);
    for (int i = plan_.nodes.size(); i-- > 0;) {
      const bound_layer& l = layers_[i];
      w.backward(i, a, b, c, wanted, fresh, [&](const frame& f) { l.calls->backward(l.layer, f); });
    }
  }
};

/// Shares a program: the last one deletes it, if it is on the heap.
class program_ref {
  const program* p_ = nullptr;

 public:
  explicit program_ref(const program* p) noexcept : p_(p) {
    if (p_ && p_->destroy_) __atomic_fetch_add(&p_->refs_, 1, __ATOMIC_RELAXED);
  }
  program_ref(const program_ref& o) noexcept : program_ref(o.p_) {}
  program_ref(program_ref&& o) noexcept : p_(std::exchange(o.p_, nullptr)) {}
  program_ref& operator=(program_ref o) noexcept {
    std::swap(p_, o.p_);
    return *this;
  }
  [[gnu::noinline]] ~program_ref() {
    if (p_ && p_->destroy_ && __atomic_fetch_sub(&p_->refs_, 1, __ATOMIC_ACQ_REL) == 1) p_->destroy_(p_);
  }
  explicit operator bool() const noexcept { return p_ != nullptr; }
  const program* operator->() const noexcept { return p_; }
  const program& operator*() const noexcept { return *p_; }
};
}  // namespace tenon
