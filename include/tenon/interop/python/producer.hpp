// SPDX-License-Identifier: Apache-2.0
// What a Python type that holds tensors needs to speak DLPack: its methods, its table of the C exchange API and its buffer slots, for any
// binding library or none. Needs CPython's API only.
#pragma once
#include <Python.h>
#include <cstdint>
#include "tenon/interop/python/exchange.hpp"
#include "tenon/interop/python/export.hpp"
namespace tenon::python {
/// How a type holds its tensors: `held` gives the tensor of an object, or null for another type's; `make` a new object, or null with an
/// exception set; `refuse` raises. `negative_strides` says whether the user let this object share such memory.
template <class O>
concept tensor_holder = requires(PyObject* x, tensor<>& t, const refusal& why) {
  { O::held(x) } noexcept -> std::convertible_to<const tensor<>*>;
  { O::make(std::move(t)) } noexcept -> std::convertible_to<PyObject*>;
  { O::negative_strides(x) } noexcept -> std::convertible_to<bool>;
  O::refuse(why);
};

/// Everything that such a type answers with. `producer<O>::methods` and the slots go into its type; `try_add_table` adds the table.
template <tensor_holder O>
struct producer {
  static PyObject* dlpack(PyObject* self, PyObject* const* values, Py_ssize_t positional, PyObject* names) noexcept {
    const tensor<>* const t = O::held(self);
    if (!t) return wrong_type(self);
    dlpack_request q;
    refusal why;
    q.negative_strides = O::negative_strides(self);
    PyObject* capsule = nullptr;
    if (try_read_request(values, positional, names, q, why) == errc::ok) capsule = try_export(*t, q, why);
    if (!capsule) O::refuse(why);
    return capsule;
  }
  static PyObject* dlpack_device(PyObject* self, PyObject*) noexcept {
    const tensor<>* const t = O::held(self);
    if (!t) return wrong_type(self);
    const device d = t->describe().device;
    return Py_BuildValue("(ii)", static_cast<int>(d.type), static_cast<int>(d.id));
  }
  static int get_buffer(PyObject* self, Py_buffer* to, int flags) noexcept {
    const tensor<>* const t = O::held(self);
    to->obj = nullptr;
    refusal why;
    if (t && try_fill_buffer(*t, self, to, flags, why) == errc::ok) return 0;
    if (t) O::refuse(why);
    else wrong_type(self);
    // The protocol wants this exception and no other; the package's own inherit it where they can.
    if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_BufferError) && !PyErr_ExceptionMatches(PyExc_MemoryError))
      as_buffer_error();
    return -1;
  }
  static constexpr releasebufferproc give_buffer_back = release_buffer;

  /// Functions of the table.
  static int allocate(dl::tensor* like, dl::managed_tensor_versioned** to, void* context, exchange_api::set_error set) noexcept {
    array_ref a;
    failure why;
    storage memory;
    handle<> h;
    tenon::detail::import_source from = tenon::detail::read_tensor(*like, 0, true, true);
    // No memory is looked at: an address that is there, and row-major strides, for the same checks.
    from.data = &a;
    from.byte_offset = 0;
    from.strides = nullptr;
    if (tenon::detail::check_import(from, {.operation = "allocate"}, {}, a, why) == errc::ok &&
        storage::try_allocate(static_cast<std::size_t>(a.shape.numel() * a.dtype.bytes()), memory, why) == errc::ok) {
      a.data = memory.data();
      if (tenon::detail::export_array(a, memory, h, why) == errc::ok) {
        *to = h.release();
        return 0;
      }
    }
    refusal said;
    said.why = why;
    tenon::detail::text_buffer text;
    write_message(text, said);
    const exception_kind k = exception_kind_of(why.code);
    if (set)
      set(context,
          k == exception_kind::dtype                                   ? "TypeError"
          : k == exception_kind::memory                                ? "MemoryError"
          : k == exception_kind::bridge || k == exception_kind::device ? "BufferError"
                                                                       : "ValueError",
          text.c_str());
    return -1;
  }
  static int from_object(void* x, dl::managed_tensor_versioned** to) noexcept {
    auto* const self = static_cast<PyObject*>(x);
    const tensor<>* const t = O::held(self);
    if (!t) return wrong_type(self), -1;
    refusal why;
    handle<> h;
    const errc c = try_to_dlpack(*t, h, why.why, {.negative_strides = O::negative_strides(self)});
    if (c == errc::not_dense) why.why.remedy = turn_back;
    if (c != errc::ok) return O::refuse(why), -1;
    *to = h.release();
    return 0;
  }
  /// On an error the struct is still the caller's.
  static int to_object(dl::managed_tensor_versioned* taken, void** to) noexcept {
    handle<> h(taken);
    tensor<> t;
    refusal why;
    if (try_from_dlpack(h, t, why.why) != errc::ok) {
      (void)h.release();
      return O::refuse(why), -1;
    }
    storage kept = t.owner();
    *to = O::make(std::move(t));
    if (*to) return 0;
    (void)kept.detach();  // without memory: the block is lost, so that the struct is still the caller's
    return -1;
  }
  static int borrow(void* x, dl::tensor* to) noexcept {
    auto* const self = static_cast<PyObject*>(x);
    const tensor<>* const t = O::held(self);
    if (!t) return wrong_type(self), -1;
    refusal why;
    const array_ref& a = t->describe();
    errc c = errc::ok;
    if (const int axis = O::negative_strides(self) ? -1 : tenon::detail::first_negative(a.shape, a.strides); axis >= 0)
      c = tenon::detail::fail(why.why, errc::not_dense, "exchange API",
                              {.argument = "a tensor with a negative stride", .axis = axis, .remedy = turn_back});
    if (c == errc::ok && a.read_only)
      c = tenon::detail::fail(
          why.why, errc::read_only, "exchange API",
          {.argument = "a borrowed struct, which cannot say read-only", .remedy = "Ask for a managed one, or pass t.copy()."});
    if (c == errc::ok && !a.data && a.shape.numel() != 0)
      c = tenon::detail::fail(why.why, errc::null_data, "exchange API", {.argument = "this tensor"});
    if (c != errc::ok) return O::refuse(why), -1;
    const int rank = a.shape.rank();
    *to = {a.data,
           tenon::detail::to_dl(a.device),
           rank,
           tenon::detail::to_dl(a.dtype),
           rank ? const_cast<std::int64_t*>(a.shape.d) : nullptr,
           rank ? const_cast<std::int64_t*>(a.strides.d) : nullptr,
           0};
    return 0;
  }
  static int stream(std::int32_t, std::int32_t, void** to) noexcept {
    *to = nullptr;  // the host has none
    return 0;
  }
  static constexpr exchange_api table{dl::spoken, nullptr, allocate, from_object, to_object, borrow, stream};

  static inline PyMethodDef methods[] = {
      {"__dlpack__", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(dlpack)), METH_FASTCALL | METH_KEYWORDS,
       "__dlpack__($self, /, *, stream=None, max_version=None, dl_device=None, copy=None)\n--\n\n"
       "A capsule over the same memory. Errors: BufferError (read-only in the old protocol, a negative stride, another device),\n"
       "ValueError (a stream), TypeError."},
      {"__dlpack_device__", dlpack_device, METH_NOARGS, "__dlpack_device__($self, /)\n--\n\n(1, 0): the host."},
      {nullptr, nullptr, 0, nullptr}};

  /// Puts the table's capsule into the type; false with an exception set.
  [[nodiscard]] static bool try_add_table(PyTypeObject* type) noexcept {
    const object capsule = object::steal(PyCapsule_New(const_cast<exchange_api*>(&table), exchange_capsule_name, nullptr));
    return capsule && PyObject_SetAttrString(reinterpret_cast<PyObject*>(type), exchange_attribute, capsule.get()) == 0;
  }
  /// Puts methods and table into a type that somebody else made.
  [[nodiscard]] static bool try_add_to(PyTypeObject* type) noexcept {
    for (PyMethodDef* m = methods; m->ml_name; ++m) {
      const object method = object::steal(PyDescr_NewMethod(type, m));
      if (!method || PyObject_SetAttrString(reinterpret_cast<PyObject*>(type), m->ml_name, method.get()) != 0) return false;
    }
    return try_add_table(type);
  }

 private:
  static constexpr const char* turn_back = "Pass t.copy(); or share it by t.allow_negative_strides().";
  static PyObject* wrong_type(PyObject* x) noexcept {
    refusal why;
    char said[128];
    detail::type_text_of(x, said, sizeof said);
    detail::refuse(why, errc::kind, "exchange API", "x", said, "an object of the table's type");
    O::refuse(why);
    return nullptr;
  }
  static void as_buffer_error() noexcept {
    refusal r;
    const object raised = take_exception();
    detail::text_of(raised.get(), r.got, sizeof r.got);
    PyErr_SetString(PyExc_BufferError, r.got);
  }
};
}  // namespace tenon::python
