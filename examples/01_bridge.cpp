// SPDX-License-Identifier: Apache-2.0
// Tensors in, tensors out, no copy.
//
//   imported [2, 3], element (1, 2) = 6, the same memory: yes
//   the consumer wrote 60 into our vector
//   refused: [from_dlpack] dtype: dtype: got float32, expected float64.
//   bytes copied: 0
#include <cstdio>
#include <memory>
#include <tenon/tenon.hpp>
#include <utility>
#include <vector>

int main() {
  // A producer: any memory, with whoever keeps it alive. The handle is what a capsule or a C API hands over.
  auto data = std::make_shared<std::vector<float>>(std::vector<float>{1, 2, 3, 4, 5, 6});
  tenon::handle<> capsule = tenon::to_dlpack(tenon::borrow(tenon::view(*data, {2, 3}), data));

  // A consumer: the element type is checked, the owner is kept, nothing is copied.
  tenon::tensor<float> t = tenon::from_dlpack<float>(std::move(capsule));
  std::printf("imported %s, element (1, 2) = %g, the same memory: %s\n", tenon::text(t.shape()).c_str(),
              static_cast<double>(t(1, 2)), t.data() == data->data() ? "yes" : "no");
  t(1, 2) = 60;
  std::printf("the consumer wrote %g into our vector\n", static_cast<double>(data->back()));

  // A mistake names argument, got and expected, and the handle still owns what it owned.
  auto again = tenon::to_dlpack(t);
  try {
    (void)tenon::from_dlpack<double>(std::move(again));
  } catch (const tenon::error& e) { std::printf("refused: %s\n", e.what()); }
  std::printf("bytes copied: %llu\n", static_cast<unsigned long long>(tenon::bytes_moved().copied));
}
