// SPDX-License-Identifier: Apache-2.0
// Layers and networks as Python holds them. A network is a graph with its architecture beside it, so that it can be shown,
// pickled and made again.
#pragma once
#include <mutex>
#include <utility>

#include "common.hpp"
#include "tenon/graph/by_name.hpp"

namespace pytenon {
/// A layer by its name, and all of its fields.
struct layer {
  std::string type, path;  // path: what its parameters are called after, or empty for its position
  std::vector<std::pair<std::string, tenon::field_value>> fields;
};
void add_to(tenon::layer_list& list, const layer& l);
std::string text_of(const layer& l);

/// One input of a network: a sample's shape, and what its elements are.
struct input_spec {
  std::vector<tenon::extent> sample;
  bool indices = false;
};

/// Opens what a binding needs of a graph.
class open_graph : public tenon::graph {
 public:
  using tenon::graph::graph;
  using array = std::vector<tenon::tensor<>>;
  array forward_given(const std::vector<tenon::input_arg>& x, tenon::tape* t) {
    tenon::tensor<> y[tenon::max_outputs];
    tenon::failure f;
    check(this->run_forward(x.data(), static_cast<int>(x.size()), t ? *t : this->last_, y, f), f);
    return array(y, y + bound().outputs());
  }
  array infer_given(const std::vector<tenon::input_arg>& x) const {
    tenon::tensor<> y[tenon::max_outputs];
    tenon::failure f;
    check(this->run_inference(x.data(), static_cast<int>(x.size()), y, f), f);
    return array(y, y + bound().outputs());
  }
  void backward_given(const std::vector<tenon::input_arg>& dy, const std::vector<tenon::input_arg>& dx, tenon::tape* t) {
    tenon::failure f;
    check(this->run_backward(dy.data(), static_cast<int>(dy.size()), t ? *t : this->last_, dx.data(), static_cast<int>(dx.size()),
                             f),
          f);
  }
  int count() const { return parameter_count(); }
  /// One step with gradients that lie elsewhere; a parameter whose pointer is null is left as it is.
  template <class Rule>
  void update_from(std::vector<void*> gradients, const Rule& rule) {
    const exchanged borrowed(*this, gradients);
    update(rule);
  }

 private:
  /// Gives the network its own gradients back, also when a step ends in an error.
  class exchanged {
    open_graph& g_;
    std::vector<void*>& at_;
    void swap() {
      for (int i = 0; i < g_.count(); ++i) std::swap(g_.dp(i), at_[static_cast<std::size_t>(i)]);
    }

   public:
    exchanged(open_graph& g, std::vector<void*>& at) : g_(g), at_(at) { swap(); }
    exchanged(const exchanged&) = delete;
    ~exchanged() { swap(); }
  };
  static void check(tenon::errc c, const tenon::failure& f) { tenon::detail::check(c, f); }
};

struct network {
  std::vector<layer> layers;
  std::vector<input_spec> in;
  tenon::graph_options options;
  tenon::layer_list list;
  open_graph g;
  std::mutex one_at_a_time;

  network(std::vector<layer> l, std::vector<input_spec> i, const tenon::graph_options& o);
  bool draws() const;       // random numbers in a training forward
  bool has_modes() const;   // a training forward is another function than inference
};

// -- train.cpp: update, save, load --
void bind_steps(nb::class_<network>& n);

/// Holds a network while its GIL may be gone. Whoever waits for it holds no GIL, or two threads would wait for each other.
class busy {
  std::unique_lock<std::mutex> lock_;
  while_working released_;

 public:
  busy(network& n, bool large) : lock_(n.one_at_a_time, std::try_to_lock), released_(large || !lock_.owns_lock()) {
    if (!lock_.owns_lock()) lock_.lock();
  }
  ~busy() { lock_.unlock(); }
};
}  // namespace pytenon
