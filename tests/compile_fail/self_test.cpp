// SPDX-License-Identifier: Apache-2.0
// The matcher itself: an error that both compilers word alike, gone with -DFIXED.
// expect: tenon_says_so
// expect g++: error: static assertion failed: tenon_says_so
// expect-max-lines: 8
// control: -DFIXED
#include <tenon/core/config.hpp>
#ifndef FIXED
static_assert(sizeof(char) == 2, "tenon_says_so");
#endif
