// SPDX-License-Identifier: Apache-2.0
// One table from Tenon's codes to Python exceptions. Every exception carries code, word, operation, argument, axis, got and
// expected, and its text is one line.
#include "common.hpp"

namespace pytenon {
namespace {
using tenon::errc;

struct exception_row {
  const char* name;
  PyObject** base;
  const char* doc;
};
enum which {
  dtype_error,
  shape_error,
  argument_error,
  range_error,
  bridge_error,
  device_error,
  state_error,
  file_error,
  memory_error
};
const exception_row exceptions[] = {
    {"DtypeError", &PyExc_TypeError, "The element type, or the kind of an argument, is not what is expected."},
    {"ShapeError", &PyExc_ValueError, "The number of axes or the length of an axis is not what is expected."},
    {"ArgumentError", &PyExc_ValueError, "A value, a name or a number of arguments that does not do."},
    {"RangeError", &PyExc_IndexError, "A label or an index outside its range."},
    {"BridgeError", &PyExc_BufferError, "Memory that cannot be shared as it is: no data, read-only, strided, misaligned."},
    {"DeviceError", &PyExc_BufferError, "Memory on another device, or a device that cannot be used."},
    {"StateError", &PyExc_RuntimeError, "A call at the wrong time, such as backward without a forward."},
    {"FileError", &PyExc_OSError, "A file that cannot be read or written, or holds something else."},
    {"OutOfMemoryError", &PyExc_MemoryError, "Memory was refused."},
};
struct code_row {
  errc code;
  which exception;
};
constexpr code_row codes[] = {
    {errc::dtype, dtype_error},
    {errc::kind, dtype_error},
    {errc::rank, shape_error},
    {errc::extent, shape_error},
    {errc::negative_extent, shape_error},
    {errc::too_small, shape_error},
    {errc::missing_size, shape_error},
    {errc::empty_batch, shape_error},
    {errc::overflow, argument_error},
    {errc::arity, argument_error},
    {errc::value, argument_error},
    {errc::name, argument_error},
    {errc::limit, argument_error},
    {errc::not_finite, argument_error},
    {errc::label, range_error},
    {errc::index, range_error},
    {errc::null_data, bridge_error},
    {errc::null_shape, bridge_error},
    {errc::null_handle, bridge_error},
    {errc::null_strides, bridge_error},
    {errc::read_only, bridge_error},
    {errc::not_dense, bridge_error},
    {errc::alignment, bridge_error},
    {errc::version, bridge_error},
    {errc::device, device_error},
    {errc::library, device_error},
    {errc::no_device, device_error},
    {errc::device_fault, device_error},
    {errc::stale, state_error},
    {errc::no_forward, state_error},
    {errc::foreign, state_error},
    {errc::interrupted, state_error},
    {errc::file, file_error},
    {errc::truncated, file_error},
    {errc::corrupt, file_error},
    {errc::no_memory, memory_error},
};
PyObject* base_class = nullptr;
PyObject* classes[std::size(exceptions)]{};

PyObject* class_of(errc c) {
  for (const code_row& r : codes)
    if (r.code == c) return classes[r.exception];
  return base_class;
}
nb::object number(errc c, std::int64_t v) {
  if (c == errc::dtype) return nb::cast(tenon::name(tenon::dtype::unpacked(v)));
  if (c == errc::device) return nb::cast(tenon::name(tenon::device::unpacked(v)));
  return nb::cast(v);
}
void set(errc code, const char* operation, const char* argument, int axis, nb::object got, nb::object expected,
         const std::string& message) {
  const auto type = nb::borrow<nb::object>(class_of(code));
  nb::object e = type(message);
  e.attr("code") = static_cast<int>(code);
  e.attr("word") = tenon::word(code);
  e.attr("operation") = operation;
  e.attr("argument") = argument;
  if (axis >= 0) e.attr("axis") = axis;
  e.attr("got") = std::move(got);
  e.attr("expected") = std::move(expected);
  PyErr_SetObject(type.ptr(), e.ptr());
}
void set(const tenon::failure& f) {
  set(f.code, f.operation, f.argument, f.axis, number(f.code, f.got), number(f.code, f.expected), f.message());
}
}  // namespace

void raise(const tenon::failure& why) {
  set(why);
  throw nb::python_error();
}
void raise_said(errc code, const char* operation, const std::string& argument, const std::string& got,
                const std::string& expected, const char* remedy) {
  std::string text = std::string("[") + operation + "] " + argument + ": " + tenon::word(code);
  if (!got.empty()) text += ": got " + got + ", expected " + expected;
  text += ".";
  if (*remedy) text += std::string(" ") + remedy;
  set(code, operation, argument.c_str(), -1, nb::cast(got), nb::cast(expected), text);
  throw nb::python_error();
}
std::string str_of(nb::handle x) {
  const auto s = nb::steal<nb::object>(PyObject_Str(x.ptr()));
  const char* text = s.is_valid() ? PyUnicode_AsUTF8(s.ptr()) : nullptr;
  if (!text) throw nb::python_error();
  return text;
}
std::string type_text_of(nb::handle x) {
  return nb::cast<std::string>(x.type().attr("__module__")) + "." + nb::cast<std::string>(x.type().attr("__qualname__"));
}

void bind_errors(nb::module_& m) {
  auto make = [&](const char* name, const char* doc, nb::handle bases) {
    PyObject* e = PyErr_NewExceptionWithDoc((std::string("pytenon.") + name).c_str(), doc, bases.ptr(), nullptr);
    if (!e) throw nb::python_error();
    m.attr(name) = nb::handle(e);
    return e;
  };
  base_class = make("Error",
                    "Whatever Tenon refuses. Its text is one line; `code` is a stable number, `word` its name, `operation` and\n"
                    "`argument` say where, `axis` which axis (None: no axis is meant), `got` and `expected` what.",
                    nb::handle(PyExc_Exception));
  for (const char* attribute : {"code", "word", "operation", "argument", "axis", "got", "expected"})
    nb::handle(base_class).attr(attribute) = nb::none();
  for (std::size_t i = 0; i < std::size(exceptions); ++i)
    classes[i] =
        make(exceptions[i].name, exceptions[i].doc, nb::make_tuple(nb::handle(base_class), nb::handle(*exceptions[i].base)));
  m.def(
      "_refuse",
      [](const std::string& word, const std::string& operation, const std::string& argument, nb::handle got, nb::handle expected,
         const std::string& remedy) {
        for (const code_row& r : codes)
          if (word == tenon::word(r.code))
            raise_said(r.code, operation.c_str(), argument, str_of(got), str_of(expected), remedy.c_str());
        throw nb::value_error("no such code");
      },
      nb::arg("word"), nb::arg("operation"), nb::arg("argument"), nb::arg("got").none(), nb::arg("expected").none(),
      nb::arg("remedy") = "",
      nb::sig("def _refuse(word: str, operation: str, argument: str, got: object, expected: object, "
              "remedy: str = '') -> typing.NoReturn"),
      "Raises what the compiled part would, for what only Python sees; `word` is the code's name.");
  nb::register_exception_translator([](const std::exception_ptr& p, void*) {
    try {
      std::rethrow_exception(p);
    } catch (const tenon::error& e) { set(e.details()); }
  });
}
}  // namespace pytenon
