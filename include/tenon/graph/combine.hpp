// SPDX-License-Identifier: Apache-2.0
// Combinators: parts of an architecture that are not layers but lower to nodes of the plan. Touches no memory.
#pragma once
#include "tenon/graph/network.hpp"
#include "tenon/layers/combine.hpp"
namespace tenon::layers {
/// The other way round a residual; without layers it is the identity.
template <class... Ls>
struct shortcut {
  using parts = tenon::detail::bundle<Ls...>;
  static constexpr bool usable = (tenon::usable<Ls> && ...);
  parts layers;
  constexpr shortcut(Ls... ls) : layers{{ls}...} { (static_cast<void>(expect_layer<Ls>()), ...); }
  constexpr auto lower(auto& b, const auto& x) const {
    b.enter(-1, "shortcut");
    auto y = tenon::detail::lower_in_order<Ls...>(b, layers, x);
    b.leave();
    return y;
  }
};
template <class... Ls>
shortcut(Ls...) -> shortcut<Ls...>;
template <class L>
inline constexpr bool is_shortcut = false;
template <class... Ls>
inline constexpr bool is_shortcut<shortcut<Ls...>> = true;

/// y = body(x) + x, or body(x) + shortcut(x) where one part is a shortcut{…}.
template <class... Ls>
struct residual {
  using parts = tenon::detail::bundle<Ls...>;
  static constexpr bool usable = (tenon::usable<Ls> && ...);
  static_assert((0 + ... + int{is_shortcut<Ls>}) <= 1, "[residual] one shortcut{…} at most");
  parts body;
  constexpr residual(Ls... ls) : body{{ls}...} { (static_cast<void>(expect_layer<Ls>()), ...); }
  constexpr auto lower(auto& b, const auto& x) const {
    tenon::detail::flow<decltype(b)> y = x, way = x;
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      (one(b, static_cast<int>(I), tenon::detail::get<I>(body), x, y, way), ...);
    }(std::index_sequence_for<Ls...>{});
    for (int i = 0; i < y.size(); ++i) way.add(y[i]);
    return b.add(add{}, way);
  }

 private:
  template <class L>
  static constexpr void one(auto& b, int i, const L& l, const auto& x, auto& y, auto& way) {
    if constexpr (is_shortcut<L>) {
      way = l.lower(b, x);
    } else {
      b.enter(i, tenon::detail::name_of(l));
      y = tenon::detail::lower(b, l, y);
      b.leave();
    }
  }
};
template <class... Ls>
residual(Ls...) -> residual<Ls...>;
template <class... Ls>
residual(residual<Ls...>) -> residual<residual<Ls...>>;  // else CTAD copies, and a nested residual vanishes

/// Every part gets the whole input; their outputs follow one another: branch{a, b} gives [a(x), b(x)].
template <class... Ls>
struct branch {
  using parts = tenon::detail::bundle<Ls...>;
  static constexpr bool usable = (tenon::usable<Ls> && ...);
  parts ways;
  constexpr branch(Ls... ls) : ways{{ls}...} { (static_cast<void>(expect_layer<Ls>()), ...); }
  constexpr auto lower(auto& b, const auto& x) const {
    tenon::detail::flow<decltype(b)> all;
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      (one(b, static_cast<int>(I), tenon::detail::get<I>(ways), x, all), ...);
    }(std::index_sequence_for<Ls...>{});
    return all;
  }

 private:
  template <class L>
  static constexpr void one(auto& b, int i, const L& l, const auto& x, auto& all) {
    b.enter(i, tenon::detail::name_of(l));
    auto y = tenon::detail::lower(b, l, x);
    b.leave();
    for (int k = 0; k < y.n; ++k) all.add(y[k]);
  }
};
template <class... Ls>
branch(Ls...) -> branch<Ls...>;
template <class... Ls>
branch(branch<Ls...>) -> branch<branch<Ls...>>;

/// Every `tied{"name", layer}` of the same name is one set of parameters: `name.weight`. The layers must ask for equal ones.
template <class L>
struct tied {
  using parts = tenon::detail::bundle<L>;
  static constexpr bool usable = tenon::usable<L>;
  static_assert(!combinator<L>, "[tied] holds one layer: tie each layer of a combinator by a name of its own");
  label path;
  L layer;
  constexpr tied(label name, L l) : path(name), layer(l) { static_cast<void>(expect_layer<L>()); }
  constexpr auto lower(auto& b, const auto& x) const { return b.add(layer, x, path.text); }
};
template <std::size_t N, class L>
tied(const char (&)[N], L) -> tied<L>;

/// Parameters inside are called by this name instead of the position: `head.weight`, or `head.0.weight` of several layers.
template <class... Ls>
struct named {
  using parts = tenon::detail::bundle<Ls...>;
  static constexpr bool usable = (tenon::usable<Ls> && ...);
  label path;
  parts layers;
  constexpr named(label name, Ls... ls) : path(name), layers{{ls}...} { (static_cast<void>(expect_layer<Ls>()), ...); }
  constexpr auto lower(auto& b, const auto& x) const {
    if constexpr (sizeof...(Ls) == 1) return tenon::detail::lower(b, tenon::detail::get<0>(layers), x);
    else return tenon::detail::lower_in_order<Ls...>(b, layers, x);
  }
};
template <std::size_t N, class... Ls>
named(const char (&)[N], Ls...) -> named<Ls...>;
}  // namespace tenon::layers
