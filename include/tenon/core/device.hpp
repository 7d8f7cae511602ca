// SPDX-License-Identifier: Apache-2.0
// Where memory is: the number DLPack gives it, and the type that a view carries. Touches no memory.
#pragma once
#include <cstdint>
#include <string>
#include "tenon/core/text.hpp"
namespace tenon {
/// DLPack's numbers.
enum class device_type : std::int32_t {
  cpu = 1,
  cuda = 2,
  cuda_host = 3,
  opencl = 4,
  vulkan = 7,
  metal = 8,
  vpi = 9,
  rocm = 10,
  rocm_host = 11,
  ext = 12,
  cuda_managed = 13,
  oneapi = 14,
  webgpu = 15,
  hexagon = 16,
  maia = 17,
  trn = 18,
};
struct device {
  device_type type = device_type::cpu;
  std::int32_t id = 0;  // any_number: a view's, which knows the kind of its device alone
  static constexpr std::int32_t any_number = -1;
  friend constexpr bool operator==(device, device) = default;
  constexpr std::int64_t packed() const { return static_cast<std::int64_t>(type) << 32 | static_cast<std::uint32_t>(id); }
  static constexpr device unpacked(std::int64_t v) {
    return {static_cast<device_type>(v >> 32), static_cast<std::int32_t>(v & 0xffffffff)};
  }
};
namespace detail {
/// Whether memory of `a` serves where `b` is wanted. Numbers of the host mean nothing: some frameworks count its parts.
constexpr bool serves(device a, device b) noexcept {
  return a.type == b.type && (a.id == b.id || a.id == device::any_number || a.type == device_type::cpu);
}
[[gnu::noinline]] inline text_buffer& operator<<(text_buffer& to, device d) noexcept {
  switch (d.type) {
    case device_type::cpu: to << "cpu"; break;
    case device_type::cuda: to << "cuda"; break;
    case device_type::cuda_host: to << "cuda_host"; break;
    case device_type::cuda_managed: to << "cuda_managed"; break;
    case device_type::rocm: to << "rocm"; break;
    default: to << "device type " << static_cast<std::int64_t>(d.type);
  }
  return to << ":" << static_cast<std::int64_t>(d.id);
}
}  // namespace detail
/// "cpu:0", "cuda:1" …
[[gnu::noinline]] inline std::string name(device d) {
  detail::text_buffer b;
  return (b << d).c_str();
}

/// The host. Its definition, the executor, is in ops/executor.hpp; views need only its name.
struct cpu;

/// What a device is to a view. A device of one's own: `static constexpr tenon::device_type type` in the executor is enough.
template <class Device>
struct device_traits {
  static constexpr device_type type = Device::type;
  static constexpr bool host_accessible = false;
};
template <>
struct device_traits<cpu> {
  static constexpr device_type type = device_type::cpu;
  static constexpr bool host_accessible = true;
};
}  // namespace tenon
