// SPDX-License-Identifier: Apache-2.0
// What a small extension over nanobind does with an array: takes it without a constraint or as floats on the CPU, sums its elements in
// the natural loop, and shares it again.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <vector>

namespace nb = nanobind;

namespace {
template <class Array>
double total(const Array& a) {
  size_t n = 1;
  for (size_t i = 0; i < a.ndim(); ++i) n *= a.shape(i);
  const auto* p = reinterpret_cast<const char*>(a.data());
  const nb::dlpack::dtype t = a.dtype();
  double sum = 0;
  for (size_t k = 0; k < n; ++k) {
    size_t rest = k;
    int64_t at = 0;
    for (size_t i = a.ndim(); i-- > 0;) {
      at += static_cast<int64_t>(rest % a.shape(i)) * a.stride(i);
      rest /= a.shape(i);
    }
    if (t == nb::dtype<double>()) sum += reinterpret_cast<const double*>(p)[at];
    else if (t == nb::dtype<int64_t>()) sum += static_cast<double>(reinterpret_cast<const int64_t*>(p)[at]);
    else if (t == nb::dtype<bool>() || t == nb::dtype<uint8_t>()) sum += reinterpret_cast<const uint8_t*>(p)[at];
    else sum += reinterpret_cast<const float*>(p)[at];
  }
  return sum;
}
template <class Array>
struct box {
  Array a;
};
// A view of its own over the same memory: nanobind gives back the very object that an import came from.
template <class Array>
nb::object share(nb::handle self, nb::kwargs k) {
  const Array& a = nb::cast<const box<Array>&>(self).a;
  std::vector<size_t> shape;
  std::vector<int64_t> strides;
  for (size_t i = 0; i < a.ndim(); ++i) {
    shape.push_back(a.shape(i));
    strides.push_back(a.stride(i));
  }
  nb::ndarray<nb::array_api, nb::ro> view(a.data(), a.ndim(), shape.data(), self, strides.data(), a.dtype(), a.device_type(),
                                          a.device_id());
  return nb::cast(view).attr("__dlpack__")(**k);
}
template <class Array>
void bind(nb::module_& m, const char* name, const char* take) {
  using of = box<Array>;
  nb::class_<of>(m, name)
      .def("total", [](const of& b) { return total(b.a); })
      .def("__dlpack__", share<Array>)
      .def("__dlpack_device__", [](const of& b) { return nb::make_tuple(b.a.device_type(), b.a.device_id()); });
  m.def(take, [](Array a) { return of{a}; });
}
}  // namespace

NB_MODULE(nanobind_target, m) {
  nb::set_leak_warnings(false);
  bind<nb::ndarray<nb::ro>>(m, "Box", "take");
  bind<nb::ndarray<const float, nb::device::cpu>>(m, "FloatBox", "take_float");
}
