// SPDX-License-Identifier: Apache-2.0
// An element type whose trait says another size than it has.
// expect: [from_dlpack] tenon::dtype_of<T> says another size than sizeof(T)
// expect-max-lines: 16
// control: -DFIXED
#include <tenon/tensor/import.hpp>
struct half {
  unsigned short bits;
};
template <>
struct tenon::dtype_of<half> {
#ifdef FIXED
  static constexpr dtype value{dtype_code::float_, 16, 1};
#else
  static constexpr dtype value{dtype_code::float_, 32, 1};
#endif
};
auto in(tenon::handle<>&& h) { return tenon::from_dlpack<half>(std::move(h)); }
