// SPDX-License-Identifier: Apache-2.0
// The Python door out: what `__dlpack__`, `__dlpack_device__` and the buffer protocol of a host tensor answer. Shares its memory; copies
// only on copy=True. Negative strides pass only where the tensor's owner allows it, for PyTorch ends the process on them. Needs
// CPython's API only; the capsule's and the struct's deleters need no Python at all.
#pragma once
#include <Python.h>
#include <cstdint>
#include <new>
#include <string_view>
#include "tenon/interop/python/buffer.hpp"
#include "tenon/interop/python/capsule.hpp"
#include "tenon/interop/python/stream.hpp"
#include "tenon/tensor/export.hpp"
namespace tenon::python {
/// What `__dlpack__` was asked for.
struct dlpack_request {
  stream_ref stream{};
  std::int64_t major = 0;  // of max_version; 0: the struct before 1.0
  bool other_device = false;
  device where{};
  bool copy = false;
  bool negative_strides = false;  // the consumer is known to take them, or the user said so
};

namespace detail {
inline bool integers(PyObject* pair, std::int64_t& first, std::int64_t& second) noexcept {
  if (!PyTuple_Check(pair) || PyTuple_Size(pair) != 2) return false;
  first = PyLong_AsLongLong(PyTuple_GetItem(pair, 0));
  second = PyLong_AsLongLong(PyTuple_GetItem(pair, 1));
  if (!PyErr_Occurred()) return true;
  PyErr_Clear();
  return false;
}
[[gnu::cold, gnu::noinline]] inline errc refuse_keyword(refusal& why, const char* keyword, PyObject* got, const char* expected) {
  char said[96];
  const object text = object::steal(into_python([&] { return PyObject_Repr(got); }));
  if (!text) PyErr_Clear();
  text_of(text.get(), said, sizeof said);
  return refuse(why, errc::kind, "__dlpack__", keyword, said, expected);
}
}  // namespace detail

/// Reads the keywords of `__dlpack__(*, stream=None, max_version=None, dl_device=None, copy=None)` as vectorcall hands them over.
/// Errors: kind (TypeError), arity.
[[nodiscard]] inline errc try_read_request(PyObject* const* values, Py_ssize_t positional, PyObject* names, dlpack_request& to,
                                           refusal& why) noexcept {
  constexpr const char* op = "__dlpack__";
  if (positional != 0) return detail::refuse(why, errc::kind, op, "its arguments", "one by its place", "keywords");
  for (Py_ssize_t i = 0, n = names ? PyTuple_Size(names) : 0; i < n; ++i) {
    const char* const name = PyUnicode_AsUTF8(PyTuple_GetItem(names, i));
    if (!name) return detail::pass_on(why);
    const std::string_view key(name);
    PyObject* const v = values[i];
    if (key == "max_version") {
      std::int64_t minor = 0;
      if (v != Py_None && !detail::integers(v, to.major, minor))
        return detail::refuse_keyword(why, name, v, "(major, minor) or None");
    } else if (key == "copy") {
      if (v != Py_None && v != Py_True && v != Py_False) return detail::refuse_keyword(why, name, v, "True, False or None");
      to.copy = v == Py_True;
    } else if (key == "dl_device") {
      if (v == Py_None) continue;
      std::int64_t type = 0, id = 0;
      if (!detail::integers(v, type, id) || type != static_cast<std::int32_t>(type) || id != static_cast<std::int32_t>(id))
        return detail::refuse_keyword(why, name, v, "(device type, number) or None");
      to.other_device = true;
      to.where = {static_cast<device_type>(type), static_cast<std::int32_t>(id)};
    } else if (key == "stream") {
      if (v == Py_None) continue;
      const std::int64_t number = PyLong_Check(v) ? PyLong_AsLongLong(v) : -1;
      if (!PyLong_Check(v) || (number == -1 && PyErr_Occurred())) {
        PyErr_Clear();
        return detail::refuse_keyword(why, name, v, "an integer or None");
      }
      to.stream = stream_ref(number);
    } else {
      return detail::refuse(why, errc::kind, op, "its keywords", name, "stream, max_version, dl_device or copy");
    }
  }
  return errc::ok;
}

/// A capsule over the tensor's memory as a new reference; null where it is refused. Errors: value (a stream), device, not_dense (a
/// negative stride), read_only (in the struct before 1.0), null_data, no_memory.
[[nodiscard]] inline PyObject* try_export(const tensor<>& t, const dlpack_request& q, refusal& why) noexcept {
  constexpr const char* op = "__dlpack__";
  const array_ref& a = t.describe();
  if (try_stream(a.device.type, q.stream, why, op) != errc::ok) return nullptr;
  if (q.other_device && !tenon::detail::serves(a.device, q.where)) {
    tenon::detail::fail(why.why, errc::device, op,
                        {.argument = "dl_device", .got = q.where.packed(), .expected = a.device.packed()});
    return nullptr;
  }
  const export_options how{.copies = q.copy ? copy_policy::always : copy_policy::never, .negative_strides = q.negative_strides};
  PyObject* capsule = nullptr;
  errc c = errc::ok;
  if (q.major >= 1) {
    handle<dl::managed_tensor_versioned> h;
    c = try_to_dlpack(t, h, why.why, how);
    if (c == errc::ok) capsule = to_capsule(h);
  } else {
    handle<dl::managed_tensor> h;
    c = try_to_dlpack(t, h, why.why, how);
    if (c == errc::ok) capsule = to_capsule(h);
    if (c == errc::read_only) why.why.remedy = "Ask for max_version=(1, 0), or for a copy: copy=True.";
  }
  if (c == errc::not_dense) why.why.remedy = "Ask for a copy, copy=True; or share it by t.allow_negative_strides().";
  why.why.operation = op;
  if (c == errc::ok && !capsule) detail::pass_on(why, errc::no_memory);
  return capsule;
}

namespace detail {
struct buffer_dims {
  Py_ssize_t shape[max_rank], strides[max_rank];
};
/// Whether dense in the order asked for.
inline bool gapless(const array_ref& a, bool row_major) noexcept {
  extent expected = 0;
  return a.shape.numel() == 0 || tenon::detail::first_gap(a, row_major, expected) < 0;
}
}  // namespace detail

/// Fills in a Py_buffer over the tensor's memory; `self` is kept by it. Give it back with release_buffer. Errors: dtype (the protocol has
/// no letter for it), read_only, not_dense, null_data, no_memory.
[[nodiscard]] inline errc try_fill_buffer(const tensor<>& t, PyObject* self, Py_buffer* to, int flags, refusal& why) noexcept {
  constexpr const char* op = "buffer";
  const array_ref& a = t.describe();
  const extent n = a.shape.numel();
  to->obj = nullptr;
  const char* const format = buffer_format(a.dtype);
  if (!format)
    return tenon::detail::fail(why.why, errc::dtype, op,
                               {.argument = "this tensor",
                                .got = a.dtype.packed(),
                                .expected = float32.packed(),
                                .relation = "one that the buffer protocol has a letter for, such as ",
                                .remedy = "Pass it by DLPack."});
  if (!a.data && n != 0) return tenon::detail::fail(why.why, errc::null_data, op, {.argument = "this tensor"});
  if ((flags & PyBUF_WRITABLE) && a.read_only)
    return tenon::detail::fail(why.why, errc::read_only, op, {.argument = "this tensor", .remedy = "Take a copy: t.copy()."});
  const bool strided = (flags & PyBUF_STRIDES) == PyBUF_STRIDES;
  const auto asks = [&](int which) { return (flags & which) == which; };
  const bool rows = detail::gapless(a, true), columns = detail::gapless(a, false);
  if ((!strided && !rows) || (asks(PyBUF_C_CONTIGUOUS) && !rows) || (asks(PyBUF_F_CONTIGUOUS) && !columns) ||
      (asks(PyBUF_ANY_CONTIGUOUS) && !rows && !columns))
    return tenon::detail::fail(why.why, errc::not_dense, op, {.argument = "this tensor", .remedy = "Take a copy: t.copy()."});
  auto* dims = new (std::nothrow) detail::buffer_dims;
  if (!dims)
    return tenon::detail::fail(why.why, errc::no_memory, op,
                               {.argument = "bytes", .got = 0, .expected = static_cast<std::int64_t>(sizeof *dims)});
  const std::int64_t width = a.dtype.bytes();
  for (int i = 0; i < a.shape.rank(); ++i) {
    dims->shape[i] = a.shape[i];
    dims->strides[i] = a.strides[i] * width;
  }
  static char nothing;
  to->buf = a.data ? a.data : &nothing;
  to->len = n * width;
  to->itemsize = width;
  to->readonly = a.read_only;
  to->ndim = a.shape.rank();
  to->format = asks(PyBUF_FORMAT) ? const_cast<char*>(format) : nullptr;
  to->shape = asks(PyBUF_ND) ? dims->shape : nullptr;
  to->strides = strided ? dims->strides : nullptr;
  to->suboffsets = nullptr;
  to->internal = dims;
  Py_INCREF(self);
  to->obj = self;
  return errc::ok;
}
inline void release_buffer(PyObject*, Py_buffer* b) noexcept { delete static_cast<detail::buffer_dims*>(b->internal); }
}  // namespace tenon::python
