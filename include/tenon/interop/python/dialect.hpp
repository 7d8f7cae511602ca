// SPDX-License-Identifier: Apache-2.0
// What is known of a producer's type, found out once: how its arrays are reached, and what its fast path leaves to us. Kept by the exact
// type, which is kept alive so that its address stays its own. Also the questions that are asked of a single tensor: whether it requires
// a gradient, and whether its values wait for a sign or a conjugation. Touches no elements.
#pragma once
#include <Python.h>
#include <cstdint>
#include "tenon/interop/python/exchange.hpp"
#include "tenon/interop/python/numpy.hpp"
#include "tenon/interop/python/object.hpp"
namespace tenon::python {
/// How a type speaks.
struct dialect {
  PyTypeObject* type = nullptr;
  const exchange_api* table = nullptr;  // the C exchange API
  bool numpy = false;  // numpy.ndarray itself, readable by its fields
  bool buffer = false;  // the buffer protocol
  bool speaks = false;  // __dlpack__ and __dlpack_device__
  bool wraps = false;  // a subclass that dispatches by itself: its memory may be elsewhere, or nowhere
  bool versions = true;  // __dlpack__ takes max_version
  // As its class holds them (borrowed: the type keeps them); null where it has no such thing.
  PyObject *requires_grad = nullptr, *is_neg = nullptr, *is_conj = nullptr;
};

namespace detail {
inline PyObject* class_attribute(PyTypeObject* type, const char* name) noexcept {
  const object a = attribute(reinterpret_cast<PyObject*>(type), name);
  if (!a) PyErr_Clear();
  return a.get();
}
/// A question that a class answers: a C descriptor of a type that cannot change, which may be called and kept without a reference; None
/// for anything else, which is asked by its name; null where there is no such thing.
inline PyObject* question(PyTypeObject* type, const char* name) noexcept {
  const object a = attribute(reinterpret_cast<PyObject*>(type), name);
  if (!a) return PyErr_Clear(), nullptr;
  const bool of_c = Py_IS_TYPE(a.get(), &PyGetSetDescr_Type) || Py_IS_TYPE(a.get(), &PyMethodDescr_Type);
  PyTypeObject* const home = of_c ? PyDescr_TYPE(a.get()) : nullptr;
  return home && !PyType_HasFeature(home, Py_TPFLAGS_HEAPTYPE) && PyType_IsSubtype(type, home) ? a.get() : Py_None;
}
/// Fake, distributed and other wrapped tensors of torch have no memory that may be read, and its table would not say so.
inline bool dispatches_by_itself(PyTypeObject* type) noexcept {
  PyObject* const own = class_attribute(type, "__torch_dispatch__");
  PyObject* const bases = type->tp_mro;
  for (Py_ssize_t i = 0; own && bases && i < PyTuple_Size(bases); ++i) {
    PyObject* const base = PyTuple_GetItem(bases, i);
    const object dict = attribute(base, "__dict__");
    const object name = object::steal(PyUnicode_FromString(exchange_attribute));
    const int there = dict && name ? PySequence_Contains(dict.get(), name.get()) : -1;
    if (there < 0) PyErr_Clear();
    if (there == 1) return class_attribute(reinterpret_cast<PyTypeObject*>(base), "__torch_dispatch__") != own;
  }
  return false;
}
inline dialect look_at(PyTypeObject* type) noexcept {
  dialect d;
  d.type = type;
  d.numpy = is_readable_numpy(type);
  d.buffer = type->tp_as_buffer && type->tp_as_buffer->bf_getbuffer;
  d.speaks = class_attribute(type, "__dlpack__") && class_attribute(type, "__dlpack_device__");
  d.table = exchange_api_of(type);
  if (!d.table) return d;
  d.wraps = dispatches_by_itself(type);
  d.requires_grad = question(type, "requires_grad");
  d.is_neg = question(type, "is_neg");
  d.is_conj = question(type, "is_conj");
  return d;
}

/// Never emptied, never moved: a slot that has its key is complete.
struct dialect_table {
  static constexpr unsigned slots = 512, most = 256, most_fast = 384;
  PyTypeObject* keys[slots]{};
  dialect values[slots];
  unsigned count = 0;
  int busy = 0;  // one thread writes at a time, on builds without a GIL
  static unsigned start(const PyTypeObject* type) noexcept {
    return static_cast<unsigned>((reinterpret_cast<std::uintptr_t>(type) >> 4) * 0x9E3779B1u >> 7) % slots;
  }
};
inline dialect_table known_dialects;

/// The slot of a type that was met before, or null.
[[nodiscard]] inline dialect* find_dialect(PyTypeObject* type) noexcept {
  for (unsigned i = dialect_table::start(type);; i = (i + 1) % dialect_table::slots) {
    PyTypeObject* const key = __atomic_load_n(&known_dialects.keys[i], __ATOMIC_ACQUIRE);
    if (key == type) [[likely]]
      return &known_dialects.values[i];
    if (!key) return nullptr;
  }
}
[[gnu::cold, gnu::noinline]] inline dialect* meet(PyTypeObject* type, dialect& spare) noexcept {
  spare = look_at(type);  // may run Python code, and meet others
  dialect_table& t = known_dialects;
  if (__atomic_exchange_n(&t.busy, 1, __ATOMIC_ACQUIRE)) return &spare;  // next time, then
  dialect* found = find_dialect(type);
  const bool speaks = spare.table || spare.numpy || spare.buffer || spare.speaks;  // one that does not may learn it later
  const unsigned most = spare.table || spare.numpy ? dialect_table::most_fast : dialect_table::most;
  if (!found && speaks && t.count < most) {  // types made in a loop are asked each time
    unsigned i = dialect_table::start(type);
    while (t.keys[i]) i = (i + 1) % dialect_table::slots;
    Py_INCREF(reinterpret_cast<PyObject*>(type));
    t.values[i] = spare;
    found = &t.values[i];
    ++t.count;
    if (spare.numpy) __atomic_store_n(&numpy_type, type, __ATOMIC_RELAXED);
    __atomic_store_n(&t.keys[i], type, __ATOMIC_RELEASE);
  }
  __atomic_store_n(&t.busy, 0, __ATOMIC_RELEASE);
  return found ? found : &spare;
}
}  // namespace detail

/// What is known of a type; `spare` holds it where there is no room to keep it.
[[nodiscard]] inline dialect& dialect_of(PyTypeObject* type, dialect& spare) noexcept {
  if (dialect* const d = detail::find_dialect(type)) [[likely]]
    return *d;
  return *detail::meet(type, spare);
}

namespace detail {
/// 1 or 0 as the attribute or method of that name says, −1 with an exception set. C functions are called without a look-up by name.
inline int answer(PyObject* x, PyObject* held, const char* name) noexcept {
  object a;
  if (Py_IS_TYPE(held, &PyGetSetDescr_Type)) {
    const auto* g = reinterpret_cast<PyGetSetDescrObject*>(held)->d_getset;
    a = object::steal(into_python([&] { return g->get(x, g->closure); }));
  } else if (Py_IS_TYPE(held, &PyMethodDescr_Type) &&
             reinterpret_cast<PyMethodDescrObject*>(held)->d_method->ml_flags == METH_NOARGS) {
    const auto* m = reinterpret_cast<PyMethodDescrObject*>(held)->d_method;
    a = object::steal(into_python([&] { return m->ml_meth(x, nullptr); }));
  } else {
    a = attribute(x, name);
    if (a && PyCallable_Check(a.get())) a = object::steal(into_python([&] { return PyObject_CallNoArgs(a.get()); }));
  }
  if (!a) return -1;
  return a.get() == Py_True ? 1 : a.get() == Py_False ? 0 : into_python([&] { return PyObject_IsTrue(a.get()); });
}
}  // namespace detail

/// Tensors whose values wait: a negative or a conjugate bit is in no DLPack struct. Errors: value, foreign.
[[nodiscard]] inline errc try_settled(PyObject* x, const dialect& d, refusal& why, const char* operation,
                                      const char* argument) noexcept {
  const int neg = d.is_neg ? detail::answer(x, d.is_neg, "is_neg") : 0;
  if (neg > 0)
    return detail::refuse(why, errc::value, operation, argument, "a tensor with the negative bit", "plain values",
                          "Pass x.resolve_neg().");
  const int conj = neg == 0 && d.is_conj ? detail::answer(x, d.is_conj, "is_conj") : 0;
  if (conj > 0)
    return detail::refuse(why, errc::value, operation, argument, "a conjugated tensor", "plain values", "Pass x.resolve_conj().");
  return neg < 0 || conj < 0 ? detail::pass_on(why) : errc::ok;
}
namespace detail {
/// Whether an address is so low that it may be an offset from null: below 1 TiB, where little is allocated. Null itself needs no question.
inline bool may_be_offset(const void* data) noexcept {
  return data && std::uint64_t{reinterpret_cast<std::uintptr_t>(data)} >> 40 == 0;
}
/// The number that x.name() gives; −1 where there is no such thing. Sets no exception.
inline std::int64_t number_from(PyObject* x, const char* name) noexcept {
  const object n = call_method(x, name);
  const long long number = n ? PyLong_AsLongLong(n.get()) : -1;
  PyErr_Clear();
  return number;
}
/// Whether x, a tensor of torch's that says `t` of itself, has elements and its storage is at null.
[[gnu::cold, gnu::noinline]] inline bool storage_is_null(PyObject* x, const dl::tensor& t) noexcept {
  for (int i = 0; i < t.ndim; ++i)
    if (t.shape[i] == 0) return false;
  const std::int64_t offset = number_from(x, "storage_offset");
  return offset > 0 && static_cast<std::uint64_t>(offset) * (std::uint64_t{t.dtype.bits} * t.dtype.lanes / 8) ==
                           reinterpret_cast<std::uintptr_t>(t.data);
}
}  // namespace detail

/// A storage of torch's that was resized to nothing, as sharding libraries do, leaves tensors whose address is their offset alone. Not found
/// out are offsets of 1 TiB and more, and a storage that was made shorter: its memory is that of a new block. Errors: null_data.
[[nodiscard]] inline errc try_stored(PyObject* x, const dl::managed_tensor_versioned* t, refusal& why, const char* operation,
                                     const char* argument) noexcept {
  if (!t || !detail::may_be_offset(t->dl_tensor.data) || !detail::storage_is_null(x, t->dl_tensor)) [[likely]]
    return errc::ok;
  return detail::refuse(why, errc::null_data, operation, argument, "a tensor whose storage was freed", "one that has memory");
}
/// Memory that autograd watches must not change behind its back. Errors: value, foreign.
[[nodiscard]] inline errc try_unwatched(PyObject* x, const dialect& d, refusal& why, const char* operation, const char* argument,
                                        const char* remedy = "Pass x.detach().") noexcept {
  const int grad = d.requires_grad ? detail::answer(x, d.requires_grad, "requires_grad") : 0;
  if (grad > 0)
    return detail::refuse(why, errc::value, operation, argument, "a tensor that requires a gradient", "one that does not",
                          remedy);
  return grad < 0 ? detail::pass_on(why) : errc::ok;
}
}  // namespace tenon::python
