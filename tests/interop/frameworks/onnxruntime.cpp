// SPDX-License-Identifier: Apache-2.0
// Ort::Value through interop/onnxruntime.hpp: both ways, kept alive by either side, and what must not pass.
#include <tenon/interop/onnxruntime.hpp>
//
#include <tenon/core/small_float.hpp>

#include <vector>

#include "check.hpp"

namespace {

tenon::failure why;

constexpr bool there_and_back() {
  for (const auto& [theirs, ours] : tenon::detail::onnxruntime_dtypes) {
    tenon::dtype d;
    ONNXTensorElementDataType t{};
    if (!tenon::detail::dtype_from_onnxruntime(theirs, d) || d != ours || !tenon::detail::dtype_to_onnxruntime(ours, t) ||
        t != theirs)
      return false;
  }
  tenon::dtype d;
  ONNXTensorElementDataType t{};
  return !tenon::detail::dtype_from_onnxruntime(ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING, d) &&
         !tenon::detail::dtype_to_onnxruntime({tenon::dtype_code::f8_e8m0fnu, 8, 1}, t);
}
static_assert(there_and_back());

Ort::Value fresh(const std::vector<std::int64_t>& shape, ONNXTensorElementDataType type) {
  Ort::AllocatorWithDefaultOptions allocator;
  return Ort::Value::CreateTensor(allocator, shape.data(), shape.size(), type);
}

void in() {
  Ort::Value v = fresh({2, 3}, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT);
  float* const memory = v.GetTensorMutableData<float>();
  for (int i = 0; i < 6; ++i) memory[i] = static_cast<float>(i);
  const auto rows = tenon::view_as<tenon::view<const float, tenon::extents<tenon::dyn, 3>>>(v);
  CHECK(rows.data() == memory && rows(1, 2) == 5);
  tenon::tensor<double> other;
  CHECK(says(tenon::try_from_onnxruntime(std::move(v), other, why), why, tenon::errc::dtype, "from_onnxruntime",
             "got float32, expected float64"));
  CHECK(v && v.GetTensorMutableData<float>() == memory);  // still the caller's
  auto x = tenon::from_onnxruntime<float>(std::move(v));
  CHECK(!v && x.data() == memory && x.shape() == tenon::shape(2, 3) && x(1, 2) == 5);
  CHECK(says(tenon::try_from_onnxruntime(std::move(v), other, why), why, tenon::errc::null_handle, "from_onnxruntime", "empty"));
  CHECK(tenon::from_onnxruntime(fresh({}, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64)).rank() == 0);
  CHECK(tenon::from_onnxruntime(fresh({0, 2}, ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL)).dtype() == tenon::boolean);
  CHECK(tenon::from_onnxruntime(fresh({2}, ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16)).dtype() == tenon::bfloat16_dtype);
  CHECK(says(tenon::try_from_onnxruntime(fresh({2}, ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING), other, why), why, tenon::errc::dtype,
             "from_onnxruntime", "no name for"));
  std::vector<Ort::Value> two;
  two.push_back(fresh({1}, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT));
  two.push_back(fresh({1}, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT));
  CHECK(says(tenon::try_from_onnxruntime(Ort::Value::CreateSequence(two), other, why), why, tenon::errc::value,
             "from_onnxruntime", "no tensor"));
  CHECK(says(tenon::try_from_onnxruntime(fresh(std::vector<std::int64_t>(9, 1), ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT), other, why),
             why, tenon::errc::rank, "from_onnxruntime", "got 9"));
}

void out() {
  float values[]{0, 1, 2, 3, 4, 5};
  {
    tenon::ort_value v = tenon::to_onnxruntime(over(values, {2, 3}));
    CHECK(alive == 1 && v.value.GetTensorMutableData<float>() == values);
    CHECK(v.value.GetTensorTypeAndShapeInfo().GetShape() == std::vector<std::int64_t>({2, 3}));
    CHECK(tenon::to_onnxruntime(over<const float>(values, {6})).value.GetTensorData<float>() == values);  // an input
    CHECK(tenon::to_onnxruntime(over<float>(nullptr, {0, 3})).value.GetTensorTypeAndShapeInfo().GetElementCount() == 0);
    const auto refuse = [&](const auto& x, tenon::errc code, const char* text) {
      CHECK(says(tenon::try_to_onnxruntime(x, v, why), why, code, "to_onnxruntime", text));
      CHECK(v.value.GetTensorMutableData<float>() == values);
    };
    refuse(over(values, {2, 2}, {{3, 1}}), tenon::errc::not_dense, "tenon::copy");
    refuse(tenon::tensor<float>(), tenon::errc::null_data, "never filled");
    tenon::float8_e8m0fnu odd[1]{};
    refuse(over(odd, {1}), tenon::errc::dtype, "one that ONNX Runtime has");
  }
  CHECK(alive == 0);
}

}  // namespace

int main() {
  in();
  out();
  return report();
}
