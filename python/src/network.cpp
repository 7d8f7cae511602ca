// SPDX-License-Identifier: Apache-2.0
// pytenon.Network: a graph with explicit forward, backward and update.
#include "network.hpp"

#include <cstring>

#include "tenon/graph/summary.hpp"

namespace pytenon {
namespace {
using tenon::tensor;

struct parameter_view {
  std::string name;
  tensor<> value, grad;
};

tenon::layer_list list_of(const std::vector<layer>& layers, const std::vector<input_spec>& in) {
  if (in.empty() || in.size() > static_cast<std::size_t>(tenon::max_inputs)) {
    tenon::failure f;
    tenon::detail::fail(
        f, tenon::errc::arity, "Network",
        {.argument = "input", .got = static_cast<tenon::extent>(in.size()), .expected = tenon::max_inputs, .relation = "1 to "});
    raise(f);
  }
  auto spec = [](const input_spec& i) {
    if (i.sample.size() >= static_cast<std::size_t>(tenon::max_rank)) {
      tenon::failure f;
      tenon::detail::fail(f, tenon::errc::rank, "Network",
                          {.argument = "input",
                           .got = static_cast<tenon::extent>(i.sample.size()),
                           .expected = tenon::max_rank - 1,
                           .relation = "at most "});
      raise(f);
    }
    tenon::shape s{tenon::dyn};
    for (const tenon::extent e : i.sample) s = s.append(e);
    return tenon::input{.shape = s, .kind = i.indices ? tenon::kind::index : tenon::kind::scalar};
  };
  tenon::layer_list list{spec(in[0])};
  for (std::size_t i = 1; i < in.size(); ++i) list.in.add(spec(in[i]));
  for (const layer& l : layers) add_to(list, l);
  return list;
}
tenon::dtype dtype_named(nb::handle d) {
  std::string s = nb::cast<std::string>(nb::hasattr(d, "__name__") ? d.attr("__name__") : nb::str(d));
  s = s.substr(s.rfind('.') + 1);  // torch.float32
  if (s == "float32") return tenon::float32;
  if (s == "float64") return tenon::float64;
  if (s == "bfloat16") return tenon::bfloat16_dtype;
  raise_said(tenon::errc::dtype, "Network", "dtype", s, "float32, float64 or bfloat16");
}
std::vector<input_spec> inputs_of(nb::handle x) {
  auto one = [](nb::handle h) {
    if (nb::isinstance<input_spec>(h)) return nb::cast<input_spec>(h);
    input_spec s;
    if (!nb::try_cast(h, s.sample))
      raise_said(tenon::errc::kind, "Network", "input", type_text_of(h), "one sample's shape, such as (1, 28, 28)");
    return s;
  };
  std::vector<input_spec> all;
  if (PyList_Check(x.ptr()) && nb::len(x) > 0 && !PyLong_Check(nb::object(x[0]).ptr()))
    for (nb::handle h : nb::borrow<nb::list>(x)) all.push_back(one(h));
  else all.push_back(one(x));
  return all;
}
std::vector<tenon::input_arg> arguments(const nb::args& given, const char* op, const char* name) {
  std::vector<tenon::input_arg> r;
  const std::size_t n = given.size();
  for (std::size_t i = 0; i < n; ++i) {
    const std::string which = n > 1 ? std::string(name) + "[" + std::to_string(i) + "]" : name;
    r.emplace_back(take(given[i], op, which.c_str()));
  }
  return r;
}
nb::object results(std::vector<tensor<>>&& y) {
  if (y.size() == 1) return nb::cast(std::move(y[0]));
  nb::list l;
  for (auto& t : y) l.append(nb::cast(std::move(t)));
  return nb::tuple(l);
}
bool large(const network& n, const std::vector<tenon::input_arg>& x) {
  const tenon::extent batch = !x.empty() && x[0].array.shape.rank() > 0 ? x[0].array.shape[0] : 0;
  return batch > 0 && batch <= n.g.bound().planned().batch_limit && n.g.bound().saved_bytes(batch) >= large_bytes;
}
nb::list views(const network& n, bool states) {
  nb::list l;
  if (states) {
    for (auto& s : n.g.states()) l.append(nb::cast(parameter_view{s.name, s.value, {}}));
  } else {
    for (auto& p : n.g.parameters()) l.append(nb::cast(parameter_view{p.name, p.value, p.grad}));
  }
  return l;
}

// -- pickle: the architecture, and every array as bytes --
nb::bytes bytes_of(const tensor<>& t) {
  const tenon::array_ref& a = t.describe();
  return nb::bytes(a.data, static_cast<std::size_t>(a.shape.numel() * a.dtype.bytes()));
}
void fill(const tensor<>& t, nb::handle bytes) {
  const tenon::array_ref& a = t.describe();
  const auto b = nb::cast<nb::bytes>(bytes);
  const auto n = static_cast<std::size_t>(a.shape.numel() * a.dtype.bytes());
  if (b.size() != n) {
    tenon::failure f;
    tenon::detail::fail(
        f, tenon::errc::truncated, "Network.__setstate__",
        {.argument = "array", .got = static_cast<tenon::extent>(b.size()), .expected = static_cast<tenon::extent>(n)});
    raise(f);
  }
  std::memcpy(a.data, b.c_str(), n);
}
nb::tuple state_of(const network& n) {
  nb::list layers, in, arrays;
  for (const layer& l : n.layers) layers.append(nb::cast(l));
  for (const input_spec& i : n.in) in.append(nb::cast(i));
  for (auto& p : n.g.parameters()) arrays.append(bytes_of(p.value));
  for (auto& s : n.g.states()) arrays.append(bytes_of(s.value));
  for (auto& s : n.g.slots()) arrays.append(bytes_of(s.value));
  const tenon::counters c = n.g.counters();
  const std::string rule(n.g.rule());
  return nb::make_tuple(layers, in, tenon::name(n.g.dtype()), n.options.device.threads,
                        nb::make_tuple(c.seed, c.forwards, c.steps), nb::make_tuple(n.g.slot_count(), rule), arrays);
}
void make_from_state(network& self, nb::tuple s) {
  const nb::tuple c = nb::cast<nb::tuple>(s[4]), slots = nb::cast<nb::tuple>(s[5]);
  auto* n = new (&self)
      network(nb::cast<std::vector<layer>>(s[0]), nb::cast<std::vector<input_spec>>(s[1]),
              {.seed = nb::cast<std::uint64_t>(c[0]), .dtype = dtype_named(s[2]), .device = {.threads = nb::cast<int>(s[3])}});
  if (const int count = nb::cast<int>(slots[0]); count > 0) n->g.ensure_slots(count, nb::cast<std::string>(slots[1]));
  std::size_t i = 0;
  const nb::list arrays = nb::cast<nb::list>(s[6]);
  for (auto& p : n->g.parameters()) fill(p.value, arrays[i++]);
  for (auto& p : n->g.states()) fill(p.value, arrays[i++]);
  for (auto& p : n->g.slots()) fill(p.value, arrays[i++]);
  n->g.restore_counters({nb::cast<std::uint64_t>(c[0]), nb::cast<std::uint64_t>(c[1]), nb::cast<std::uint64_t>(c[2])});
}
}  // namespace

network::network(std::vector<layer> l, std::vector<input_spec> i, const tenon::graph_options& o)
    : layers(std::move(l)), in(std::move(i)), options(o), list(list_of(layers, in)), g(list, o) {}
bool network::draws() const {
  for (const layer& l : layers)
    if (l.type == "dropout") return true;
  return false;
}
bool network::has_modes() const {
  for (const layer& l : layers)
    if (l.type == "batch_norm") return true;
  return draws();
}

void bind_network(nb::module_& m) {
  nb::class_<input_spec>(m, "Input",
                         "One input of a network of several, or of indices: `Input((), kind=\"index\")` for an embedding.")
      .def(
          "__init__",
          [](input_spec* self, std::vector<tenon::extent> sample, const std::string& kind) {
            if (kind != "scalar" && kind != "index")
              raise_said(tenon::errc::value, "Input", "kind", kind, "\"scalar\" or \"index\"");
            new (self) input_spec{std::move(sample), kind == "index"};
          },
          nb::arg("sample"), nb::arg("kind") = "scalar",
          nb::sig("def __init__(self, sample: tuple[int, ...], kind: str = 'scalar') -> None"))
      .def_prop_ro(
          "sample", [](const input_spec& s) { return nb::tuple(nb::cast(s.sample)); },
          nb::sig("def sample(self) -> tuple[int, ...]"), "The shape of one sample, without the batch.")
      .def_prop_ro("kind", [](const input_spec& s) { return s.indices ? "index" : "scalar"; })
      .def("__repr__", [](nb::handle s) { return nb::str("Input({}, kind={!r})").format(s.attr("sample"), s.attr("kind")); })
      .def(
          "__getstate__", [](const input_spec& s) { return nb::make_tuple(s.sample, s.indices); },
          nb::sig("def __getstate__(self) -> tuple"))
      .def(
          "__setstate__",
          [](input_spec& s, nb::tuple t) {
            new (&s) input_spec{nb::cast<std::vector<tenon::extent>>(t[0]), nb::cast<bool>(t[1])};
          },
          nb::sig("def __setstate__(self, state: tuple, /) -> None"));
  nb::class_<parameter_view>(m, "Parameter",
                             "A parameter or running statistic by name; `value` and `grad` are the memory the network works on.")
      .def_ro("name", &parameter_view::name, "`<position>.weight`, or `<name>.weight` of a layer with a name.")
      .def_ro("value", &parameter_view::value, "Live, writable.")
      .def_prop_ro(
          "grad", [](const parameter_view& p) { return p.grad.describe().data ? nb::cast(p.grad) : nb::none(); },
          nb::sig("def grad(self) -> Tensor | None"), "Live; None for a running statistic.")
      .def("__repr__", [](nb::handle p) { return nb::str("Parameter({!r}, {!r})").format(p.attr("name"), p.attr("value")); });
  nb::class_<tenon::tape>(
      m, "Tape",
      "One forward in flight: give each its own to have several, `net.forward(x, tape=t)`, `net.backward(dy, tape=t)`.")
      .def(nb::init<>())
      .def_prop_ro("batch", [](const tenon::tape& t) { return t.batch(); }, "Batch of the forward that it holds; 0 for none.");

  nb::class_<network> type(
      m, "Network",
      "Layers in order, with memory of their own, and three explicit passes:\n\n"
      "    net = pytenon.Network([layers.linear(120), layers.relu(), layers.linear(10)], input=(784,), seed=1)\n"
      "    loss, rule = pytenon.cross_entropy(), pytenon.adamw(lr=1e-3)\n"
      "    for x, target in batches:            # anything that speaks DLPack: NumPy, PyTorch, JAX …\n"
      "        y = net.forward(x)               # borrows x until backward; no copy\n"
      "        l, dy = loss(y, target)\n"
      "        net.backward(dy)                 # parameter gradients add up\n"
      "        net.update(rule)                 # the only call that changes parameters\n\n"
      "`input` is the shape of one sample; the batch stands in front and is free. Sizes are inferred. `dtype` is float32,\n"
      "float64 or bfloat16. To train inside PyTorch put it into a `pytenon.torch.Block`.\n"
      "Errors: whatever a layer finds wrong with its input (layer, axis, got, expected).");
  type.def(
          "__init__",
          [](network* self, std::vector<layer> layers, nb::object input, nb::object dtype, std::uint64_t seed, int threads) {
            new (self) network(std::move(layers), inputs_of(input),
                               {.seed = seed, .dtype = dtype_named(dtype), .device = {.threads = threads}});
          },
          nb::arg("layers"), nb::arg("input"), nb::kw_only(), nb::arg("dtype") = "float32", nb::arg("seed") = 0,
          nb::arg("threads") = 1,
          nb::sig("def __init__(self, layers: collections.abc.Sequence[Layer], input: tuple[int, ...] | list[tuple[int, ...] | "
                  "Input] | Input, "
                  "*, dtype: object = 'float32', seed: int = 0, threads: int = 1) -> None"))
      .def(
          "__call__",
          [](network& n, nb::args x) {
            auto in = arguments(x, "inference", "x");
            std::vector<tensor<>> y;
            {
              while_working w(large(n, in));  // const: any number at once
              y = n.g.infer_given(in);
            }
            return results(std::move(y));
          },
          nb::sig("def __call__(self, *x: object) -> Tensor"),
          "Inference: saves nothing and changes nothing. x is [batch, …]; several outputs come as a tuple.\n"
          "Errors: DtypeError, DeviceError, ShapeError, BridgeError, RangeError (indices), ArgumentError (number of inputs).")
      .def(
          "forward",
          [](network& n, nb::args x, tenon::tape* tape) {
            auto in = arguments(x, "forward", "x");
            std::vector<tensor<>> y;
            {
              busy b(n, large(n, in));
              y = n.g.forward_given(in, tape);
            }
            return results(std::move(y));
          },
          nb::arg("x"), nb::arg("tape") = nb::none(),
          nb::sig("def forward(self, *x: object, tape: Tape | None = None) -> Tensor"),
          "Training forward: keeps x until backward, so x may not change before, and updates running statistics.\n"
          "An output that backward reads is read-only. Errors: as inference.")
      .def(
          "backward",
          [](network& n, nb::args dy, nb::object dx, tenon::tape* tape) {
            auto in = arguments(dy, "backward", "dy");
            std::vector<tenon::input_arg> out;
            if (!dx.is_none()) out.emplace_back(take(dx, "backward", "dx"));
            busy b(n, true);
            n.g.backward_given(in, out, tape);
          },
          nb::arg("dy"), nb::arg("dx") = nb::none(), nb::arg("tape") = nb::none(),
          nb::sig("def backward(self, *dy: object, dx: object = None, tape: Tape | None = None) -> None"),
          "Adds to the gradients of the parameters, or stores them if it is the first after an update. dx, if given, is "
          "writable\n"
          "memory for the gradient of x. Errors: StateError (no forward, dy of another one), DtypeError, ShapeError, "
          "BridgeError.")
      .def(
          "clear_gradients",
          [](network& n) {
            busy b(n, false);
            n.g.clear_gradients();
          },
          "Gradients are zero, and the next backward stores.")
      .def(
          "parameters", [](const network& n) { return views(n, false); }, nb::sig("def parameters(self) -> list[Parameter]"),
          "Live views by name, in the order of the architecture.")
      .def(
          "states", [](const network& n) { return views(n, true); }, nb::sig("def states(self) -> list[Parameter]"),
          "Running statistics, live.")
      .def(
          "summary", [](const network& n) { return tenon::summary(n.list); }, "A table of layers, output shapes and parameters.")
      .def_prop_ro(
          "layers", [](const network& n) { return n.layers; }, nb::sig("def layers(self) -> list[Layer]"), "The architecture.")
      .def_prop_ro(
          "input", [](const network& n) { return n.in; }, nb::sig("def input(self) -> list[Input]"), "What it takes.")
      .def_prop_ro(
          "dtype", [](const network& n) { return tenon::name(n.g.dtype()); }, "Of inputs and outputs.")
      .def_prop_ro(
          "seed", [](const network& n) { return n.g.counters().seed; }, "Of initial values and random layers.")
      .def_prop_ro(
          "threads", [](const network& n) { return n.options.device.threads; },
          "Threads of one call; results are the same bits for any number.")
      .def_prop_ro("has_modes", &network::has_modes,
                   "Whether training computes something else than inference (batch_norm, dropout).")
      .def_prop_ro("draws", &network::draws, "Whether training draws random numbers (dropout).")
      .def_prop_ro(
          "steps", [](const network& n) { return n.g.counters().steps; }, "Updates so far.")
      .def("__repr__",
           [](const network& n) {
             std::string s = "pytenon.Network([\n";
             for (std::size_t i = 0; i < n.layers.size(); ++i)
               s += "    " + text_of(n.layers[i]) + ",  # " + std::to_string(i) + "\n";
             std::string in = nb::cast<std::string>(
                 nb::repr(n.in.size() == 1 && !n.in[0].indices ? nb::cast(n.in[0]).attr("sample") : nb::cast(n.in)));
             return s + "], input=" + in + ", dtype=\"" + tenon::name(n.g.dtype()) + "\")";
           })
      .def(
          "__getstate__",
          [](network& n) {
            std::unique_lock<std::mutex> lock(n.one_at_a_time, std::try_to_lock);
            if (!lock) raise_said(tenon::errc::stale, "Network.__getstate__", "this network", "in use by another thread", "idle");
            return state_of(n);
          },
          nb::sig("def __getstate__(self) -> tuple"))
      .def(
          "__setstate__", [](network& n, nb::tuple s) { make_from_state(n, s); },
          nb::sig("def __setstate__(self, state: tuple, /) -> None"));
  bind_steps(type);
}
}  // namespace pytenon
