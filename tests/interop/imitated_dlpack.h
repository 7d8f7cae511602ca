// SPDX-License-Identifier: Apache-2.0
// The public names and fields of dlpack.h 1.0 to 1.3, as far as an exchange needs them, in the global namespace, enums of a fixed
// type, under the include guard that all of them share. Written for these tests; not a copy of that file.
//   IMITATED_MAJOR, IMITATED_MINOR  which version it says it is, and so what it declares (default 1.3)
//   IMITATED_EXTENT                 what shape and strides point at: `const std::int64_t` in the copies of torch 2.4 to 2.8
//   IMITATED_SWAPPED                fields in another order: what must be found out
#ifndef DLPACK_DLPACK_H_
#define DLPACK_DLPACK_H_
#include <cstdint>
#ifndef IMITATED_MAJOR
#define IMITATED_MAJOR 1
#endif
#ifndef IMITATED_MINOR
#define IMITATED_MINOR 3
#endif
#ifndef IMITATED_EXTENT
#define IMITATED_EXTENT std::int64_t
#endif
#define DLPACK_MAJOR_VERSION IMITATED_MAJOR
#define DLPACK_MINOR_VERSION IMITATED_MINOR
extern "C" {
enum DLDeviceType : std::int32_t {
  kDLCPU = 1,
  kDLCUDA = 2,
  kDLCUDAHost = 3,
  kDLMAIA = 17,
#if IMITATED_MINOR >= 2
  kDLTrn = 18,
#endif
};
struct DLDevice {
  DLDeviceType device_type;
  std::int32_t device_id;
};
enum DLDataTypeCode {
  kDLInt = 0,
  kDLUInt = 1,
  kDLFloat = 2,
  kDLBfloat = 4,
  kDLBool = 6,
#if IMITATED_MINOR >= 1
  kDLFloat8_e4m3fn = 10,
  kDLFloat4_e2m1fn = 17,
#endif
};
struct DLDataType {
  std::uint8_t code;
  std::uint8_t bits;
  std::uint16_t lanes;
};
struct DLTensor {
  void* data;
  DLDevice device;
  std::int32_t ndim;
  DLDataType dtype;
#ifdef IMITATED_SWAPPED
  IMITATED_EXTENT* strides;
  IMITATED_EXTENT* shape;
#else
  IMITATED_EXTENT* shape;
  IMITATED_EXTENT* strides;
#endif
  std::uint64_t byte_offset;
};
struct DLManagedTensor {
  DLTensor dl_tensor;
  void* manager_ctx;
  void (*deleter)(struct DLManagedTensor* self);
};
#define DLPACK_FLAG_BITMASK_READ_ONLY (1UL << 0UL)
#define DLPACK_FLAG_BITMASK_IS_COPIED (1UL << 1UL)
#if IMITATED_MINOR >= 1
#define DLPACK_FLAG_BITMASK_IS_SUBBYTE_TYPE_PADDED (1UL << 2UL)
#endif
struct DLPackVersion {
  std::uint32_t major;
  std::uint32_t minor;
};
struct DLManagedTensorVersioned {
  DLPackVersion version;
  void* manager_ctx;
  void (*deleter)(struct DLManagedTensorVersioned* self);
  std::uint64_t flags;
  DLTensor dl_tensor;
};
}
#endif
