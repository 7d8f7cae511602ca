// SPDX-License-Identifier: Apache-2.0
// Tensors given to NumPy and PyTorch as arrays of theirs, over the same memory: what a C function returns to Python. Neither has to be
// there to compile; both are found among the modules that the program has imported. Needs CPython's API only.
#pragma once
#include <Python.h>
#include "tenon/interop/python/capsule.hpp"
#include "tenon/interop/python/exchange.hpp"
#include "tenon/interop/python/export.hpp"
#include "tenon/interop/python/refusal.hpp"
namespace tenon::python {
namespace detail {
/// numpy.from_dlpack wants an object: this one gives its struct away at the first call.
struct carrier {
  PyObject head;
  dl::managed_tensor_versioned* managed;

  static PyObject* dlpack(PyObject* self, PyObject* const*, Py_ssize_t, PyObject*) noexcept {
    auto* const c = reinterpret_cast<carrier*>(self);
    handle<> h(std::exchange(c->managed, nullptr));
    if (h) return to_capsule(h);
    PyErr_SetString(PyExc_BufferError, "[__dlpack__] this tensor: given away before.");
    return nullptr;
  }
  static PyObject* device_of(PyObject*, PyObject*) noexcept { return Py_BuildValue("(ii)", 1, 0); }
  static void destroy(PyObject* self) noexcept {
    handle<>(reinterpret_cast<carrier*>(self)->managed).reset();
    PyTypeObject* const type = Py_TYPE(self);
    type->tp_free(self);
    Py_DECREF(reinterpret_cast<PyObject*>(type));
  }
};
inline PyMethodDef carrier_methods[] = {
    {"__dlpack__", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(carrier::dlpack)), METH_FASTCALL | METH_KEYWORDS,
     nullptr},
    {"__dlpack_device__", carrier::device_of, METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr}};

/// What was found of the frameworks; kept for the process.
inline PyTypeObject* carrier_type = nullptr;
inline PyObject* numpy_from_dlpack = nullptr;
inline const exchange_api* torch_table = nullptr;

/// An attribute of an imported module, as a new reference; imports it where it is not there.
inline PyObject* attribute_of_module(const char* module, const char* name) noexcept {
  const object m = object::steal(PyImport_ImportModule(module));
  return m ? PyObject_GetAttrString(m.get(), name) : nullptr;
}
[[gnu::cold, gnu::noinline]] inline bool find_numpy() noexcept {
  object f = object::steal(attribute_of_module("numpy", "from_dlpack"));
  if (!f) return false;
  PyType_Slot slots[] = {
      {Py_tp_dealloc, reinterpret_cast<void*>(carrier::destroy)}, {Py_tp_methods, carrier_methods}, {0, nullptr}};
  PyType_Spec spec{"tenon.carrier", sizeof(carrier), 0, Py_TPFLAGS_DEFAULT, slots};
  PyObject* const type = PyType_FromSpec(&spec);
  if (!type) return false;
  carrier_type = reinterpret_cast<PyTypeObject*>(type);
  __atomic_store_n(&numpy_from_dlpack, f.release(), __ATOMIC_RELEASE);
  return true;
}
[[gnu::cold, gnu::noinline]] inline bool find_torch() noexcept {
  const object type = object::steal(attribute_of_module("torch", "Tensor"));
  if (!type) return false;
  torch_table = PyType_Check(type.get()) ? exchange_api_of(reinterpret_cast<PyTypeObject*>(type.get())) : nullptr;
  if (torch_table) return true;
  PyErr_SetString(PyExc_ImportError, "[to_torch] torch: version. It has no C exchange API: 2.10 or newer is needed.");
  return false;
}
template <class T>
bool describe_for(const tensor<T>& t, handle<>& h, const char* operation, bool numpy) noexcept {
  refusal why;
  if (!numpy && refuse_negative_strides(t.describe(), why, operation, "Give a copy: tenon::copy(t).") != errc::ok)
    return set_exception(why), false;
  if (t.read_only() && !numpy)
    tenon::detail::fail(why.why, errc::read_only, operation,
                        {.argument = "PyTorch, which has no read-only tensors", .remedy = "Give a copy: tenon::copy(t)."});
  else if (try_to_dlpack(t, h, why.why) == errc::ok) return true;
  why.why.operation = operation;
  set_exception(why);
  return false;
}
}  // namespace detail

/// A numpy.ndarray over the tensor's memory, read-only where the tensor is, as a new reference; null with an exception set: BufferError
/// (no data; a type that NumPy has not), MemoryError, ImportError.
template <class T>
[[nodiscard]] PyObject* to_numpy(const tensor<T>& t) noexcept {
  if (!__atomic_load_n(&detail::numpy_from_dlpack, __ATOMIC_ACQUIRE) && !detail::find_numpy()) return nullptr;
  handle<> h;
  if (!detail::describe_for(t, h, "to_numpy", true)) return nullptr;
  PyObject* const self = detail::carrier_type->tp_alloc(detail::carrier_type, 0);
  if (!self) return nullptr;
  reinterpret_cast<detail::carrier*>(self)->managed = h.release();
  PyObject* const array = PyObject_CallOneArg(detail::numpy_from_dlpack, self);
  Py_DECREF(self);
  return array;
}
/// A torch.Tensor over the tensor's memory, as a new reference; null with an exception set: BufferError (read-only memory, which torch
/// would write to; a negative stride; no data), MemoryError, ImportError.
template <class T>
[[nodiscard]] PyObject* to_torch(const tensor<T>& t) noexcept {
  if (!detail::torch_table && !detail::find_torch()) return nullptr;
  handle<> h;
  if (!detail::describe_for(t, h, "to_torch", false)) return nullptr;
  void* made = nullptr;
  if (detail::torch_table->to_object(h.get(), &made) != 0) return nullptr;
  (void)h.release();
  return static_cast<PyObject*>(made);
}
}  // namespace tenon::python
