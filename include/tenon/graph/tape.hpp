// SPDX-License-Identifier: Apache-2.0
// What one training forward leaves for its backward. Owns the saved bytes, which hold no pointers, and whoever keeps x and y alive.
#pragma once
#include <cstdint>
#include <utility>
#include "tenon/layers/spec.hpp"
#include "tenon/ops/random.hpp"
#include "tenon/tensor/storage.hpp"
#include "tenon/tensor/tensor.hpp"
namespace tenon {
namespace detail {
inline std::uint64_t session_counter = 0;
// a stamp is the session's number, then the number of the forward
inline constexpr int stamp_forward_bits = 40;
constexpr std::uint64_t stamp_forward(std::uint64_t s) { return s & ((std::uint64_t{1} << stamp_forward_bits) - 1); }
constexpr std::uint64_t stamp_session(std::uint64_t s) { return s >> stamp_forward_bits; }
/// A stamp goes with a move: what was moved from holds no forward.
struct moving_stamp {
  std::uint64_t v = 0;
  moving_stamp() = default;
  moving_stamp(moving_stamp&& o) noexcept : v(std::exchange(o.v, 0)) {}
  moving_stamp& operator=(moving_stamp&& o) noexcept {
    v = std::exchange(o.v, 0);
    return *this;
  }
  moving_stamp& operator=(std::uint64_t s) noexcept {
    v = s;
    return *this;
  }
  operator std::uint64_t() const noexcept { return v; }
};
/// Fresh memory where `s` has less than `bytes`; its contents are lost.
[[nodiscard, gnu::noinline]] inline errc grow(storage& s, std::size_t bytes, failure& why, const auto& device) noexcept {
  if (s.bytes() >= bytes && s) return errc::ok;
  storage fresh;
  if (const errc c = device.try_allocate(bytes, fresh, why); c != errc::ok) return c;
  s = static_cast<storage&&>(fresh);
  return errc::ok;
}
}  // namespace detail

/// One forward in flight. Several at once: a tape each. A tape is used again for the next forward; it must not outlive what its
/// forward borrowed.
class tape {
  template <class D>
  friend class session;
  storage saved_, packed_[max_inputs], held_[max_outputs + max_inputs];  // y, then whoever owns x
  const void* x_[max_inputs]{};
  strides x_strides_[max_inputs]{};
  bool x_strided_[max_inputs]{};
  extent batch_ = 0;
  random_key key_{};
  detail::moving_stamp stamp_;  // 0: no forward, or one that failed half-way
  std::uint64_t version_ = 0;

  storage& y(int k) { return held_[k]; }
  storage& x_owner(int i) { return held_[max_outputs + i]; }

 public:
  tape() = default;
  /// The network is only named: any session of any network may use the tape.
  template <class Net>
  explicit tape(const Net&) {}
  tape(tape&&) = default;
  tape& operator=(tape&&) = default;
  /// Batch of the forward it holds; 0 for none.
  extent batch() const { return stamp_ ? batch_ : 0; }
};
}  // namespace tenon
