// SPDX-License-Identifier: Apache-2.0
// What an array promises is in the type of its view; a part of it, another shape and another order of its axes are the same memory.
//
//   every second row, backwards: [2, 3], element (0, 0) = 6
//   as one row: [12], transposed: [3, 4]
//   its columns, each without a copy: 18 22 26
//   refused: [reshape] strides of axes that would be joined: not dense, axis 0. Reshape a dense copy: tenon::copy(x).
//   refused: [view_as] shape: extent, axis 1: got 3, expected 4.
//   the consumer got the middle of our memory: yes
//   bytes copied: 0
#include <cstdio>
#include <tenon/tenon.hpp>
#include <tenon/tensor/subview.hpp>
#include <utility>
#if __has_include(<Eigen/Core>)
#include <tenon/interop/eigen.hpp>
#endif

// Only rows of three floats, without gaps, come in here: whoever makes the view has checked it.
using rows = tenon::view<const float, tenon::extents<tenon::dyn, 3>, tenon::layout_right>;
float sum_of_column(rows x, int column) {
#if __has_include(<Eigen/Core>)
  return tenon::as_eigen(x).col(column).sum();  // an Eigen::Map: three columns known to the compiler, no strides
#else
  float sum = 0;
  for (int i = 0; i < x.extent_of(0); ++i) sum += x(i, column);
  return sum;
#endif
}

int main() {
  tenon::tensor<float> t({4, 3});
  for (int i = 0; i < 12; ++i) t[i] = static_cast<float>(i);

  const tenon::tensor<float> odd = tenon::subview(t, tenon::range{2, -1, -2});  // a tensor: it keeps the memory alive
  std::printf("every second row, backwards: %s, element (0, 0) = %g\n", tenon::text(odd.shape()).c_str(),
              static_cast<double>(odd(0, 0)));
  std::printf("as one row: %s, transposed: %s\n", tenon::text(tenon::reshape(t, {tenon::dyn}).shape()).c_str(),
              tenon::text(tenon::transpose(t).shape()).c_str());

  const auto x = tenon::view_as<rows>(t);
  std::printf("its columns, each without a copy:");
  for (int c = 0; c < 3; ++c) std::printf(" %g", static_cast<double>(sum_of_column(x, c)));
  std::printf("\n");

  try {
    (void)tenon::reshape(odd, {6});
  } catch (const tenon::error& e) { std::printf("refused: %s\n", e.what()); }
  try {
    (void)tenon::view_as<tenon::view<float, tenon::extents<tenon::dyn, 4>>>(t);
  } catch (const tenon::error& e) { std::printf("refused: %s\n", e.what()); }

  const float* middle = t.data() + 3;
  const auto capsule = tenon::to_dlpack(tenon::subview(std::move(t), tenon::range{1, 3}));
  std::printf("the consumer got the middle of our memory: %s\n", capsule->dl_tensor.data == middle ? "yes" : "no");
  std::printf("bytes copied: %llu\n", static_cast<unsigned long long>(tenon::bytes_moved().copied));
}
