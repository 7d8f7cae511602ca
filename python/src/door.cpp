// SPDX-License-Identifier: Apache-2.0
// pytenon.Tensor, and the package's door: tenon/interop/python with this package's exceptions. Copies only where it is asked to.
#include "common.hpp"
#include "tenon/interop/build_info.hpp"
#include "tenon/tensor/numbers.hpp"

namespace pytenon {
using tenon::errc, tenon::failure, tenon::tensor;
namespace {
/// A tensor whose negative strides its user lets through the door.
struct unguarded_tensor : tensor<> {
  using tensor<>::tensor;
  explicit unguarded_tensor(const tensor<>& t) : tensor<>(t) {}
};
/// How the package holds tensors, for the door.
struct holder {
  static const tensor<>* held(PyObject* x) noexcept {
    return nb::isinstance<tensor<>>(x) && nb::inst_ready(x) ? nb::inst_ptr<tensor<>>(x) : nullptr;  // not one of __new__ alone
  }
  static PyObject* make(tensor<>&& t) noexcept {
    try {
      return nb::cast(std::move(t)).release().ptr();
    } catch (nb::python_error& e) { e.restore(); } catch (...) {
      PyErr_NoMemory();
    }
    return nullptr;
  }
  static bool negative_strides(PyObject* x) noexcept { return nb::isinstance<unguarded_tensor>(x); }
  static void refuse(const tenon::python::refusal& why) noexcept {
    try {
      pytenon::set_exception(why);
    } catch (nb::python_error& e) { e.restore(); } catch (...) {
      PyErr_NoMemory();
    }
  }
};
using door = tenon::python::producer<holder>;
}  // namespace

void refuse_lazy_values(nb::handle x, const char* operation, const char* argument) {
  tenon::python::dialect spare;
  tenon::python::refusal why;
  if (tenon::python::try_settled(x.ptr(), tenon::python::dialect_of(Py_TYPE(x.ptr()), spare), why, operation, argument) !=
      errc::ok)
    raise(why);
}

bool has_memory(nb::handle x) {
  tenon::python::dialect spare;
  return !tenon::python::dialect_of(Py_TYPE(x.ptr()), spare).wraps;
}

namespace {
tensor<> take_with(nb::handle x, tenon::python::object_options o) {
  if (const tensor<>* t = holder::held(x.ptr())) return *t;
  o.watched_remedy = "Pass x.detach(), or put the network into a pytenon.torch.Block.";
  tensor<> t;
  tenon::python::refusal why;
  if (tenon::python::try_from_object(x.ptr(), t, why, o) != errc::ok) raise(why);
  return t;
}
}  // namespace
tensor<> take(nb::handle x, const char* operation, const char* argument) {
  return take_with(x, {.operation = operation, .argument = argument});
}

namespace {
nb::object shape_tuple(const tenon::array_ref& a, bool strides) {
  nb::list l;
  for (int i = 0; i < a.shape.rank(); ++i) l.append(strides ? a.strides[i] : a.shape[i]);
  return nb::tuple(l);
}
std::string number_text(double v) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", v);
  return text;
}
std::string representation(const tensor<>& t) {
  const tenon::array_ref& a = t.describe();
  std::string s = "pytenon.Tensor(";
  const auto n = a.data ? a.shape.numel() : 0;
  const bool real = tenon::detail::is_real(a.dtype), integer = tenon::detail::is_integer(a.dtype);
  if (n > 0 && (real || integer)) {
    const tenon::detail::numbers at(a);
    s += "[";
    for (tenon::extent i = 0; i < n && i < 6; ++i)
      s += (i ? ", " : "") + (real ? number_text(at.real(i)) : std::to_string(at.integer(i)));
    s += n > 6 ? ", …], " : "], ";
  }
  s += "shape=" + str_of(nb::repr(shape_tuple(a, false))) + ", dtype=" + tenon::name(a.dtype);
  if (a.read_only) s += ", readonly";
  return s + ")";
}
nb::object array_of(PyObject* made) {
  if (!made) throw nb::python_error();
  return nb::steal(made);
}
nb::object item(const tensor<>& t) {
  const tenon::array_ref& a = t.describe();
  if (a.shape.numel() != 1) {
    failure f;
    tenon::detail::fail(f, errc::extent, "item", {.argument = "number of elements", .got = a.shape.numel(), .expected = 1});
    raise(f);
  }
  const tenon::detail::numbers at(a);
  if (tenon::detail::is_real(a.dtype)) return nb::cast(at.real(0));
  if (tenon::detail::is_integer(a.dtype)) return nb::cast(at.integer(0));
  raise_said(errc::dtype, "item", "this tensor", tenon::name(a.dtype), "real numbers or integers");
}
}  // namespace

void bind_tensor(nb::module_& m) {
  static PyType_Slot slots[] = {{Py_bf_getbuffer, reinterpret_cast<void*>(door::get_buffer)},
                                {Py_bf_releasebuffer, reinterpret_cast<void*>(door::give_buffer_back)},
                                {0, nullptr}};
  nb::class_<tensor<>> type(
      m, "Tensor", nb::type_slots(slots),
      "An array that keeps its memory alive and shares it by DLPack: `torch.from_dlpack(t)`, `numpy.from_dlpack(t)`.\n"
      "Made by `pytenon.from_dlpack`, and given by networks; it is never a copy.");
  type.def_prop_ro(
          "shape", [](const tensor<>& t) { return shape_tuple(t.describe(), false); },
          nb::sig("def shape(self) -> tuple[int, ...]"), "Lengths of the axes.")
      .def_prop_ro(
          "strides", [](const tensor<>& t) { return shape_tuple(t.describe(), true); },
          nb::sig("def strides(self) -> tuple[int, ...]"), "Elements from one index to the next, by axis.")
      .def_prop_ro(
          "dtype", [](const tensor<>& t) { return tenon::name(t.describe().dtype); }, "\"float32\", \"int64\" …")
      .def_prop_ro(
          "device", [](const tensor<>& t) { return tenon::name(t.describe().device); }, "\"cpu:0\".")
      .def_prop_ro(
          "readonly", [](const tensor<>& t) { return t.describe().read_only; }, "Whether it may not be written.")
      .def_prop_ro(
          "data_ptr", [](const tensor<>& t) { return reinterpret_cast<std::uintptr_t>(t.describe().data); },
          "Address of the first element, to compare.")
      .def(
          "numel", [](const tensor<>& t) { return t.describe().shape.numel(); }, "Number of elements.")
      .def("item", item, nb::sig("def item(self) -> int | float"), "The element of a tensor of one.")
      .def(
          "numpy", [](const tensor<>& t) { return array_of(tenon::python::to_numpy(t)); }, nb::sig("def numpy(self) -> object"),
          "A NumPy array over the same memory.")
      .def(
          "copy", [](const tensor<>& t) { return tenon::copy(t); }, "A dense, writable copy, counted in `bytes_moved()`.")
      .def(
          "allow_negative_strides", [](const tensor<>& t) { return unguarded_tensor(t); },
          nb::sig("def allow_negative_strides(self) -> Tensor"),
          "The same memory as a Tensor that hands out negative strides by DLPack. For consumers that take them, such as NumPy:\n"
          "PyTorch ends the process on them.")
      .def("__len__",
           [](const tensor<>& t) {
             const auto& s = t.describe().shape;
             if (s.rank() == 0) throw nb::type_error("a tensor without axes has no length");
             return s[0];
           })
      .def("__repr__", representation);
  if (!door::try_add_to(reinterpret_cast<PyTypeObject*>(type.ptr()))) throw nb::python_error();
  nb::class_<unguarded_tensor, tensor<>>(m, "_UnguardedTensor", "A Tensor that hands out negative strides by DLPack.");
  m.def(
      "from_dlpack",
      [](nb::handle x, nb::object copy) {
        if (!copy.is_none() && !nb::isinstance<nb::bool_>(copy))
          raise_said(errc::kind, "from_dlpack", "copy", str_of(nb::repr(copy)), "True, False or None");
        const bool copies = copy.ptr() == Py_True;
        const tensor<> t = take_with(x, {.forbid_copy = copy.ptr() == Py_False});
        return copies ? tenon::copy(t) : t;
      },
      nb::arg("x"), nb::kw_only(), nb::arg("copy") = nb::none(),
      nb::sig("def from_dlpack(x: object, /, *, copy: bool | None = None) -> Tensor"),
      "Any object with `__dlpack__` or a buffer, or a DLPack capsule, as a Tensor over the same memory. `copy=True` copies; "
      "`copy=False`\n"
      "refuses where its owner would have to.\n\n"
      "Errors: DtypeError (x has no memory to share), DeviceError, BridgeError, ShapeError, ArgumentError (x requires a "
      "gradient).");
  m.def("_build_info", [] { return tenon::build_info().text(); });
  m.def("_exchange_version", [](nb::handle of) -> nb::object {
    if (!PyType_Check(of.ptr())) throw nb::type_error("not a type");
    const auto* api = tenon::python::exchange_api_of(reinterpret_cast<PyTypeObject*>(of.ptr()));
    if (!api) return nb::none();
    return nb::make_tuple(api->version.major, api->version.minor);
  });
  m.def(
      "bytes_moved",
      [] {
        const tenon::traffic t = tenon::bytes_moved();
        nb::dict d;
        d["copied"] = t.copied;
        d["packed"] = t.packed;
        d["fresh_slots"] = t.fresh_slots;
        return d;
      },
      nb::sig("def bytes_moved() -> dict[str, int]"),
      "What this process copied so far: `copied` bytes at the doors, `packed` bytes of strided inputs, `fresh_slots` outputs\n"
      "whose memory could not be used again. Subtract two readings.");
}
}  // namespace pytenon
