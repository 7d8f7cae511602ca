// SPDX-License-Identifier: Apache-2.0
// A sequence of plain values that grows, also in the compiler, and an owned array: a fraction of what <vector> and <memory> cost
// each file that plans.
#pragma once
#include <cstddef>
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
  constexpr growing(growing&& o) noexcept : v_(std::exchange(o.v_, nullptr)), n_(std::exchange(o.n_, 0)), room_(std::exchange(o.room_, 0)) {}
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
  constexpr int size() const { return n_; }
  constexpr T& operator[](int i) { return v_[i]; }
  constexpr const T& operator[](int i) const { return v_[i]; }
  constexpr T* begin() { return v_; }
  constexpr T* end() { return v_ + n_; }
  constexpr const T* begin() const { return v_; }
  constexpr const T* end() const { return v_ + n_; }
};

/// n values made at once. Moves, does not copy.
template <class T>
class owned_array {
  T* v_ = nullptr;

 public:
  owned_array() = default;
  explicit owned_array(int n) : v_(new T[static_cast<std::size_t>(n)]()) {}
  owned_array(owned_array&& o) noexcept : v_(std::exchange(o.v_, nullptr)) {}
  owned_array& operator=(owned_array&& o) noexcept {
    std::swap(v_, o.v_);
    return *this;
  }
  ~owned_array() { delete[] v_; }
  T& operator[](int i) const { return v_[i]; }
  T* data() const { return v_; }
};
}  // namespace tenon::detail
