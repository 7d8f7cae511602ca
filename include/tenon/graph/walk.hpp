// SPDX-License-Identifier: Apache-2.0
// One step of a walk over a plan: where each array of a node is, and what must be zeroed, copied or summed around its call.
// `program` walks with call tables in a loop, `fixed` with the layers themselves, unrolled. No memory of its own.
#pragma once
#include <cstring>
#include "tenon/graph/plan.hpp"
#include "tenon/ops/cast.hpp"
#include "tenon/ops/map.hpp"
namespace tenon {
/// Where the owner of a program keeps its arrays: one pointer a parameter (master), a gradient (accumulate; null: not wanted), a state.
struct arrays {
  void* const* p = nullptr;
  void* const* dp = nullptr;
  void* const* state = nullptr;
};
/// The memory of one call. `x` and `dx` (entries may be null: not wanted) by input, `y` and `dy` by output.
struct buffers {
  const void* x[max_inputs]{};
  const strides* x_strides[max_inputs]{};  // null: dense
  void* y[max_outputs]{};
  const void* dy[max_outputs]{};
  void* dx[max_inputs]{};
  std::byte* saved = nullptr;
  std::byte* scratch = nullptr;
};
/// Everything else one call needs. `key.forward` distinguishes random draws; backward must get what forward had.
struct call_info {
  const void* device = nullptr;
  int threads = 1;
  random_key key{};
  extent batch = 0;
  bool training = false;
  /// Called after each node of a forward; false stops it. For diagnosis only.
  bool (*after)(void* self, int node, const frame& f) = nullptr;
  void* self = nullptr;
};
/// For a call on `device`, which must outlive it.
template <class D>
[[gnu::noinline]] call_info call_on(const D& device, extent batch, bool training) noexcept {
  call_info c;
  c.device = &device;
  c.threads = threads_of(device);
  c.batch = batch;
  c.training = training;
  return c;
}

namespace detail {
struct walk;
/// All parameters from master to storage.
template <class Policy, class D>
void cast_parameters(const walk& w, const arrays& a, const buffers& b, const call_info& c);
/// What a program does to arrays itself, per (precision, device).
struct array_calls {
  scalar_widths width;
  tenon::dtype storage, accumulate, master;
  void (*zero)(const void* device, void* p, extent n, bool accumulator);
  void (*add)(const void* device, void* to, const void* from, extent n);  // storage; null where a plan has no joins
  void (*copy)(const void* device, void* to, const void* from, extent n);  // the same
  void (*cast)(const walk& w, const arrays& a, const buffers& b, const call_info& c);  // null where storage is the master
  void (*store)(void* host, extent i, double v, bool accumulator);  // one element, on the host
  bool (*finite)(const void* host, extent n, int which);  // 0 storage, 1 accumulate, 2 master
};
template <class T>
constexpr tenon::dtype dtype_or_opaque() {
  if constexpr (element<T>) return dtype_of<T>::value;
  else return {dtype_code::opaque, 8, 1};
}
template <class T>
[[gnu::noinline]] bool all_finite(const void* host, extent n) {
  for (extent i = 0; i < n; ++i)
    if constexpr (requires(const T& t) { static_cast<double>(t); }) {
      const auto v = static_cast<double>(static_cast<const T*>(host)[i]);
      if (!(v - v == 0)) return false;
    }
  return true;
}
template <class T, class D>
view<T, D> flat_view(const void* p, extent n) {
  return {static_cast<T*>(const_cast<void*>(p)), shape{n}};
}
/// Whether gradients are summed or copied between the calls of the layers: a value that several read, or an output that one reads.
constexpr bool has_joins(const plan& p) {
  for (const node& n : p.nodes)
    for (const bool sum : n.sum)
      if (sum) return true;
  for (const int v : p.out)
    if (p.at(v).consumers > 0) return true;
  return false;
}
template <class Policy, class D, bool Joins = true>
inline constexpr array_calls arrays_of{
    {sizeof(typename Policy::storage), sizeof(typename Policy::compute), sizeof(typename Policy::accumulate),
     sizeof(typename Policy::master), !std::is_same_v<typename Policy::storage, typename Policy::master>},
    dtype_or_opaque<typename Policy::storage>(),
    dtype_or_opaque<typename Policy::accumulate>(),
    dtype_or_opaque<typename Policy::master>(),
    [](const void* d, void* p, extent n, bool accumulator) {
      using S = typename Policy::storage;
      using A = typename Policy::accumulate;
      if constexpr (device_traits<D>::host_accessible)
        std::memset(p, 0, static_cast<std::size_t>(n) * (accumulator ? sizeof(A) : sizeof(S)));  // all bits zero is zero
      else if (accumulator) ops::fill(*static_cast<const D*>(d), flat_view<A, D>(p, n), A{});
      else ops::fill(*static_cast<const D*>(d), flat_view<S, D>(p, n), S{});
    },
    []() -> decltype(array_calls::add) {
      using S = typename Policy::storage;
      if constexpr (!Joins) return nullptr;
      else
        return [](const void* d, void* to, const void* from, extent n) {
          ops::accumulate(*static_cast<const D*>(d), flat_view<S, D>(to, n), flat_view<const S, D>(from, n));
        };
    }(),
    []() -> decltype(array_calls::copy) {
      using S = typename Policy::storage;
      if constexpr (!Joins) return nullptr;
      else if constexpr (device_traits<D>::host_accessible)
        return [](const void*, void* to, const void* from, extent n) {
          std::memcpy(to, from, static_cast<std::size_t>(n) * sizeof(S));
        };
      else
        return [](const void* d, void* to, const void* from, extent n) {
          ops::copy(*static_cast<const D*>(d), flat_view<S, D>(to, n), flat_view<const S, D>(from, n));
        };
    }(),
    []() -> decltype(array_calls::cast) {
      if constexpr (std::is_same_v<typename Policy::storage, typename Policy::master>) return nullptr;
      else return &cast_parameters<Policy, D>;
    }(),
    [](void* host, extent i, double v, bool accumulator) {
      if (accumulator) static_cast<typename Policy::accumulate*>(host)[i] = static_cast<typename Policy::accumulate>(v);
      else static_cast<typename Policy::master*>(host)[i] = static_cast<typename Policy::master>(v);
    },
    [](const void* host, extent n, int which) {
      return which == 0   ? all_finite<typename Policy::storage>(host, n)
             : which == 1 ? all_finite<typename Policy::accumulate>(host, n)
                          : all_finite<typename Policy::master>(host, n);
    }};
/// y is x: stands between an input, or an output taken twice, and an output of the network.
struct identity {
  static constexpr auto name = "identity";
  constexpr spec infer(inputs x) const { return spec{x[0]}.reads(keep::nothing).aliases(0); }
  void forward(auto& pass) const { ops::copy(pass.ex(), pass.y(), pass.x()); }
  void backward(auto& pass) const {
    if (auto dx = pass.dx()) ops::copy(pass.ex(), dx, pass.dy());
  }
};
/// An output that is an input, or another output too, gets memory of its own.
constexpr int copied_output(auto& builder, int v, int i) {
  list<int, max_inputs> x;
  x.add(v);
  builder.enter(i, "output");
  const int y = builder.add(identity{}, x)[0];
  builder.leave();
  return y;
}
/// A plan with what its precision and device do to arrays.
struct walk {
  const detail::plan& plan;
  const array_calls& types;

  [[gnu::noinline]] void* cast_of(int parameter, const buffers& b, const call_info& c) const {
    const array_info& p = plan.parameters[parameter];
    return c.training ? b.saved + p.cast.at(c.batch) : b.scratch + p.cast_inference.at(c.batch);
  }
  [[gnu::noinline]] void* value(int v, const buffers& b, const call_info& c) const {
    const int root = plan.at(v).root;
    const value_info& r = plan.at(root);
    if (r.producer < 0) return const_cast<void*>(b.x[root]);  // inputs are the first values
    if (r.out_memory >= 0) return b.y[r.out_memory];
    if (!c.training) return b.scratch + r.inference.at.at(c.batch);
    return r.kept ? b.saved + r.saved.at(c.batch) : b.scratch + r.scratch.at.at(c.batch);
  }
  [[gnu::noinline]] void* gradient(int v, const buffers& b, const call_info& c, unsigned wanted) const {
    const value_info& q = plan.at(v);
    if (q.producer < 0) return b.dx[v];
    if (!(q.reach & wanted)) return nullptr;
    const value_info& r = plan.at(q.grad_root);
    if (r.out >= 0 && r.consumers == 0) return const_cast<void*>(b.dy[r.out]);
    return b.scratch + r.grad.at.at(c.batch);
  }
  [[gnu::noinline]] extent numel(int v, extent batch) const { return with_batch(plan.at(v).s, batch).numel(); }

  [[gnu::noinline]] frame start(int i, const arrays& a, const buffers& b, const call_info& c) const {
    const node& n = plan.nodes[i];
    frame f;
    f.in = &n.in;
    f.out = &n.out;
    f.batch = c.batch;
    f.training = c.training;
    f.key = c.key;
    f.key.layer = static_cast<std::uint32_t>(i);
    f.device = c.device;
    if (b.scratch) f.scratch = b.scratch + (c.training ? plan.scratch : plan.inference).at(c.batch);  // a commit may have none
    f.scratch_per_thread = plan.work_per_thread;
    for (int k = 0; k < n.out.p.n; ++k) f.p[k] = plan.width.casts ? cast_of(n.p[k], b, c) : a.p[n.p[k]];
    for (int k = 0; k < n.out.states.n; ++k) f.state[k] = a.state[n.state + k];
    if (c.training)
      for (int k = 0; k < n.out.saved.n; ++k) f.saved[k] = b.saved + n.saved[k].at(c.batch);
    for (int k = 0; k < n.x.size(); ++k)
      if (plan.at(n.x[k]).producer < 0) f.x_strides[k] = b.x_strides[n.x[k]];
    return f;
  }

  void cast_parameters(const arrays& a, const buffers& b, const call_info& c) const {
    if (types.cast) types.cast(*this, a, b, c);
  }
  /// call(frame) runs the layer's forward. False: the observer wants no more.
  template <class Call>
  bool forward(int i, const arrays& a, const buffers& b, const call_info& c, const Call& call) const {
    const node& n = plan.nodes[i];
    if (n.alias) return true;
    frame f = start(i, a, b, c);
    for (int k = 0; k < n.x.size(); ++k) f.x[k] = value(n.x[k], b, c);
    for (int k = 0; k < n.y.size(); ++k) f.y[k] = value(n.y[k], b, c);
    call(f);
    return !c.after || c.after(c.self, i, f);
  }

  /// Whose gradients this backward is for.
  unsigned wanted(const buffers& b) const {
    unsigned w = reaches_parameter;
    for (int i = 0; i < plan.in.n; ++i)
      if (b.dx[i]) w |= 1u << i;
    return w;
  }
  /// Before the first node: inputs that nobody reads, outputs that others read too.
  [[gnu::noinline]] void begin_backward(const buffers& b, const call_info& c, unsigned w) const {
    for (int i = 0; i < plan.in.n; ++i)
      if (b.dx[i] && plan.at(i).consumers == 0) types.zero(c.device, b.dx[i], numel(i, c.batch), false);
    for (const int v : plan.out)
      if (plan.at(v).consumers > 0)
        if (void* g = gradient(v, b, c, w)) types.copy(c.device, g, b.dy[plan.at(v).out], numel(v, c.batch));
  }
  /// call(frame) runs the layer's backward.
  template <class Call>
  void backward(int i, const arrays& a, const buffers& b, const call_info& c, unsigned w, bool fresh, const Call& call) const {
    const node& n = plan.nodes[i];
    if (n.alias_back) return;
    frame f = start(i, a, b, c);
    bool needed = n.out.p.n > 0;
    for (int k = 0; k < n.x.size(); ++k) {
      f.x[k] = value(n.x[k], b, c);
      if (n.in[k].what == kind::index) continue;
      f.dx[k] = gradient(n.x[k], b, c, w);
      if (f.dx[k] && n.sum[k]) f.dx[k] = b.scratch + plan.sum_at[k].at(c.batch);
      needed |= f.dx[k] != nullptr;
    }
    if (!needed) return;
    for (int k = 0; k < n.y.size(); ++k) {
      f.y[k] = value(n.y[k], b, c);
      f.dy[k] = gradient(n.y[k], b, c, w);
      if (plan.at(plan.at(n.y[k]).grad_root).zero) types.zero(c.device, f.dy[k], numel(n.y[k], c.batch), false);
    }
    for (int k = 0; k < n.out.p.n; ++k) {
      f.dp[k] = a.dp ? a.dp[n.p[k]] : nullptr;
      if (f.dp[k] && fresh && n.clears[k]) types.zero(c.device, f.dp[k], n.out.p[k].numel(), true);
    }
    call(f);
    for (int k = 0; k < n.x.size(); ++k)
      if (f.dx[k] && n.sum[k]) types.add(c.device, gradient(n.x[k], b, c, w), f.dx[k], numel(n.x[k], c.batch));
  }
};
template <class Policy, class D>
void cast_parameters(const walk& w, const arrays& a, const buffers& b, const call_info& c) {
  for (int q = 0; q < w.plan.parameters.size(); ++q) {
    const extent n = w.plan.parameters[q].shape.numel();
    ops::cast(*static_cast<const D*>(c.device), flat_view<typename Policy::storage, D>(w.cast_of(q, b, c), n),
              flat_view<const typename Policy::master, D>(a.p[q], n));
  }
}
}  // namespace detail
}  // namespace tenon
