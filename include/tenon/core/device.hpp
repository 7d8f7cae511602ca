// SPDX-License-Identifier: Apache-2.0
// Where memory is: the number DLPack gives it, and the type that a view carries. Touches no memory.
#pragma once
#include <concepts>
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
  tpu = 19,  // this and the next two came after DLPack 1.3
  tpu_host = 20,
  ascend = 21,
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
/// Kinds of device, exactly: a number that DLPack does not know is in no set.
class device_set {
  std::uint64_t bits_ = 0;
  static constexpr std::uint64_t bit(device_type d) {
    const auto n = static_cast<std::uint32_t>(d);
    return n < 64 ? std::uint64_t{1} << n : 0;
  }

 public:
  constexpr device_set() = default;
  template <std::same_as<device_type>... D>
    requires(sizeof...(D) > 0)
  constexpr device_set(D... d) : bits_((0 | ... | bit(d))) {}
  constexpr bool contains(device_type d) const { return (bits_ & bit(d)) != 0; }
  constexpr bool contains(device_set o) const { return (bits_ & o.bits_) == o.bits_; }
  constexpr bool empty() const { return bits_ == 0; }
  constexpr int size() const { return __builtin_popcountll(bits_); }
  /// The one with the lowest number; of an empty set, a kind that is not there.
  constexpr device_type first() const { return static_cast<device_type>(bits_ ? __builtin_ctzll(bits_) : 0); }
  friend constexpr device_set operator|(device_set a, device_set b) {
    a.bits_ |= b.bits_;
    return a;
  }
  friend constexpr device_set operator&(device_set a, device_set b) {
    a.bits_ &= b.bits_;
    return a;
  }
  friend constexpr bool operator==(device_set, device_set) = default;
};
/// Whose memory the host can read and write (of managed memory: while no kernel uses it).
inline constexpr device_set host_devices{device_type::cpu, device_type::cuda_host, device_type::rocm_host,
                                         device_type::cuda_managed};

namespace detail {
/// Where `data` is a handle, to which no offset can be added.
inline constexpr device_set opaque_devices{device_type::opencl, device_type::vulkan, device_type::metal, device_type::webgpu};
/// Whether memory of `a` serves where `b` is wanted. Numbers of the host mean nothing: some frameworks count its parts.
constexpr bool serves(device a, device b) noexcept {
  return a.type == b.type && (a.id == b.id || a.id == device::any_number || a.type == device_type::cpu);
}
[[gnu::noinline]] inline text_buffer& operator<<(text_buffer& to, device d) noexcept {
  constexpr const char* words[] = {nullptr,   "cpu",  "cuda", "cuda_host", "opencl",   nullptr,        nullptr,  "vulkan",
                                   "metal",   "vpi",  "rocm", "rocm_host", "ext",      "cuda_managed", "oneapi", "webgpu",
                                   "hexagon", "maia", "trn",  "tpu",       "tpu_host", "ascend"};
  const auto n = static_cast<std::uint32_t>(d.type);
  if (n < sizeof words / sizeof words[0] && words[n]) to << words[n];
  else to << "device type " << static_cast<std::int64_t>(d.type);
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
