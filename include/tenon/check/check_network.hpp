// SPDX-License-Identifier: Apache-2.0
// As check_layer, for a whole network value: its plan (fan-outs and their sums, shared and reused memory, tied parameters) gives
// the derivative that its forward has. Runs the program itself on duals and in the prime field; owns all memory it uses.
#pragma once
#include <string>
#include <type_traits>
#include <vector>
#include "tenon/check/derivative.hpp"
#include "tenon/graph/bound.hpp"
namespace tenon {
namespace detail {
/// The arrays of one program for a batch, in scalars T, and what they say.
template <class T>
class network_stand {
  using F = decltype(T::v);
  using vectors = std::vector<std::vector<T>>;
  static constexpr bool is_exact = std::same_as<T, dual_gf61>;
  const program& net_;
  const plan& plan_;
  const extent batch_;
  dice& dice_;
  vectors x_, dx_, p_, dp_, state_, y_, dy_;
  std::vector<index> at_[max_inputs];
  walled saved_, scratch_;
  cpu host_{};

  static T draw(dice& d, const initial& near, float low, float high) {
    if constexpr (is_exact) return {gf61::raw(d.bits()), gf61{}};
    else {
      const float wide = near.bound + near.deviation;
      return T(near.fill + (wide > 0.25f ? wide : 1.0f) * d.real(low, high));
    }
  }
  static std::vector<void*> table(vectors& of) {
    std::vector<void*> r;
    for (auto& v : of) r.push_back(v.data());
    return r;
  }
  bool is_index(int i) const { return plan_.at(plan_.in[i]).s.what == kind::index; }
  /// Σ of both sides over one array that moves by `d`.
  void add(sides<F>& r, F& side, const F& a, const F& b) const {
    const F term = a * b;
    side += term;
    if constexpr (!is_exact) r.terms += term < 0 ? -term : term;
  }

 public:
  network_stand(const program& net, extent batch, const check_options& o, dice& d)
      : net_(net), plan_(net.planned()), batch_(batch), dice_(d), saved_(net.saved_bytes(batch)),
        scratch_(net.scratch_bytes(batch, true, 1)) {
    for (int i = 0; i < net.inputs(); ++i) {
      const slot& s = plan_.at(plan_.in[i]).s;
      const auto n = static_cast<std::size_t>((s[0] == dyn ? s.with(0, batch) : static_cast<const shape&>(s)).numel());
      x_.emplace_back(n), dx_.emplace_back(is_index(i) ? 0 : n);
      for (T& e : x_.back()) e = draw(d, {}, o.low, o.high);
      at_[i].resize(n);
      for (index& e : at_[i]) e = d.below(plan_.index_limit[i] > 0 ? plan_.index_limit[i] : 2);
    }
    for (const array_info& a : plan_.parameters) {
      p_.emplace_back(static_cast<std::size_t>(a.shape.numel())), dp_.emplace_back(p_.back().size());
      for (T& e : p_.back()) e = draw(d, a.start, -1, 1);
    }
    for (const array_info& a : plan_.states) {
      state_.emplace_back(static_cast<std::size_t>(a.shape.numel()));
      for (T& e : state_.back()) e = T(a.start.fill);
    }
    for (int k = 0; k < net.outputs(); ++k) {
      y_.emplace_back(static_cast<std::size_t>(plan_.output(k, batch).numel())), dy_.emplace_back(y_.back().size());
      for (T& e : dy_.back()) e = draw(d, {}, -1, 1);
    }
    saved_.paint(std::byte{0x3D});
    scratch_.paint(std::byte{0x3D});
  }
  bool walls_hold() const { return saved_.breach() == 0 && scratch_.breach() == 0; }
  vectors& of(bool parameter) { return parameter ? p_ : x_; }
  const vectors& gradients(bool parameter) const { return parameter ? dp_ : dx_; }
  std::string name(tensor_id id) const {
    return id.parameter ? concat("gradient of ", plan_.text(plan_.parameters[id.i].name))
                        : concat("dx(", std::to_string(id.i), ")");
  }
  template <class Each>
  void each_tensor(Each&& f) const {
    for (int i = 0; i < net_.inputs(); ++i)
      if (!is_index(i)) f(tensor_id{false, i});
    for (int i = 0; i < static_cast<int>(p_.size()); ++i) f(tensor_id{true, i});
  }
  /// Noise in everything that is not an input, so that nothing is right by chance.
  void spoil() {
    for (vectors* all : {&dx_, &y_})
      for (auto& v : *all)
        for (T& e : v) e = stand<T>::draw(dice_);
  }
  /// A training forward, and a backward that stores (`fresh`) or adds.
  void run(bool back, bool fresh, bool with_dx = true) {
    auto p = table(p_), dp = table(dp_), state = table(state_);
    buffers b;
    for (int i = 0; i < net_.inputs(); ++i) {
      const auto k = static_cast<std::size_t>(i);
      b.x[i] = is_index(i) ? static_cast<const void*>(at_[i].data()) : x_[k].data();
      b.dx[i] = is_index(i) || !with_dx ? nullptr : dx_[k].data();
    }
    for (int k = 0; k < net_.outputs(); ++k) {
      b.y[k] = y_[static_cast<std::size_t>(k)].data();
      b.dy[k] = dy_[static_cast<std::size_t>(k)].data();
    }
    b.saved = saved_.data();
    b.scratch = scratch_.data();
    const arrays a{p.data(), dp.data(), state.data()};
    const call_info c{.device = &host_, .key = {7, 3, 0}, .batch = batch_, .training = true};
    net_.forward(a, b, c);
    if (back) net_.backward(a, b, c, fresh);
  }
  /// The two sides of ⟨dy, Dy·v⟩ = ⟨gradient, v⟩ for a random v in one array, or in all where `id` is null.
  sides<F> along(const tensor_id* id, const vectors& dx, const vectors& dp) {
    sides<F> r;
    auto aim = [&](tensor_id t, bool on) {
      const auto i = static_cast<std::size_t>(t.i);
      auto& v = of(t.parameter)[i];
      for (std::size_t k = 0; k < v.size(); ++k) {
        v[k].d = on ? stand<T>::draw(dice_).v : F(0);
        if (on) add(r, r.backward, (t.parameter ? dp : dx)[i][k].v, v[k].d);
      }
    };
    auto aim_all = [&](bool on) { id ? aim(*id, on) : each_tensor([&](tensor_id t) { aim(t, on); }); };
    aim_all(true);
    run(false, false);
    aim_all(false);
    for (std::size_t o = 0; o < y_.size(); ++o)
      for (std::size_t k = 0; k < y_[o].size(); ++k) {
        add(r, r.forward, dy_[o][k].v, y_[o][k].d);
        if constexpr (!is_exact) r.terms += floor_of_terms * (dy_[o][k].v < 0 ? -dy_[o][k].v : dy_[o][k].v);
      }
    return r;
  }
};

template <class T>
bool check_program(const program& net, extent batch, const check_options& o, dice& d, findings& found) {
  constexpr bool is_exact = std::same_as<T, dual_gf61>;
  network_stand<T> s(net, batch, o, d);
  gf61::left_field = false;
  s.spoil();
  s.run(true, true);
  const auto dx = s.gradients(false), dp = s.gradients(true);
  if constexpr (is_exact) {
    auto same = [&](const char* what, const auto& a, const auto& b, int times) {
      bool equal = true;
      for (std::size_t i = 0; i < a.size(); ++i)
        for (std::size_t k = 0; k < a[i].size(); ++k) equal &= a[i][k] == T(times) * b[i][k];
      found.say(equal, what, "it does not");
    };
    s.spoil();
    s.run(true, false);
    same("a second backward adds to parameter gradients", s.gradients(true), dp, 2);
    same("dx is stored", s.gradients(false), dx, 1);
    s.run(true, true, false);
    same("a fresh backward stores parameter gradients, also where no dx is wanted", s.gradients(true), dp, 1);
    found.say(s.walls_hold(), "writes stay inside their arrays", "saved or scratch memory is too small");
    if (gf61::left_field) return false;
  }
  smallest_gap = std::numeric_limits<long double>::max();
  (void)s.along(nullptr, dx, dp);
  if (!is_exact && smallest_gap < 0x1p-30L) return false;
  bool stays = true;
  s.each_tensor([&](tensor_id id) {
    const auto two = s.along(&id, dx, dp);
    const double e = two.error();
    if (is_exact && gf61::left_field) stays = false;
    if (!is_exact && e > found.worst) found.worst = e;
    if (stays)
      found.say(
          two.close(is_exact ? 0 : o.ulps),
          concat(s.name(id), is_exact ? " is the derivative of forward, exactly" : " is the derivative of forward, to ulps"),
          is_exact ? std::string("it is another") : concat("off by ", number(e), " eps of the sum of terms"));
  });
  return stays;
}
[[gnu::noinline]] inline check_report check_programs(const program& exact, const program& real, const check_options& o) {
  findings found;
  constexpr extent batches[] = {3, 1, 5, 4};
  for (int k = 0; k < 4; ++k) {
    found.where = concat("batch ", std::to_string(batches[k]), ", seed ", std::to_string(o.seed));
    dice d(o.seed, 0x100u + static_cast<std::uint64_t>(k));
    if (o.exact && check_program<dual_gf61>(exact, batches[k], o, d, found)) continue;
    for (int tries = 0; tries < 8; ++tries)  // until nothing is tied
      if (check_program<dual>(real, batches[k], o, d, found)) break;
  }
  return found.report("[check_network]", o.seed);
}
}  // namespace detail

#if TENON_EXCEPTIONS
/// Checks a network value on four batch sizes: `check_network(network({8}, linear{.out = 3}, …))`.
/// Errors: whatever binding the network gives (see network).
template <class Net>
check_report check_network(const Net& net, const check_options& options = {}) {
  const bound_program exact(net, std::type_identity<dual_gf61>{}, std::type_identity<cpu>{}),
      real(net, std::type_identity<dual>{}, std::type_identity<cpu>{});
  return detail::check_programs(exact, real, options);
}
#endif
}  // namespace tenon
