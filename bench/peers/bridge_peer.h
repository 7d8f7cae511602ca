// SPDX-License-Identifier: Apache-2.0
// What a bridge peer exports: plain C. Each call does one crossing n times, on a float array on the CPU.
#pragma once
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum bridge_case { bridge_view, bridge_import_versioned, bridge_import_legacy, bridge_export_versioned, bridge_export_legacy };

/// "libtorch 2.13.0 at::from_blob"
const char* bridge_name(enum bridge_case c);
/// data is borrowed, shape is copied.
void bridge_open(float* data, const int64_t* shape, int rank);
/// Imports take a struct whose deleter only counts; exports make one and call its deleter. The deleters that ran (imports), or n.
long bridge_run(enum bridge_case c, long n);

#ifdef __cplusplus
}
#endif
