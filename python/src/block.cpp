// SPDX-License-Identifier: Apache-2.0
// What pytenon.torch stands on: a network's stateless program, called with torch tensors as they are. Parameters come with every
// call, wherever they lie; what a call gives back is fresh memory, which is used again only when nobody holds it. PyTorch's
// headers and libraries are not needed: tensors cross by the C exchange API of DLPack 1.3 (50 ns a tensor).
#include "memory_pool.hpp"
#include "network.hpp"
#include "tenon/graph/stateless.hpp"

namespace pytenon {
namespace {
using tenon::array_ref, tenon::errc, tenon::failure, tenon::storage;

/// Set once, when pytenon.torch is imported.
struct {
  const tenon::python::exchange_api* api = nullptr;
  PyObject* is_neg = nullptr;
  PyObject *tensor = nullptr, *parameter = nullptr;
} host;

bool is_readable(nb::handle t) {
  auto* type = reinterpret_cast<PyObject*>(Py_TYPE(t.ptr()));
  if (type == host.tensor || type == host.parameter) return true;
  return PyObject_IsInstance(t.ptr(), host.tensor) == 1 && has_memory(t);
}

[[noreturn]] void raise_unreadable(nb::handle t, const char* op, const char* name) {
  PyErr_Clear();
  const std::string at = str_of(t.attr("device"));
  if (at != "cpu") raise_said(errc::device, op, name, at, "cpu:0", "This network computes on the host.");
  raise_said(errc::not_dense, op, name, str_of(t.attr("layout")), "a dense tensor");
}
array_ref read(nb::handle t, const char* op, const char* name) {
  if (!is_readable(t)) raise_said(errc::kind, op, name, type_text_of(t), "torch.Tensor with memory of its own");
  tenon::dl::tensor d;
  if (host.api->borrow(t.ptr(), &d) != 0) raise_unreadable(t, op, name);
  const tenon::detail::import_source from{d.data, d.device, d.ndim, d.dtype, d.shape, d.strides, d.byte_offset, 0, true, true};
  array_ref a;
  failure f;
  if (tenon::detail::check_import(from, {}, {}, a, f) != errc::ok) {
    f.operation = op;
    tenon::detail::copy_text(f.argument, sizeof f.argument, name);
    raise(f);
  }
  return a;
}
nb::object to_torch(const storage& s, void* data, tenon::dtype type, const tenon::shape& shape) {
  tenon::handle<tenon::dl::managed_tensor_versioned> h;
  failure f;
  const array_ref a{data, type, {}, shape, tenon::dense_strides(shape), false};
  check(tenon::detail::export_array(a, s, h, f), f);
  void* object = nullptr;
  if (host.api->to_object(h.get(), &object) != 0) throw nb::python_error();
  (void)h.release();
  return nb::steal<nb::object>(static_cast<PyObject*>(object));
}

/// From a forward to its backward.
struct torch_tape {
  storage packed;  // x, where it was strided
  array_ref x;
  std::uint64_t draw = 0;
  tenon::extent batch = 0;
};

struct program {
  tenon::stateless f;
  std::uint64_t seed;
  std::vector<const void*> home, state_home;  // where the network keeps each parameter, each state
  mutable memory_pool pool;

  explicit program(network& n) : f(n.g.bound(), n.options.device), seed(n.g.counters().seed) {
    for (const auto& p : n.g.parameters()) home.push_back(p.value.describe().data);
    for (const auto& s : n.g.states()) state_home.push_back(s.value.describe().data);
  }
  const tenon::detail::plan& plan() const { return f.bound().planned(); }
  tenon::dtype element() const { return f.bound().array_types().storage; }
  tenon::dtype gradient() const { return f.bound().array_types().accumulate; }

  static void expect_count(int got, int expected, const char* op, const char* argument) {
    if (got == expected) return;
    failure why;
    tenon::detail::fail(why, errc::arity, op, {.argument = argument, .got = got, .expected = expected});
    raise(why);
  }
  std::vector<array_ref> parameters(nb::handle values, const char* op) const {
    std::vector<array_ref> all;
    expect_count(static_cast<int>(nb::len(values)), f.parameters(), op, "parameters");
    all.reserve(home.size());
    int i = 0;
    for (nb::handle v : values) {
      all.push_back(read(v, op, f.parameter_name(i)));
      if (all.back().data != home[static_cast<std::size_t>(i)]) refuse_lazy_values(v, op, f.parameter_name(i));
      ++i;
    }
    return all;
  }
  std::vector<array_ref> states(nb::handle values, const char* op) const {
    expect_count(static_cast<int>(nb::len(values)), f.states(), op, "buffers");
    std::vector<array_ref> all;
    int i = 0;
    for (nb::handle v : values) all.push_back(read(v, op, f.state_name(i++)));
    return all;
  }
  /// x as layers can read it: the caller's memory, or dense in `packed`.
  array_ref input(nb::handle t, const char* op, storage& packed) const {
    array_ref a = read(t, op, "x");
    const tenon::slot& want = plan().at(0).s;
    failure why;
    const tenon::dtype type = want.what == tenon::kind::index ? tenon::int64 : element();
    if (tenon::detail::check_array(a, {op, "x", type, tenon::device{}, want, false, false}, why) != errc::ok) {
      if (why.code == errc::rank && a.shape.rank() + 1 == want.rank())
        why.remedy = "The batch is axis 0: one sample is a batch of 1.";
      raise(why);
    }
    if (a.shape[0] > plan().batch_limit) {
      tenon::detail::fail(why, errc::overflow, op,
                          {.argument = "batch", .got = a.shape[0], .expected = plan().batch_limit, .relation = "at most "});
      raise(why);
    }
    const nb::object neg = nb::steal<nb::object>(PyObject_CallMethodNoArgs(t.ptr(), host.is_neg));
    if (neg.ptr() != Py_False) refuse_lazy_values(t, op, "x");
    if (!a.dense()) a = dense(a, packed);
    return a;
  }
  array_ref dense(const array_ref& a, storage& to) const {
    const auto bytes = static_cast<std::size_t>(a.shape.numel() * a.dtype.bytes());
    to = pool.take(bytes);
    tenon::detail::pack(to.data(), a);
    tenon::detail::count(&tenon::traffic::packed, bytes);
    array_ref r = a;
    r.data = to.data();
    r.strides = tenon::dense_strides(a.shape);
    return r;
  }
  /// The bytes between forward, commit and backward: whoever gives them (a hook on saved tensors, a caller of the operators), there
  /// are enough for this batch. What is in them is believed.
  std::byte* saved_memory(nb::handle t, tenon::extent batch, const char* op, bool writes = false) const {
    failure why;
    if (batch < 1)
      check(tenon::detail::fail(why, errc::empty_batch, op, {.argument = "batch", .got = batch, .expected = 1}), why);
    if (batch > plan().batch_limit)
      check(tenon::detail::fail(why, errc::overflow, op,
                                {.argument = "batch", .got = batch, .expected = plan().batch_limit, .relation = "at most "}),
            why);
    const array_ref a = read(t, op, "saved");
    tenon::shape want{static_cast<tenon::extent>(f.saved_bytes(batch))};
    if (a.shape.rank() == 1 && a.shape[0] > want[0]) want = a.shape;  // more does no harm: memory is used again
    check(tenon::detail::check_array(a, {op, "saved", tenon::uint8, tenon::device{}, want, true, writes}, why), why);
    return static_cast<std::byte*>(a.data);
  }
  bool large(tenon::extent batch) const { return f.saved_bytes(batch) >= large_bytes; }
};

/// (y, saved, tape, whether all parameters lie in the network's memory). `saved` is a torch tensor of bytes, so that torch lets go of
/// it after backward, though the graph may live on: the next forward then works in the same memory, which the caches have.
/// `draw` gives a random number, once nothing can be refused any more.
nb::object forward(const program& p, nb::handle x, nb::handle values, nb::handle states, nb::handle draw, bool training,
                   bool keep) {
  constexpr const char* op = "forward";
  auto tape = std::make_unique<torch_tape>();
  tape->x = p.input(x, op, tape->packed);
  tape->batch = tape->x.shape[0];
  const auto parameters = p.parameters(values, op), buffers = p.states(states, op);
  bool linked = true;
  for (std::size_t i = 0; i < parameters.size(); ++i) linked &= parameters[i].data == p.home[i];
  for (std::size_t i = 0; i < buffers.size(); ++i) linked &= buffers[i].data == p.state_home[i];
  const tenon::shape shape = p.f.output(0, tape->batch);
  const storage y = p.pool.take(static_cast<std::size_t>(shape.numel() * p.element().bytes()));
  storage saved;
  if (training) saved = p.pool.take(p.f.saved_bytes(tape->batch));
  const array_ref out{y.data(), p.element(), {}, shape, tenon::dense_strides(shape), false};
  tenon::stateless_call call{parameters.data(), buffers.data(), &tape->x, &out, saved.data(), p.seed};
  failure why;
  if (!draw.is_none()) {
    check(p.f.try_check(call, why), why);
    call.draw = tape->draw = nb::cast<std::uint64_t>(draw());
  }
  errc c = errc::ok;
  {
    while_working w(p.large(tape->batch));
    c = p.f.try_forward(call, why);
    if (c == errc::ok && training && p.f.has_state()) c = p.f.try_commit(tape->batch, buffers.data(), saved.data(), why);
  }
  check(c, why);
  nb::object result = to_torch(y, y.data(), p.element(), shape);
  nb::object bytes = nb::none();
  if (keep && saved) bytes = to_torch(saved, saved.data(), tenon::uint8, {static_cast<tenon::extent>(saved.bytes())});
  return nb::make_tuple(std::move(result), std::move(bytes), keep ? nb::cast(std::move(tape)) : nb::none(), linked);
}

/// [dx, *dparameters]; None where `needs`, from `first` on, says that nobody wants it.
nb::object backward(const program& p, const torch_tape& tape, nb::handle dy, nb::handle x, nb::handle y, nb::handle saved,
                    nb::handle values, nb::tuple needs, std::size_t first) {
  constexpr const char* op = "backward";
  array_ref in = tape.x;
  failure why;
  if (!tape.packed) {
    in = read(x, op, "x");
    check(tenon::detail::check_array(in, {op, "x", tape.x.dtype, tenon::device{}, tape.x.shape, true, false}, why), why);
  }
  array_ref g = read(dy, op, "dy");
  storage packed;
  if (!g.dense() && g.dtype == p.element()) g = p.dense(g, packed);
  const auto parameters = p.parameters(values, op);
  const array_ref out = p.f.reads_output(0) ? read(y, op, "y") : array_ref{};
  std::byte* const memory = p.saved_memory(saved, tape.batch, op);
  program::expect_count(static_cast<int>(nb::len(needs)), static_cast<int>(first + 1) + p.f.parameters(), op, "needs");
  auto wanted = [&](std::size_t i) { return PyTuple_GET_ITEM(needs.ptr(), static_cast<Py_ssize_t>(first + i)) == Py_True; };
  std::vector<array_ref> dp(parameters.size());
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < dp.size(); ++i)
    if (wanted(i + 1)) bytes += tenon::detail::bytes_of(parameters[i].shape, static_cast<std::size_t>(p.gradient().bytes()));
  const storage gradients = p.pool.take(bytes);
  std::byte* at = gradients.data();
  for (std::size_t i = 0; i < dp.size(); ++i) {
    if (!wanted(i + 1)) continue;
    const tenon::shape& s = parameters[i].shape;
    dp[i] = {at, p.gradient(), {}, s, tenon::dense_strides(s), false};
    at += tenon::detail::bytes_of(s, static_cast<std::size_t>(p.gradient().bytes()));
  }
  array_ref dx;
  storage dx_memory;
  if (wanted(0) && p.plan().at(0).s.what == tenon::kind::scalar) {
    dx_memory = p.pool.take(static_cast<std::size_t>(in.shape.numel() * p.element().bytes()));
    dx = {dx_memory.data(), p.element(), {}, in.shape, tenon::dense_strides(in.shape), false};
  }
  const tenon::stateless_call call{parameters.data(), nullptr, &in, &out, memory, p.seed, tape.draw};
  errc c = errc::ok;
  {
    while_working w(p.large(tape.batch));
    c = p.f.try_backward(call, &g, dp.data(), &dx, why);
  }
  check(c, why);
  nb::object list = nb::steal<nb::object>(PyList_New(static_cast<Py_ssize_t>(dp.size() + 1)));
  if (!list.is_valid()) throw nb::python_error();
  PyList_SET_ITEM(list.ptr(), 0, (dx.data ? to_torch(dx_memory, dx.data, p.element(), dx.shape) : nb::none()).release().ptr());
  for (std::size_t i = 0; i < dp.size(); ++i)
    PyList_SET_ITEM(list.ptr(), static_cast<Py_ssize_t>(i + 1),
                    (dp[i].data ? to_torch(gradients, dp[i].data, p.gradient(), dp[i].shape) : nb::none()).release().ptr());
  return list;
}

// -- the same into memory that the caller gives: what the registered operators call --
array_ref output(nb::handle t, const char* op, const char* name) { return t.is_none() ? array_ref{} : read(t, op, name); }
void forward_into(const program& p, nb::handle x, nb::handle values, nb::handle states, std::uint64_t draw, nb::handle y,
                  nb::handle saved) {
  constexpr const char* op = "forward";
  storage packed;
  const array_ref in = p.input(x, op, packed), out = read(y, op, "y");
  std::byte* const memory = saved.is_none() ? nullptr : p.saved_memory(saved, in.shape[0], op, true);
  const auto parameters = p.parameters(values, op), buffers = p.states(states, op);
  const tenon::stateless_call call{parameters.data(), buffers.data(), &in, &out, memory, p.seed, draw};
  failure why;
  errc c = errc::ok;
  {
    while_working w(p.large(in.shape[0]));
    c = p.f.try_forward(call, why);
  }
  check(c, why);
}
void commit_into(const program& p, tenon::extent batch, nb::handle states, nb::handle saved) {
  const auto buffers = p.states(states, "commit");
  failure why;
  check(p.f.try_commit(batch, buffers.data(), p.saved_memory(saved, batch, "commit"), why), why);
}
void backward_into(const program& p, nb::handle dy, nb::handle x, nb::handle y, nb::handle saved, nb::handle values,
                   std::uint64_t draw, nb::handle dx, nb::list gradients) {
  constexpr const char* op = "backward";
  storage packed, packed_dy;
  const array_ref in = p.input(x, op, packed), out = read(y, op, "y");
  std::byte* const memory = p.saved_memory(saved, in.shape[0], op);
  array_ref g = read(dy, op, "dy");
  if (!g.dense() && g.dtype == p.element()) g = p.dense(g, packed_dy);
  const auto parameters = p.parameters(values, op);
  const array_ref d = output(dx, op, "dx");
  program::expect_count(static_cast<int>(nb::len(gradients)), p.f.parameters(), op, "gradients");
  std::vector<array_ref> dp;
  for (nb::handle t : gradients) dp.push_back(output(t, op, p.f.parameter_name(static_cast<int>(dp.size()))));
  const tenon::stateless_call call{parameters.data(), nullptr, &in, &out, memory, p.seed, draw};
  failure why;
  errc c = errc::ok;
  {
    while_working w(p.large(in.shape[0]));
    c = p.f.try_backward(call, &g, dp.data(), &d, why);
  }
  check(c, why);
}

/// The same address under other strides is not the same tensor.
bool is_at(nb::handle v, const void* home, const tenon::shape& s) {
  tenon::dl::tensor d;
  if (!is_readable(v) || host.api->borrow(v.ptr(), &d) != 0) {
    PyErr_Clear();
    return false;
  }
  if (static_cast<const std::byte*>(d.data) + d.byte_offset != home || d.ndim != s.rank()) return false;
  std::int64_t dense = 1;
  for (int k = d.ndim; k-- > 0; dense *= d.shape[k])
    if (d.shape[k] != s[k] || (d.shape[k] > 1 && d.strides && d.strides[k] != dense)) return false;
  return true;
}
bool linked(const program& p, nb::handle values, nb::handle states) {
  int i = 0, k = 0;
  for (nb::handle v : values) {
    if (i >= p.f.parameters() || !is_at(v, p.home[static_cast<std::size_t>(i)], p.f.parameter_shape(i))) return false;
    ++i;
  }
  for (nb::handle v : states) {
    if (k >= p.f.states() || !is_at(v, p.state_home[static_cast<std::size_t>(k)], p.f.state_shape(k))) return false;
    ++k;
  }
  return i == p.f.parameters() && k == p.f.states();
}
nb::tuple names(const program& p, bool states) {
  nb::list l;
  for (int i = 0; i < (states ? p.f.states() : p.f.parameters()); ++i)
    l.append(states ? p.f.state_name(i) : p.f.parameter_name(i));
  return nb::tuple(l);
}
}  // namespace

void bind_block(nb::module_& m) {
  m.def("_use_torch", [](nb::handle tensor_type, nb::handle parameter_type) {
    host.tensor = nb::handle(tensor_type).inc_ref().ptr();
    host.parameter = nb::handle(parameter_type).inc_ref().ptr();
    host.api = tenon::python::exchange_api_of(reinterpret_cast<PyTypeObject*>(tensor_type.ptr()));
    if (!host.api || !host.api->borrow)
      raise_said(errc::version, "pytenon.torch", "torch",
                 nb::cast<std::string>(nb::module_::import_("torch").attr("__version__")),
                 "2.10 or newer, which has DLPack's C exchange API");
    host.is_neg = PyUnicode_InternFromString("is_neg");
  });
  nb::class_<torch_tape>(m, "_TorchTape");
  nb::class_<program>(m, "_Program", nb::is_weak_referenceable())
      .def(
          "__init__",
          [](program* p, network& n) {
            if (n.in.size() != 1 || n.g.bound().outputs() != 1) {
              failure f;
              const bool in = n.in.size() != 1;
              tenon::detail::fail(f, errc::arity, "Block",
                                  {.argument = in ? "inputs of the network" : "outputs of the network",
                                   .got = in ? static_cast<tenon::extent>(n.in.size()) : n.g.bound().outputs(),
                                   .expected = 1});
              raise(f);
            }
            new (p) program(n);
          },
          nb::arg("network"), nb::keep_alive<1, 2>())
      .def("forward", forward, nb::arg("x"), nb::arg("values"), nb::arg("states"), nb::arg("draw").none(), nb::arg("training"),
           nb::arg("keep"))
      .def("backward", backward, nb::arg("tape"), nb::arg("dy"), nb::arg("x"), nb::arg("y").none(), nb::arg("saved"),
           nb::arg("values"), nb::arg("needs"), nb::arg("first"))
      .def("forward_into", forward_into, nb::arg("x"), nb::arg("values"), nb::arg("states"), nb::arg("draw"), nb::arg("y"),
           nb::arg("saved").none())
      .def("commit_into", commit_into)
      .def("backward_into", backward_into, nb::arg("dy"), nb::arg("x"), nb::arg("y"), nb::arg("saved"), nb::arg("values"),
           nb::arg("draw"), nb::arg("dx").none(), nb::arg("gradients"))
      .def("linked", linked)
      .def_prop_ro("parameters", [](const program& p) { return names(p, false); })
      .def_prop_ro("states", [](const program& p) { return names(p, true); })
      .def_prop_ro("dtype", [](const program& p) { return tenon::name(p.element()); })
      .def_prop_ro("parameter_dtype", [](const program& p) { return tenon::name(p.f.bound().array_types().master); })
      .def_prop_ro("reads_output", [](const program& p) { return p.f.reads_output(0); })
      .def_prop_ro(
          "sample",
          [](const program& p) {
            const tenon::shape s = p.f.output(0, 1);
            nb::list l;
            for (int i = 1; i < s.rank(); ++i) l.append(s[i]);
            return nb::tuple(l);
          },
          "Shape of one output sample.")
      .def_prop_ro(
          "saved",
          [](const program& p) {
            const auto b = p.plan().saved;
            return nb::make_tuple(b.constant + tenon::alignment, b.unit);
          },
          "Bytes from forward to backward: (constant, per sample).");
}
}  // namespace pytenon
