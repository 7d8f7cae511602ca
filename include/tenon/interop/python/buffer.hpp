// SPDX-License-Identifier: Apache-2.0
// The buffer protocol, in: memoryview, array.array, bytes, ctypes, subclasses of numpy.ndarray; and the format letters for both ways.
// A buffer that outlives the call is given back on any thread. Reads what the buffer says of itself, never elements.
#pragma once
#include <Python.h>
#include <cstdint>
#include <new>
#include "tenon/interop/python/object.hpp"
#include "tenon/interop/python/refusal.hpp"
#include "tenon/tensor/check_import.hpp"
namespace tenon::python {
/// The format of the buffer protocol (struct's letters, and Z for complex); null for types that it cannot say.
constexpr const char* buffer_format(dtype d) noexcept {
  if (d.lanes != 1) return nullptr;
  switch (d.code) {
    case dtype_code::bool_: return d.bits == 8 ? "?" : nullptr;
    case dtype_code::int_: return d.bits == 8 ? "b" : d.bits == 16 ? "h" : d.bits == 32 ? "i" : d.bits == 64 ? "q" : nullptr;
    case dtype_code::uint_: return d.bits == 8 ? "B" : d.bits == 16 ? "H" : d.bits == 32 ? "I" : d.bits == 64 ? "Q" : nullptr;
    case dtype_code::float_: return d.bits == 16 ? "e" : d.bits == 32 ? "f" : d.bits == 64 ? "d" : nullptr;
    case dtype_code::complex: return d.bits == 64 ? "Zf" : d.bits == 128 ? "Zd" : nullptr;
    default: return nullptr;
  }
}
/// What a format means; false for what is not one number in the machine's byte order.
constexpr bool try_dtype_of_format(const char* format, std::int64_t width, dtype& to) noexcept {
  if (!format) format = "B";
  if (*format == '@' || *format == '=' || *format == (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? '<' : '>')) ++format;
  const bool pair = *format == 'Z';
  if (pair) ++format;
  if (!format[0] || format[1]) return false;
  dtype_code code = dtype_code::opaque;
  switch (*format) {
    case '?': code = dtype_code::bool_; break;
    case 'b':
    case 'h':
    case 'i':
    case 'l':
    case 'q':
    case 'n': code = dtype_code::int_; break;
    case 'B':
    case 'H':
    case 'I':
    case 'L':
    case 'Q':
    case 'N': code = dtype_code::uint_; break;
    case 'e':
    case 'f':
    case 'd': code = dtype_code::float_; break;
    default: return false;
  }
  if (pair && code != dtype_code::float_) return false;
  if (width < 1 || width > 16) return false;
  // l and n are of 4 or of 8 bytes: the size of the element says which.
  to = {pair ? dtype_code::complex : code, static_cast<std::uint8_t>(width * 8), 1};
  return to.known();
}

namespace detail {
/// Owns a filled-in Py_buffer, at one address: its shape may lie inside it.
class buffer_keeper {
  Py_buffer* b_ = nullptr;
  static void give_back(void* b) noexcept {
    into_python([b] {
      PyBuffer_Release(static_cast<Py_buffer*>(b));
      return 0;
    });
    delete static_cast<Py_buffer*>(b);
  }

 public:
  buffer_keeper() = default;
  buffer_keeper(buffer_keeper&& o) noexcept : b_(std::exchange(o.b_, nullptr)) {}
  buffer_keeper& operator=(buffer_keeper&&) = delete;
  ~buffer_keeper() {
    if (b_) run_with_python(give_back, b_);
  }
  /// False with a Python exception set.
  bool fill(PyObject* x) noexcept {
    auto* b = new (std::nothrow) Py_buffer{};
    if (!b) return PyErr_NoMemory() != nullptr;
    // Read-only memory must not fail here: what is asked for is looked at later.
    if (into_python([&] { return PyObject_GetBuffer(x, b, PyBUF_FORMAT | PyBUF_STRIDES); }) != 0) {
      delete b;
      return false;
    }
    b_ = b;
    return true;
  }
  const Py_buffer& operator*() const noexcept { return *b_; }
};

/// What a buffer says, in DLPack's terms; `strides` has room for max_rank. Errors: dtype, rank, not_dense.
inline errc read_buffer(const Py_buffer& b, PyObject* x, tenon::detail::import_source& to, std::int64_t* strides, refusal& why,
                        const char* operation, const char* argument) noexcept {
  dtype type;
  if (!try_dtype_of_format(b.format, b.itemsize, type)) {
    char said[128];
    type_text_of(x, said, sizeof said);
    tenon::detail::text_buffer text;
    text << said << " of format " << (b.format ? b.format : "B");
    return refuse(why, errc::dtype, operation, argument, text.c_str(), "a number or bool in the machine's byte order");
  }
  if (b.ndim < 0 || b.ndim > max_rank)
    return tenon::detail::fail(why.why, errc::rank, operation,
                               {.argument = argument, .got = b.ndim, .expected = max_rank, .relation = "at most "});
  for (int i = 0; b.strides && i < b.ndim; ++i) {  // ctypes gives none, even where they were asked for
    strides[i] = b.strides[i] / b.itemsize;
    if (b.strides[i] % b.itemsize && b.shape && b.shape[i] > 1)
      return refuse(why, errc::not_dense, operation, argument, "", "",
                    "Its strides are no multiples of its element's size: pass a copy.");
  }
  to = {.data = b.buf,
        .device = {1, 0},
        .ndim = b.ndim,
        .dtype = tenon::detail::to_dl(type),
        .shape = b.shape,
        .strides = b.strides ? strides : nullptr,
        .byte_offset = 0,
        .flags = b.readonly ? dl::flag_read_only : 0,
        .versioned = true,
        .may_omit_strides = true};
  return errc::ok;
}
}  // namespace detail
}  // namespace tenon::python
