// SPDX-License-Identifier: Apache-2.0
// Tensors given to NumPy and PyTorch as arrays of theirs, over the same memory: what a C function returns to Python. Neither has to be
// there to compile; both are found among the modules that the program has imported. Needs CPython's API only.
#pragma once
#include <Python.h>
#include <cstdint>
#include <type_traits>
#include <utility>
#include "tenon/interop/python/capsule.hpp"
#include "tenon/interop/python/exchange.hpp"
#include "tenon/interop/python/export.hpp"
#include "tenon/interop/python/numpy.hpp"
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

/// The functions of NumPy's C table that make an array; their places in it are NumPy's ABI, in 1 and in 2.
struct numpy_functions {
  PyTypeObject* array;
  PyObject* (*descr_of)(int type_num);
  PyObject* (*make)(PyTypeObject*, PyObject* descr_taken, int nd, const Py_ssize_t* shape, const Py_ssize_t* strides, void* data,
                    int flags, PyObject*);
  int (*set_base)(PyObject* array, PyObject* base_taken);
};
inline constexpr int numpy_version_at = 0, numpy_array_at = 2, numpy_descr_at = 45, numpy_make_at = 94, numpy_base_at = 282;
/// −1 for what NumPy has not.
constexpr int numpy_num_of(dtype d) noexcept {
  for (int i = 0; i < numpy_type_nums; ++i)
    if (numpy_dtypes[i] == d && d.bits != 0) return i;
  return -1;
}

/// What was found of the frameworks; kept for the process.
inline numpy_functions numpy_table{};
inline PyTypeObject* carrier_type = nullptr;
inline PyObject* numpy_from_dlpack = nullptr;
inline const exchange_api* torch_table = nullptr;

/// An attribute of an imported module, as a new reference; imports it where it is not there.
inline PyObject* attribute_of_module(const char* module, const char* name) noexcept {
  const object m = object::steal(into_python([&] { return PyImport_ImportModule(module); }));
  return attribute(m.get(), name).release();
}
/// Fills in `numpy_table` where its table is one that we know; else arrays are made by its from_dlpack.
[[gnu::cold, gnu::noinline]] inline void find_numpy_functions() noexcept {
  object table = object::steal(attribute_of_module("numpy._core._multiarray_umath", "_ARRAY_API"));
  if (!table) {
    PyErr_Clear();
    table = object::steal(attribute_of_module("numpy.core._multiarray_umath", "_ARRAY_API"));  // NumPy 1
  }
  const object type = object::steal(attribute_of_module("numpy", "ndarray"));
  PyErr_Clear();
  if (!table || !type || !PyCapsule_CheckExact(table.get())) return;
  void** const at = static_cast<void**>(PyCapsule_GetPointer(table.get(), nullptr));
  if (!at || at[numpy_array_at] != type.get()) return PyErr_Clear();
  const unsigned major = reinterpret_cast<unsigned (*)()>(at[numpy_version_at])() >> 24;
  if (major != 1 && major != 2) return;
  numpy_table.descr_of = reinterpret_cast<decltype(numpy_table.descr_of)>(at[numpy_descr_at]);
  numpy_table.make = reinterpret_cast<decltype(numpy_table.make)>(at[numpy_make_at]);
  numpy_table.set_base = reinterpret_cast<decltype(numpy_table.set_base)>(at[numpy_base_at]);
  numpy_table.array = reinterpret_cast<PyTypeObject*>(type.get());
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
  find_numpy_functions();
  __atomic_store_n(&numpy_from_dlpack, f.release(), __ATOMIC_RELEASE);
  return true;
}
[[gnu::cold, gnu::noinline]] inline bool find_torch() noexcept {
  const object type = object::steal(attribute_of_module("torch", "Tensor"));
  if (!type) return false;
  const auto* const table = PyType_Check(type.get()) ? exchange_api_of(reinterpret_cast<PyTypeObject*>(type.get())) : nullptr;
  __atomic_store_n(&torch_table, table, __ATOMIC_RELEASE);
  if (table) return true;
  PyErr_SetString(PyExc_ImportError, "[to_torch] torch: version. It has no C exchange API: 2.10 or newer is needed.");
  return false;
}
template <class T>
bool describe_for(const tensor<T>& t, handle<>& h, const char* operation, bool numpy) noexcept {
  refusal why;
  if (t.read_only() && !numpy) {
    tenon::detail::fail(why.why, errc::read_only, operation,
                        {.argument = "PyTorch, which has no read-only tensors", .remedy = "Give a copy: tenon::copy(t)."});
  } else {
    const errc c = try_to_dlpack(t, h, why.why, {.negative_strides = numpy});
    if (c == errc::ok) return true;
    if (c == errc::not_dense) why.why.remedy = "Give a copy: tenon::copy(t).";
  }
  why.why.operation = operation;
  set_exception(why);
  return false;
}
}  // namespace detail

namespace detail {
/// By NumPy's own function; `num` is NumPy's number of the type.
inline PyObject* make_numpy(void* data, const shape& s, const strides& by, std::int64_t width, bool read_only,
                            const storage& owner, int num) noexcept {
  constexpr const char* name = "tenon.storage";
  storage kept = owner;
  PyObject* base = nullptr;
  if (kept) {
    void* const block = kept.detach();
    base = PyCapsule_New(block, name, [](PyObject* c) { storage::attach(PyCapsule_GetPointer(c, name)).reset(); });
    if (!base) {
      storage::attach(block).reset();
      return nullptr;
    }
  }
  static char nothing;  // for arrays without elements: a null pointer would have NumPy allocate
  std::int64_t steps[max_rank];
  for (int i = 0; i < s.rank(); ++i) steps[i] = by.d[i] * width;
  PyObject* const descr = numpy_table.descr_of(num);
  PyObject* const array = descr ? numpy_table.make(numpy_table.array, descr, s.rank(), s.d, steps, data ? data : &nothing,
                                                   read_only ? 0 : numpy_writeable, nullptr)
                                : nullptr;
  if (!array) {
    Py_XDECREF(base);
    return nullptr;
  }
  if (base && numpy_table.set_base(array, base) != 0) {
    Py_DECREF(array);
    return nullptr;
  }
  return array;
}
/// By numpy.from_dlpack, whose words say what it does not take.
[[gnu::noinline]] inline PyObject* make_numpy_by_protocol(handle<>& h) noexcept {
  PyObject* const self = carrier_type->tp_alloc(carrier_type, 0);
  if (!self) return nullptr;
  reinterpret_cast<carrier*>(self)->managed = h.release();
  const object owned = object::steal(self);
  return into_python([&] { return PyObject_CallOneArg(numpy_from_dlpack, self); });
}
}  // namespace detail

/// A numpy.ndarray over the tensor's memory, read-only where the tensor is, as a new reference; null with an exception set: BufferError
/// (no data), MemoryError, ImportError, RuntimeError (a type that NumPy has not).
template <class T>
[[nodiscard]] PyObject* to_numpy(const tensor<T>& t) noexcept {
  if (!__atomic_load_n(&detail::numpy_from_dlpack, __ATOMIC_ACQUIRE) && !detail::find_numpy()) return nullptr;
  dtype type;
  if constexpr (std::is_void_v<T>) type = t.dtype();
  else type = dtype_of<std::remove_const_t<T>>::value;
  const int num = detail::numpy_num_of(type);
  if (num >= 0 && detail::numpy_table.array && (t.data() || t.shape().numel() == 0)) [[likely]]
    return detail::make_numpy(const_cast<void*>(static_cast<const void*>(t.data())), t.shape(), t.strides(), type.bytes(),
                              t.read_only(), t.owner(), num);
  handle<> h;
  return detail::describe_for(t, h, "to_numpy", true) ? detail::make_numpy_by_protocol(h) : nullptr;
}
/// A torch.Tensor over the tensor's memory, as a new reference; null with an exception set: BufferError (read-only memory, which torch
/// would write to; a negative stride; no data), MemoryError, ImportError, RuntimeError (a type that torch has not).
template <class T>
[[nodiscard]] PyObject* to_torch(const tensor<T>& t) noexcept {
  if (!__atomic_load_n(&detail::torch_table, __ATOMIC_ACQUIRE) && !detail::find_torch()) return nullptr;
  handle<> h;
  if (!detail::describe_for(t, h, "to_torch", false)) return nullptr;
  void* made = nullptr;
  if (detail::into_python([&] { return detail::torch_table->to_object(h.get(), &made); }) != 0) return nullptr;
  (void)h.release();
  return static_cast<PyObject*>(made);
}
}  // namespace tenon::python
