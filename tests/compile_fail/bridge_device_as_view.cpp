// SPDX-License-Identifier: Apache-2.0
// A strided view of device memory is no host view either.
// expect: [view.device] this memory is not the host's
// expect-max-lines: 16
// control: -DFIXED
#include <tenon/tensor/view.hpp>
struct my_device {
  static constexpr tenon::device_type type = tenon::device_type::ext;
};
#ifdef FIXED
using device = tenon::cpu;
#else
using device = my_device;
#endif
float corner(tenon::view<const float, device> v) { return tenon::as_view(v)(0, 0); }
