// SPDX-License-Identifier: Apache-2.0
// pytenon._core: everything of the package that is C++.
#include "common.hpp"

NB_MODULE(_core, m) {
  nb::set_leak_warnings(false);  // closures and forks keep bound objects to the end; that is no leak of ours
  m.doc() = "The compiled part of pytenon.";
  pytenon::bind_errors(m);
  pytenon::bind_tensor(m);
  pytenon::bind_layers(m);
  pytenon::bind_network(m);
  pytenon::bind_training(m);
  pytenon::bind_block(m);
}
