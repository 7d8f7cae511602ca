// SPDX-License-Identifier: Apache-2.0
// A session owns what a stateless program needs: parameters, gradients and state in arenas, optimizer slots, output slots, scratch
// and a tape. `model` and `graph` are thin shells of it; here the precision is not in the type. One mutable session a thread;
// const calls are re-entrant, and any number of sessions may share parameters.
#pragma once
#include <string>
#include <string_view>
#include <vector>
#include "tenon/graph/growing.hpp"
#include "tenon/graph/input_arg.hpp"
#include "tenon/graph/program.hpp"
#include "tenon/graph/tape.hpp"
#include "tenon/ops/update.hpp"
#if TENON_EXCEPTIONS
namespace tenon {
/// What multiplies a rule's learning rate and weight decay for one parameter.
struct multipliers {
  float lr = 1, decay = 1;
};
/// How a model is made.
template <class D = cpu>
struct options {
  std::uint64_t seed = 0;
  D device{};
  copy_policy packing = copy_policy::if_needed;  // of strided inputs: `never` makes them an error
};
/// What makes two continuations of a training equal, beside the arrays.
struct counters {
  std::uint64_t seed = 0, forwards = 0, steps = 0;
  friend bool operator==(const counters&, const counters&) = default;
};
/// A parameter or state by name. `value` and `grad` are live: the same memory the model works on.
template <class V = void, class G = V, class D = cpu>
struct named_tensor {
  std::string name;
  tensor<V, D> value;
  tensor<G, D> grad;
};
/// The outputs of a network of several.
template <class T, class D = cpu>
using results = list<tensor<T, D>, max_outputs>;

template <class D>
class session {
 protected:
  struct parameter {
    std::size_t at = 0;  // in the arena, in the gradients and in each slot
    storage owner;  // of its value: the arena, or foreign
    tenon::multipliers scale{};
  };
  struct workspace {  // of one inference at a time
    mutable unsigned busy = 0;
    mutable storage all[2 + max_inputs + 2 * max_outputs];  // in one array, whose end a compiler writes once
    storage& memory() const { return all[0]; }
    storage& saved() const { return all[1]; }
    storage& packed(int i) const { return all[2 + i]; }
    storage& out(int k) const { return all[2 + max_inputs + 2 * k]; }
    storage& spare(int k) const { return all[3 + max_inputs + 2 * k]; }  // two of each y: `y = net(x)` holds one
  };
  static constexpr int inference_slots = 8, output_slots = 8;

  program_ref program_;
  D device_{};
  copy_policy packing_ = copy_policy::if_needed;
  std::uint64_t id_ = 0;
  tenon::counters count_{};
  std::uint64_t version_ = 0;  // of the parameters: changed by update
  storage arena_, gradients_, slots_, scratch_;
  std::size_t trainable_ = 0;  // bytes of the arena that are parameters
  detail::owned_array<parameter> parameters_;
  storage tables_;  // of pointers: p, dp and state one after the other
  storage state_owner_;
  int slot_count_ = 0;
  storage rule_;  // name of the rule that the slots are for
  storage outputs_[output_slots];
  int next_output_ = 0;
  mutable workspace inference_[inference_slots];
  tape last_;
  bool fresh_ = true;

  [[gnu::noinline]] int parameter_count() const { return program_ ? planned().parameters.size() : 0; }
  [[gnu::noinline]] int state_count() const { return program_ ? planned().states.size() : 0; }
  void*& table_entry(int i) const { return reinterpret_cast<void**>(tables_.data())[i]; }
  void*& p(int i) const { return table_entry(i); }
  void*& dp(int i) const { return table_entry(parameter_count() + i); }
  void*& state(int i) const { return table_entry(2 * parameter_count() + i); }
  parameter& at(int i) const { return parameters_[i]; }
  /// Parameters first, then states.
  [[gnu::noinline]] const detail::array_info& array(int i) const {
    const int n = parameter_count();
    return i < n ? planned().parameters[i] : planned().states[i - n];
  }
  const char* parameter_name(int i) const { return planned().text(planned().parameters[i].name); }
  arrays table() const {
    const int n = parameter_count();
    return {&table_entry(0), &table_entry(n), &table_entry(2 * n)};
  }
  const detail::array_calls& types() const { return program_->array_types(); }
  const detail::plan& planned() const { return program_->planned(); }
  call_info call(extent batch, bool training) const { return call_on(device_, batch, training); }

  session(program_ref from, const options<D>& o);
  session(const session& o, std::uint64_t seed);
  session(session&&) = default;
  session& operator=(session&&) = default;
  [[gnu::noinline]] ~session() {}  // once, and not in every function that holds a model

  errc check_inputs(const char* op, const input_arg* x, int n, extent& batch, failure& why,
                    bool one_output = false) const noexcept;
  errc check_indices(const char* op, const array_ref& a, const char* name, extent limit, failure& why) const noexcept;
  errc take_input(const input_arg& x, int i, buffers& b, storage& packed, strides& st, bool& strided,
                  failure& why) const noexcept;
  errc take_output(std::size_t bytes, storage& to, failure& why) noexcept;
  tensor<void, D> output_tensor(const storage& s, int k, extent batch, bool read_only, std::uint64_t stamp) const noexcept;
  errc alive(const char* op, failure& why) const noexcept;
  errc check_gradient(bool written, int i, int n, const array_ref& a, int value, const tape& t, failure& why) const noexcept;
  errc check_overlaps(const buffers& b, const tape& t, failure& why) const noexcept;
  errc run_inference(const input_arg* x, int n, tensor<void, D>* y, failure& why, bool one_output = false,
                     call_info* observed = nullptr) const;
  errc run_forward(const input_arg* x, int n, tape& t, tensor<void, D>* y, failure& why, bool one_output = false);
  errc run_backward(const input_arg* dy, int n, tape& t, const input_arg* dx, int wanted, failure& why);
  void count_step(int slots, const char* rule);
  template <class M, class A, class Rule>
  void run_update(const Rule& rule);
  session(program_ref&& from, const D& device, copy_policy packing) noexcept
      : program_(std::move(from)), device_(device), packing_(packing) {}
  [[gnu::noinline]] tensor<void, D> array_tensor(const storage& owner, void* data, dtype type, const shape& s) const noexcept {
    return {owner, array_ref{data, type, device_of(device_), s, dense_strides(s), false}};
  }
  /// Errors: null_handle.
  void expect_alive(const char* op) const {
    failure f;
    detail::check(alive(op, f), f);
  }
  void copy_arrays_from(const session& o);
  storage zeroed(std::size_t bytes) const;
  std::size_t lay_out(std::uint64_t seed);
  void start_slots(int n, std::string_view rule);
  int find(std::string_view name, const char* op) const;

 public:
  // -- what a model is --
  const tenon::program& bound() const { return *program_; }
  const D& device() const { return device_; }
  tenon::counters counters() const { return count_; }
  /// Continues where another session was, so that draws and bias corrections are the same.
  void restore_counters(const tenon::counters& c) {
    count_ = c;
    ++version_;  // whoever sets them has set parameters too: a tape from before is stale, and so are the gradients
    clear_gradients();
  }
  /// Gradients are zero, and the next backward stores instead of adding.
  void clear_gradients() {
    for (int i = 0; i < parameter_count(); ++i) types().zero(&device_, dp(i), planned().parameters[i].shape.numel(), true);
    fresh_ = true;
  }
  /// What multiplies the rule's numbers for parameter i.
  tenon::multipliers multipliers_of(int i) const { return at(i).scale; }
  /// Calls f(name, multipliers&) for each parameter: `if (name.ends_with(".bias")) m.decay = 0;`
  template <class F>
  void multipliers(F&& f) {
    for (int i = 0; i < parameter_count(); ++i) f(std::string_view(parameter_name(i)), at(i).scale);
  }
  /// The optimizer's arrays so far, `<parameter>.<slot>`; none before the first update.
  std::vector<named_tensor<void, void, D>> slots() const;
  /// Makes the arrays that `n` slots of a rule of this name need, zeroed; keeps those of the same rule.
  void ensure_slots(int n, std::string_view rule) {
    if (slot_count_ != n || rule != this->rule()) start_slots(n, rule);
  }
  /// The rule that the slots are for; "" before the first update. Valid until another rule comes.
  std::string_view rule() const { return {reinterpret_cast<const char*>(rule_.data()), rule_.bytes()}; }
  int slot_count() const { return slot_count_; }
  /// Parameter `name` lives in the memory of `t` from now on, as it is there; `t` is kept alive.
  /// Errors: name, dtype, rank, extent, device, read_only, not_dense, null_data.
  void bind_parameter(std::string_view name, const tensor<void, D>& t);
  /// A training forward that names the first parameter or layer whose numbers are not finite; "" if none. Changes nothing.
  [[gnu::noinline]] std::string first_not_finite(const input_arg& x) const;
};
}  // namespace tenon
#endif
