// SPDX-License-Identifier: Apache-2.0
// Host code reaches into memory of another device.
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
float first(tenon::view<const float, device> v) { return v[0]; }
