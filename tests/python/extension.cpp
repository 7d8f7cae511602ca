// SPDX-License-Identifier: Apache-2.0
// An extension module over the headers alone, without a binding library: what tests/python/test_door_*.py call. Built by door.py.
#include <tenon/interop/python.hpp>

#include <atomic>
#include <cstring>
#include <mutex>
#include <thread>
#include <vector>

namespace {
namespace py = tenon::python;
using tenon::dims, tenon::errc, tenon::view;

template <class V>
PyObject* sum_of(PyObject* x) {
  py::argument<V> a;
  if (!a.take(x, "sum", "x")) return nullptr;
  double s = 0;
  for (tenon::extent i = 0; i < a.view().extent_of(0); ++i) s += a.view()[i];
  return PyFloat_FromDouble(s);
}
PyObject* sum(PyObject*, PyObject* x) { return sum_of<view<const float, dims<1>>>(x); }
PyObject* address(PyObject*, PyObject* x) {
  py::argument<view<const float, dims<1>>> a;
  return a.take(x, "address", "x") ? PyLong_FromVoidPtr(const_cast<float*>(a.view().data())) : nullptr;
}
/// x += 1
PyObject* increase(PyObject*, PyObject* x) {
  py::argument<view<float, dims<1>>> a;
  if (!a.take(x, "increase", "x")) return nullptr;
  for (tenon::extent i = 0; i < a.view().extent_of(0); ++i) a.view()[i] += 1;
  Py_RETURN_NONE;
}
PyObject* corner(PyObject*, PyObject* x) {
  py::argument<view<const double, dims<2>, tenon::layout_right>> a;
  return a.take(x, "corner", "x") ? PyFloat_FromDouble(a.view()(0, 0)) : nullptr;
}

/// A type of its own that holds tensors.
struct box {
  PyObject head;
  tenon::tensor<>* t;
};
PyTypeObject* box_type = nullptr;
struct boxes {
  static const tenon::tensor<>* held(PyObject* x) noexcept {
    return PyObject_TypeCheck(x, box_type) ? reinterpret_cast<box*>(x)->t : nullptr;
  }
  static PyObject* make(tenon::tensor<>&& t) noexcept {
    PyObject* const self = box_type->tp_alloc(box_type, 0);
    if (self) reinterpret_cast<box*>(self)->t = new tenon::tensor<>(std::move(t));
    return self;
  }
  static bool negative_strides(PyObject*) noexcept { return false; }
  static void refuse(const py::refusal& why) noexcept { py::set_exception(why); }
};
using door = py::producer<boxes>;
void destroy_box(PyObject* self) {
  delete reinterpret_cast<box*>(self)->t;
  PyTypeObject* const type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(reinterpret_cast<PyObject*>(type));
}
PyType_Slot box_slots[] = {{Py_tp_dealloc, reinterpret_cast<void*>(destroy_box)},
                           {Py_tp_methods, door::methods},
                           {Py_bf_getbuffer, reinterpret_cast<void*>(door::get_buffer)},
                           {Py_bf_releasebuffer, reinterpret_cast<void*>(door::give_buffer_back)},
                           {0, nullptr}};
PyType_Spec box_spec{"extension.Box", sizeof(box), 0, Py_TPFLAGS_DEFAULT, box_slots};

template <bool forbid_copy, tenon::copy_policy copies = tenon::copy_policy::never>
PyObject* take(PyObject*, PyObject* x) {
  tenon::tensor<> t;
  py::refusal why;
  if (py::try_from_object(x, t, why, {.operation = "take", .memory = {.copies = copies}, .forbid_copy = forbid_copy}) == errc::ok)
    return boxes::make(std::move(t));
  py::set_exception(why);
  return nullptr;
}
struct cuda {
  static constexpr tenon::device_type type = tenon::device_type::cuda;
};
/// take_on_device(x, stream or None): of CUDA memory, which nobody touches; gives its address.
PyObject* take_on_device(PyObject*, PyObject* args) {
  PyObject *x = nullptr, *stream = nullptr;
  if (!PyArg_ParseTuple(args, "OO", &x, &stream)) return nullptr;
  tenon::tensor<void, cuda> t;
  py::refusal why;
  py::object_options o{.operation = "take_on_device"};
  if (stream != Py_None) o.stream = py::stream_ref(PyLong_AsLongLong(stream));
  if (py::try_from_object(x, t, why, o) == errc::ok) return PyLong_FromVoidPtr(t.data());
  py::set_exception(why);
  return nullptr;
}
template <PyObject* give(const tenon::tensor<float>&) noexcept>
PyObject* fresh(PyObject*, PyObject*) {
  tenon::tensor<float> t;
  if (tenon::failure f; tenon::tensor<float>::try_zeros({16}, t, f) != errc::ok) return PyErr_NoMemory();
  for (tenon::extent i = 0; i < 16; ++i) t[i] = static_cast<float>(i);
  return give(t);
}
/// fresh_numpy where NumPy's C functions were not found: by numpy.from_dlpack.
PyObject* fresh_numpy_by_protocol(PyObject*, PyObject*) {
  py::detail::find_numpy();
  const auto known = std::exchange(py::detail::numpy_table, {});
  PyObject* const array = fresh<py::to_numpy<float>>(nullptr, nullptr);
  py::detail::numpy_table = known;
  return array;
}
/// The same of what a box holds: to_numpy of any type.
PyObject* numpy_of(PyObject*, PyObject* x) {
  const tenon::tensor<>* const t = boxes::held(x);
  return t ? py::to_numpy(*t) : PyErr_Format(PyExc_TypeError, "a box");
}
/// Tensors that only C++ holds, until release() lets go of them in a thread that knows no Python, or release_at_exit after its end.
std::mutex lock;
std::vector<tenon::tensor<>>* kept = new std::vector<tenon::tensor<>>;
void let_go() {
  std::vector<tenon::tensor<>> gone;
  const std::lock_guard held(lock);
  kept->swap(gone);
}
PyObject* keep(PyObject*, PyObject* x) {
  tenon::tensor<> t;
  py::refusal why;
  if (py::try_from_object(x, t, why) != errc::ok) return py::set_exception(why), nullptr;
  const std::lock_guard held(lock);  // for the short time, for this thread holds up Python where there is a GIL
  kept->push_back(std::move(t));
  Py_RETURN_NONE;
}
PyObject* release(PyObject*, PyObject*) {
  Py_BEGIN_ALLOW_THREADS  // nobody runs Python meanwhile
      std::thread(let_go)
          .join();
  Py_END_ALLOW_THREADS Py_RETURN_NONE;
}
/// From now on until the process ends, in a thread that knows no Python.
PyObject* release_for_ever(PyObject*, PyObject*) {
  std::thread([] {
    for (;; std::this_thread::yield()) let_go();
  }).detach();
  Py_RETURN_NONE;
}
PyObject* release_at_exit(PyObject*, PyObject*) {
  Py_AtExit(let_go);  // after Python's end
  std::atexit(let_go);
  Py_RETURN_NONE;
}
/// A table whose major version is 2, with one of 1.3 behind it, and one with nothing behind it: as capsules.
PyObject* tables(PyObject*, PyObject*) {
  static py::exchange_api newer{{2, 0}, &door::table, nullptr, nullptr, nullptr, nullptr, nullptr};
  static py::exchange_api alone{{2, 0}, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr};
  return Py_BuildValue("NN", PyCapsule_New(&newer, py::exchange_capsule_name, nullptr),
                       PyCapsule_New(&alone, py::exchange_capsule_name, nullptr));
}
PyObject* has_table(PyObject*, PyObject* type) {
  return PyBool_FromLong(py::exchange_api_of(reinterpret_cast<PyTypeObject*>(type)) != nullptr);
}
/// Puts the door's methods and table into a class of Python's.
PyObject* add_to(PyObject*, PyObject* type) {
  if (!door::try_add_to(reinterpret_cast<PyTypeObject*>(type))) return nullptr;
  Py_RETURN_NONE;
}
/// Calls x's table: borrow and from_object, as another consumer would; gives (rank, flags, address).
PyObject* through_table(PyObject*, PyObject* x) {
  const py::exchange_api* api = py::exchange_api_of(Py_TYPE(x));
  if (!api) return PyErr_Format(PyExc_TypeError, "no table");
  tenon::dl::managed_tensor_versioned* m = nullptr;
  if (api->from_object(x, &m) != 0) return nullptr;
  PyObject* const said = Py_BuildValue("iKN", static_cast<int>(m->dl_tensor.ndim), static_cast<unsigned long long>(m->flags),
                                       PyLong_FromVoidPtr(m->dl_tensor.data));
  m->deleter(m);
  return said;
}
PyObject* borrow_through_table(PyObject*, PyObject* x) {
  const py::exchange_api* api = py::exchange_api_of(Py_TYPE(x));
  tenon::dl::tensor t;
  if (!api || !api->borrow || api->borrow(x, &t) != 0) return PyErr_Occurred() ? nullptr : PyErr_Format(PyExc_TypeError, "no");
  return Py_BuildValue("iN", static_cast<int>(t.ndim), PyLong_FromVoidPtr(t.data));
}
/// table.allocate for a shape of one axis; (flags, bytes are writable) or what it said, as text.
PyObject* allocate_through_table(PyObject*, PyObject* args) {
  long long n = 0;
  int code = 0, bits = 0;
  if (!PyArg_ParseTuple(args, "Lii", &n, &code, &bits)) return nullptr;
  const py::exchange_api* api = py::exchange_api_of(box_type);
  std::int64_t shape[] = {n}, strides[] = {1};
  tenon::dl::tensor like{nullptr, {1, 0},  1, {static_cast<std::uint8_t>(code), static_cast<std::uint8_t>(bits), 1},
                         shape,   strides, 0};
  tenon::dl::managed_tensor_versioned* m = nullptr;
  std::string said;
  const int status = api->allocate(&like, &m, &said, [](void* context, const char* kind, const char* message) {
    *static_cast<std::string*>(context) = std::string(kind) + ": " + message;
  });
  if (status != 0) return PyUnicode_FromString(said.c_str());
  if (m->dl_tensor.data) std::memset(m->dl_tensor.data, 1, static_cast<std::size_t>(n) * static_cast<std::size_t>(bits) / 8);
  void* object = nullptr;
  if (api->to_object(m, &object) != 0) {
    m->deleter(m);
    return nullptr;
  }
  return static_cast<PyObject*>(object);
}
/// A capsule of a struct made by hand: (versioned, major, flags, dtype code, bits, with data). Its deleter counts.
std::atomic<long> deleted = 0;
float numbers[4] = {1, 2, 3, 4};
std::int64_t four[1] = {4}, one[1] = {1};
template <class M>
PyObject* crafted_as(int major, unsigned long long flags, int code, int bits, int with_data) {
  auto* m = new M{};
  m->dl_tensor = {with_data ? numbers : nullptr,
                  {1, 0},
                  1,
                  {static_cast<std::uint8_t>(code), static_cast<std::uint8_t>(bits), 1},
                  four,
                  one,
                  0};
  if constexpr (tenon::versioned_struct<M>) {
    m->version = {static_cast<std::uint32_t>(major), 0};
    m->flags = flags;
  }
  m->deleter = [](M* self) {
    ++deleted;
    delete self;
  };
  tenon::handle<M> h(m);
  return py::to_capsule(h);
}
PyObject* crafted(PyObject*, PyObject* args) {
  int versioned = 1, major = 1, code = 2, bits = 32, with_data = 1;
  unsigned long long flags = 0;
  if (!PyArg_ParseTuple(args, "|iiKiii", &versioned, &major, &flags, &code, &bits, &with_data)) return nullptr;
  return versioned ? crafted_as<tenon::dl::managed_tensor_versioned>(major, flags, code, bits, with_data)
                   : crafted_as<tenon::dl::managed_tensor>(major, flags, code, bits, with_data);
}
/// A capsule whose struct calls f() when it is deleted, which must be where Python runs.
template <class M>
PyObject* crafted_calling(PyObject*, PyObject* f) {
  auto* m = new M{};
  m->dl_tensor = {numbers, {1, 0}, 1, {2, 32, 1}, four, one, 0};
  if constexpr (tenon::versioned_struct<M>) m->version = {1, 3};
  Py_INCREF(f);
  m->manager_ctx = f;
  m->deleter = [](M* self) {
    ++deleted;
    auto* const f = static_cast<PyObject*>(self->manager_ctx);
    delete self;
    const py::object said = py::object::steal(PyObject_CallNoArgs(f));
    if (!said) PyErr_WriteUnraisable(f);
    Py_DECREF(f);
  };
  tenon::handle<M> h(m);
  return py::to_capsule(h);
}
PyObject* deleted_so_far(PyObject*, PyObject*) { return PyLong_FromLong(deleted); }
/// Whether NumPy's arrays are read by their fields.
PyObject* reads_numpy(PyObject*, PyObject*) { return PyBool_FromLong(py::detail::numpy_type != nullptr); }
PyObject* fields_hold(PyObject*, PyObject* x) {
  const bool holds = py::detail::numpy_fields_hold(x);
  PyErr_Clear();
  return PyBool_FromLong(holds);
}

PyMethodDef methods[] = {{"sum", sum, METH_O, nullptr},
                         {"address", address, METH_O, nullptr},
                         {"increase", increase, METH_O, nullptr},
                         {"corner", corner, METH_O, nullptr},
                         {"take", take<false>, METH_O, nullptr},
                         {"take_shared", take<true>, METH_O, nullptr},
                         {"take_copied", take<false, tenon::copy_policy::always>, METH_O, nullptr},
                         {"take_on_device", take_on_device, METH_VARARGS, nullptr},
                         {"fresh_numpy", fresh<py::to_numpy<float>>, METH_NOARGS, nullptr},
                         {"fresh_numpy_by_protocol", fresh_numpy_by_protocol, METH_NOARGS, nullptr},
                         {"numpy_of", numpy_of, METH_O, nullptr},
                         {"fresh_torch", fresh<py::to_torch<float>>, METH_NOARGS, nullptr},
                         {"keep", keep, METH_O, nullptr},
                         {"release", release, METH_NOARGS, nullptr},
                         {"release_for_ever", release_for_ever, METH_NOARGS, nullptr},
                         {"release_at_exit", release_at_exit, METH_NOARGS, nullptr},
                         {"tables", tables, METH_NOARGS, nullptr},
                         {"has_table", has_table, METH_O, nullptr},
                         {"add_to", add_to, METH_O, nullptr},
                         {"through_table", through_table, METH_O, nullptr},
                         {"borrow_through_table", borrow_through_table, METH_O, nullptr},
                         {"allocate_through_table", allocate_through_table, METH_VARARGS, nullptr},
                         {"crafted", crafted, METH_VARARGS, nullptr},
                         {"crafted_calling", crafted_calling<tenon::dl::managed_tensor_versioned>, METH_O, nullptr},
                         {"crafted_old_calling", crafted_calling<tenon::dl::managed_tensor>, METH_O, nullptr},
                         {"deleted", deleted_so_far, METH_NOARGS, nullptr},
                         {"reads_numpy", reads_numpy, METH_NOARGS, nullptr},
                         {"fields_hold", fields_hold, METH_O, nullptr},
                         {nullptr, nullptr, 0, nullptr}};
PyModuleDef module{PyModuleDef_HEAD_INIT, "extension", nullptr, -1, methods, nullptr, nullptr, nullptr, nullptr};
}  // namespace

PyMODINIT_FUNC PyInit_extension() {
  PyObject* const m = PyModule_Create(&module);
  PyObject* const type = m ? PyType_FromSpec(&box_spec) : nullptr;
  if (!type) return nullptr;
#ifdef Py_GIL_DISABLED
  PyUnstable_Module_SetGIL(m, Py_MOD_GIL_NOT_USED);
#endif
  box_type = reinterpret_cast<PyTypeObject*>(type);
  if (!door::try_add_table(box_type) || PyModule_AddObject(m, "Box", type) != 0) return nullptr;
  return m;
}
