// SPDX-License-Identifier: Apache-2.0
// The Python door in: any object that has memory, as a tensor that keeps it alive. By the C exchange API, NumPy's fields, the buffer
// protocol, or __dlpack__, in that order; never a copy unless the caller allows one. Every field is checked before it is used; on an
// error nothing has changed and the object is still its owner's. Needs CPython's API only; for threads that run Python code.
#pragma once
#include <Python.h>
#include <cstdint>
#include <utility>
#include "tenon/interop/python/buffer.hpp"
#include "tenon/interop/python/capsule.hpp"
#include "tenon/interop/python/dialect.hpp"
#include "tenon/interop/python/stream.hpp"
#include "tenon/tensor/import.hpp"
namespace tenon::python {
struct object_options {
  const char* operation = "from_dlpack";  // what an error says
  const char* argument = "x";
  import_options memory{};
  bool forbid_copy = false;  // the producer, too, must not copy: __dlpack__(copy=False)
  stream_ref stream{};  // on which the consumer of device memory will work; not given: the device's default one
  const char* watched_remedy = "Pass x.detach().";  // said of a tensor that requires a gradient
};

namespace detail {
inline constexpr const char* dlpack_speakers = "an object with __dlpack__ or a buffer (NumPy, PyTorch, JAX …)";

/// Imports what a NumPy array or a buffer says of itself; `keeper` keeps it.
template <class T, class Keeper>
errc share(const tenon::detail::import_source& from, Keeper&& keeper, tensor<T, cpu>& to, refusal& why,
           const object_options& o) noexcept {
  tenon::detail::import_request want = tenon::detail::request_of_element<T>();
  want.operation = o.operation;
  array_ref a;
  storage s;
  if (const errc c = tenon::detail::admit(from, want, o.memory, a, s, why.why); c != errc::ok) return c;
  const auto bytes = static_cast<std::size_t>(a.shape.numel() * a.dtype.bytes());
  if (!s)
    if (const errc c = storage::try_adopt(std::move(keeper), a.data, bytes, s, why.why); c != errc::ok) return c;
  if constexpr (std::is_void_v<T>) to = tensor<void>(std::move(s), a);
  else to = tensor<T>(std::move(s), strided_view<T>(static_cast<T*>(a.data), a.shape, a.strides), a.read_only);
  return errc::ok;
}

/// Where the object says that it is. Errors: device, foreign.
inline errc expect_device(PyObject* x, device_type wanted, refusal& why, const object_options& o) noexcept {
  const object where = call_method(x, "__dlpack_device__");
  int type = 0, id = 0;
  if (!where || !PyArg_ParseTuple(where.get(), "ii", &type, &id)) return pass_on(why);
  if (type == static_cast<int>(wanted)) return errc::ok;
  return tenon::detail::fail(why.why, errc::device, o.operation,
                             {.argument = o.argument,
                              .got = device{static_cast<device_type>(type), id}.packed(),
                              .expected = device{wanted, 0}.packed()});
}

/// A producer's exception becomes ours, with its words. What is no Exception (Ctrl-C), and a lack of memory, goes on as it is.
[[gnu::cold]] inline errc say_foreign(PyObject* x, device_type wanted, refusal& why, const object_options& o) noexcept {
  if (!PyErr_Occurred() || !PyErr_ExceptionMatches(PyExc_Exception) || PyErr_ExceptionMatches(PyExc_MemoryError))
    return pass_on(why);
  char said[160], place[64], kind[96];
  const object raised = take_exception();
  why.raised = false;
  why.got[0] = 0;
  text_of(raised.get(), said, sizeof said);
  if (const errc c = expect_device(x, wanted, why, o); c == errc::device) return c;
  if (PyErr_Occurred()) {  // DLPack has no number for its device (torch's meta)
    PyErr_Clear();
    const object where = attribute(x, "device");
    if (!where) PyErr_Clear();
    text_of(where.get(), place, sizeof place);
    tenon::detail::text_buffer home;
    tenon::detail::operator<<(home, device{wanted, 0});
    const std::string_view at = place, there = home.c_str();
    if (where && at != there && at != there.substr(0, there.find(':'))) {  // torch's vmap is at home, and has no memory
      return refuse(why, errc::device, o.operation, o.argument, place, home.c_str());
    }
  }
  type_text_of(x, kind, sizeof kind);
  tenon::detail::text_buffer text;
  text << kind << " that says: " << said;
  return refuse(why, errc::foreign, o.operation, o.argument, text.c_str(), "memory that its owner shares");
}

/// x.__dlpack__(…) as a new reference; null with an exception set. What the caller asked for is never dropped on the second try.
inline PyObject* ask_for_capsule(PyObject* x, dialect& d, stream_ref stream, const object_options& o) noexcept {
  const object method = attribute(x, "__dlpack__");
  const object none = object::steal(PyTuple_New(0));
  if (!method || !none) return nullptr;
  for (const bool versions : {__atomic_load_n(&d.versions, __ATOMIC_RELAXED), false}) {
    const object more = object::steal(PyDict_New());
    if (!more) return nullptr;
    auto add = [&](const char* name, object value) { return value && PyDict_SetItemString(more.get(), name, value.get()) == 0; };
    if (versions && !add("max_version", object::steal(Py_BuildValue("(II)", dl::spoken.major, dl::spoken.minor)))) return nullptr;
    if (o.forbid_copy && !add("copy", object::borrow(Py_False))) return nullptr;
    if (stream.given() && !add("stream", object::steal(PyLong_FromLongLong(stream.number())))) return nullptr;
    PyObject* const capsule = into_python([&] { return PyObject_Call(method.get(), none.get(), more.get()); });
    if (capsule) {
      __atomic_store_n(&d.versions, versions, __ATOMIC_RELAXED);  // other threads may ask, too
      return capsule;
    }
    if (!versions || !PyErr_ExceptionMatches(PyExc_TypeError)) return nullptr;  // before 1.0 there is no such keyword
    PyErr_Clear();
  }
  return nullptr;
}

/// By NumPy's fields, or by the buffer protocol; `settled` is false where __dlpack__ may know more.
template <class T>
errc take_by_fields(PyObject* x, const dialect& d, tensor<T, cpu>& to, refusal& why, const object_options& o,
                    bool& settled) noexcept {
  std::int64_t strides[max_rank];
  tenon::detail::import_source from{};
  errc c = errc::ok;
  if (d.numpy) {
    c = read_numpy(x, from, strides, why, o.operation, o.argument);
    if (c == errc::ok) c = share(from, object_keeper(object::borrow(x)), to, why, o);
  } else {
    buffer_keeper b;
    if (!b.fill(x)) {
      settled = !d.speaks;
      if (settled) return say_foreign(x, device_type::cpu, why, o);
      PyErr_Clear();
      return errc::foreign;
    }
    c = read_buffer(*b, x, from, strides, why, o.operation, o.argument);
    settled = c == errc::ok || !d.speaks;
    if (c == errc::ok) c = share(from, std::move(b), to, why, o);
  }
  return c == errc::ok ? c : say_as(why, o.operation, o.argument);
}
template <class T, class Device>
errc take_by_table(PyObject* x, const dialect& d, tensor<T, Device>& to, refusal& why, const object_options& o) noexcept {
  if (d.wraps) {
    char said[128];
    type_text_of(x, said, sizeof said);
    return refuse(why, errc::null_data, o.operation, o.argument, said, "a tensor that has memory");
  }
  if (const errc c = try_unwatched(x, d, why, o.operation, o.argument, o.watched_remedy); c != errc::ok) return c;
  if (const errc c = try_settled(x, d, why, o.operation, o.argument); c != errc::ok) return c;
  dl::managed_tensor_versioned* raw = nullptr;
  if (into_python([&] { return d.table->from_object(x, &raw); }) != 0) return pass_on(why);
  handle<> h(raw);
  if (const errc c = try_stored(x, raw, why, o.operation, o.argument); c != errc::ok) return c;
  if (const errc c = try_from_dlpack(h, to, why.why, o.memory); c != errc::ok) return say_as(why, o.operation, o.argument);
  return errc::ok;
}
template <class T, class Device>
errc take_by_method(PyObject* x, dialect& d, tensor<T, Device>& to, refusal& why, const object_options& o) noexcept {
  if (const errc c = expect_device(x, device_traits<Device>::type, why, o); c != errc::ok) return c;
  stream_ref stream = o.stream;  // producers disagree on what none means: it is always said
  if (!stream.given() && device_traits<Device>::type == device_type::cuda) stream = stream_ref::cuda_legacy();
  if (!stream.given() && device_traits<Device>::type == device_type::rocm) stream = stream_ref::rocm_default();
  const object capsule = object::steal(ask_for_capsule(x, d, stream, o));
  if (!capsule && o.forbid_copy && (PyErr_ExceptionMatches(PyExc_TypeError) || PyErr_ExceptionMatches(PyExc_BufferError))) {
    PyErr_Clear();
    return refuse(why, errc::copy, o.operation, o.argument, "an owner that cannot do without, or does not say",
                  "memory to share, as copy=False asks", "Leave copy out.");
  }
  if (!capsule) return pass_on(why);
  import_report done;
  import_options memory = o.memory;
  if (!memory.report) memory.report = &done;
  tensor<T, Device> t;
  if (const errc c = try_from_capsule(capsule.get(), t, why, memory, o.operation, o.argument); c != errc::ok) return c;
  if (o.forbid_copy && memory.report->producer_copied)
    return refuse(why, errc::copy, o.operation, o.argument, "memory that its owner copied", "memory to share, as copy=False asks",
                  "Leave copy out.");
  to = std::move(t);
  return errc::ok;
}
}  // namespace detail

/// Any object that has memory, shared: torch, NumPy, JAX, a capsule, a memoryview. Errors: kind (x has no memory that it could share),
/// value (x requires a gradient, or its values wait for a sign), foreign (its owner refuses), dtype, and those of try_from_dlpack; `to`
/// is then untouched. Where `why.raised`, a Python exception is set.
template <class T, class Device>
[[nodiscard]] errc try_from_object(PyObject* x, tensor<T, Device>& to, refusal& why, const object_options& o = {}) noexcept {
  detail::run_waiting_errands();
  why.raised = false;  // of an earlier call
  why.got[0] = why.expected[0] = 0;
  if (const errc c = try_stream(device_traits<Device>::type, o.stream, why, o.operation); c != errc::ok) return c;
  if (PyCapsule_CheckExact(x)) return try_from_capsule(x, to, why, o.memory, o.operation, o.argument);
  dialect spare;
  dialect& d = dialect_of(Py_TYPE(x), spare);
  // A table waits for no stream. Who names the stream gets the producer's own way of waiting.
  if (d.table && (!o.stream.given() || o.stream.number() == -1 || !d.speaks)) {
    const errc c = detail::take_by_table(x, d, to, why, o);
    if (!why.raised) return c;
    if (!PyErr_ExceptionMatches(PyExc_BufferError) || !d.speaks)
      return detail::say_foreign(x, device_traits<Device>::type, why, o);
    PyErr_Clear();  // what its fast path refuses, such as a negative stride, its owner may share in another way
    why = refusal{};
  }
  if constexpr (device_traits<Device>::host_accessible)
    if (d.numpy || (d.buffer && !(o.forbid_copy && d.speaks))) {
      bool settled = true;
      const errc c = detail::take_by_fields(x, d, to, why, o, settled);
      if (settled) return c;
      why = refusal{};  // what a buffer cannot say, such as bfloat16, a capsule can
    }
  if (d.speaks) {
    const errc c = detail::take_by_method(x, d, to, why, o);
    return why.raised ? detail::say_foreign(x, device_traits<Device>::type, why, o) : c;
  }
  char said[128];
  detail::type_text_of(x, said, sizeof said);
  return detail::refuse(why, errc::kind, o.operation, o.argument, said, detail::dlpack_speakers);
}
}  // namespace tenon::python
