/* SPDX-License-Identifier: Apache-2.0
 * DLPack 1.3's structs, as the suite's own C files see them: helper.c, and targets/careless.c, which believes each field. */
#ifndef DLPACK_CONFORMANCE_STRUCTS_H
#define DLPACK_CONFORMANCE_STRUCTS_H
#include <stdint.h>

typedef struct {
  void* data;
  int32_t device_type, device_id, ndim;
  uint8_t code, bits;
  uint16_t lanes;
  int64_t *shape, *strides;
  uint64_t byte_offset;
} tensor;
typedef struct legacy {
  tensor dl;
  void* manager;
  void (*deleter)(struct legacy*);
} legacy;
typedef struct versioned {
  uint32_t major, minor;
  void* manager;
  void (*deleter)(struct versioned*);
  uint64_t flags;
  tensor dl;
} versioned;
_Static_assert(sizeof(tensor) == 48 && sizeof(legacy) == 64 && sizeof(versioned) == 80, "DLPack's layout");

static tensor* tensor_of(int is_versioned, void* managed) {
  return is_versioned ? &((versioned*)managed)->dl : &((legacy*)managed)->dl;
}

#endif
