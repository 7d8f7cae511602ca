// SPDX-License-Identifier: Apache-2.0
// A sequence of plain values that grows, also in the compiler, and an owned array: a fraction of what <vector> and <memory> cost
// each file that plans.
#pragma once
#include <cstddef>
#include <string_view>
#include <type_traits>
#include <utility>
namespace tenon::detail {
template <class T>
class growing {
  static_assert(std::is_trivially_copyable_v<T>);
  T* v_ = nullptr;
  int n_ = 0, room_ = 0;

 public:
  constexpr growing() = default;
  constexpr growing(growing&& o) noexcept
      : v_(std::exchange(o.v_, nullptr)), n_(std::exchange(o.n_, 0)), room_(std::exchange(o.room_, 0)) {}
  growing(const growing&) = delete;
  growing& operator=(const growing&) = delete;
  constexpr ~growing() { delete[] v_; }
  [[gnu::cold, gnu::noinline]] constexpr void add(const T& e) {
    if (n_ == room_) {
      T* larger = new T[static_cast<std::size_t>(2 * room_ + 8)];
      for (int i = 0; i < n_; ++i) larger[i] = v_[i];
      delete[] v_;
      v_ = larger;
      room_ = 2 * room_ + 8;
    }
    v_[n_++] = e;
  }
  /// Forgets all but the first n.
  constexpr void shrink(int n) { n_ = n; }
  constexpr int size() const { return n_; }
  constexpr T& operator[](int i) { return v_[i]; }
  constexpr const T& operator[](int i) const { return v_[i]; }
  constexpr T* begin() { return v_; }
  constexpr T* end() { return v_ + n_; }
  constexpr const T* begin() const { return v_; }
  constexpr const T* end() const { return v_ + n_; }
};

/// Text that grows: std::string does so in the compiler only with newer libraries than clang may find (libstdc++ 12).
class growing_text {
  growing<char> v_;

 public:
  constexpr int size() const { return v_.size(); }
  constexpr void shrink(int n) { v_.shrink(n); }
  constexpr const char* data() const { return v_.begin(); }
  constexpr growing_text& operator+=(char c) {
    v_.add(c);
    return *this;
  }
  constexpr growing_text& operator+=(std::string_view s) {
    for (const char c : s) v_.add(c);
    return *this;
  }
  /// With a final zero, until it grows again.
  constexpr const char* c_str() {
    v_.add(0);
    v_.shrink(v_.size() - 1);
    return v_.begin();
  }
  constexpr operator std::string_view() const { return {v_.begin(), static_cast<std::size_t>(v_.size())}; }
};

/// n values made at once. Moves, does not copy.
template <class T>
class owned_array {
  T* v_ = nullptr;

 public:
  owned_array() = default;
  [[gnu::noinline]] explicit owned_array(int n) : v_(new T[static_cast<std::size_t>(n)]()) {}
  owned_array(owned_array&& o) noexcept : v_(std::exchange(o.v_, nullptr)) {}
  owned_array& operator=(owned_array&& o) noexcept {
    std::swap(v_, o.v_);
    return *this;
  }
  [[gnu::noinline]] ~owned_array() { delete[] v_; }
  T& operator[](int i) const { return v_[i]; }
};
}  // namespace tenon::detail
