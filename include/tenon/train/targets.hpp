// SPDX-License-Identifier: Apache-2.0
// What losses, batches and clipping ask of what they are given.
#pragma once
#include "tenon/tensor/numbers.hpp"
#include "tenon/tensor/tensor.hpp"
namespace tenon::detail {
/// Host memory is behind it. Errors: device, null_data, alignment.
[[gnu::noinline]] inline errc check_host(const array_ref& a, const char* operation, const char* argument, failure& f) noexcept {
  failure_text t;
  errc c = errc::ok;
  if (a.device.type != device_type::cpu) {
    c = errc::device;
    t.got = a.device.packed();
    t.expected = device{}.packed();
  } else if (!a.data && a.shape.numel() != 0) {
    c = errc::null_data;
  } else if (const auto off = reinterpret_cast<std::uintptr_t>(a.data) % (a.dtype.bits < 8 ? 1 : a.dtype.bits / 8u)) {
    c = errc::alignment;
    t.got = static_cast<std::int64_t>(off);
  }
  if (c == errc::ok) return c;
  t.argument = argument;
  return fail(f, c, operation, t);
}
/// Both shapes are the same; where not, `t` gets the numbers. Errors: rank, extent.
inline errc check_shape(const shape& got, const shape& expected, failure_text& t) noexcept {
  t.got = got.rank();
  t.expected = expected.rank();
  if (t.got != t.expected) return errc::rank;
  t.axis = first_unlike(got, expected);
  if (t.axis < 0) return errc::ok;
  t.got = got.d[t.axis];
  t.expected = expected.d[t.axis];
  return errc::extent;
}
}  // namespace tenon::detail
