// SPDX-License-Identifier: Apache-2.0
// Our side of bench_door, over CPython's API and our headers alone, and the floors that no checked door can pass: an empty function, the
// fields of NumPy arrays without a check, torch's exchange table without a check.
#include <tenon/interop/python.hpp>

namespace {
namespace py = tenon::python;
using in = tenon::view<const float, tenon::dims<1>>;
using out = tenon::view<float, tenon::dims<1>>;
volatile float sink;

PyObject* done() {
  Py_INCREF(Py_None);
  return Py_None;
}
PyObject* empty3(PyObject*, PyObject* const*, Py_ssize_t) { return done(); }
template <class C>
PyObject* call(PyObject* const* args, Py_ssize_t n) {
  py::argument<in> a, b;
  py::argument<C> c;
  if (n != 3) return PyErr_Format(PyExc_TypeError, "three arrays");
  if (!a.take(args[0], "f", "a") || !b.take(args[1], "f", "b") || !c.take(args[2], "f", "c")) return nullptr;
  sink = a.view()[0] + b.view()[0] + c.view()[0];
  return done();
}
PyObject* read3(PyObject*, PyObject* const* args, Py_ssize_t n) { return call<in>(args, n); }
PyObject* write3(PyObject*, PyObject* const* args, Py_ssize_t n) { return call<out>(args, n); }

/// Believes that all are float32 arrays of NumPy.
PyObject* fields3(PyObject*, PyObject* const* args, Py_ssize_t) {
  float sum = 0;
  for (int i = 0; i < 3; ++i) {
    const auto* a = reinterpret_cast<const py::detail::numpy_array*>(args[i]);
    if (Py_TYPE(args[i]) != py::detail::numpy_type || a->nd != 1) return PyErr_Format(PyExc_TypeError, "no array");
    sum += *reinterpret_cast<const float*>(a->data);
  }
  sink = sum;
  return done();
}
const py::exchange_api* table = nullptr;
/// Believes that all are float32 tensors of torch.
PyObject* borrow3(PyObject*, PyObject* const* args, Py_ssize_t) {
  float sum = 0;
  for (int i = 0; i < 3; ++i) {
    tenon::dl::tensor t;
    if (table->borrow(args[i], &t) != 0) return nullptr;
    sum += *static_cast<const float*>(t.data);
  }
  sink = sum;
  return done();
}
PyObject* use_table(PyObject*, PyObject* type) {
  table = py::exchange_api_of(reinterpret_cast<PyTypeObject*>(type));
  return done();
}
template <PyObject* give(const tenon::tensor<float>&) noexcept>
PyObject* fresh(PyObject*, PyObject*) {
  tenon::tensor<float> t;
  if (tenon::failure f; tenon::tensor<float>::try_zeros({16}, t, f) != tenon::errc::ok) return PyErr_NoMemory();
  return give(t);
}
template <PyObject* (*F)(PyObject*, PyObject* const*, Py_ssize_t)>
PyCFunction fast() {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(F));
}
PyMethodDef methods[] = {{"empty3", fast<empty3>(), METH_FASTCALL, nullptr},
                         {"read3", fast<read3>(), METH_FASTCALL, nullptr},
                         {"write3", fast<write3>(), METH_FASTCALL, nullptr},
                         {"fields3", fast<fields3>(), METH_FASTCALL, nullptr},
                         {"borrow3", fast<borrow3>(), METH_FASTCALL, nullptr},
                         {"use_table", use_table, METH_O, nullptr},
                         {"give_numpy", fresh<py::to_numpy<float>>, METH_NOARGS, nullptr},
                         {"give_torch", fresh<py::to_torch<float>>, METH_NOARGS, nullptr},
                         {nullptr, nullptr, 0, nullptr}};
PyModuleDef module{PyModuleDef_HEAD_INIT, "door_tenon", nullptr, -1, methods, nullptr, nullptr, nullptr, nullptr};
}  // namespace

PyMODINIT_FUNC PyInit_door_tenon() { return PyModule_Create(&module); }
