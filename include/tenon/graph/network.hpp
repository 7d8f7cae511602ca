// SPDX-License-Identifier: Apache-2.0
// The architecture as a value: layers in order behind one or more inputs. A structural type, so it can be a template argument.
#pragma once
#include <concepts>
#include <cstddef>
#include <type_traits>
#include <utility>
#include "tenon/layers/layer.hpp"
namespace tenon {
/// A short name inside a value: parameters, inputs, tied layers.
struct label {
  char text[32]{};
  constexpr label() = default;
  template <std::size_t N>
    requires(N <= 32)
  constexpr label(const char (&s)[N]) {
    for (std::size_t i = 0; i < N; ++i) text[i] = s[i];
  }
  constexpr bool empty() const { return text[0] == 0; }
  constexpr bool operator==(const label&) const = default;
};

/// One input of a network, batch axis included: `input{{dyn, 12}, "tokens", kind::index}`.
struct input {
  tenon::shape shape;
  label name{};
  tenon::kind kind = kind::scalar;
};

namespace detail {
template <std::size_t I, class T>
struct part {
  T value;
};
template <class Seq, class... T>
struct bundle_of;
template <std::size_t... I, class... T>
struct bundle_of<std::index_sequence<I...>, T...> : part<I, T>... {};
/// A tuple that may be part of a template argument (std::tuple may not).
template <class... T>
using bundle = bundle_of<std::index_sequence_for<T...>, T...>;
template <std::size_t I, class T>
constexpr const T& get(const part<I, T>& s) {
  return s.value;
}

/// What flows between layers: up to four values of the builder B (slots in the compiler, value numbers at run time).
template <class B>
using flow = list<typename std::remove_reference_t<B>::value, max_inputs>;

/// The one way from an architecture to nodes: a combinator lowers itself, a layer becomes a node.
template <class L>
constexpr auto lower(auto& b, const L& l, const auto& in) {
  if constexpr (combinator<L>) return l.lower(b, in);
  else return b.add(l, in);
}
template <class L>
constexpr const char* name_of(const L& l) {
  if constexpr (requires { l.path.text; }) return l.path.text;  // named and tied parts go by their name, others by their position
  else return nullptr;
}
// one part under its position or name; apart, so that a long network costs a call a layer
template <class B, class L>
[[gnu::cold, gnu::noinline]] constexpr flow<B> lower_part(B& b, int i, const L& l, const flow<B>& in) {
  b.enter(i, name_of(l));
  const flow<B> out = lower(b, l, in);
  b.leave();
  return out;
}
template <class... Ls>
constexpr auto lower_in_order(auto& b, const bundle<Ls...>& p, flow<decltype(b)> in) {
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    ((in = lower_part(b, static_cast<int>(I), get<I>(p), in)), ...);
  }(std::index_sequence_for<Ls...>{});
  return in;
}
}  // namespace detail

/// Layers in order, behind their inputs: what `network` gives.
template <class... Ls>
struct sequence {
  using parts = detail::bundle<Ls...>;
  static constexpr bool usable = (tenon::usable<Ls> && ...);
  /// Every output comes from a layer of its own: no copy of an input, or of another output, is needed.
  static constexpr bool plain = sizeof...(Ls) > 0 && (!combinator<Ls> && ...);
  parts layers;
  list<input, max_inputs> in;
  constexpr auto lower(auto& b, const auto& x) const { return detail::lower_in_order<Ls...>(b, layers, x); }
};

namespace detail {
constexpr auto make_network(const list<input, max_inputs>& in, const std::same_as<input> auto& more, const auto&... rest);
template <class... Ls>
  requires(!std::same_as<Ls, input> && ...)
constexpr auto make_network(const list<input, max_inputs>& in, const Ls&... ls) {
  (static_cast<void>(expect_layer<Ls>()), ...);
  return sequence<Ls...>{{{ls}...}, in};
}
constexpr auto make_network(const list<input, max_inputs>& in, const std::same_as<input> auto& more, const auto&... rest) {
  list<input, max_inputs> all = in;
  all.add(more);
  return make_network(all, rest...);
}
}  // namespace detail

/// An architecture: inputs first, then layers and combinators in order. The first layer takes all inputs.
template <std::same_as<input> I, class... Rest>  // deduced: `{n}` alone must stay a shape
constexpr auto network(I first, Rest... rest) {
  list<input, max_inputs> in;
  in.add(first);
  return detail::make_network(in, rest...);
}
/// `{1, 28, 28}` is one sample: short for `input{{dyn, 1, 28, 28}}`.
template <class... Ls>
constexpr auto network(const shape& sample, Ls... ls) {
  shape s = sample;
  s.rank_ = 0;
  s = s.append(dyn);
  for (int i = 0; i < sample.rank(); ++i) s = s.append(sample[i]);
  return network(input{s}, ls...);
}
}  // namespace tenon
