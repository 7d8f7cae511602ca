// SPDX-License-Identifier: Apache-2.0
// How an op is written once and runs on any executor. Touches no memory.
//
//   struct add_op : op<add_op> {                       // y = a + b
//     template <class Ex, class S>
//     static void host(const Ex& ex, const view<S>& y, in<S> a, in<S> b);
//   };
//   inline constexpr add_op add{};
//
// `ops::add(pass.ex(), y, a, b)` calls `host` where the memory is the host's, and elsewhere the executor's own overload,
// found beside the executor's type: void run_op(tenon::ops::add_op, const tenon::execution<my_device, C>& ex, view<S, my_device> y, …).
#pragma once
#include <type_traits>
#include "tenon/ops/executor.hpp"
namespace tenon::ops {
/// An argument that does not decide the element type: views of S and of const S are welcome.
template <class S>
using in = const std::type_identity_t<view<const S>>&;

namespace detail {
template <class V>
struct first_element {
  using type = float;
};
template <class T, class D>
struct first_element<view<T, D>> {
  using type = compute_of_t<T>;
};
}  // namespace detail

template <class Self>
struct op {
  /// `ex` is an execution (from a pass) or an executor; then views compute in their own type and there is no scratch.
  template <class Ex, class First, class... A>
  void operator()(const Ex& ex, const First& first, const A&... a) const {
    if constexpr (!is_execution<Ex>) {
      (*this)(execution<Ex, typename detail::first_element<First>::type>{ex}, first, a...);
    } else if constexpr (device_traits<typename Ex::device_type>::host_accessible) {
      Self::host(ex, first, a...);
    } else if constexpr (requires { run_op(Self{}, ex, first, a...); }) {
      run_op(Self{}, ex, first, a...);
    } else {
      static_assert(sizeof(First) == 0,
                    "[ops] this executor cannot run this op (Self): add beside the executor "
                    "void run_op(Self, const tenon::execution<your_device, C>& ex, …)");
    }
  }
};
}  // namespace tenon::ops
