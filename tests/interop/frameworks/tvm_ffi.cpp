// SPDX-License-Identifier: Apache-2.0
// tvm::ffi::Tensor and TensorView through interop/tvm_ffi.hpp: both ways, kept alive by either side, and what must not pass.
#include <tenon/interop/tvm_ffi.hpp>
#include <utility>

#include "check.hpp"

namespace {

namespace ffi = tvm::ffi;
tenon::failure why;

int allocated = 0;
struct memory {
  void AllocData(DLTensor* t) {
    ++allocated;
    t->data = new float[ffi::GetDataSize(*t) / sizeof(float) + 1]();
  }
  void FreeData(DLTensor* t) {
    --allocated;
    delete[] static_cast<float*>(t->data);
  }
};
ffi::Tensor fresh(ffi::ShapeView shape) {
  return ffi::Tensor::FromNDAlloc(memory(), shape, DLDataType{kDLFloat, 32, 1}, DLDevice{kDLCPU, 0});
}

void in() {
  tenon::tensor<float> x;
  {
    const ffi::Tensor t = fresh({2, 3});
    static_cast<float*>(t.data_ptr())[5] = 5;
    x = tenon::from_tvm_ffi<float>(t);
    CHECK(x.data() == t.data_ptr());
  }
  CHECK(allocated == 1 && x.shape() == tenon::shape(2, 3) && x(1, 2) == 5);
  x.reset();
  CHECK(allocated == 0);
  const ffi::Tensor t = fresh({2, 3});
  const ffi::TensorView v(t);
  using rows = tenon::view<float, tenon::extents<tenon::dyn, 3>>;
  CHECK(tenon::view_as<rows>(t).data() == t.data_ptr());
  CHECK(tenon::view_as<rows>(v).extent_of(0) == 2);
  tenon::view<float, tenon::dims<3>> cube;
  CHECK(says(tenon::try_view_as(v, cube, why), why, tenon::errc::rank, "view_as", "got 2, expected 3"));
  // a row of it: tvm-ffi moves the pointer
  const ffi::Tensor row = t.as_strided({3}, {1}, 3);
  CHECK(tenon::from_tvm_ffi<float>(row).data() == static_cast<float*>(t.data_ptr()) + 3);
  // tvm-ffi passes on what it is given, good or bad
  std::int64_t bad[]{2, -3}, steps[]{3, 1};
  DLTensor d = *t.GetDLTensorPtr();
  d.shape = bad;
  CHECK(says(tenon::try_view_as(ffi::TensorView(&d), cube, why), why, tenon::errc::rank, "view_as", "rank"));
  rows to;
  d.strides = steps;
  CHECK(says(tenon::try_view_as(ffi::TensorView(&d), to, why), why, tenon::errc::negative_extent, "view_as", "axis 1"));
  d.shape = nullptr;
  CHECK(says(tenon::try_view_as(ffi::TensorView(&d), to, why), why, tenon::errc::null_shape, "view_as", "shape"));
  std::int64_t good[]{2, 3};
  d.shape = good;
  d.strides = nullptr;
  CHECK(tenon::try_view_as(ffi::TensorView(&d), to, why) == tenon::errc::ok && to.stride_of(0) == 3);
  good[0] = 1;
  d.byte_offset = 12;
  CHECK(tenon::try_view_as(ffi::TensorView(&d), to, why) == tenon::errc::ok &&
        to.data() == static_cast<float*>(t.data_ptr()) + 3);
  // an offset counts bytes, must suit the element, may not run out of the numbers, and means nothing beside a handle
  d.byte_offset = 2;
  CHECK(says(tenon::try_view_as(ffi::TensorView(&d), to, why), why, tenon::errc::alignment, "view_as", ""));
  d.byte_offset = std::uint64_t{1} << 63;
  CHECK(says(tenon::try_view_as(ffi::TensorView(&d), to, why), why, tenon::errc::overflow, "view_as", "byte_offset"));
  d.byte_offset = INT64_MAX - 3;
  CHECK(says(tenon::try_view_as(ffi::TensorView(&d), to, why), why, tenon::errc::overflow, "view_as", "byte_offset") &&
        to.extent_of(0) == 1);
  void* const data = std::exchange(d.data, reinterpret_cast<void*>(std::intptr_t{-16}));  // over the top, to the bottom
  d.byte_offset = 16;
  CHECK(says(tenon::try_view_as(ffi::TensorView(&d), to, why), why, tenon::errc::overflow, "view_as",
             "got 16, expected at most 15"));
  d.data = data;
  d.byte_offset = 4;
  d.device = {kDLOpenCL, 0};
  CHECK(says(tenon::try_view_as(ffi::TensorView(&d), to, why), why, tenon::errc::value, "view_as", "handle"));
  tenon::tensor<double> other;
  CHECK(says(tenon::try_from_tvm_ffi(t, other, why), why, tenon::errc::dtype, "from_tvm_ffi", "got float32, expected float64"));
  CHECK(says(tenon::try_from_tvm_ffi(ffi::Tensor(), other, why), why, tenon::errc::null_handle, "from_tvm_ffi", "undefined"));
}

void out() {
  float values[]{0, 1, 2, 3, 4, 5};
  ffi::Tensor t = tenon::to_tvm_ffi(over(values, {2, 3}));
  CHECK(alive == 1 && t.data_ptr() == values && t.ndim() == 2 && t.size(1) == 3 && t.stride(0) == 3);
  auto back = tenon::from_tvm_ffi<float>(t);
  t = ffi::Tensor();
  CHECK(alive == 1 && back(1, 2) == 5);
  back.reset();
  CHECK(alive == 0);
  CHECK(says(tenon::try_to_tvm_ffi(over<const float>(values, {6}), t, why), why, tenon::errc::read_only, "to_tvm_ffi",
             "assume_unwritten"));
  CHECK(says(tenon::try_to_tvm_ffi(tenon::tensor<float>(), t, why), why, tenon::errc::null_data, "to_tvm_ffi", "never filled"));
  CHECK(!t.defined() && alive == 0);
  t = tenon::to_tvm_ffi(over<const float>(values, {6}), {.assume_unwritten = true});
  CHECK(t.data_ptr() == values && alive == 1);
}

}  // namespace

int main() {
  in();
  out();
  CHECK(allocated == 0 && alive == 0);
  return report();
}
