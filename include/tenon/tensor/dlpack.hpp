// SPDX-License-Identifier: Apache-2.0
// The DLPack structs of both generations, as our own types, and the owner of one. A foreign `dlpack.h` of any version is seen
// only through the concept below, so no public type here depends on which one was included first.
#pragma once
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>
#include "tenon/core/device.hpp"
#include "tenon/core/dtype.hpp"
namespace tenon {
inline namespace v1 {
/// Layout-identical to DLPack 1.3. Fields and meaning: https://dmlc.github.io/dlpack
namespace dl {
struct device {
  std::int32_t device_type, device_id;
};
struct data_type {
  std::uint8_t code, bits;
  std::uint16_t lanes;
};
struct tensor {
  void* data;
  dl::device device;
  std::int32_t ndim;
  data_type dtype;
  std::int64_t* shape;
  std::int64_t* strides;  // in elements
  std::uint64_t byte_offset;
};
/// The struct before 1.0: it cannot say read-only.
struct managed_tensor {
  tensor dl_tensor;
  void* manager_ctx;
  void (*deleter)(managed_tensor*);
};
struct pack_version {
  std::uint32_t major, minor;
};
struct managed_tensor_versioned {
  pack_version version;
  void* manager_ctx;
  void (*deleter)(managed_tensor_versioned*);
  std::uint64_t flags;
  tensor dl_tensor;
};
inline constexpr std::uint64_t flag_read_only = 1, flag_is_copied = 2, flag_subbyte_padded = 4;
inline constexpr pack_version spoken{1, 3};  // the version whose rules our exports keep

static_assert(sizeof(void*) != 8 ||
              (sizeof(tensor) == 48 && sizeof(managed_tensor) == 64 && sizeof(managed_tensor_versioned) == 80));
static_assert(sizeof(void*) != 8 ||
              (offsetof(tensor, device) == 8 && offsetof(tensor, ndim) == 16 && offsetof(tensor, dtype) == 20 &&
               offsetof(tensor, shape) == 24 && offsetof(tensor, strides) == 32 && offsetof(tensor, byte_offset) == 40));
static_assert(sizeof(void*) != 8 ||
              (offsetof(managed_tensor_versioned, manager_ctx) == 8 && offsetof(managed_tensor_versioned, deleter) == 16 &&
               offsetof(managed_tensor_versioned, flags) == 24 && offsetof(managed_tensor_versioned, dl_tensor) == 32));
}  // namespace dl
}  // namespace v1

/// Any struct that is DLPack's managed tensor, ours or from somebody's dlpack.h.
template <class M>
concept managed_struct = requires(M* m) {
  m->dl_tensor.data;
  m->dl_tensor.byte_offset;
  m->manager_ctx;
  m->deleter(m);
};
/// The generation since 1.0, with version and flags.
template <class M>
concept versioned_struct = managed_struct<M> && requires(M* m) {
  m->version.major;
  m->flags;
};

/// Owns one managed tensor: calls its deleter exactly once unless released. A missing deleter is legal and skipped.
template <managed_struct M = dl::managed_tensor_versioned>
class handle {
  M* m_ = nullptr;

 public:
  handle() = default;
  explicit handle(M* raw) noexcept : m_(raw) {}
  handle(handle&& o) noexcept : m_(o.release()) {}
  handle& operator=(handle&& o) noexcept {
    if (this != &o) {
      reset();
      m_ = o.release();
    }
    return *this;
  }
  ~handle() { reset(); }
  /// Gives the struct away: the taker calls the deleter.
  [[nodiscard]] M* release() noexcept { return std::exchange(m_, nullptr); }
  void reset() noexcept {
    if (M* m = release(); m && m->deleter) m->deleter(m);
  }
  M* get() const noexcept { return m_; }
  M* operator->() const noexcept { return m_; }
  M& operator*() const noexcept { return *m_; }
  explicit operator bool() const noexcept { return m_ != nullptr; }
};
/// Takes ownership of a raw managed tensor: the only way in for a raw pointer.
template <managed_struct M>
[[nodiscard]] handle<M> own(M* raw) noexcept {
  return handle<M>(raw);
}

namespace detail {
constexpr dl::data_type to_dl(tenon::dtype d) { return {static_cast<std::uint8_t>(d.code), d.bits, d.lanes}; }
constexpr dl::device to_dl(tenon::device d) { return {static_cast<std::int32_t>(d.type), d.id}; }
}  // namespace detail
}  // namespace tenon
