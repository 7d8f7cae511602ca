// SPDX-License-Identifier: Apache-2.0
// Eigen has no arrays of three axes.
// expect: [as_eigen] Eigen has vectors and matrices: one axis or two
// expect-max-lines: 40
// control: -DFIXED
#include <tenon/interop/eigen.hpp>
#ifdef FIXED
using axes = tenon::dims<2>;
#else
using axes = tenon::dims<3>;
#endif
auto matrix(tenon::view<float, axes> v) { return tenon::as_eigen(v); }
