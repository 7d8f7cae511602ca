// SPDX-License-Identifier: Apache-2.0
// The DLPack door: any Python object that speaks it in, pytenon.Tensor out. A capsule is renamed only after every check has
// passed, so that on an error its producer still owns it; the producer's deleter runs once.
#include <cstring>
#include <unordered_map>

#include "common.hpp"
#include "tenon/tensor/numbers.hpp"

namespace pytenon {
namespace {
using tenon::errc, tenon::failure, tenon::tensor;
using versioned = tenon::dl::managed_tensor_versioned;
using legacy = tenon::dl::managed_tensor;

constexpr const char *versioned_name = "dltensor_versioned", *used_versioned = "used_dltensor_versioned",
                     *legacy_name = "dltensor", *used_legacy = "used_dltensor";
constexpr const char* speakers = "an object with __dlpack__ (NumPy, PyTorch, JAX …)";

/// What is known of a producer's type. The type is kept alive, so that its address stays its own.
struct dialect {
  const exchange_api* fast = nullptr;
  bool speaks = false, versions = true;  // __dlpack__ takes max_version
  bool wraps = false;                    // a subclass that dispatches by itself: its memory may be elsewhere, or nowhere
  nb::object type;
};
auto& known_dialects() {
  static auto* known = new std::unordered_map<PyObject*, dialect>;  // never destroyed: Python may be gone by then
  return *known;
}
/// Fake, distributed and other wrapped tensors of torch have no memory that may be read, and its fast path would not say so.
bool wraps(nb::handle type) {
  constexpr const char* dispatch = "__torch_dispatch__";
  if (!nb::hasattr(type, dispatch)) return false;
  for (nb::handle base : nb::tuple(type.attr("__mro__")))
    if (nb::cast<bool>(base.attr("__dict__").attr("__contains__")("__dlpack_c_exchange_api__")))
      return !type.attr(dispatch).is(base.attr(dispatch));
  return false;
}
dialect dialect_of(nb::handle type) {
  auto& known = known_dialects();
  const auto at = known.find(type.ptr());
  if (at != known.end()) return at->second;
  dialect d;
  d.type = nb::borrow<nb::object>(type);
  d.fast = exchange_api_of(type);
  d.speaks = nb::hasattr(type, "__dlpack__") && nb::hasattr(type, "__dlpack_device__");
  d.wraps = d.fast && wraps(type);
  if (known.size() < 256) known.emplace(type.ptr(), d);  // types made in a loop are asked each time
  return d;
}

/// An error of the door, as the caller's.
[[noreturn]] void raise_as(failure& f, const char* operation, const char* argument) {
  if (std::strcmp(operation, "from_dlpack") != 0 || !f.argument[0]) {
    f.operation = operation;
    tenon::detail::copy_text(f.argument, sizeof f.argument, argument);
  }
  raise(f);
}
template <class M>
tensor<> adopt(M* raw, const char* operation, const char* argument, bool keep_on_error) {
  tenon::handle<M> h(raw);
  tensor<> t;
  failure f;
  if (tenon::try_from_dlpack(h, t, f) != errc::ok) {
    if (keep_on_error) (void)h.release();
    raise_as(f, operation, argument);
  }
  return t;
}
tensor<> take_capsule(nb::handle capsule, const char* operation, const char* argument) {
  const char* name = PyCapsule_GetName(capsule.ptr());
  if (name && std::strcmp(name, versioned_name) == 0) {
    auto* raw = static_cast<versioned*>(PyCapsule_GetPointer(capsule.ptr(), versioned_name));
    tensor<> t = adopt(raw, operation, argument, true);
    PyCapsule_SetName(capsule.ptr(), used_versioned);
    return t;
  }
  if (name && std::strcmp(name, legacy_name) == 0) {
    auto* raw = static_cast<legacy*>(PyCapsule_GetPointer(capsule.ptr(), legacy_name));
    tensor<> t = adopt(raw, operation, argument, true);
    PyCapsule_SetName(capsule.ptr(), used_legacy);
    return t;
  }
  PyErr_Clear();
  raise_said(errc::null_handle, operation, argument, "", "", "The capsule was taken before, or is no DLPack capsule.");
}

bool is_ours(const nb::python_error& e) { return e.type().is_valid() && nb::hasattr(e.type(), "operation"); }
void expect_host(nb::handle x, const char* operation, const char* argument) {
  const nb::object where = x.attr("__dlpack_device__")();
  const auto type = nb::cast<int>(where[0]), id = nb::cast<int>(where[1]);
  if (type == static_cast<int>(tenon::device_type::cpu)) return;
  failure f;
  tenon::detail::fail(f, errc::device, operation,
                      {.argument = argument,
                       .got = tenon::device{static_cast<tenon::device_type>(type), id}.packed(),
                       .expected = tenon::device{}.packed()});
  raise(f);
}
/// What a producer threw becomes one of ours, with its words.
[[noreturn]] void raise_foreign(nb::python_error& e, nb::handle x, const char* operation, const char* argument) {
  try {
    expect_host(x, operation, argument);
  } catch (nb::python_error& other) {
    if (is_ours(other)) throw;
    // DLPack has no number for its device (torch's meta)
    if (nb::hasattr(x, "device")) raise_said(errc::device, operation, argument, str_of(x.attr("device")), "cpu:0");
  }
  std::string said = str_of(e.value());
  said = said.substr(0, said.find('\n'));
  raise_said(errc::foreign, operation, argument, type_text_of(x) + " that says: " + said, "memory that its owner shares");
}
nb::object ask(nb::handle x, const dialect& d) {
  const nb::object method = x.attr("__dlpack__");
  if (d.versions) {
    try {
      return method(nb::arg("max_version") = nb::make_tuple(tenon::dl::spoken.major, tenon::dl::spoken.minor));
    } catch (nb::python_error& e) {
      if (!e.matches(PyExc_TypeError)) throw;
    }
    nb::object capsule = method();  // the protocol before 1.0 has no such keyword
    const auto at = known_dialects().find(d.type.ptr());
    if (at != known_dialects().end()) at->second.versions = false;
    return capsule;
  }
  return method();
}
}  // namespace

const exchange_api* exchange_api_of(nb::handle type) {
  constexpr const char* name = "__dlpack_c_exchange_api__";
  if (!nb::hasattr(type, name)) return nullptr;
  const nb::object capsule = type.attr(name);
  if (!PyCapsule_IsValid(capsule.ptr(), "dlpack_exchange_api")) return nullptr;
  auto* api = static_cast<const exchange_api*>(PyCapsule_GetPointer(capsule.ptr(), "dlpack_exchange_api"));
  while (api && api->version.major != tenon::dl::spoken.major) api = api->previous;
  return api && api->from_object && api->to_object ? api : nullptr;
}

void refuse_lazy_values(nb::handle x, const char* operation, const char* argument) {
  static const char *const neg = "is_neg", *const conj = "is_conj";
  for (const char* question : {neg, conj}) {
    const auto answer = nb::steal<nb::object>(PyObject_CallMethod(x.ptr(), question, nullptr));
    if (!answer.is_valid()) {
      PyErr_Clear();  // no such method: not torch
      continue;
    }
    if (answer.ptr() == Py_True)
      raise_said(errc::value, operation, argument, question == neg ? "a tensor with the negative bit" : "a conjugated tensor",
                 "plain values", question == neg ? "Pass x.resolve_neg()." : "Pass x.resolve_conj().");
  }
}

bool has_memory(nb::handle x) { return !dialect_of(x.type()).wraps; }

tensor<> take(nb::handle x, const char* operation, const char* argument) {
  if (nb::isinstance<tensor<>>(x)) return *nb::inst_ptr<tensor<>>(x);
  if (PyCapsule_CheckExact(x.ptr())) return take_capsule(x, operation, argument);
  const dialect d = dialect_of(x.type());
  if (!d.speaks && !d.fast) raise_said(errc::kind, operation, argument, type_text_of(x), speakers);
  try {
    if (d.fast) {
      if (d.wraps) raise_said(errc::null_data, operation, argument, type_text_of(x), "a tensor that has memory");
      if (nb::hasattr(x, "requires_grad") && nb::cast<bool>(x.attr("requires_grad")))
        raise_said(errc::value, operation, argument, "a tensor that requires a gradient", "one that does not",
                   "Pass x.detach(), or put the network into a pytenon.torch.Block.");
      refuse_lazy_values(x, operation, argument);
      versioned* raw = nullptr;
      if (d.fast->from_object(x.ptr(), &raw) != 0) throw nb::python_error();
      return adopt(raw, operation, argument, false);
    }
    expect_host(x, operation, argument);
    return take_capsule(ask(x, d), operation, argument);
  } catch (nb::python_error& e) {
    if (is_ours(e)) throw;
    if (!e.matches(PyExc_Exception)) throw;  // Ctrl-C
    raise_foreign(e, x, operation, argument);
  }
}

namespace {
nb::object shape_tuple(const tenon::array_ref& a, bool strides) {
  nb::list l;
  for (int i = 0; i < a.shape.rank(); ++i) l.append(strides ? a.strides[i] : a.shape[i]);
  return nb::tuple(l);
}
template <class M>
nb::object capsule_of(const tensor<>& t, const char* name, std::uint64_t flags) {
  tenon::handle<M> h;
  failure f;
  check(tenon::try_to_dlpack<M>(t, h, f), f);
  if constexpr (tenon::versioned_struct<M>) h->flags |= flags;
  PyObject* c = PyCapsule_New(h.get(), name, [](PyObject* capsule) {
    // still under its own name: nobody took it
    for (const char* mine : {versioned_name, legacy_name}) {
      if (!PyCapsule_IsValid(capsule, mine)) continue;
      auto* m = static_cast<M*>(PyCapsule_GetPointer(capsule, mine));
      if (m->deleter) m->deleter(m);
    }
  });
  if (!c) throw nb::python_error();
  (void)h.release();
  return nb::steal<nb::object>(c);
}
nb::object export_tensor(const tensor<>& self, nb::object stream, nb::object max_version, nb::object dl_device, nb::object copy) {
  constexpr const char* op = "__dlpack__";
  if (!stream.is_none()) raise_said(errc::value, op, "stream", str_of(nb::repr(stream)), "None", "Host memory has no stream.");
  if (!dl_device.is_none()) {
    const auto type = nb::cast<int>(dl_device[0]), id = nb::cast<int>(dl_device[1]);
    if (type != static_cast<int>(tenon::device_type::cpu))
      raise_said(errc::device, op, "dl_device", tenon::name(tenon::device{static_cast<tenon::device_type>(type), id}), "cpu:0");
  }
  tensor<> t = self;
  const tenon::array_ref& a = self.describe();
  std::uint64_t flags = 0;
  if (!copy.is_none() && nb::cast<bool>(copy)) {
    t = tenon::copy(self);
    flags = tenon::dl::flag_is_copied;
  }
  for (int i = 0; flags == 0 && i < a.shape.rank(); ++i)
    if (a.strides[i] < 0 && a.shape[i] > 1)  // PyTorch ends the process on these
      raise_said(errc::not_dense, op, "a tensor with a negative stride", "", "", "Ask for a copy: copy=True.");
  if (!max_version.is_none() && nb::cast<int>(max_version[0]) >= 1) return capsule_of<versioned>(t, versioned_name, flags);
  return capsule_of<legacy>(t, legacy_name, 0);
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
  nb::class_<tensor<>>(
      m, "Tensor",
      "An array that keeps its memory alive and shares it by DLPack: `torch.from_dlpack(t)`, `numpy.from_dlpack(t)`.\n"
      "Made by `pytenon.from_dlpack`, and given by networks; it is never a copy.")
      .def_prop_ro(
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
          "numpy", [](nb::handle self) { return nb::module_::import_("numpy").attr("from_dlpack")(self); },
          nb::sig("def numpy(self) -> object"), "A NumPy array over the same memory.")
      .def(
          "copy", [](const tensor<>& t) { return tenon::copy(t); }, "A dense, writable copy, counted in `bytes_moved()`.")
      .def("__dlpack__", export_tensor, nb::kw_only(), nb::arg("stream") = nb::none(), nb::arg("max_version") = nb::none(),
           nb::arg("dl_device") = nb::none(), nb::arg("copy") = nb::none(),
           nb::sig("def __dlpack__(self, *, stream: None = None, max_version: tuple[int, int] | None = None, "
                   "dl_device: tuple[int, int] | None = None, copy: bool | None = None) -> object"),
           "A capsule over the same memory. Errors: BridgeError (read-only in the old protocol, a negative stride), DeviceError.")
      .def(
          "__dlpack_device__",
          [](const tensor<>& t) {
            const tenon::device d = t.describe().device;
            return nb::make_tuple(static_cast<int>(d.type), d.id);
          },
          nb::sig("def __dlpack_device__(self) -> tuple[int, int]"), "(1, 0): the host.")
      .def("__len__",
           [](const tensor<>& t) {
             const auto& s = t.describe().shape;
             if (s.rank() == 0) throw nb::type_error("a tensor without axes has no length");
             return s[0];
           })
      .def("__repr__", representation);
  m.def(
      "from_dlpack",
      [](nb::handle x, nb::object copy) {
        tensor<> t = take(x, "from_dlpack", "x");
        return !copy.is_none() && nb::cast<bool>(copy) ? tenon::copy(t) : t;
      },
      nb::arg("x"), nb::kw_only(), nb::arg("copy") = nb::none(),
      nb::sig("def from_dlpack(x: object, /, *, copy: bool | None = None) -> Tensor"),
      "Any object with `__dlpack__`, or a DLPack capsule, as a Tensor over the same memory; `copy=True` for a copy.\n\n"
      "Errors: DtypeError (x speaks no DLPack), DeviceError, BridgeError, ShapeError, ArgumentError (x requires a gradient).");
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
