// SPDX-License-Identifier: Apache-2.0
// Executors: what runs ops and owns the memory they run on. `cpu` is the host's; a device of one's own is a type like it.
#pragma once
#include <concepts>
#include <cstddef>
#include <cstring>
#include <type_traits>
#include "tenon/core/device.hpp"
#include "tenon/core/precision.hpp"
#include "tenon/ops/cpu/threads.hpp"
#include "tenon/tensor/storage.hpp"
#include "tenon/tensor/view.hpp"
namespace tenon {
/// The host. By default the caller's thread; more threads come from one pool that the process shares.
struct cpu {
  int threads = 1;
  memory_source memory{};  // cpu{.memory = &resource}: anything like std::pmr::memory_resource

  static constexpr tenon::device_type type = tenon::device_type::cpu;
  [[nodiscard]] errc try_allocate(std::size_t bytes, storage& to, failure& why) const noexcept {
    return storage::try_allocate(bytes, to, why, memory);
  }
  void upload(void* to, const void* host, std::size_t bytes) const {
    if (bytes) std::memcpy(to, host, bytes);
  }
  void download(void* host, const void* from, std::size_t bytes) const {
    if (bytes) std::memcpy(host, from, bytes);
  }
};

/// An executor: allocates its memory, moves bytes to and from the host. Ops find its kernels by `run_op` (see ops/op.hpp). One of
/// several devices of a kind has a member `device`, its number, which its try_allocate gives to storage::try_adopt.
template <class D>
concept executor = requires(const D& d, storage& s, failure& f, void* p, const void* q) {
  { D::type } -> std::convertible_to<device_type>;
  { d.try_allocate(std::size_t{}, s, f) } noexcept -> std::same_as<errc>;
  d.upload(p, q, std::size_t{});
  d.download(p, q, std::size_t{});
};
static_assert(executor<cpu>);

/// What an executor's memory says at the doors: its kind and its number.
template <class D>
constexpr device device_of(const D& d) {
  if constexpr (requires { static_cast<std::int32_t>(d.device); })
    return {device_traits<D>::type, static_cast<std::int32_t>(d.device)};
  else return {device_traits<D>::type, 0};
}

/// Threads an executor's ops may use, at most what the pool has; scratch is planned for each.
template <class D>
constexpr int threads_of(const D& d) {
  if constexpr (requires { d.threads; })
    return d.threads < 1 ? 1 : d.threads < detail::max_threads ? d.threads : detail::max_threads;
  else return 1;
}

/// What an op gets: the executor, the type in which to compute, and planned scratch memory, so that no op allocates.
template <class Device, class Compute>
struct execution {
  using device_type = Device;
  using compute = Compute;
  const Device& device;
  std::byte* scratch = nullptr;  // threads · per_thread bytes, 64-byte aligned
  std::size_t per_thread = 0;
  int threads() const { return threads_of(device); }
};
template <class>
inline constexpr bool is_execution = false;
template <class D, class C>
inline constexpr bool is_execution<execution<D, C>> = true;
}  // namespace tenon
