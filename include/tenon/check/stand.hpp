// SPDX-License-Identifier: Apache-2.0
// A test stand for one layer: every array between walls of known bytes, called through frames as a program does. Owns its memory.
#pragma once
#include <cstddef>
#include <cstring>
#include <type_traits>
#include <vector>
#include "tenon/check/dual.hpp"
#include "tenon/layers/layer.hpp"
namespace tenon::detail {
/// The bodies of a layer for one scalar, its type erased.
struct body_table {
  void (*forward)(const void*, const frame&);
  void (*backward)(const void*, const frame&);
  void (*commit)(const void*, const frame&);  // null for most
};
template <class L, class T>
inline constexpr body_table bodies_of{[](const void* l, const frame& f) {
                                        forward_pass<T> p{f};
                                        static_cast<const L*>(l)->forward(p);
                                      },
                                      [](const void* l, const frame& f) {
                                        backward_pass<T, cpu, reads_of<L>> p{f};
                                        static_cast<const L*>(l)->backward(p);
                                      },
                                      [] {
                                        using call = void (*)(const void*, const frame&);
                                        if constexpr (has_commit<L, T>)
                                          return call([](const void* l, const frame& f) {
                                            commit_pass<T> p{f};
                                            static_cast<const L*>(l)->commit(p);
                                          });
                                        else return call(nullptr);
                                      }()};

/// A layer on given inputs, its type erased.
struct target {
  const void* layer = nullptr;
  const char* name = "";
  keep reads = keep::both;
  bool commits = false;
  body_table real, exact, fast;  // dual, dual_gf61, float
  inputs in;  // batch in front
  spec out;
};

/// Counted random numbers: the kit is reproducible from its seed.
class dice {
  random_key key_;
  std::uint64_t at_ = 0;

 public:
  explicit dice(std::uint64_t seed, std::uint64_t stream) : key_{seed, stream, 0xC4EC} {}
  std::uint64_t bits() {
    const std::uint64_t high = key_.bits(at_++);
    return high << 32 | key_.bits(at_++);
  }
  extent below(extent n) { return n > 0 ? static_cast<extent>(bits() % static_cast<std::uint64_t>(n)) : 0; }
  /// A float in [low, high).
  float real(float low, float high) {
    return low + (high - low) * static_cast<float>(static_cast<double>(bits() >> 40) * 0x1p-24);
  }
};

/// An array between walls: what is written beyond its ends is seen, and what is read there can be changed.
class walled {
  std::vector<std::byte> all_;
  std::size_t size_ = 0, wall_ = 0, skip_ = 0;
  std::byte paint_{};

 public:
  walled() = default;
  explicit walled(std::size_t size) : size_(size), wall_(256 + (size < 4096 ? (size + 63) / 64 * 64 : 4096)) {
    all_.resize(size_ + 2 * wall_ + 64);
    skip_ = (64 - reinterpret_cast<std::uintptr_t>(all_.data()) % 64) % 64;
  }
  walled(walled&&) = default;
  walled& operator=(walled&&) = default;
  std::byte* data() { return all_.data() + skip_ + wall_; }
  const std::byte* data() const { return all_.data() + skip_ + wall_; }
  std::size_t size() const { return size_; }
  explicit operator bool() const { return !all_.empty(); }
  void paint(std::byte b) {
    if (all_.empty()) return;
    paint_ = b;
    std::memset(data() - wall_, static_cast<int>(b), wall_);
    std::memset(data() + size_, static_cast<int>(b), wall_);
  }
  /// Bytes from the array to the nearest one written outside: negative before it, 0 for none.
  extent breach() const {
    if (all_.empty()) return 0;
    for (std::size_t i = 0; i < wall_; ++i) {
      if (data()[size_ + i] != paint_) return static_cast<extent>(i) + 1;
      if (*(data() - 1 - i) != paint_) return -static_cast<extent>(i) - 1;
    }
    return 0;
  }
};

/// Which array: dx(1), dp(0) …
struct tensor_id {
  bool parameter = false;
  int i = 0;
};
/// A place of one set of inputs, parameters and output gradients, the same for every scalar.
struct point {
  std::vector<float> x[max_inputs], p[max_parameters], dy[max_outputs], state[max_states];
  std::vector<index> at[max_inputs];
};

/// All arrays of one layer for a batch, in scalars T.
template <class T>
class stand {
 public:
  const target& t;
  const body_table& calls;
  extent batch;
  walled x[max_inputs], y[max_outputs], dy[max_outputs], dx[max_inputs], p[max_parameters], dp[max_parameters], state[max_states],
      saved[max_saved], scratch;
  random_key key{7, 3, 5};

  stand(const target& of, const body_table& c, extent b) : t(of), calls(c), batch(b) {
    for (int i = 0; i < t.in.size(); ++i) x[i] = walled(bytes_of(t.in[i]));
    for (int i = 0; i < t.in.size(); ++i)
      if (t.in[i].what != kind::index) dx[i] = walled(bytes_of(t.in[i]));
    for (int i = 0; i < t.out.y.size(); ++i) y[i] = walled(bytes_of(t.out.y[i])), dy[i] = walled(bytes_of(t.out.y[i]));
    for (int i = 0; i < t.out.p.size(); ++i) p[i] = walled(bytes_of(t.out.p[i])), dp[i] = walled(bytes_of(t.out.p[i]));
    for (int i = 0; i < t.out.states.size(); ++i) state[i] = walled(bytes_of(t.out.states[i]));
    for (int i = 0; i < t.out.saved.size(); ++i)
      saved[i] = walled(count(t.out.saved[i]) * (t.out.saved[i].what == kind::index ? sizeof(offset) : sizeof(T)));
    if (t.out.scratch_scalars > 0) scratch = walled(static_cast<std::size_t>(t.out.scratch_scalars) * sizeof(T));
  }

  shape shape_of(const slot& s) const { return s[0] == dyn ? s.with(0, batch) : static_cast<const shape&>(s); }
  std::size_t count(const slot& s) const { return static_cast<std::size_t>(shape_of(s).numel()); }
  std::size_t bytes_of(const slot& s) const { return count(s) * (s.what == kind::index ? sizeof(index) : sizeof(T)); }
  template <class E = T>
  static E* of(walled& w) {
    return w ? reinterpret_cast<E*>(w.data()) : nullptr;
  }
  static std::vector<T> copy(walled& w) { return w ? std::vector<T>(of(w), of(w) + w.size() / sizeof(T)) : std::vector<T>(); }
  static void put(walled& w, const std::vector<T>& v) {
    if (w && !v.empty()) std::memcpy(static_cast<void*>(w.data()), v.data(), v.size() * sizeof(T));
  }
  walled& gradient(tensor_id id) { return id.parameter ? dp[id.i] : dx[id.i]; }
  walled& value(tensor_id id) { return id.parameter ? p[id.i] : x[id.i]; }

  template <class F>
  void each(F&& f) {
    for (walled* group : {x, dx})
      for (int i = 0; i < max_inputs; ++i) f(group[i], group == x ? "x" : "dx", i);
    for (walled* group : {y, dy})
      for (int i = 0; i < max_outputs; ++i) f(group[i], group == y ? "y" : "dy", i);
    for (walled* group : {p, dp})
      for (int i = 0; i < max_parameters; ++i) f(group[i], group == p ? "p" : "dp", i);
    for (int i = 0; i < max_states; ++i) f(state[i], "state", i);
    for (int i = 0; i < max_saved; ++i) f(saved[i], "saved", i);
    f(scratch, "scratch", -1);
  }
  void paint(std::byte b) {
    each([b](walled& w, const char*, int) { w.paint(b); });
  }

  /// Numbers that mean nothing, in everything that a layer must write before it reads.
  void spoil(dice& d) {
    for (walled& w : y) spoil(w, d);
    for (walled& w : dx) spoil(w, d);
    for (int i = 0; i < t.out.saved.size(); ++i)
      if (t.out.saved[i].what != kind::index) spoil(saved[i], d);
      else std::memset(saved[i].data(), 0, saved[i].size());  // an index that is read unwritten must not lead astray
    spoil(scratch, d);
  }
  static void spoil(walled& w, dice& d) {
    const std::size_t n = w.size() / sizeof(T);
    for (std::size_t i = 0; i < n; i += n > 65536 && i >= 1024 && i < n - 1024 ? 1009 : 1) of(w)[i] = draw(d);
  }
  /// Any value of the field; of the others one in [−4, 4).
  static T draw(dice& d) {
    if constexpr (std::same_as<T, dual_gf61>) return {gf61::raw(d.bits()), gf61{}};
    else return T(d.real(-4, 4));
  }
  static void draw(walled& w, dice& d) {
    for (std::size_t i = 0; i < w.size() / sizeof(T); ++i) of(w)[i] = draw(d);
  }
  /// Inputs, parameters, state and dy from a point; the field draws its own.
  void load(const point& at, dice& d) {
    auto from = [&](walled& w, const std::vector<float>& v) {
      if constexpr (std::same_as<T, dual_gf61>) draw(w, d);
      else
        for (std::size_t i = 0; i < v.size(); ++i) of(w)[i] = T(v[i]);
    };
    for (int i = 0; i < t.in.size(); ++i)
      if (t.in[i].what == kind::index) std::memcpy(x[i].data(), at.at[i].data(), x[i].size());
      else from(x[i], at.x[i]);
    for (int i = 0; i < t.out.p.size(); ++i) from(p[i], at.p[i]);
    for (int i = 0; i < t.out.states.size(); ++i) from(state[i], at.state[i]);
    for (int i = 0; i < t.out.y.size(); ++i) from(dy[i], at.dy[i]);
    clear_dp();
  }
  void clear_dp() {
    for (walled& w : dp)
      for (std::size_t i = 0; i < w.size() / sizeof(T); ++i) of(w)[i] = T(0);
  }

  /// Everything but gradients, which a caller of backward adds as wanted.
  frame call(bool training) {
    frame f;
    f.in = &t.in;
    f.out = &t.out;
    f.batch = batch;
    f.training = training;
    f.key = key;
    f.device = &host_;
    f.scratch = scratch ? scratch.data() : nullptr;
    f.scratch_per_thread = scratch.size();
    for (int i = 0; i < max_inputs; ++i) f.x[i] = of<std::byte>(x[i]);
    for (int i = 0; i < max_outputs; ++i) f.y[i] = of<std::byte>(y[i]);
    for (int i = 0; i < max_parameters; ++i) f.p[i] = of<std::byte>(p[i]);
    for (int i = 0; i < max_states; ++i) f.state[i] = of<std::byte>(state[i]);
    for (int i = 0; i < max_saved; ++i) f.saved[i] = training ? of<std::byte>(saved[i]) : nullptr;
    return f;
  }
  void forward(bool training = true) { calls.forward(t.layer, call(training)); }
  /// `wants` says which of dx and dp are there.
  template <class F>
  void backward(F&& wants) {
    frame f = call(true);
    for (int i = 0; i < max_outputs; ++i) f.dy[i] = of<std::byte>(dy[i]);
    for (int i = 0; i < max_inputs; ++i) f.dx[i] = wants(tensor_id{false, i}) ? of<std::byte>(dx[i]) : nullptr;
    for (int i = 0; i < max_parameters; ++i) f.dp[i] = wants(tensor_id{true, i}) ? of<std::byte>(dp[i]) : nullptr;
    for (int i = 0; i < max_inputs && !keeps_input(t.reads); ++i) f.x[i] = nullptr;
    for (int i = 0; i < max_outputs && !keeps_output(t.reads); ++i) f.y[i] = nullptr;
    calls.backward(t.layer, f);
  }
  void backward() {
    backward([](tensor_id) { return true; });
  }
  void commit() {
    frame f = call(true);
    for (int i = 0; i < max_inputs; ++i) f.x[i] = nullptr;
    for (int i = 0; i < max_outputs; ++i) f.y[i] = nullptr;
    calls.commit(t.layer, f);
  }

 private:
  cpu host_{};
};

/// All dx and dp that a layer has.
template <class F>
void each_gradient(const target& t, F&& f) {
  for (int i = 0; i < t.in.size(); ++i)
    if (t.in[i].what != kind::index) f(tensor_id{false, i});
  for (int i = 0; i < t.out.p.size(); ++i) f(tensor_id{true, i});
}
}  // namespace tenon::detail
