// SPDX-License-Identifier: Apache-2.0
// A map of a tensor that dies at the end of the line.
// expect: [view] this temporary owns its elements and dies at the end of the line: name it first
// expect-max-lines: 16
// control: -DFIXED
#include <tenon/interop/eigen.hpp>
#ifdef FIXED
tenon::tensor<float> named({2, 3});
auto m = tenon::as_eigen<2>(named);
#else
auto m = tenon::as_eigen<2>(tenon::tensor<float>({2, 3}));
#endif
