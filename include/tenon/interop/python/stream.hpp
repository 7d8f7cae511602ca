// SPDX-License-Identifier: Apache-2.0
// Streams as the array API counts them. The numbers 1 and 2 are CUDA's own handles of its default streams. Touches no device.
#pragma once
#include <Python.h>
#include <cstdint>
#include "tenon/core/device.hpp"
#include "tenon/interop/python/refusal.hpp"
namespace tenon::python {
/// On which stream a consumer will read, in the numbers of `__dlpack__(stream=…)`. Not given: the host has none.
class stream_ref {
  std::int64_t number_ = 0;
  bool given_ = false;

 public:
  constexpr stream_ref() = default;
  explicit constexpr stream_ref(std::int64_t number) noexcept : number_(number), given_(true) {}
  static constexpr stream_ref cuda_legacy() noexcept { return stream_ref(1); }
  static constexpr stream_ref cuda_per_thread() noexcept { return stream_ref(2); }
  static constexpr stream_ref rocm_default() noexcept { return stream_ref(0); }
  /// The producer need not wait: the consumer orders the work.
  static constexpr stream_ref no_sync() noexcept { return stream_ref(-1); }
  constexpr bool given() const noexcept { return given_; }
  constexpr std::int64_t number() const noexcept { return number_; }
};
/// Whether a stream may be said for a device: none on the host; on CUDA 0 is forbidden, on ROCm 1 and 2; below −1 nothing is.
constexpr bool is_stream_of(device_type d, stream_ref s) noexcept {
  if (!s.given()) return true;
  switch (d) {
    case device_type::cuda:
    case device_type::cuda_managed: return s.number() >= -1 && s.number() != 0;
    case device_type::rocm: return s.number() >= -1 && s.number() != 1 && s.number() != 2;
    case device_type::cpu:
    case device_type::cuda_host:
    case device_type::rocm_host: return false;
    default: return true;
  }
}
/// Errors: value.
[[nodiscard]] inline errc try_stream(device_type d, stream_ref s, refusal& why, const char* operation) noexcept {
  if (is_stream_of(d, s)) [[likely]]
    return errc::ok;
  tenon::detail::text_buffer got;
  got << s.number();
  const bool host = host_devices.contains(d) && d != device_type::cuda_managed;
  return detail::refuse(why, errc::value, operation, "stream", got.c_str(),
                        host                     ? "None"
                        : d == device_type::rocm ? "-1, 0 or a handle"
                                                 : "-1, 1, 2 or a handle",
                        host ? "Host memory has no stream." : "");
}
}  // namespace tenon::python
