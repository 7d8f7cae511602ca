// SPDX-License-Identifier: Apache-2.0
// The C exchange API of DLPack 1.3: the table of C functions that a Python type hands out, and how it is found. Tables live as long
// as the process. Needs CPython's API only.
#pragma once
#include <Python.h>
#include <cstddef>
#include <cstdint>
#include "tenon/interop/python/object.hpp"
#include "tenon/tensor/dlpack.hpp"
namespace tenon::python {
inline namespace v1 {
/// Layout-identical to DLPackExchangeAPI. Functions give 0, or −1 with a Python exception set; none waits for a stream.
struct exchange_api {
  using set_error = void (*)(void* context, const char* kind, const char* message);
  dl::pack_version version;
  const exchange_api* previous;  // a table of an older major version, or null
  int (*allocate)(dl::tensor* like, dl::managed_tensor_versioned** to, void* context, set_error);
  int (*from_object)(void* object, dl::managed_tensor_versioned** to);
  int (*to_object)(dl::managed_tensor_versioned* taken, void** to);
  int (*borrow)(void* object, dl::tensor* to);  // may be null; valid until control returns to Python
  int (*stream)(std::int32_t device_type, std::int32_t device_id, void** to);
};
static_assert(sizeof(void*) != 8 ||
              (sizeof(exchange_api) == 56 && offsetof(exchange_api, previous) == 8 && offsetof(exchange_api, allocate) == 16 &&
               offsetof(exchange_api, from_object) == 24 && offsetof(exchange_api, to_object) == 32 &&
               offsetof(exchange_api, borrow) == 40 && offsetof(exchange_api, stream) == 48));
}  // namespace v1

inline constexpr const char *exchange_attribute = "__dlpack_c_exchange_api__", *exchange_capsule_name = "dlpack_exchange_api";

/// A type's table of a version that we speak, with the functions that must be there; null where there is none. Sets no exception.
inline const exchange_api* exchange_api_of(PyTypeObject* type) noexcept {
  const object capsule = detail::attribute(reinterpret_cast<PyObject*>(type), exchange_attribute);
  if (!capsule) PyErr_Clear();
  if (!capsule || !PyCapsule_IsValid(capsule.get(), exchange_capsule_name)) return nullptr;
  const auto* api = static_cast<const exchange_api*>(PyCapsule_GetPointer(capsule.get(), exchange_capsule_name));
  while (api && api->version.major != dl::spoken.major) api = api->previous;
  return api && api->from_object && api->to_object ? api : nullptr;
}
}  // namespace tenon::python
