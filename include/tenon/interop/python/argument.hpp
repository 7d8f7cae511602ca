// SPDX-License-Identifier: Apache-2.0
// Arguments of a C function that Python calls, as typed views for the length of the call: `argument<view<const float, dims<1>>> x;
// if (!x.take(object, "f", "x")) return nullptr;`. An exact NumPy array or a torch tensor that is what the type promises passes without a
// heap block, a reference or a Python call. All else goes through the door, and is kept until the argument dies. Needs CPython's API only.
#pragma once
#include <Python.h>
#include <bit>
#include <cstdint>
#include <type_traits>
#include <utility>
#include "tenon/interop/python/import.hpp"
#include "tenon/tensor/typed_tensor.hpp"
namespace tenon::python {
namespace detail {
/// NumPy's numbers of a type as a set of bits: long and long long are two.
constexpr std::uint32_t numpy_nums_of(dtype d) noexcept {
  std::uint32_t set = 0;
  for (int i = 0; i < numpy_type_nums; ++i)
    if (numpy_dtypes[i] == d) set |= std::uint32_t{1} << i;
  return set;
}
template <class V>
[[nodiscard, gnu::always_inline]] inline bool numpy_fits_plainly(PyObject* x, V& v) noexcept {
  using T = std::remove_const_t<typename V::element_type>;
  constexpr int n = V::rank();
  constexpr dtype is = dtype_of<T>::value;
  constexpr std::int64_t width = sizeof(T);
  const auto* a = reinterpret_cast<const numpy_array*>(x);
  const auto num = static_cast<unsigned>(a->descr->type_num);
  if (a->nd != n || !(numpy_nums_of(is) >> (num & 31) & 1) || num > 31 || !numpy_native(a->descr->byteorder) ||
      (a->flags & numpy_write_back))
    return false;
  if constexpr (!std::is_const_v<typename V::element_type>)
    if (!(a->flags & numpy_writeable)) return false;
  std::int64_t strides[n ? n : 1];
  std::int64_t rest = 0;
  for (int i = 0; i < n; ++i) {
    if constexpr ((width & (width - 1)) == 0) {
      rest |= a->strides[i] & (width - 1);
      strides[i] = a->strides[i] >> std::countr_zero(static_cast<unsigned>(width));
    } else {
      rest |= a->strides[i] % width;
      strides[i] = a->strides[i] / width;
    }
  }
  if (rest) return false;
  const dl::tensor t{a->data, {1, 0}, n, tenon::detail::to_dl(is), reinterpret_cast<std::int64_t*>(a->shape), strides, 0};
  return tenon::detail::fits_plainly(t, 0, true, v);
}
/// Whether a float tensor could carry torch's negative bit: such a tensor is the imaginary part of a conjugated one, or a piece of that,
/// so that every stride is even.
template <int n>
constexpr bool may_be_negative(const dl::tensor& t) noexcept {
  if (!t.strides) return n == 0;
  for (int i = 0; i < n; ++i)
    if (t.shape[i] > 1 && t.strides[i] % 2 != 0) return false;
  return true;
}
template <class V>
[[nodiscard, gnu::always_inline]] inline bool table_fits_plainly(PyObject* x, const dialect& d, V& v) noexcept {
  using T = typename V::element_type;
  constexpr dtype is = dtype_of<std::remove_const_t<T>>::value;
  if (!d.table->borrow || d.wraps) return false;
  // This struct cannot say read-only: it is believed of torch alone, which has no such tensors.
  if (!std::is_const_v<T> && (!d.requires_grad || answer(x, d.requires_grad, "requires_grad") != 0)) return false;
  dl::tensor t;
  if (into_python([&] { return d.table->borrow(x, &t); }) != 0) return false;
  if (may_be_offset(t.data) && storage_is_null(x, t)) [[unlikely]]
    return false;
  if (!tenon::detail::fits_plainly(t, 0, true, v)) return false;
  if constexpr (is.code == dtype_code::float_ || is.code == dtype_code::bfloat)
    return !d.is_neg || !may_be_negative<V::rank()>(t) || answer(x, d.is_neg, "is_neg") == 0;
  else if constexpr (is.code == dtype_code::complex)
    return (!d.is_conj || answer(x, d.is_conj, "is_conj") == 0) && (!d.is_neg || answer(x, d.is_neg, "is_neg") == 0);
  else return true;
}
}  // namespace detail

/// One argument as a view of type V. The view is good while the argument lives and the caller holds the object, as callers do.
/// A known limit: real float tensors of torch whose negative bit no conjugation has set, `torch._neg_view(x)`, pass unseen where they are
/// dense, as do they that as_strided made of such; asking each costs 70 ns. try_from_object finds them all.
template <class V>
class argument {
  static_assert(is_typed_view<V>, "[python.argument] name the rank: tenon::view<const float, tenon::dims<1>>");
  V view_{};
  tenon::detail::erased_owner held_{};

  [[gnu::cold, gnu::noinline]] errc take_closely(PyObject* x, refusal& why, const object_options& o) noexcept {
    // A fast path that gave up may have left an exception; an interrupt is none of its own.
    if (PyErr_Occurred() && (!PyErr_ExceptionMatches(PyExc_Exception) || PyErr_ExceptionMatches(PyExc_MemoryError)))
      return detail::pass_on(why);
    PyErr_Clear();
    why.raised = false;  // of an earlier call
    why.got[0] = why.expected[0] = 0;
    view_ = V{};
    using T = typename V::element_type;
    constexpr bool writes = !std::is_const_v<T>;
    dialect spare;
    const dialect& d = dialect_of(Py_TYPE(x), spare);
    tensor<> t;
    if (!writes && d.table && !d.wraps && d.requires_grad) {  // reading what autograd watches does no harm
      if (const errc c = try_settled(x, d, why, o.operation, o.argument); c != errc::ok) return c;
      dl::managed_tensor_versioned* raw = nullptr;
      if (detail::into_python([&] { return d.table->from_object(x, &raw); }) != 0) {
        detail::pass_on(why);
        return detail::say_foreign(x, device_type::cpu, why, o);
      }
      handle<> h(raw);
      if (const errc c = try_stored(x, raw, why, o.operation, o.argument); c != errc::ok) return c;
      if (const errc c = try_from_dlpack(h, t, why.why, o.memory); c != errc::ok)
        return detail::say_as(why, o.operation, o.argument);
    } else if (const errc c = try_from_object(x, t, why, o); c != errc::ok) {
      return c;
    }
    if (const errc c = try_view_as(t, view_, why.why); c != errc::ok) {
      why.why.operation = o.operation;
      return detail::say_as(why, o.operation, o.argument);
    }
    storage owner = t.owner();
    held_ = tenon::detail::erase(owner);
    return errc::ok;
  }

 public:
  /// Errors: those of try_from_object and of try_view_as; the argument is then empty.
  [[nodiscard, gnu::always_inline]] errc try_take(PyObject* x, refusal& why, const object_options& o = {}) noexcept {
    if (passes(x)) [[likely]]
      return errc::ok;
    return take_closely(x, why, o);
  }
  /// As try_take, with the exception set where it gives false.
  [[nodiscard, gnu::always_inline]] bool take(PyObject* x, const char* operation, const char* name) noexcept {
    if (passes(x)) [[likely]]
      return true;
    return take_or_raise(x, operation, name);
  }
  const V& view() const& noexcept { return view_; }
  V view() const&& = delete;  // the argument keeps what it views: name it first

 private:
  [[nodiscard, gnu::always_inline]] bool passes(PyObject* x) noexcept {
    PyTypeObject* const type = Py_TYPE(x);
    if (type == __atomic_load_n(&detail::numpy_type, __ATOMIC_RELAXED)) return detail::numpy_fits_plainly(x, view_);
    const dialect* const d = detail::find_dialect(type);
    return d && d->table && detail::table_fits_plainly(x, *d, view_);
  }
  [[gnu::cold, gnu::noinline]] bool take_or_raise(PyObject* x, const char* operation, const char* name) noexcept {
    refusal why;
    if (take_closely(x, why, {.operation = operation, .argument = name}) == errc::ok) return true;
    set_exception(why);
    return false;
  }
};
}  // namespace tenon::python
