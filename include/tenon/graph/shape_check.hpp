// SPDX-License-Identifier: Apache-2.0
// The shape check that runs in the compiler, and the error it becomes: layer as a type, then position, what, axis, got, expected.
#pragma once
#include "tenon/graph/combine.hpp"
namespace tenon {
namespace detail {
/// How many inputs a layer takes: `static constexpr int arity`, or one.
template <class L>
consteval int arity_of() {
  if constexpr (requires { L::arity; }) return L::arity;
  else return 1;
}
/// A layer's answer, with the number of inputs checked first.
template <class L>
constexpr spec infer_checked(const L& l, const inputs& in) {
  if (in.n != arity_of<L>()) return spec{in[0].failed({errc::arity, -1, in.n, arity_of<L>()})};
  return l.infer(in);
}

/// A builder that only infers: its values are slots. Remembers the first layer that refuses.
struct shape_check {
  using value = slot;
  int depth = 0, position = -1, node = -1, bad_position = -1, bad_node = -1;
  fault bad{};
  constexpr void enter(int i, const char*) {
    if (depth++ == 0) position = i;
  }
  constexpr void leave() { --depth; }
  template <class L>
  constexpr inputs add(const L& l, const inputs& in, const char* = nullptr) {
    ++node;
    if (bad_node >= 0) return in;
    const spec s = infer_checked(l, in);
    if (const fault f = s.bad()) {
      bad = f;
      bad_node = node;
      bad_position = position;
    }
    return s.y;
  }
};
constexpr shape_check check_shapes(const auto& from) {
  shape_check c;
  inputs x;
  for (const input& i : from.in) x.add(slot{i.shape, i.kind});
  from.lower(c, x);
  return c;
}

// the layer types in node order, so that a message can name the type
template <class... L>
struct types {};
template <class... A, class... B>
types<A..., B...> operator+(types<A...>, types<B...>);
template <class L>
struct flat {
  using type = types<L>;
};
template <class L>
using flat_t = typename flat<L>::type;
template <class... Ls>
using flat_all = decltype((types<>{} + ... + flat_t<Ls>{}));
template <class... Ls>
struct flat<sequence<Ls...>> {
  using type = flat_all<Ls...>;
};
template <class... Ls>
struct flat<layers::shortcut<Ls...>> {
  using type = flat_all<Ls...>;
};
template <class... Ls>
struct flat<layers::branch<Ls...>> {
  using type = flat_all<Ls...>;
};
template <class... Ls>
struct flat<layers::named<Ls...>> {
  using type = flat_all<Ls...>;
};
template <class L>
struct flat<layers::tied<L>> {
  using type = flat_t<L>;
};
template <class... Ls>
struct flat<layers::residual<Ls...>> {
  using type = decltype(flat_all<Ls...>{} + types<layers::add>{});
};
template <class... L>
consteval int count_of(types<L...>) {
  return static_cast<int>(sizeof...(L));
}
template <class Net>
inline constexpr int node_type_count = count_of(flat_t<std::remove_const_t<Net>>{});
template <int I, class L, class... R>
auto pick(types<L, R...>) {
  if constexpr (I <= 0) return std::type_identity<L>{};
  else return pick<I - 1>(types<R...>{});
}
template <class Net, int I>
using node_type = typename decltype(pick<I>(flat_t<std::remove_const_t<Net>>{}))::type;

template <auto Net>
constexpr shape_check checked() {
  if constexpr (decltype(Net)::usable) return check_shapes(Net);
  else return {};  // network() has reported it
}
template <class Net, int I>
struct bad_layer {
  using type = node_type<Net, I>;
};
template <class Net>
struct bad_layer<Net, -1> {
  using type = void;
};
}  // namespace detail

/// Instantiated by model and fixed. Its arguments are the message: `layer` is the position in network(…).
template <class Layer, int layer, errc what, int axis, extent got, extent expected>
struct accepts_input {
  static_assert(layer < 0, "[network] this layer does not accept its input (Layer, layer, what, axis, got, expected)");
};
}  // namespace tenon
