// SPDX-License-Identifier: Apache-2.0
// A bound network: one call table a (layer type, precision, device), and the walks forward and back. Immutable and stateless: any
// batch size, any number of threads and sessions. It writes only into memory it is given.
#pragma once
#include <cstring>
#include "tenon/graph/walk.hpp"
namespace tenon {
/// One per (layer type, precision, device): everything a program knows of a layer.
struct call_table {
  const char* name;
  keep reads;  // of the type: what backward is able to read is what the plan keeps
  bool reads_is_constant;
  spec (*infer)(const void*, const inputs&);
  void (*forward)(const void*, const frame&);
  void (*backward)(const void*, const frame&);
  void (*commit)(const void*, const frame&);  // null for most
};
namespace detail {
template <class L, class P, class D>
inline constexpr call_table calls{
    L::name,
    reads_of<L>,
    reads_is_constant<L>,
    [](const void* l, const inputs& in) -> spec { return infer_checked(*static_cast<const L*>(l), in); },
    [](const void* l, const frame& f) {
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

namespace detail {
/// Copies of the layers of a program, each on the heap, so that their addresses stay.
class layer_bytes {
  growing<void*> all_;

 public:
  layer_bytes() = default;
  layer_bytes(layer_bytes&&) = default;
  ~layer_bytes() {
    for (void* p : all_) ::operator delete(p);
  }
  [[gnu::cold]] const void* copy(const void* layer, std::size_t bytes) {
    all_.add(nullptr);
    all_[all_.size() - 1] = ::operator new(bytes);
    return std::memcpy(all_[all_.size() - 1], layer, bytes);
  }
};
}  // namespace detail

/// A bound network: a plan with call tables, and the two walks.
class program {
  detail::plan plan_;
  const detail::array_calls* arrays_ = nullptr;
  detail::layer_bytes layers_;
  mutable int refs_ = 0;
  friend class program_ref;
  bool strided_input_[max_inputs]{};

  list<int, max_inputs> add_copied(const call_table& c, const void* layer, std::size_t bytes, const list<int, max_inputs>& x,
                                   const char* tie);
  void finish(list<int, max_inputs> y, const call_table* identity);
  detail::walk<detail::plan> walk() const { return {plan_, *arrays_}; }

 public:
  // -- a builder: what lower() needs, with the types of the precision and the device --
  template <class P, class D>
  struct binder {
    using value = int;
    program& self;
    void enter(int i, const char* name) { self.plan_.enter(i, name); }
    void leave() { self.plan_.leave(); }
    template <class L>
    list<int, max_inputs> add(const L& l, const list<int, max_inputs>& x, const char* tie = nullptr) {
      return self.add_copied(detail::calls<L, P, D>, &l, sizeof(L), x, tie);
    }
  };
  /// Errors at bind: whatever a layer's infer finds, names used twice, tied layers that differ, sizes that do not fit.
  template <class Net, class P, class D>
  program(const Net& from, std::type_identity<P>, std::type_identity<D>);
  program(const program&) = delete;

  const detail::plan& planned() const { return plan_; }
  const detail::array_calls& array_types() const { return *arrays_; }
  int inputs() const { return plan_.in.n; }
  int outputs() const { return plan_.out.n; }
  /// Whether every reader of input i takes strides.
  bool takes_strides(int i) const { return strided_input_[i]; }
  std::size_t scratch_bytes(extent batch, bool training, int threads) const {
    return plan_.scratch_bytes(batch, training, threads);
  }
  std::size_t saved_bytes(extent batch) const { return plan_.saved.at(batch); }
  /// Backward reads the memory of output k.
  bool output_is_kept(int k) const { return plan_.at(plan_.at(plan_.out[k]).root).kept; }

  /// Writes y, and saved when training.
  void forward(const arrays& a, const buffers& b, const call_info& c) const;
  /// Folds what a training forward saved into the state.
  void commit(const arrays& a, const buffers& b, const call_info& c) const;
  /// Writes dx where wanted. Parameter gradients are stored when `fresh`, else added to.
  void backward(const arrays& a, const buffers& b, const call_info& c, bool fresh) const;
};

/// Shares a program; the last one deletes it, unless it is not on the heap (never_deleted).
class program_ref {
  const program* p_ = nullptr;

 public:
  explicit program_ref(const program* p) noexcept : p_(p) { __atomic_fetch_add(&p_->refs_, 1, __ATOMIC_RELAXED); }
  program_ref(const program_ref& o) noexcept : program_ref(o.p_) {}
  program_ref(program_ref&& o) noexcept : p_(std::exchange(o.p_, nullptr)) {}
  program_ref& operator=(program_ref o) noexcept {
    std::swap(p_, o.p_);
    return *this;
  }
  ~program_ref() {
    if (p_ && __atomic_fetch_sub(&p_->refs_, 1, __ATOMIC_ACQ_REL) == 1) delete p_;
  }
  static program_ref never_deleted(const program& p) noexcept {
    __atomic_fetch_add(&p.refs_, 1, __ATOMIC_RELAXED);
    return program_ref(&p);
  }
  const program* operator->() const noexcept { return p_; }
  const program& operator*() const noexcept { return *p_; }
};
}  // namespace tenon
#include "tenon/graph/program_walk.hpp"
