// SPDX-License-Identifier: Apache-2.0
// Losses, optimizer rules, and what they do to a network: update, and check-points of all that a training needs to go on.
#include "network.hpp"
#include "tenon/train/checkpoint.hpp"
#include "tenon/train/loss.hpp"
#include "tenon/train/optimizer.hpp"

namespace pytenon {
namespace {
using tenon::tensor;

template <class Loss>
void bind_loss(nb::module_& m, const char* name, const char* doc) {
  nb::class_<Loss>(m, name, doc)
      .def(nb::init<>())
      .def(
          "__call__",
          [](const Loss& loss, nb::handle y, nb::handle target) {
            auto r = loss(take(y, Loss::name_of, "y"), take(target, Loss::name_of, "target"));
            return nb::make_tuple(double(r.loss), nb::cast(std::move(r.dy)));
          },
          nb::arg("y"), nb::arg("target"), nb::sig("def __call__(self, y: object, target: object) -> tuple[float, Tensor]"),
          "The mean loss, and dy: its gradient, for `net.backward(dy)`.")
      .def(
          "value",
          [](const Loss& loss, nb::handle y, nb::handle target) {
            return double(loss.value(take(y, Loss::name_of, "y"), take(target, Loss::name_of, "target")));
          },
          nb::arg("y"), nb::arg("target"), nb::sig("def value(self, y: object, target: object) -> float"),
          "The mean loss alone.");
}
struct cross_entropy : tenon::cross_entropy {
  static constexpr const char* name_of = "cross_entropy";
};
struct mse : tenon::mse {
  static constexpr const char* name_of = "mse";
};

template <class Rule>
nb::class_<Rule> field(nb::class_<Rule>& c, const char* name, tenon::real Rule::* member) {
  c.def_prop_rw(name, [member](const Rule& r) { return double(r.*member); }, [member](Rule& r, double v) { r.*member = v; });
  return c;
}
template <class Rule>
void bind_adam(nb::module_& m, const char* name, const char* decay, const char* doc) {
  nb::class_<Rule> c(m, name, doc);
  const std::string sig =
      "def __init__(self, lr: float = 0.001, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-08, "
      "weight_decay: float = " +
      std::string(decay) + ") -> None";
  static const std::string kept = sig;  // nanobind keeps the pointer
  const Rule d{};
  c.def(
      "__init__", [](Rule* r, double lr, double b1, double b2, double e, double w) { new (r) Rule{lr, b1, b2, e, w}; },
      nb::arg("lr") = double(d.lr), nb::arg("beta1") = double(d.beta1), nb::arg("beta2") = double(d.beta2),
      nb::arg("epsilon") = double(d.epsilon), nb::arg("weight_decay") = double(d.weight_decay), nb::sig(kept.c_str()));
  field(c, "lr", &Rule::lr);
  field(c, "beta1", &Rule::beta1);
  field(c, "beta2", &Rule::beta2);
  field(c, "epsilon", &Rule::epsilon);
  field(c, "weight_decay", &Rule::weight_decay);
}

/// The gradient's memory, where it is what the parameter wants.
template <class Rule>
void update_with(network& n, const nb::list& gradients, const Rule& rule) {
  std::vector<void*> at;
  std::vector<tensor<>> held;
  const auto parameters = n.g.parameters();
  if (nb::len(gradients) != parameters.size()) {
    tenon::failure f;
    tenon::detail::fail(f, tenon::errc::arity, "update",
                        {.argument = "gradients",
                         .got = static_cast<tenon::extent>(nb::len(gradients)),
                         .expected = static_cast<tenon::extent>(parameters.size())});
    raise(f);
  }
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const tensor<>& own = parameters[i].grad;
    if (gradients[i].is_none()) {
      at.push_back(nullptr);
      continue;
    }
    held.push_back(take(gradients[i], "update", parameters[i].name.c_str()));
    tenon::failure f;
    const tenon::array_ref& a = held.back().describe();
    check(tenon::detail::check_array(
              a, {"update", parameters[i].name.c_str(), own.describe().dtype, tenon::device{}, own.describe().shape, true, false},
              f),
          f);
    at.push_back(a.data);
  }
  busy b(n, true);
  n.g.update_from(at, rule);
}
template <class Rule>
void bind_rule(nb::class_<network>& c) {
  c.def(
      "update",
      [](network& n, const Rule& rule) {
        busy b(n, true);
        n.g.update(rule);
      },
      nb::arg("rule"),
      "One step of a rule (sgd, adam, adamw) over all parameters: the only call that changes them. The next backward stores\n"
      "its gradients instead of adding. Errors: OutOfMemoryError (the first time).");
  c.def("_update_from", update_with<Rule>, nb::arg("gradients"), nb::arg("rule"));
}
}  // namespace

void bind_training(nb::module_& m) {
  bind_loss<cross_entropy>(
      m, "cross_entropy",
      "Mean cross entropy of logits y [batch, classes] with class numbers, or with probabilities in y's shape, as\n"
      "torch.nn.functional.cross_entropy. Errors: RangeError (a label), ShapeError, DtypeError.");
  bind_loss<mse>(m, "mse", "Mean of (y − target)², as torch.nn.functional.mse_loss. Errors: ShapeError, DtypeError.");
  nb::class_<tenon::sgd> s(
      m, "sgd", "Stochastic gradient descent as torch.optim.SGD: a pure rule; what it remembers lives in the network.");
  s.def(
      "__init__",
      [](tenon::sgd* r, double lr, double momentum, double dampening, double decay, bool nesterov) {
        new (r) tenon::sgd{lr, momentum, dampening, decay, nesterov};
      },
      nb::arg("lr") = 0.01, nb::arg("momentum") = 0.0, nb::arg("dampening") = 0.0, nb::arg("weight_decay") = 0.0,
      nb::arg("nesterov") = false);
  field(s, "lr", &tenon::sgd::lr);
  field(s, "momentum", &tenon::sgd::momentum);
  field(s, "dampening", &tenon::sgd::dampening);
  field(s, "weight_decay", &tenon::sgd::weight_decay);
  s.def_rw("nesterov", &tenon::sgd::nesterov);
  bind_adam<tenon::adam>(m, "adam", "0.0", "As torch.optim.Adam: a pure rule; its moments live in the network.");
  bind_adam<tenon::adamw>(m, "adamw", "0.01", "As torch.optim.AdamW: weights shrink by lr·weight_decay beside the step.");
}

void bind_steps(nb::class_<network>& n) {
  bind_rule<tenon::sgd>(n);
  bind_rule<tenon::adam>(n);
  bind_rule<tenon::adamw>(n);
  n.def(
      "save",
      [](network& self, nb::object path) {
        const auto where = nb::cast<std::string>(nb::module_::import_("os").attr("fspath")(path));
        busy b(self, true);
        tenon::save_checkpoint(where, self.g);
      },
      nb::arg("path"), nb::sig("def save(self, path: str | os.PathLike[str]) -> None"),
      "Writes a check-point: parameters, running statistics, what the rule remembers, counters. A file that was there is\n"
      "replaced when the new one is whole. Errors: FileError.");
  n.def(
      "load",
      [](network& self, nb::object path) {
        const auto where = nb::cast<std::string>(nb::module_::import_("os").attr("fspath")(path));
        busy b(self, true);
        tenon::load_checkpoint(where, self.g);
      },
      nb::arg("path"), nb::sig("def load(self, path: str | os.PathLike[str]) -> None"),
      "Goes on from a check-point; on an error nothing has changed. Errors: FileError, ShapeError, DtypeError, ArgumentError\n"
      "(it is of another network).");
}
}  // namespace pytenon
