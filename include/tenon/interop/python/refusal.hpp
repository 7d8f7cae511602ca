// SPDX-License-Identifier: Apache-2.0
// What the Python door refuses, in one record, and which of Python's own exceptions says so. Needs CPython's API only; no heap.
#pragma once
#include <Python.h>
#include <cstdint>
#include <string_view>
#include "tenon/core/error.hpp"
#include "tenon/interop/python/object.hpp"
namespace tenon::python {
/// Python's exception for a code. A package that has classes of its own lets them inherit these.
enum class exception_kind { dtype, shape, argument, range, bridge, device, state, file, memory };

constexpr exception_kind exception_kind_of(errc c) noexcept {
  switch (c) {
    case errc::dtype:
    case errc::kind: return exception_kind::dtype;
    case errc::rank:
    case errc::extent:
    case errc::negative_extent:
    case errc::too_small:
    case errc::missing_size:
    case errc::empty_batch: return exception_kind::shape;
    case errc::label:
    case errc::index: return exception_kind::range;
    case errc::null_data:
    case errc::null_shape:
    case errc::null_handle:
    case errc::null_strides:
    case errc::read_only:
    case errc::not_dense:
    case errc::alignment:
    case errc::version:
    case errc::copy: return exception_kind::bridge;
    case errc::device:
    case errc::library:
    case errc::no_device:
    case errc::device_fault: return exception_kind::device;
    case errc::ok:
    case errc::stale:
    case errc::no_forward:
    case errc::foreign:
    case errc::interrupted: return exception_kind::state;
    case errc::file:
    case errc::truncated:
    case errc::corrupt: return exception_kind::file;
    case errc::no_memory: return exception_kind::memory;
    case errc::overflow:
    case errc::arity:
    case errc::value:
    case errc::name:
    case errc::limit:
    case errc::not_finite: return exception_kind::argument;
  }
  return exception_kind::state;
}
/// A borrowed reference.
inline PyObject* builtin_exception(exception_kind k) noexcept {
  switch (k) {
    case exception_kind::dtype: return PyExc_TypeError;
    case exception_kind::shape:
    case exception_kind::argument: return PyExc_ValueError;
    case exception_kind::range: return PyExc_IndexError;
    case exception_kind::bridge:
    case exception_kind::device: return PyExc_BufferError;
    case exception_kind::state: return PyExc_RuntimeError;
    case exception_kind::file: return PyExc_OSError;
    case exception_kind::memory: return PyExc_MemoryError;
  }
  return PyExc_RuntimeError;
}

/// A failure, with what only Python has words for.
struct refusal {
  failure why;
  char got[160] = "", expected[96] = "";  // said instead of the numbers, where they are not empty
  bool raised = false;                    // a Python exception is on its way already (Ctrl-C, no memory): it says all
};

/// Puts the refusal's line, `[operation] argument: what: got X, expected Y. Remedy.`, together.
inline void write_message(tenon::detail::text_buffer& to, const refusal& r) noexcept {
  const failure& f = r.why;
  to << "[" << f.operation << "] ";
  if (f.argument[0]) to << f.argument << ": ";
  to << word(f.code);
  if (f.axis >= 0) to << ", axis " << std::int64_t{f.axis};
  if (r.got[0]) {
    to << ": got " << r.got << ", expected " << r.expected;
  } else if (!tenon::detail::says_all(f.code) && (f.got != f.expected || f.relation[0])) {
    to << ": got ";
    tenon::detail::put_number(to, f.code, f.got);
    to << ", expected " << f.relation;
    tenon::detail::put_number(to, f.code, f.expected);
  }
  to << ".";
  if (f.remedy[0]) to << " " << f.remedy;
}
/// Raises it as Python's own exception of that kind. A package with classes of its own has a function like this one.
inline void set_exception(const refusal& r) noexcept {
  if (r.raised) {
    if (!PyErr_Occurred()) PyErr_SetString(PyExc_BufferError, "a producer failed and did not say why");
    return;
  }
  tenon::detail::text_buffer text;
  write_message(text, r);
  PyErr_SetString(builtin_exception(exception_kind_of(r.why.code)), text.c_str());
}

namespace detail {
/// Says a refusal in words, and gives its code back.
[[gnu::cold, gnu::noinline]] inline errc refuse(refusal& r, errc code, const char* operation, const char* argument,
                                                std::string_view got, std::string_view expected,
                                                const char* remedy = "") noexcept {
  tenon::detail::fail(r.why, code, operation, {.argument = argument, .remedy = remedy});
  tenon::detail::copy_text(r.got, sizeof r.got, got);
  tenon::detail::copy_text(r.expected, sizeof r.expected, expected);
  r.raised = false;
  return code;
}
/// What Python has raised goes on as it is: this is not ours to say.
[[gnu::cold, gnu::noinline]] inline errc pass_on(refusal& r, errc code = errc::foreign) noexcept {
  r.why.code = code;
  r.raised = true;
  return code;
}
/// A failure below the door, said as the caller's.
[[gnu::cold, gnu::noinline]] inline errc say_as(refusal& r, const char* operation, std::string_view argument) noexcept {
  r.why.operation = operation;
  if (!r.why.argument[0] || std::string_view(operation) != "from_dlpack")
    tenon::detail::copy_text(r.why.argument, sizeof r.why.argument, argument);
  return r.why.code;
}
/// str(x), cut at the end of its first line; nothing where that fails.
inline void text_of(PyObject* x, char* to, std::size_t room) noexcept {
  to[0] = 0;
  const object s = object::steal(x ? into_python([&] { return PyObject_Str(x); }) : nullptr);
  if (const char* text = s ? PyUnicode_AsUTF8(s.get()) : nullptr) {
    const std::string_view all(text);
    tenon::detail::copy_text(to, room, all.substr(0, all.find('\n')));
  }
  PyErr_Clear();
}
/// "module.Type" of x.
inline void type_text_of(PyObject* x, char* to, std::size_t room) noexcept {
  auto* const type = reinterpret_cast<PyObject*>(Py_TYPE(x));
  tenon::detail::text_buffer text;
  const char* between = "";
  for (const char* part : {"__module__", "__qualname__"}) {
    char piece[128];
    text_of(attribute(type, part).get(), piece, sizeof piece);
    text << between << piece;
    between = ".";
  }
  tenon::detail::copy_text(to, room, text.c_str());
}
}  // namespace detail
}  // namespace tenon::python
