// SPDX-License-Identifier: Apache-2.0
// The nanobind peer of bench_door: the same functions as its users write them.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

namespace nb = nanobind;
namespace {
using in = nb::ndarray<const float, nb::ndim<1>, nb::device::cpu>;
using out = nb::ndarray<float, nb::ndim<1>, nb::device::cpu>;
volatile float sink;

template <class Framework>
nb::ndarray<Framework, float, nb::ndim<1>> fresh() {
  auto* data = new float[16]();
  nb::capsule owner(data, [](void* p) noexcept { delete[] static_cast<float*>(p); });
  return {data, {16}, owner};
}
}  // namespace
NB_MODULE(door_nanobind, m) {
  m.def("read3", [](const in& a, const in& b, const in& c) { sink = a.data()[0] + b.data()[0] + c.data()[0]; });
  m.def("write3", [](const in& a, const in& b, const out& c) { sink = a.data()[0] + b.data()[0] + c.data()[0]; });
  m.def("give_numpy", fresh<nb::numpy>);
  m.def("give_torch", fresh<nb::pytorch>);
}
