// SPDX-License-Identifier: Apache-2.0
// What a bridge peer exports: plain C. Each call does one crossing n times, on a float array on the CPU.
#pragma once
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum bridge_case {
  bridge_view,              // of an array that the peer holds, as a DLTensor
  bridge_container,         // of memory and a shape
  bridge_import_versioned,  // and let go
  bridge_import_legacy,
  bridge_export_versioned,  // and call the deleter
  bridge_export_legacy
};

/// "libtorch 2.13.0 at::from_blob"; null where the peer has no such call.
const char* bridge_name(enum bridge_case c);
/// data is borrowed, shape is copied.
void bridge_open(float* data, const int64_t* shape, int rank);
/// Imports take a struct whose deleter only counts; exports make one and call its deleter. The deleters that ran (imports), or n.
long bridge_run(enum bridge_case c, long n);

#ifdef __cplusplus
}
#endif
