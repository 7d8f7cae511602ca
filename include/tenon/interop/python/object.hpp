// SPDX-License-Identifier: Apache-2.0
// References to Python objects, and how they are let go from any thread: at once where this thread runs Python code, else by the
// next one that does: the main thread between two bytecodes (before CPython 3.12: when it next waits for the GIL), or whoever calls a
// door. No deleter waits for the interpreter, so none can block, none can end a thread while Python shuts down, and what is still held
// after its end is left to the system. One interpreter a process. Needs CPython's API and POSIX only.
#pragma once
#include <Python.h>
#include <unistd.h>
#include <exception>
#include <new>
#include <utility>
#include "tenon/core/config.hpp"
namespace tenon::python {
namespace detail {
/// Calls what may run Python's code, f. A thread that comes back from such code while Python shuts down is ended (before CPython 3.14) by
/// an unwinding that the first noexcept turns into the end of the process, and that lets go of references without the right to.
/// It sleeps here for ever instead, as in 3.14.
template <class F>
auto into_python(F f) {
  struct gate {
    bool back = false;
    int thrown =
        std::uncaught_exceptions();  // an exception of C++, which no such code should throw, goes on; that unwinding is none
    ~gate() {
      while (!back && std::uncaught_exceptions() == thrown) pause();
    }
  } here;
  auto result = f();
  here.back = true;
  return result;
}
inline void let_go(PyObject* p) {
  into_python([p] {
    Py_XDECREF(p);
    return 0;
  });
}
}  // namespace detail

/// An owned reference. Only for threads that run Python code (that hold the GIL, where there is one).
class object {
  PyObject* p_ = nullptr;
  explicit object(PyObject* p) noexcept : p_(p) {}

 public:
  object() = default;
  static object steal(PyObject* p) noexcept { return object(p); }
  static object borrow(PyObject* p) noexcept {
    Py_XINCREF(p);
    return object(p);
  }
  object(const object& o) noexcept : p_(o.p_) { Py_XINCREF(p_); }
  object(object&& o) noexcept : p_(std::exchange(o.p_, nullptr)) {}
  object& operator=(object o) noexcept {
    std::swap(p_, o.p_);
    return *this;
  }
  ~object() {
    if (p_) detail::let_go(p_);
  }
  PyObject* get() const noexcept { return p_; }
  [[nodiscard]] PyObject* release() noexcept { return std::exchange(p_, nullptr); }
  explicit operator bool() const noexcept { return p_ != nullptr; }
};

namespace detail {
/// x.name, or null with an exception set where there is no such thing; null of null.
inline object attribute(PyObject* x, const char* name) noexcept {
  return object::steal(x ? into_python([&] { return PyObject_GetAttrString(x, name); }) : nullptr);
}
/// x.name(), likewise.
inline object call_method(PyObject* x, const char* name) noexcept {
  return object::steal(x ? into_python([&] { return PyObject_CallMethod(x, name, nullptr); }) : nullptr);
}
}  // namespace detail

/// The exception that is set, as an object, and none is set any more.
inline object take_exception() noexcept {
#if PY_VERSION_HEX >= 0x030C0000
  return object::steal(PyErr_GetRaisedException());
#else
  PyObject *type = nullptr, *value = nullptr, *trace = nullptr;
  PyErr_Fetch(&type, &value, &trace);
  PyErr_NormalizeException(&type, &value, &trace);
  detail::let_go(type);
  detail::let_go(trace);
  return object::steal(value);
#endif
}

/// Puts an exception that is on its way aside, and back at the end: for what may run Python code meanwhile.
class pending_exception {
#if PY_VERSION_HEX >= 0x030C0000
  PyObject* raised_ = PyErr_GetRaisedException();

 public:
  pending_exception() = default;
  ~pending_exception() { PyErr_SetRaisedException(raised_); }
#else
  PyObject *type_ = nullptr, *value_ = nullptr, *trace_ = nullptr;

 public:
  pending_exception() { PyErr_Fetch(&type_, &value_, &trace_); }
  ~pending_exception() { PyErr_Restore(type_, value_, trace_); }
#endif
  pending_exception(const pending_exception&) = delete;
  pending_exception& operator=(const pending_exception&) = delete;
};

namespace detail {
/// Work that waits for a thread that runs Python code.
struct errand {
  void (*run)(void*) noexcept;
  void* what;
  errand* next;
};
inline errand* errands = nullptr;
inline bool errands_announced = false;

inline int run_errands(void*) noexcept {
  __atomic_store_n(&errands_announced, false, __ATOMIC_SEQ_CST);
  errand* e = __atomic_exchange_n(&errands, nullptr, __ATOMIC_ACQ_REL);
  if (!e) return 0;
  const pending_exception aside;
  while (e) {
    errand* const next = e->next;
    e->run(e->what);
    delete e;
    e = next;
  }
  return 0;
}
/// What the doors do on the way: what no pending call came to.
inline void run_waiting_errands() noexcept {
  if (__atomic_load_n(&errands, __ATOMIC_RELAXED)) [[unlikely]]
    run_errands(nullptr);
}
/// Whether this thread runs Python code now. PyGILState_Check says so of every thread once there was a second interpreter.
inline bool runs_python() noexcept {
#if PY_VERSION_HEX >= 0x030D0000
  return PyThreadState_GetUnchecked() != nullptr;
#elif PY_VERSION_HEX >= 0x030C0000
  return _PyThreadState_UncheckedGet() != nullptr;
#else
  PyThreadState* const running = _PyThreadState_UncheckedGet();  // of whatever thread
  return running && running == PyGILState_GetThisThreadState();
#endif
}
/// Runs `run(what)` in a thread that runs Python code: at once if this is one. After Python's end, and without memory, never.
inline void run_with_python(void (*run)(void*) noexcept, void* what) noexcept {
  if (!Py_IsInitialized()) return;
  if (runs_python()) {
    const pending_exception aside;
    run(what);
    return;
  }
  auto* e = new (std::nothrow) errand{run, what, __atomic_load_n(&errands, __ATOMIC_RELAXED)};
  if (!e) return;
  while (!__atomic_compare_exchange_n(&errands, &e->next, e, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {}
  // The interpreter's list of pending calls is short: one of them serves all errands. Where it is full, a door comes by.
  if (!__atomic_exchange_n(&errands_announced, true, __ATOMIC_SEQ_CST) && Py_AddPendingCall(run_errands, nullptr) != 0)
    __atomic_store_n(&errands_announced, false, __ATOMIC_SEQ_CST);
}
}  // namespace detail

/// Keeps a Python object alive for memory that outlives calls; may be destroyed on any thread, at any time.
class object_keeper {
  PyObject* p_ = nullptr;

 public:
  /// Takes the reference.
  explicit object_keeper(object o) noexcept : p_(o.release()) {}
  object_keeper(object_keeper&& o) noexcept : p_(std::exchange(o.p_, nullptr)) {}
  object_keeper& operator=(object_keeper&&) = delete;
  ~object_keeper() {
    if (p_) detail::run_with_python([](void* p) noexcept { detail::let_go(static_cast<PyObject*>(p)); }, p_);
  }
};
}  // namespace tenon::python
