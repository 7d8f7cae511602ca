// SPDX-License-Identifier: Apache-2.0
// Which number type plays which part in a network. Touches no memory.
#pragma once
#include <type_traits>
#include "tenon/core/float16.hpp"
namespace tenon {
/// The type in which arithmetic on stored `T` happens.
template <class T>
struct compute_of {
  using type = T;
};
template <>
struct compute_of<bfloat16> {
  using type = float;
};
template <class T>
using compute_of_t = typename compute_of<std::remove_const_t<T>>::type;

/// storage: activations, and parameters as layers read them · compute: arithmetic · accumulate: parameter gradients, statistics,
/// state · master: parameters as optimizers see them. Where master is not storage, a cast of each parameter precedes a forward.
template <class Storage, class Compute = compute_of_t<Storage>, class Accumulate = Compute, class Master = Accumulate>
struct precision {
  using storage = Storage;
  using compute = Compute;
  using accumulate = Accumulate;
  using master = Master;
};
namespace detail {
template <class P>
struct as_precision {
  using type = precision<P, P, P, P>;
};
template <class S, class C, class A, class M>
struct as_precision<precision<S, C, A, M>> {
  using type = precision<S, C, A, M>;
};
}  // namespace detail
/// `float` is short for precision<float>.
template <class P>
using precision_of = typename detail::as_precision<P>::type;
}  // namespace tenon
