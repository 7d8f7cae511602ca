// SPDX-License-Identifier: Apache-2.0
// Ownership moves through the door, and one sees it.
// expect: ownership moves: from_dlpack(std::move(h))
// expect-max-lines: 16
// control: -DFIXED
#include <tenon/tensor/import.hpp>
auto in(tenon::handle<>& h) {
#ifdef FIXED
  return tenon::from_dlpack<const float>(std::move(h));
#else
  return tenon::from_dlpack<const float>(h);
#endif
}
