// SPDX-License-Identifier: Apache-2.0
// Capsules of both generations: "dltensor_versioned" and "dltensor". What is made here frees itself if nobody takes it. What comes in is
// used from before the import on, for a deleter may run Python code, and named back on an error: then its producer still owns it. Needs
// CPython's API only.
#pragma once
#include <Python.h>
#include "tenon/interop/python/object.hpp"
#include "tenon/interop/python/refusal.hpp"
#include "tenon/tensor/dlpack.hpp"
#include "tenon/tensor/import.hpp"
namespace tenon::python {
template <managed_struct M>
inline constexpr const char* capsule_name = versioned_struct<M> ? "dltensor_versioned" : "dltensor";
template <managed_struct M>
inline constexpr const char* used_capsule_name = versioned_struct<M> ? "used_dltensor_versioned" : "used_dltensor";

namespace detail {
/// Runs when a capsule dies, with whatever exception is on its way then. Under its own name still, nobody took it.
template <managed_struct M>
void free_capsule(PyObject* capsule) noexcept {
  if (!PyCapsule_IsValid(capsule, capsule_name<M>)) return;
  const pending_exception aside;
  handle<M>(static_cast<M*>(PyCapsule_GetPointer(capsule, capsule_name<M>))).reset();
}
}  // namespace detail

/// A capsule that owns what `h` owned, as a new reference; null where Python has no memory: its exception is then set, and `h` as it was.
template <managed_struct M>
[[nodiscard]] PyObject* to_capsule(handle<M>& h) noexcept {
  PyObject* const c = PyCapsule_New(h.get(), capsule_name<M>, detail::free_capsule<M>);
  if (c) (void)h.release();
  return c;
}

namespace detail {
template <managed_struct M, class T, class Device>
errc take_capsule(PyObject* capsule, tensor<T, Device>& to, refusal& why, const import_options& o) noexcept {
  handle<M> h(static_cast<M*>(PyCapsule_GetPointer(capsule, capsule_name<M>)));
  // Used from here on: a copy, or what `to` held before, lets go of its owner below, and a deleter may run Python code.
  const PyCapsule_Destructor destructor = PyCapsule_GetDestructor(capsule);
  PyCapsule_SetName(capsule, used_capsule_name<M>);
  PyCapsule_SetDestructor(capsule, nullptr);  // some do not look at the name
  const errc c = try_from_dlpack(h, to, why.why, o);
  if (c != errc::ok) {
    (void)h.release();
    PyCapsule_SetName(capsule, capsule_name<M>);
    PyCapsule_SetDestructor(capsule, destructor);
  }
  return c;
}
}  // namespace detail

/// Takes what a capsule of either generation holds; the capsule is then used. `operation` and `argument` are what an error says.
/// Errors: those of try_from_dlpack, and null_handle (taken before, or no DLPack capsule); it then still owns.
template <class T, class Device>
[[nodiscard]] errc try_from_capsule(PyObject* capsule, tensor<T, Device>& to, refusal& why, const import_options& o = {},
                                    const char* operation = "from_dlpack", const char* argument = "x") noexcept {
  errc c = errc::null_handle;
  bool known = true;
#ifdef Py_GIL_DISABLED
  Py_BEGIN_CRITICAL_SECTION(capsule);
#endif
  if (PyCapsule_IsValid(capsule, capsule_name<dl::managed_tensor_versioned>))
    c = detail::take_capsule<dl::managed_tensor_versioned>(capsule, to, why, o);
  else if (PyCapsule_IsValid(capsule, capsule_name<dl::managed_tensor>))
    c = detail::take_capsule<dl::managed_tensor>(capsule, to, why, o);
  else known = false;
#ifdef Py_GIL_DISABLED
  Py_END_CRITICAL_SECTION();
#endif
  if (c == errc::ok) return c;
  if (!known)
    return detail::refuse(why, errc::null_handle, operation, argument, "", "",
                          "The capsule was taken before, or is no DLPack capsule.");
  return detail::say_as(why, operation, argument);
}
}  // namespace tenon::python
