// SPDX-License-Identifier: Apache-2.0
// A raw pointer says nothing of who deletes.
// expect: raw pointers enter as from_dlpack(tenon::own(raw))
// expect-max-lines: 16
// control: -DFIXED
#include <tenon/tensor/import.hpp>
auto in(tenon::dl::managed_tensor_versioned* raw) {
#ifdef FIXED
  return tenon::from_dlpack(tenon::own(raw));
#else
  return tenon::from_dlpack(raw);
#endif
}
