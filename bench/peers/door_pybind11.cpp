// SPDX-License-Identifier: Apache-2.0
// The pybind11 peer of bench_door: NumPy arrays only, which is what it takes.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

namespace py = pybind11;
namespace {
using array = py::array_t<float>;
volatile float sink;
}  // namespace
PYBIND11_MODULE(door_pybind11, m) {
  m.def("read3", [](const array& a, const array& b, const array& c) { sink = a.data()[0] + b.data()[0] + c.data()[0]; });
  m.def("write3", [](const array& a, const array& b, array& c) { sink = a.data()[0] + b.data()[0] + c.mutable_data()[0]; });
  m.def("give_numpy", [] {
    auto* data = new float[16]();
    py::capsule owner(data, [](void* p) { delete[] static_cast<float*>(p); });
    return array({16}, data, owner);
  });
}
