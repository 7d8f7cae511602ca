// SPDX-License-Identifier: Apache-2.0
// What the programs of this folder share: CHECK, an owner that is counted, and what a refusal must look like. They do without Catch2,
// whose macros are also torch's.
#pragma once
#include <tenon/tensor/tensor.hpp>

#include <cstdio>
#include <string>
#include <string_view>

inline int failures = 0, checks = 0;
inline void check(bool holds, const char* what, const char* file, int line) {
  ++checks;
  if (holds) return;
  ++failures;
  std::printf("%s:%d: %s\n", file, line, what);
}
#undef CHECK
#define CHECK(...) check(static_cast<bool>(__VA_ARGS__), #__VA_ARGS__, __FILE__, __LINE__)

inline int alive = 0;
struct counted {
  bool holds = true;
  counted() { ++alive; }
  counted(counted&& o) noexcept : holds(o.holds) { o.holds = false; }
  ~counted() { alive -= holds; }
};
/// A tensor over `p` whose owner is counted in `alive`.
template <class T>
tenon::tensor<T> over(T* p, const tenon::shape& s) {
  return tenon::borrow(tenon::view<T>(p, s), counted{});
}
template <class T>
tenon::tensor<T> over(T* p, const tenon::shape& s, const tenon::strides& st) {
  return tenon::borrow(tenon::strided_view<T>(p, s, st), counted{});
}
/// `code`, from the operation named, and this in the text.
inline bool says(tenon::errc got, const tenon::failure& why, tenon::errc code, std::string_view operation,
                 std::string_view text) {
  const bool good =
      got == code && why.code == code && why.operation == operation && why.message().find(text) != std::string::npos;
  if (!good) std::printf("got: %s\n", why.message().c_str());
  return good;
}
inline int report() {
  std::printf("%d checks, %d failed\n", checks, failures);
  return failures != 0 || checks == 0;
}
