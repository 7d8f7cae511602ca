/* SPDX-License-Identifier: Apache-2.0
 * A target that does everything wrong that can be done wrong in few lines: the suite must find it out. It believes each field, lets
 * exports dangle, and with -DGREEDY deletes what it refuses, and twice what it took. */
#include <stdlib.h>
#include "../structs.h"
#include "../target.h"

typedef struct {
  int versioned;
  void* managed;
} object;

static void let_go(int is_versioned, void* managed) {
  if (is_versioned) ((versioned*)managed)->deleter(managed);
  else ((legacy*)managed)->deleter(managed);
}
int target_import(int is_versioned, void* managed, void** out, char* said, unsigned long room) {
  if (room) *said = 0;
#ifdef GREEDY
  const tensor* t = tensor_of(is_versioned, managed);
  if (t->ndim > 0 && t->shape && t->shape[0] < 0) {
    let_go(is_versioned, managed);
    return 1;
  }
#endif
  object* o = malloc(sizeof *o);
  o->versioned = is_versioned;
  o->managed = managed;
  *out = o;
  return 0;
}
int target_read(void* x, double* sum, int* read_only) {
  const object* o = x;
  const tensor* t = tensor_of(o->versioned, o->managed);
  *read_only = 0;
  if (!sum) return 0;
  *sum = 0;
  int64_t n = 1;
  for (int i = 0; i < t->ndim; ++i) n *= t->shape[i];
  static const double fp4[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
  for (int64_t i = 0; i < n; ++i) {
    if (t->code == 17) {  /* two in a byte, whatever the flags say */
      const int bits = ((const uint8_t*)t->data + t->byte_offset)[i / 2] >> i % 2 * 4 & 15;
      *sum += fp4[bits & 7] * (bits & 8 ? -1 : 1);
    } else {
      *sum += (double)((const float*)t->data)[i];
    }
  }
  return 0;
}
void target_release(void* x) {
#ifdef GREEDY
  let_go(((object*)x)->versioned, ((object*)x)->managed);
#endif
  let_go(((object*)x)->versioned, ((object*)x)->managed);
  free(x);
}
int target_export(void* x, int is_versioned, void** managed, char* said, unsigned long room) {
  const object* o = x;
  if (room) *said = 0;
  if (o->versioned != is_versioned) return 1;
  if (is_versioned) {
    versioned* v = malloc(sizeof *v);
    *v = *(versioned*)o->managed;
    v->deleter = NULL;
    *managed = v;
  } else {
    legacy* l = malloc(sizeof *l);
    *l = *(legacy*)o->managed;
    l->deleter = NULL;
    *managed = l;
  }
  return 0;
}
