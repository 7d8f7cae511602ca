// SPDX-License-Identifier: Apache-2.0
// NumPy arrays by the public layout of PyArrayObject and PyArray_Descr, without NumPy's headers: the same in NumPy 1 and 2. Before it is
// used it is compared, once, with what the buffer protocol and the attributes of several arrays say; where they disagree, arrays go the
// slower ways. Only exact numpy.ndarray is read so. Reads the array's own fields, never elements.
#pragma once
#include <Python.h>
#include <cstddef>
#include <cstdint>
#include "tenon/interop/python/object.hpp"
#include "tenon/interop/python/refusal.hpp"
#include "tenon/tensor/check_import.hpp"
namespace tenon::python {
namespace detail {
struct numpy_descr {
  PyObject head;
  PyTypeObject* scalar;
  char kind, type, byteorder, former_flags;
  int type_num;
};
struct numpy_array {
  PyObject head;
  char* data;
  int nd;
  Py_ssize_t *shape, *strides;  // strides in bytes
  PyObject* base;
  numpy_descr* descr;
  int flags;
};
static_assert(sizeof(Py_ssize_t) == sizeof(std::int64_t), "[python] this door is for 64-bit machines");
inline constexpr int numpy_writeable = 0x0400, numpy_write_back = 0x2000;  // NPY_ARRAY_WRITEABLE, NPY_ARRAY_WRITEBACKIFCOPY

/// Those we have no type for.
inline constexpr dtype no_dtype{dtype_code::opaque, 0, 0};
/// By NumPy's type number, from bool to half.
inline constexpr dtype numpy_dtypes[] = {dtype_of<bool>::value,
                                         dtype_of<signed char>::value,
                                         dtype_of<unsigned char>::value,
                                         dtype_of<short>::value,
                                         dtype_of<unsigned short>::value,
                                         dtype_of<int>::value,
                                         dtype_of<unsigned>::value,
                                         dtype_of<long>::value,
                                         dtype_of<unsigned long>::value,
                                         dtype_of<long long>::value,
                                         dtype_of<unsigned long long>::value,
                                         float32,
                                         float64,
                                         no_dtype,
                                         {dtype_code::complex, 64, 1},
                                         {dtype_code::complex, 128, 1},
                                         no_dtype,
                                         no_dtype,
                                         no_dtype,
                                         no_dtype,
                                         no_dtype,
                                         no_dtype,
                                         no_dtype,
                                         {dtype_code::float_, 16, 1}};
inline constexpr int numpy_type_nums = sizeof numpy_dtypes / sizeof numpy_dtypes[0];
constexpr bool numpy_native(char byteorder) noexcept {
  return byteorder == '=' || byteorder == '|' || byteorder == (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? '<' : '>');
}

/// numpy.ndarray, once its layout has been looked at; null before, and where it is not as expected.
inline PyTypeObject* numpy_type = nullptr;

/// Whether fields, attributes and buffer of one array say the same.
inline bool numpy_fields_hold(PyObject* array) noexcept {
  const auto* a = reinterpret_cast<const numpy_array*>(array);
  const object flags = attribute(array, "flags");
  const object flag_bits = attribute(flags.get(), "num");
  const object type = attribute(array, "dtype");
  const object num = attribute(type.get(), "num");
  const object order = attribute(type.get(), "byteorder");
  const object size = attribute(type.get(), "itemsize");
  if (!flag_bits || !num || !order || !size || type.get() != reinterpret_cast<PyObject*>(a->descr)) return false;
  const char* letter = PyUnicode_AsUTF8(order.get());
  if (!letter || PyLong_AsLong(flag_bits.get()) != a->flags || PyLong_AsLong(num.get()) != a->descr->type_num ||
      *letter != a->descr->byteorder || a->descr->type_num < 0 || a->descr->type_num >= numpy_type_nums ||
      8 * PyLong_AsLong(size.get()) != numpy_dtypes[a->descr->type_num].bits)
    return false;
  Py_buffer b;
  if (PyObject_GetBuffer(array, &b, PyBUF_STRIDED_RO) != 0) return false;
  bool same = b.buf == a->data && b.ndim == a->nd && (b.readonly == 0) == ((a->flags & numpy_writeable) != 0);
  for (int i = 0; same && i < b.ndim; ++i) same = b.shape[i] == a->shape[i] && b.strides[i] == a->strides[i];
  PyBuffer_Release(&b);
  return same;
}
/// Makes arrays of several kinds and looks at each.
inline bool numpy_layout_holds(PyObject* numpy) noexcept {
  const object zeros = attribute(numpy, "zeros");
  const object broadcast = attribute(numpy, "broadcast_to");
  if (!zeros || !broadcast) return false;
  for (const char* type : {"?", "b", "B", "h", "H", "i", "I", "l", "L", "q", "Q", "e", "f", "d", "F", "D"}) {
    const object plain = object::steal(into_python([&] { return PyObject_CallFunction(zeros.get(), "((ii)s)", 3, 4, type); }));
    const object turned = attribute(plain.get(), "T");
    const object frozen = object::steal(
        turned ? into_python([&] { return PyObject_CallFunction(broadcast.get(), "O(iii)", turned.get(), 2, 4, 3); }) : nullptr);
    const object scalar =
        object::steal(frozen ? into_python([&] { return PyObject_CallFunction(zeros.get(), "()s", type); }) : nullptr);
    if (!scalar || !numpy_fields_hold(plain.get()) || !numpy_fields_hold(turned.get()) || !numpy_fields_hold(frozen.get()) ||
        !numpy_fields_hold(scalar.get()))
      return false;
  }
  return true;
}
/// Whether `type` is NumPy's array and may be read by its fields. Asked once a type; sets no exception.
inline bool is_readable_numpy(PyTypeObject* type) noexcept {
  PyObject* const modules = PyImport_GetModuleDict();
  PyObject* const numpy = modules ? PyDict_GetItemString(modules, "numpy") : nullptr;  // is there before its arrays are
  const object array = attribute(numpy, "ndarray");
  const bool holds = array.get() == reinterpret_cast<PyObject*>(type) &&
                     type->tp_basicsize >= static_cast<Py_ssize_t>(offsetof(numpy_array, flags) + sizeof(int)) &&
                     numpy_layout_holds(numpy);
  PyErr_Clear();
  return holds;
}

/// What its fields say, in DLPack's terms; `strides` has room for max_rank. Errors: dtype, not_dense (strides of part of an element),
/// rank, read_only (an array whose writes go elsewhere later).
inline errc read_numpy(PyObject* array, tenon::detail::import_source& to, std::int64_t* strides, refusal& why,
                       const char* operation, const char* argument) noexcept {
  const auto* a = reinterpret_cast<const numpy_array*>(array);
  const int num = a->descr->type_num;
  if (num < 0 || num >= numpy_type_nums || !numpy_dtypes[num].bits || !numpy_native(a->descr->byteorder)) {
    char said[96];
    text_of(reinterpret_cast<PyObject*>(a->descr), said, sizeof said);
    return refuse(why, errc::dtype, operation, argument, said, "a number or bool in the machine's byte order");
  }
  if (a->nd > max_rank)
    return tenon::detail::fail(why.why, errc::rank, operation,
                               {.argument = argument, .got = a->nd, .expected = max_rank, .relation = "at most "});
  if (a->flags & numpy_write_back)
    return refuse(why, errc::read_only, operation, argument, "", "", "It is a copy whose values go back later: pass x.copy().");
  const std::int64_t width = numpy_dtypes[num].bytes();
  for (int i = 0; i < a->nd; ++i) {
    strides[i] = a->strides[i] / width;
    if (a->strides[i] % width && a->shape[i] > 1)
      return refuse(why, errc::not_dense, operation, argument, "", "",
                    "Its strides are no multiples of its element's size: pass x.copy().");
  }
  to = {.data = a->data,
        .device = {1, 0},
        .ndim = a->nd,
        .dtype = tenon::detail::to_dl(numpy_dtypes[num]),
        .shape = a->shape,
        .strides = strides,
        .byte_offset = 0,
        .flags = a->flags & numpy_writeable ? 0 : dl::flag_read_only,
        .versioned = true,
        .may_omit_strides = false};
  return errc::ok;
}
}  // namespace detail
}  // namespace tenon::python
