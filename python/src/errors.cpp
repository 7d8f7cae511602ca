// SPDX-License-Identifier: Apache-2.0
// One table from Tenon's codes to Python exceptions. Every exception carries code, word, operation, argument, axis, got and
// expected, and its text is one line.
#include "common.hpp"

namespace pytenon {
namespace {
using tenon::errc;

struct exception_row {
  const char* name;
  const char* doc;
};
// In the order of tenon::python::exception_kind; what each inherits is what the door's headers raise without a package.
const exception_row exceptions[] = {
    {"DtypeError", "The element type, or the kind of an argument, is not what is expected."},
    {"ShapeError", "The number of axes or the length of an axis is not what is expected."},
    {"ArgumentError", "A value, a name or a number of arguments that does not do."},
    {"RangeError", "A label or an index outside its range."},
    {"BridgeError", "Memory that cannot be shared as it is: no data, read-only, strided, misaligned."},
    {"DeviceError", "Memory on another device, or a device that cannot be used."},
    {"StateError", "A call at the wrong time, such as backward without a forward."},
    {"FileError", "A file that cannot be read or written, or holds something else."},
    {"OutOfMemoryError", "Memory was refused."},
};
PyObject* base_class = nullptr;
PyObject* classes[std::size(exceptions)]{};

PyObject* class_of(errc c) { return classes[static_cast<std::size_t>(tenon::python::exception_kind_of(c))]; }
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

void set_exception(const tenon::python::refusal& r) {
  if (r.raised) return;
  const tenon::failure& f = r.why;
  tenon::detail::text_buffer text;
  tenon::python::write_message(text, r);
  nb::object got = r.got[0] ? nb::cast(r.got) : number(f.code, f.got);
  set(f.code, f.operation, f.argument, f.axis, std::move(got), r.got[0] ? nb::cast(r.expected) : number(f.code, f.expected),
      text.c_str());
}

void raise(const tenon::failure& why) {
  set(why);
  throw nb::python_error();
}
void raise(const tenon::python::refusal& why) {
  pytenon::set_exception(why);
  throw nb::python_error();
}
void raise_said(errc code, const char* operation, const std::string& argument, const std::string& got,
                const std::string& expected, const char* remedy) {
  tenon::python::refusal r;
  tenon::python::detail::refuse(r, code, operation, argument.c_str(), got, expected, remedy);
  raise(r);
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
        make(exceptions[i].name, exceptions[i].doc,
             nb::make_tuple(nb::handle(base_class),
                            nb::handle(tenon::python::builtin_exception(static_cast<tenon::python::exception_kind>(i)))));
  m.def(
      "_refuse",
      [](const std::string& word, const std::string& operation, const std::string& argument, nb::handle got, nb::handle expected,
         const std::string& remedy) {
        for (std::size_t i = 1; i < std::size(tenon::detail::error_words); ++i)
          if (const auto c = static_cast<errc>(i); tenon::detail::error_words[i] && word == tenon::word(c))
            raise_said(c, operation.c_str(), argument, str_of(got), str_of(expected), remedy.c_str());
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
