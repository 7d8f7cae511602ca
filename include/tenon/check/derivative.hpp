// SPDX-License-Identifier: Apache-2.0
// Forward along a direction against backward: ⟨dy, Dy·v⟩ = ⟨dx, v⟩ for each input and each parameter. Exactly in the prime field
// for layers made of + − · /; to 4 eps of the sum of absolute terms on duals for the others.
#pragma once
#include <string>
#include "tenon/check/contract.hpp"
namespace tenon::detail {
/// The two sides of the identity, and Σ|terms| of both.
template <class F>
struct sides {
  F forward{}, backward{}, terms{};
  bool close(double ulps) const { return error() <= ulps; }
  /// In units of eps of double · Σ|terms|. NaN becomes infinity.
  double error() const {
    if constexpr (std::same_as<F, gf61>) {
      return forward == backward ? 0 : __builtin_inf();
    } else {
      const F d = forward < backward ? backward - forward : forward - backward;
      const auto e = static_cast<double>(d / (terms * static_cast<F>(0x1p-52)));
      return d == 0 ? 0 : e == e ? e : __builtin_inf();
    }
  }
};

/// Derivatives that cancel to nothing (of a bias before a normalisation) are compared with this much of Σ|dy|: far below any
/// mistake, far above the rounding of long double.
inline constexpr long double floor_of_terms = 0x1p-10L;

template <class T>
class derivative {
  using F = decltype(T::v);
  stand<T>& s_;
  dice& dice_;
  std::vector<T> dx_[max_inputs], dp_[max_parameters];

  F draw() {
    if constexpr (std::same_as<F, gf61>) return gf61::raw(dice_.bits());
    else return static_cast<F>(dice_.real(-1, 1));
  }
  static F size(const F& v) {
    if constexpr (std::same_as<F, gf61>) return v;
    else return v < 0 ? -v : v;
  }
  std::size_t numel(tensor_id id) { return s_.value(id).size() / sizeof(T); }
  T* values(tensor_id id) { return s_.of(s_.value(id)); }
  const std::vector<T>& gradient(tensor_id id) const { return id.parameter ? dp_[id.i] : dx_[id.i]; }
  void add_forward(sides<F>& r) {
    s_.forward();
    for (int i = 0; i < s_.t.out.y.size(); ++i)
      for (std::size_t k = 0; k < s_.y[i].size() / sizeof(T); ++k) {
        const F term = s_.of(s_.dy[i])[k].v * s_.of(s_.y[i])[k].d;
        r.forward += term;
        r.terms += size(term);
        if constexpr (!std::same_as<F, gf61>) r.terms += floor_of_terms * size(s_.of(s_.dy[i])[k].v);
      }
  }
  void aim(tensor_id id, sides<F>& r) {
    for (std::size_t k = 0; k < numel(id); ++k) {
      const F v = draw(), term = gradient(id)[k].v * v;
      values(id)[k].d = v;
      r.backward += term;
      r.terms += size(term);
    }
  }
  void rest(tensor_id id) {
    for (std::size_t k = 0; k < numel(id); ++k) values(id)[k].d = F(0);
  }

 public:
  derivative(stand<T>& s, dice& d) : s_(s), dice_(d) {}

  /// One training forward and backward, with directions in everything so that comparisons show their gaps.
  void run() {
    each_gradient(s_.t, [&](tensor_id id) {
      for (std::size_t k = 0; k < numel(id); ++k) values(id)[k].d = draw();
    });
    s_.spoil(dice_);
    s_.clear_dp();
    s_.forward();
    s_.backward();
    for (int i = 0; i < max_inputs; ++i) dx_[i] = s_.copy(s_.dx[i]);
    for (int i = 0; i < max_parameters; ++i) dp_[i] = s_.copy(s_.dp[i]);
    each_gradient(s_.t, [&](tensor_id id) { rest(id); });
  }
  const std::vector<T>& dx(int i) const { return dx_[i]; }
  const std::vector<T>& dp(int i) const { return dp_[i]; }
  sides<F> along(tensor_id id) {
    sides<F> r;
    aim(id, r);
    add_forward(r);
    rest(id);
    return r;
  }
  /// Where the gradient is wrong: compares single elements, at most 1024 of them.
  [[gnu::noinline]] std::string locate(tensor_id id, const shape& where) {
    const std::size_t n = numel(id) < 1024 ? numel(id) : 1024;
    std::size_t wrong = 0, worst = 0;
    double most = -1, got = 0, expected = 0;
    for (std::size_t k = 0; k < n; ++k) {
      sides<F> one;
      values(id)[k].d = F(1);
      add_forward(one);
      values(id)[k].d = F(0);
      one.backward = gradient(id)[k].v;
      one.terms += size(one.backward) + F(0x1p-10);
      if (const double e = one.error(); e > 64) {
        ++wrong;
        if (e > most) most = e, worst = k, got = static_cast<double>(one.backward), expected = static_cast<double>(one.forward);
      }
    }
    if (wrong == 0) return "no single element stands out";
    return concat(std::to_string(wrong), " of ", std::to_string(n), " elements wrong, the worst at ", place_in(where, worst),
                  ": got ", number(got), ", expected ", number(expected));
  }
};
}  // namespace tenon::detail
