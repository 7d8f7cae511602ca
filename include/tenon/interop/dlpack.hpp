// SPDX-License-Identifier: Apache-2.0
// A dlpack.h of any version, proved to have the layout of our structs: the one that was included before (a framework's copy, wherever
// it lies), else the visible <dlpack/dlpack.h>. Nothing else is needed to exchange its tensors: tenon::from_dlpack(tenon::own(p)) takes
// its DLManagedTensor or DLManagedTensorVersioned, tenon::to_dlpack<DLManagedTensor>(t) makes one. Touches no memory.
#pragma once
#include <cstddef>
#if !defined(DLPACK_DLPACK_H_)  // every copy of dlpack.h has this guard, and the first one wins
#include <dlpack/dlpack.h>
#endif
#include "tenon/tensor/export.hpp"
#include "tenon/tensor/import.hpp"
namespace tenon::detail {
static_assert(sizeof(DLDevice) == sizeof(dl::device) && offsetof(DLDevice, device_type) == offsetof(dl::device, device_type) &&
              offsetof(DLDevice, device_id) == offsetof(dl::device, device_id) && sizeof(DLDevice::device_type) == 4);
static_assert(sizeof(DLDataType) == sizeof(dl::data_type) && offsetof(DLDataType, code) == offsetof(dl::data_type, code) &&
              offsetof(DLDataType, bits) == offsetof(dl::data_type, bits) &&
              offsetof(DLDataType, lanes) == offsetof(dl::data_type, lanes));
static_assert(sizeof(DLTensor) == sizeof(dl::tensor) && offsetof(DLTensor, data) == offsetof(dl::tensor, data) &&
              offsetof(DLTensor, device) == offsetof(dl::tensor, device) &&
              offsetof(DLTensor, ndim) == offsetof(dl::tensor, ndim) &&
              offsetof(DLTensor, dtype) == offsetof(dl::tensor, dtype) &&
              offsetof(DLTensor, shape) == offsetof(dl::tensor, shape) &&
              offsetof(DLTensor, strides) == offsetof(dl::tensor, strides) &&
              offsetof(DLTensor, byte_offset) == offsetof(dl::tensor, byte_offset) && sizeof(DLTensor::ndim) == 4 &&
              sizeof(*DLTensor::shape) == 8 && sizeof(DLTensor::byte_offset) == 8);
static_assert(sizeof(DLManagedTensor) == sizeof(dl::managed_tensor) &&
              offsetof(DLManagedTensor, dl_tensor) == offsetof(dl::managed_tensor, dl_tensor) &&
              offsetof(DLManagedTensor, manager_ctx) == offsetof(dl::managed_tensor, manager_ctx) &&
              offsetof(DLManagedTensor, deleter) == offsetof(dl::managed_tensor, deleter));
static_assert(managed_struct<DLManagedTensor> && !versioned_struct<DLManagedTensor>);
#if defined(DLPACK_MAJOR_VERSION) && DLPACK_MAJOR_VERSION >= 1
static_assert(DLPACK_MAJOR_VERSION == 1,
              "[dlpack] this dlpack.h speaks another major version: update Tenon, or include an older one");
static_assert(sizeof(DLManagedTensorVersioned) == sizeof(dl::managed_tensor_versioned) &&
              offsetof(DLManagedTensorVersioned, version) == offsetof(dl::managed_tensor_versioned, version) &&
              offsetof(DLManagedTensorVersioned, manager_ctx) == offsetof(dl::managed_tensor_versioned, manager_ctx) &&
              offsetof(DLManagedTensorVersioned, deleter) == offsetof(dl::managed_tensor_versioned, deleter) &&
              offsetof(DLManagedTensorVersioned, flags) == offsetof(dl::managed_tensor_versioned, flags) &&
              offsetof(DLManagedTensorVersioned, dl_tensor) == offsetof(dl::managed_tensor_versioned, dl_tensor) &&
              sizeof(DLManagedTensorVersioned::flags) == 8 && sizeof(DLPackVersion) == sizeof(dl::pack_version) &&
              offsetof(DLPackVersion, major) == offsetof(dl::pack_version, major) &&
              offsetof(DLPackVersion, minor) == offsetof(dl::pack_version, minor));
static_assert(versioned_struct<DLManagedTensorVersioned>);
#endif
}  // namespace tenon::detail
