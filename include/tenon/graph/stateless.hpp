// SPDX-License-Identifier: Apache-2.0
// A bound network without arrays of its own: every call is given parameters, state, inputs, outputs and the bytes that carry a
// forward to its backward. What an autograd engine, a compiler or a functional framework calls. Owns the program and working
// memory only; every call is const and re-entrant, and nothing is written before all checks have passed.
#pragma once
#include <new>
#include "tenon/graph/session_doors.hpp"
#if TENON_EXCEPTIONS
namespace tenon {
/// Memory of one forward, its commit and its backward. All arrays are dense; each is for the caller to keep alive.
struct stateless_call {
  const array_ref* parameters = nullptr;  // in the order of the architecture, in the master type
  const array_ref* states = nullptr;      // in the accumulate type; null for backward, which reads none
  const array_ref* x = nullptr;           // [batch, …]
  const array_ref* y = nullptr;           // written by forward, read by backward where reads_output()
  std::byte* saved = nullptr;  // saved_bytes(batch) on a 64-byte boundary: relocatable, without pointers. Null: inference
  std::uint64_t seed = 0, draw = 0;  // of random layers; backward needs those of its forward
};

class stateless {
  static constexpr int rooms = 8;
  struct room {
    mutable unsigned busy = 0;
    mutable storage memory;
  };
  program_ref program_;
  cpu device_;
  room rooms_[rooms];

  const detail::plan& planned() const { return program_->planned(); }
  const detail::array_calls& types() const { return program_->array_types(); }

  /// Working memory of one call: of a room that is free, else its own.
  class working_memory {
    const room* mine_ = nullptr;
    storage own_;

   public:
    explicit working_memory(const stateless& s) {
      for (const room& r : s.rooms_)
        if (!mine_ && __atomic_exchange_n(&r.busy, 1u, __ATOMIC_ACQUIRE) == 0) mine_ = &r;
    }
    working_memory(const working_memory&) = delete;
    ~working_memory() {
      if (mine_) __atomic_store_n(&mine_->busy, 0u, __ATOMIC_RELEASE);
    }
    [[nodiscard]] errc grow(std::size_t bytes, std::byte*& to, failure& why, const cpu& device) noexcept {
      storage& s = mine_ ? mine_->memory : own_;
      const errc c = detail::grow(s, bytes, why, device);
      to = s.data();
      return c;
    }
  };
  /// Pointers of the given arrays; on the heap only where there are many.
  struct tables {
    static constexpr int few = 32;
    void *inline_[std::size_t{3 * few}], **many = nullptr, **p = nullptr, **dp = nullptr, **state = nullptr;
    tables() = default;
    tables(const tables&) = delete;
    ~tables() { delete[] many; }
    [[nodiscard]] errc make(const stateless& f, const char* op, failure& why) noexcept {
      const int n = f.parameters(), all = 2 * n + f.states();
      if (all > 3 * few && !(many = new (std::nothrow) void*[static_cast<std::size_t>(all)]))
        return detail::fail(why, errc::no_memory, op, {.argument = "the heap", .relation = "enough "});
      p = many ? many : inline_;
      dp = p + n;
      state = dp + n;
      return errc::ok;
    }
    arrays view(bool gradients) const { return {p, gradients ? dp : nullptr, state}; }
  };
  errc expect(const char* op, const char* argument, const array_ref& a, dtype type, const shape& want, bool writable,
              failure& why) const noexcept {
    return detail::check_array(a, {op, argument, type, tenon::device{}, want, true, writable}, why);
  }
  errc check_saved(const char* op, const std::byte* saved, failure& why) const noexcept {
    const auto off = static_cast<extent>(reinterpret_cast<std::uintptr_t>(saved) % alignment);
    if (off == 0) return errc::ok;
    return detail::fail(why, errc::alignment, op, {.argument = "saved", .got = off, .expected = 0});
  }
  errc check_states(const char* op, const array_ref* given, tables& t, bool writes, failure& why) const noexcept {
    for (int i = 0; i < states(); ++i) {
      t.state[i] = given ? given[i].data : nullptr;  // null where nobody reads them: backward does not
      if (!given) continue;
      if (const errc c = expect(op, state_name(i), given[i], types().accumulate, state_shape(i), writes, why); c != errc::ok)
        return c;
    }
    return errc::ok;
  }
  errc check(const char* op, const stateless_call& call, tables& t, buffers& b, call_info& info, bool writes_y,
             failure& why) const noexcept {
    const detail::plan& pl = planned();
    extent batch = dyn;
    for (int i = 0; i < pl.in.n; ++i) {
      const slot& want = pl.at(i).s;
      const detail::argument_text name("x", i, pl.in.n);
      const shape expected = detail::with_batch(want, batch);
      const array_ref& a = call.x[i];
      if (const errc c = expect(op, name.text, a, want.what == kind::index ? int64 : types().storage, expected, false, why);
          c != errc::ok) {
        if (c == errc::rank && a.shape.rank() + 1 == want.rank()) why.remedy = "The batch is axis 0: one sample is a batch of 1.";
        return c;
      }
      if (want[0] == dyn) batch = a.shape[0];
      b.x[i] = a.data;
    }
    if (batch == dyn) batch = pl.at(0).s[0];
    if (batch > pl.batch_limit)
      return detail::fail(why, errc::overflow, op,
                          {.argument = "batch", .got = batch, .expected = pl.batch_limit, .relation = "at most "});
    for (int i = 0; i < pl.in.n; ++i)
      if (pl.index_limit[i] > 0)
        if (const errc c =
                detail::indices_below(pl.index_limit[i], call.x[i], op, detail::argument_text("x", i, pl.in.n).text, why);
            c != errc::ok)
          return c;
    for (int i = 0; i < pl.parameters.size(); ++i) {
      const detail::array_info& want = pl.parameters[i];
      if (const errc c = expect(op, pl.text(want.name), call.parameters[i], types().master, want.shape, false, why);
          c != errc::ok)
        return c;
      t.p[i] = call.parameters[i].data;
    }
    if (const errc c = check_states(op, call.states, t, false, why); c != errc::ok) return c;
    for (int k = 0; k < pl.out.n; ++k) {
      const detail::argument_text name("y", k, pl.out.n);
      if (!writes_y && !reads_output(k)) continue;
      if (const errc c = expect(op, name.text, call.y[k], types().storage, pl.output(k, batch), writes_y, why); c != errc::ok)
        return c;
      b.y[k] = call.y[k].data;
    }
    if (const errc c = check_saved(op, call.saved, why); c != errc::ok) return c;
    b.saved = call.saved;
    info = call_on(device_, batch, call.saved != nullptr);
    info.key = {call.seed, call.draw, 0};
    return errc::ok;
  }

 public:
  /// The program of any binder: `tenon::stateless f{g.bound()};`
  explicit stateless(const tenon::program& from, const cpu& device = {}) : program_(&from), device_(device) {}
  stateless(const stateless&) = delete;  // a copy would think rooms busy that others are in

  const tenon::program& bound() const { return *program_; }
  int parameters() const { return planned().parameters.size(); }
  int states() const { return planned().states.size(); }
  const char* parameter_name(int i) const { return planned().text(planned().parameters[i].name); }
  const char* state_name(int i) const { return planned().text(planned().states[i].name); }
  const shape& parameter_shape(int i) const { return planned().parameters[i].shape; }
  const shape& state_shape(int i) const { return planned().states[i].shape; }
  /// With the batch in front.
  shape output(int k, extent batch) const { return planned().output(k, batch); }
  /// Bytes from a forward to its backward; linear in the batch. At least 64, so that there is a pointer to give.
  std::size_t saved_bytes(extent batch) const {
    const std::size_t n = program_->saved_bytes(batch);
    return n > alignment ? n : alignment;
  }
  /// Whether backward reads the memory of input i, of output k.
  bool reads_input(int i) const { return planned().at(i).kept; }
  bool reads_output(int k) const { return program_->output_is_kept(k); }
  bool has_state() const { return states() > 0; }

  /// The checks of a forward without the forward: for whoever must not have drawn a number for a call that is refused.
  /// Errors: those of forward.
  [[nodiscard]] errc try_check(const stateless_call& call, failure& why) const noexcept {
    tables t;
    if (const errc c = t.make(*this, "forward", why); c != errc::ok) return c;
    buffers b;
    call_info info;
    return check("forward", call, t, b, info, true, why);
  }
  /// Writes y, and `saved` where it is given. Changes neither parameters nor states.
  /// Errors: dtype, device, rank, extent, empty_batch, null_data, alignment, not_dense, read_only, index, overflow, no_memory.
  [[nodiscard]] errc try_forward(const stateless_call& call, failure& why) const {
    tables t;
    if (const errc c = t.make(*this, "forward", why); c != errc::ok) return c;
    buffers b;
    call_info info;
    if (const errc c = check("forward", call, t, b, info, true, why); c != errc::ok) return c;
    working_memory work(*this);
    const std::size_t bytes = program_->scratch_bytes(info.batch, info.training, info.threads);
    if (const errc c = work.grow(bytes, b.scratch, why, device_); c != errc::ok) return c;
    program_->forward(t.view(false), b, info);
    return errc::ok;
  }
  /// Folds what a forward saved into the states: once per training forward. Errors: no_forward (`saved` is null), no_memory,
  /// and of `states` those of forward.
  [[nodiscard]] errc try_commit(extent batch, const array_ref* given, std::byte* saved, failure& why) const {
    constexpr const char* op = "commit";
    if (!saved) return detail::fail(why, errc::no_forward, op, {.argument = "saved", .remedy = "Inference saves nothing."});
    tables t;
    if (const errc c = t.make(*this, op, why); c != errc::ok) return c;
    for (int i = 0; i < parameters(); ++i) t.p[i] = nullptr;  // nobody reads them
    buffers b;
    if (const errc c = check_saved(op, saved, why); c != errc::ok) return c;
    if (const errc c = check_states(op, given, t, true, why); c != errc::ok) return c;
    b.saved = saved;
    program_->commit(t.view(false), b, call_on(device_, batch, true));
    return errc::ok;
  }
  /// Writes dx and dp, where their data is given: both are stored, never added to. dy is [batch, …] as y, dp as the parameters.
  /// Errors: no_forward (`saved` is null), and those of forward.
  [[nodiscard]] errc try_backward(const stateless_call& call, const array_ref* dy, const array_ref* dp, const array_ref* dx,
                                  failure& why) const {
    constexpr const char* op = "backward";
    const detail::plan& pl = planned();
    if (!call.saved) return detail::fail(why, errc::no_forward, op, {.argument = "saved", .remedy = "Inference saves nothing."});
    tables t;
    if (const errc c = t.make(*this, op, why); c != errc::ok) return c;
    buffers b;
    call_info info;
    if (const errc c = check(op, call, t, b, info, false, why); c != errc::ok) return c;
    for (int k = 0; k < pl.out.n; ++k) {
      const detail::argument_text name("dy", k, pl.out.n);
      if (const errc c = expect(op, name.text, dy[k], types().storage, pl.output(k, info.batch), false, why); c != errc::ok)
        return c;
      b.dy[k] = dy[k].data;
    }
    for (int i = 0; i < parameters(); ++i) {
      t.dp[i] = nullptr;
      if (!dp || !dp[i].data) continue;
      if (const errc c = expect(op, parameter_name(i), dp[i], types().accumulate, parameter_shape(i), true, why); c != errc::ok)
        return c;
      t.dp[i] = dp[i].data;
    }
    for (int i = 0; i < pl.in.n; ++i) {
      if (!dx || !dx[i].data || pl.at(i).s.what == kind::index) continue;
      const detail::argument_text name("dx", i, pl.in.n);
      const shape want = detail::with_batch(pl.at(i).s, info.batch);
      if (const errc c = expect(op, name.text, dx[i], types().storage, want, true, why); c != errc::ok) return c;
      b.dx[i] = dx[i].data;
    }
    working_memory work(*this);
    const std::size_t bytes = program_->scratch_bytes(info.batch, true, info.threads);
    if (const errc c = work.grow(bytes, b.scratch, why, device_); c != errc::ok) return c;
    program_->backward(t.view(dp != nullptr), b, info, true);
    return errc::ok;
  }

  /// As the twins, throwing tenon::error.
  void forward(const stateless_call& call) const {
    failure f;
    detail::check(try_forward(call, f), f);
  }
  void commit(extent batch, const array_ref* given, std::byte* saved) const {
    failure f;
    detail::check(try_commit(batch, given, saved, f), f);
  }
  void backward(const stateless_call& call, const array_ref* dy, const array_ref* dp, const array_ref* dx) const {
    failure f;
    detail::check(try_backward(call, dy, dp, dx, f), f);
  }
};
}  // namespace tenon
#endif
