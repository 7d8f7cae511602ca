// SPDX-License-Identifier: Apache-2.0
// The same by the twin that throws nothing: the packed numbers would be left behind in `to`.
// expect: it dies at the end of the line: name it first
// expect-max-lines: 16
// control: -DFIXED
#include <tenon/tensor/packed.hpp>
bool reads(const tenon::tensor<>& t, tenon::packed<const tenon::float4_e2m1fn>& to) {
  tenon::failure why;
#ifdef FIXED
  return tenon::try_as_packed(t, to, why) == tenon::errc::ok;
#else
  return tenon::try_as_packed(tenon::tensor<>(t), to, why) == tenon::errc::ok;
#endif
}
