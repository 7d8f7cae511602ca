// SPDX-License-Identifier: Apache-2.0
// A network with all extents constant and all memory inside the object: no heap, no exceptions, no RTTI. The compiler plans it, and
// each layer is called directly. For embedded and real-time use.
#pragma once
#include <utility>
#include "tenon/graph/compiled.hpp"
#include "tenon/graph/initial.hpp"
#include "tenon/ops/update.hpp"
namespace tenon {
/// `fixed<net, 1>` answers; `fixed<net, 8, float, tenon::sgd>` also trains, with room for that rule's slots.
/// One input, one output. Large: put it in static storage, not on a small stack.
template <auto Net, int Batch, class P = float, class Rule = void>
class fixed {
  using policy = precision_of<P>;
  using S = typename policy::storage;
  using M = typename policy::master;
  using A = typename policy::accumulate;
  static constexpr bool trains = !std::is_void_v<Rule>;
  static constexpr auto checked_ = detail::checked<Net>();
  [[no_unique_address]] accepts_input<typename detail::bad_layer<decltype(Net), checked_.bad_node>::type, checked_.bad_position,
                                      checked_.bad.code, checked_.bad.axis, checked_.bad.got, checked_.bad.expected> accepted_;
  using planned = compiled_plan<Net, policy>;
  static constexpr detail::plan_counts n_ = planned::counts;
  static constexpr const detail::plan& plan_ = planned::plan;
  static_assert(plan_.in.n == 1 && plan_.out.n == 1, "[fixed] one input and one output");
  static_assert(plan_.at(0).s.what == kind::scalar, "[fixed] index inputs are not checked here: use model");
  static constexpr shape x_shape_ = detail::with_batch(plan_.at(0).s, Batch),
                         y_shape_ = detail::with_batch(plan_.at(plan_.out[0]).s, Batch);
  static constexpr std::size_t total_ = [] {
    std::size_t t = 0;
    for (int i = 0; i < n_.parameters; ++i) t += detail::bytes_of(plan_.parameters[i].shape, plan_.width.widest());
    return t;
  }();
  static constexpr std::size_t state_total_ = [] {
    std::size_t t = 0;
    for (int i = 0; i < n_.states; ++i) t += detail::bytes_of(plan_.states[i].shape, sizeof(A));
    return t;
  }();
  static constexpr std::size_t slots_ = [] {
    if constexpr (trains) return static_cast<std::size_t>(Rule::slots);
    else return std::size_t{0};
  }();
  template <std::size_t N>
  struct alignas(alignment) room {
    std::byte b[N ? N : 1];
  };
  static constexpr std::size_t larger(std::size_t a, std::size_t b) { return a > b ? a : b; }

  room<total_> parameters_{};
  room<state_total_> states_{};
  room<trains ? total_ : 0> gradients_{};
  room<total_ * slots_> rule_{};
  room<trains ? plan_.saved.at(Batch) : 0> saved_{};
  room<larger(plan_.inference.at(Batch), trains ? plan_.scratch.at(Batch) : 0) + plan_.work_per_thread> scratch_{};
  // an inference between forward and backward may not write over the y that backward reads
  static constexpr bool keeps_y_ = trains && plan_.at(plan_.at(plan_.out[0]).root).kept;
  room<detail::bytes_of(y_shape_, sizeof(S))> y_{};
  room<keeps_y_ ? detail::bytes_of(y_shape_, sizeof(S)) : 0> kept_y_{};
  void* p_[static_cast<unsigned>(n_.parameters) + 1]{};
  void* dp_[static_cast<unsigned>(n_.parameters) + 1]{};
  void* state_[static_cast<unsigned>(n_.states) + 1]{};
  const S* x_ = nullptr;
  std::uint64_t seed_, forwards_ = 0, steps_ = 0;
  bool fresh_ = true, updated_ = false;
  static constexpr cpu device_{};

  template <int I>
  static constexpr auto layer_ = planned::template layer<I>;
  template <int I>
  using layer_type = decltype(detail::layer_of_node<Net, I>());  // clang 19 sees `auto` in decltype(layer_<I>)
  static detail::walk walk() { return {plan_, detail::arrays_of<policy, cpu>}; }
  arrays table() const { return {p_, dp_, state_}; }
  call_info call(bool training) const {
    call_info c;
    c.device = &device_;
    c.batch = Batch;
    c.training = training;
    c.key = {seed_, forwards_, 0};
    return c;
  }
  buffers memory(const S* x, bool training) {
    buffers b;
    b.x[0] = x;
    b.y[0] = keeps_y_ && training ? kept_y_.b : y_.b;
    b.saved = saved_.b;
    b.scratch = scratch_.b;
    return b;
  }
  template <int... I>
  void run(const buffers& b, const call_info& c, std::integer_sequence<int, I...>) {
    const auto w = walk();
    w.cast_parameters(table(), b, c);
    (w.forward(I, table(), b, c,
               [](const frame& one) {
                 forward_pass<P, cpu> pass{one};
                 layer_<I>.forward(pass);
               }),
     ...);
  }
  template <int... I>
  void run_back(const buffers& b, const call_info& c, std::integer_sequence<int, I...>) {
    const auto w = walk();
    const unsigned wanted = w.wanted(b);
    w.begin_backward(b, c, wanted);
    (w.backward(n_.nodes - 1 - I, table(), b, c, wanted, fresh_,
                [](const frame& one) {
                  constexpr int node = n_.nodes - 1 - I;
                  backward_pass<P, cpu, reads_of<layer_type<node>>> pass{one};
                  layer_<node>.backward(pass);
                }),
     ...);
  }
  template <int I>
  void commit(const buffers& b, const call_info& c) {
    if constexpr (has_commit<layer_type<I>, P, cpu>) {
      const frame one = walk().start(I, table(), b, c);
      commit_pass<P, cpu> pass{one};
      layer_<I>.commit(pass);
    }
  }
  using all_nodes = std::make_integer_sequence<int, n_.nodes>;

 public:
  /// Elements of x and y, batch included.
  static constexpr extent x_numel = x_shape_.numel(), y_numel = y_shape_.numel();
  static constexpr shape x_shape() { return x_shape_; }
  static constexpr shape y_shape() { return y_shape_; }
  static constexpr int parameter_count() { return n_.parameters; }
  /// "0.weight" …
  static constexpr const char* parameter_name(int i) { return plan_.text(plan_.parameters[i].name); }

  explicit fixed(std::uint64_t seed = 0) : seed_(seed) {
    std::size_t at = 0;
    random_key key{seed, 0, 0};
    for (int i = 0; i < n_.parameters; ++i, ++key.layer) {
      p_[i] = parameters_.b + at;
      if constexpr (trains) dp_[i] = gradients_.b + at;
      const detail::array_info& a = plan_.parameters[i];
      for (extent k = 0; k < a.shape.numel(); ++k)
        static_cast<M*>(p_[i])[k] = static_cast<M>(detail::initial_value(a.start, key, static_cast<std::uint64_t>(k)));
      at += detail::bytes_of(a.shape, plan_.width.widest());
    }
    at = 0;
    for (int i = 0; i < n_.states; ++i, ++key.layer) {
      state_[i] = states_.b + at;
      const detail::array_info& a = plan_.states[i];
      for (extent k = 0; k < a.shape.numel(); ++k)
        static_cast<A*>(state_[i])[k] = static_cast<A>(detail::initial_value(a.start, key, static_cast<std::uint64_t>(k)));
      at += detail::bytes_of(a.shape, sizeof(A));
    }
  }
  fixed(const fixed&) = delete;  // the tables point into the object
  fixed& operator=(const fixed&) = delete;

  /// Parameter i, in the order of the architecture; a live view.
  view<M> parameter(int i) { return {static_cast<M*>(p_[i]), plan_.parameters[i].shape}; }
  view<const A> gradient(int i) const
    requires trains
  {
    return {static_cast<const A*>(dp_[i]), plan_.parameters[i].shape};
  }

  /// State i (running statistics), as parameter(i): what a trained model hands over.
  view<A> state(int i) { return {static_cast<A*>(state_[i]), plan_.states[i].shape}; }
  static constexpr int state_count() { return n_.states; }
  static constexpr const char* state_name(int i) { return plan_.text(plan_.states[i].name); }

  /// Inference. x has x_numel elements; y is valid until the next call.
  view<const S> operator()(view<const S> x) noexcept {
    if (x.numel() != x_numel || !x) return {};
    run(memory(x.data(), false), call(false), all_nodes{});
    return {reinterpret_cast<const S*>(y_.b), y_shape_};
  }
  /// An array of the wrong length does not compile.
  template <std::size_t N>
  view<const S> operator()(const S (&x)[N]) noexcept {
    static_assert(static_cast<extent>(N) == x_numel, "[fixed] this array has another number of elements than x");
    return (*this)(view<const S>(x, x_shape_));
  }
  /// Training forward: borrows x until backward. Empty where x has another number of elements.
  view<const S> forward(view<const S> x) noexcept
    requires trains
  {
    if (x.numel() != x_numel || !x) return {};
    x_ = x.data();
    updated_ = false;
    ++forwards_;
    const buffers b = memory(x_, true);
    const call_info c = call(true);
    run(b, c, all_nodes{});
    [&]<int... I>(std::integer_sequence<int, I...>) { (commit<I>(b, c), ...); }(all_nodes{});
    return {static_cast<const S*>(b.y[0]), y_shape_};
  }
  /// Adds to the gradients, or stores after an update. dx, if given, is written. Errors: no_forward, stale (update since the forward), extent.
  errc backward(view<const S> dy, view<S> dx = {}) noexcept
    requires trains
  {
    if (!x_) return errc::no_forward;
    if (updated_) return errc::stale;
    if (dy.numel() != y_numel || !dy || (dx && dx.numel() != x_numel)) return errc::extent;
    buffers b = memory(x_, true);
    b.dy[0] = dy.data();
    b.dx[0] = dx.data();
    run_back(b, call(true), all_nodes{});
    fresh_ = false;
    return errc::ok;
  }
  void update(const std::conditional_t<trains, Rule, int>& rule) noexcept
    requires trains
  {
    ++steps_;
    std::size_t at = 0;
    for (int i = 0; i < n_.parameters; ++i) {
      const shape& s = plan_.parameters[i].shape;
      ops::rule_slots<M> slots;
      for (std::size_t k = 0; k < slots_; ++k) slots.p[k] = reinterpret_cast<M*>(rule_.b + total_ * k + at);
      ops::update(device_, view<M>(static_cast<M*>(p_[i]), s), view<const A>(static_cast<const A*>(dp_[i]), s), slots, rule,
                  step_info{steps_, 1, 1});
      at += detail::bytes_of(s, plan_.width.widest());
    }
    fresh_ = updated_ = true;
  }
};
}  // namespace tenon
