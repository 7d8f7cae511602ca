// SPDX-License-Identifier: Apache-2.0
// pytenon.layers: one function a layer of the library, made from its own table of fields, so that names, order and defaults
// exist once. What they give is a name with values; a network makes the layer of it.
#include <cstring>
#include <list>

#include "network.hpp"

namespace pytenon {
namespace {
using tenon::attribute, tenon::field_value;
using form = field_value::form;

/// What the table of fields cannot say: how many leading fields have no default, and what the layer does.
struct words {
  const char* type;
  int required;
  const char* doc;
};
constexpr words known[] = {
    {"linear", 1, "y = x·weightᵀ + bias; x is [batch, in], weight [out, in] (torch.nn.Linear)."},
    {"conv2d", 2, "Convolution; x is [batch, in, h, w], weight [out, in/groups, kh, kw] (torch.nn.Conv2d)."},
    {"relu", 0, "y = max(x, 0)."},
    {"tanh", 0, "y = tanh x."},
    {"sigmoid", 0, "y = 1 / (1 + exp(−x))."},
    {"max_pool2d", 1, "The largest of each window; a stride of 0 is the kernel (torch.nn.MaxPool2d)."},
    {"avg_pool2d", 1, "The mean of each window; a stride of 0 is the kernel (torch.nn.AvgPool2d)."},
    {"softmax", 0, "exp(x) / Σ exp(x) along `axis`, with its true Jacobian: no layer knows the loss (torch.nn.Softmax)."},
    {"batch_norm", 0, "Normalises each channel; running statistics change once a training forward (torch.nn.BatchNorm2d)."},
    {"dropout", 0, "In training each element is 0 with probability `rate`, else x / (1 − rate) (torch.nn.Dropout)."},
    {"flatten", 0, "All axes from `first_axis` on become one."},
    {"embedding", 2, "Row x of a table; x are indices below `rows` (torch.nn.Embedding)."},
    {"add", 0, "The sum of the inputs."},
    {"split", 1, "Two outputs: the first `first` along `axis`, and the rest."},
    {"lstm_cell", 1, "x, h, c → h, c (torch.nn.LSTMCell)."},
};
const words& words_of(std::string_view type) {
  for (const words& w : known)
    if (type == w.type) return w;
  static constexpr words none{"", 0, ""};
  return none;
}

/// `in` is a keyword of Python.
template <class F>
void each_field(const tenon::layer_list& one, const F& f) {
  one.fields(0, [&](const char* name, const field_value& v) { f(std::strcmp(name, "in") == 0 ? "in_" : name, v); });
}
std::string_view field_of(std::string_view name) { return name == "in_" ? "in" : name; }
std::string number_text(double v) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", v);  // of a float: 0.1 reads 0.1
  return text;
}
std::string value_text(const field_value& v) {
  if (v.what == form::flag) return v.first != 0 ? "True" : "False";
  if (v.what == form::size && v.first == static_cast<double>(tenon::dyn)) return "-1";
  if (v.what == form::pair && v.first != v.second) return "(" + number_text(v.first) + ", " + number_text(v.second) + ")";
  return number_text(v.first);
}
const char* type_text(form f) {
  return f == form::size ? "int" : f == form::pair ? "int | tuple[int, int]" : f == form::flag ? "bool" : "float";
}
nb::object value_object(const field_value& v) {
  if (v.what == form::flag) return nb::cast(v.first != 0);
  if (v.what == form::real) return nb::cast(v.first);
  if (v.what == form::size) return nb::cast(static_cast<std::int64_t>(v.first));
  return nb::make_tuple(static_cast<std::int64_t>(v.first), static_cast<std::int64_t>(v.second));
}

double number_of(nb::handle x, const char* layer, const std::string& field) {
  const double v = PyFloat_AsDouble(x.ptr());
  if (v == -1.0 && PyErr_Occurred()) {
    PyErr_Clear();
    raise_said(tenon::errc::kind, layer, field, type_text_of(x), "a number");
  }
  return v;
}
attribute attribute_of(const char* layer, const std::string& field, nb::handle x) {
  if (!PyTuple_Check(x.ptr()) && !PyList_Check(x.ptr())) return {field_of(field), number_of(x, layer, field)};
  const auto n = nb::len(x);
  if (n != 2) {
    tenon::failure f;
    tenon::detail::fail(f, tenon::errc::arity, layer,
                        {.argument = field, .got = static_cast<std::int64_t>(n), .expected = 2, .relation = "one number or "});
    raise(f);
  }
  return {field_of(field), number_of(x[0], layer, field), number_of(x[1], layer, field)};
}

/// A layer with the given fields: by position in the table's order, or by name; `name` is what its parameters are called.
layer make(const char* type, const nb::args& positional, const nb::kwargs& named) {
  tenon::layer_list defaults{tenon::input{}};
  defaults.add(type);
  std::vector<std::string> names;
  each_field(defaults, [&](const char* name, const field_value&) { names.push_back(name); });
  layer l{type, "", {}};
  std::vector<std::pair<std::string, nb::object>> given;
  if (positional.size() > names.size()) {
    tenon::failure f;
    tenon::detail::fail(f, tenon::errc::arity, type,
                        {.argument = "arguments",
                         .got = static_cast<std::int64_t>(positional.size()),
                         .expected = static_cast<std::int64_t>(names.size()),
                         .relation = "at most "});
    raise(f);
  }
  for (std::size_t i = 0; i < positional.size(); ++i) given.emplace_back(names[i], nb::borrow<nb::object>(positional[i]));
  for (const auto& [key, value] : named) {
    const auto name = nb::cast<std::string>(key);
    if (name == "name") {
      l.path = str_of(value);
      continue;
    }
    for (const auto& [taken, v] : given)
      if (taken == name) raise_said(tenon::errc::name, type, name, "two values", "one");
    given.emplace_back(name, nb::borrow<nb::object>(value));
  }
  std::vector<attribute> fields;
  for (const auto& [name, value] : given) fields.push_back(attribute_of(type, name, value));
  tenon::layer_list one{tenon::input{}};
  try {
    one.add(type, fields.data(), fields.size());
  } catch (const tenon::error& e) {
    if (e.code() != tenon::errc::name) throw;
    std::string all;
    for (const std::string& n : names) all += (all.empty() ? "" : ", ") + n;
    const std::string_view said = e.argument();
    raise_said(tenon::errc::name, type, std::string(said.substr(said.find('.') + 1)), "no such field",
               "one of " + (all.empty() ? "none" : all));
  }
  int at = 0;
  each_field(one, [&](const char* name, const field_value& v) {
    bool said = false;
    for (const auto& g : given) said |= g.first == name;
    if (at++ < words_of(type).required && !said) raise_said(tenon::errc::missing_size, type, name, "", "", "It has no default.");
    l.fields.emplace_back(name, v);
  });
  return l;
}
}  // namespace

void add_to(tenon::layer_list& list, const layer& l) {
  std::vector<attribute> fields;
  for (const auto& [name, v] : l.fields) {
    if (v.what == form::pair) fields.push_back({field_of(name), v.first, v.second});
    else fields.push_back({field_of(name), v.first});
  }
  list.add(l.type, fields.data(), fields.size(), l.path);
}
std::string text_of(const layer& l) {
  tenon::layer_list defaults{tenon::input{}};
  defaults.add(l.type);
  std::string s = l.type + "(";
  std::size_t i = 0;
  bool first = true;
  auto more = [&](const std::string& name, const std::string& value) {
    s += (first ? "" : ", ") + name + "=" + value;
    first = false;
  };
  each_field(defaults, [&](const char* name, const field_value& d) {
    const field_value& v = l.fields[i++].second;
    if (v.first != d.first || v.second != d.second) more(name, value_text(v));
  });
  if (!l.path.empty()) more("name", "'" + l.path + "'");
  return s + ")";
}

void bind_layers(nb::module_& m) {
  nb::class_<layer>(m, "Layer", "A layer of an architecture: what `pytenon.layers.linear(…)` gives. It holds numbers only.")
      .def_ro("type", &layer::type, "Its name in `pytenon.layers`.")
      .def_ro("name", &layer::path, "What its parameters are called after; empty for its position.")
      .def_prop_ro(
          "fields",
          [](const layer& l) {
            nb::dict d;
            for (const auto& [name, v] : l.fields) d[name.c_str()] = value_object(v);
            return d;
          },
          nb::sig("def fields(self) -> dict[str, object]"), "All of its fields with their values.")
      .def(
          "__eq__",
          [](const layer& a, nb::handle b) { return nb::isinstance<layer>(b) && text_of(a) == text_of(nb::cast<layer&>(b)); },
          nb::sig("def __eq__(self, other: object, /) -> bool"))
      .def("__hash__", [](const layer& a) { return nb::hash(nb::cast(text_of(a))); })
      .def("__repr__", [](const layer& l) { return text_of(l); })
      .def(
          "__getstate__",
          [](nb::handle self) { return nb::make_tuple(self.attr("type"), self.attr("name"), self.attr("fields")); },
          nb::sig("def __getstate__(self) -> tuple[str, str, dict[str, object]]"))
      .def(
          "__setstate__",
          [](layer& l, nb::tuple state) {
            nb::kwargs k = nb::steal<nb::kwargs>(PyDict_Copy(nb::object(state[2]).ptr()));
            layer made = make(nb::cast<std::string>(state[0]).c_str(), nb::steal<nb::args>(PyTuple_New(0)), k);
            made.path = nb::cast<std::string>(state[1]);
            new (&l) layer(std::move(made));
          },
          nb::sig("def __setstate__(self, state: tuple[str, str, dict[str, object]], /) -> None"));

  nb::module_ all = m.def_submodule(
      "layers",
      "The layers of the library: each function gives a Layer for `Network([…])`. Fields come in this order or by\n"
      "name; `name` is what the layer's parameters are called after instead of its position.");
  static std::list<std::string> signatures;  // nanobind keeps the pointers
  for (const tenon::detail::named_layer* t : tenon::detail::standard_layers::all) {
    tenon::layer_list one{tenon::input{}};
    one.add(t->name);
    std::string s = std::string("def ") + t->name + "(";
    int at = 0;
    each_field(one, [&](const char* name, const field_value& v) {
      s += std::string(name) + ": " + type_text(v.what);
      if (at++ >= words_of(t->name).required) s += " = " + value_text(v);
      s += ", ";
    });
    signatures.push_back(s + "*, name: str = '') -> Layer");
    all.def(
        t->name, [type = t->name](nb::args a, nb::kwargs k) { return make(type, a, k); }, nb::sig(signatures.back().c_str()),
        words_of(t->name).doc);
  }
}
}  // namespace pytenon
