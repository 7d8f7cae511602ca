/* SPDX-License-Identifier: Apache-2.0
 * The suite's own producer and consumer, in C: tensors over one page of numbers between two pages that nobody may touch, deleters
 * that count their calls, and a reader that believes every field. Struct layouts are DLPack 1.3's; of CPython it uses the stable
 * ABI, without its headers. Pages and structs are never given back: a deleter that is called twice must still be counted. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "structs.h"

enum { page = 4096, axes = 80 };

/* What to make; filled in by craft.py. */
typedef struct {
  int32_t versioned, null_data, null_shape, has_strides, null_deleter;
  int64_t ndim, shift;
  uint64_t byte_offset;
  int32_t device_type, device_id, code, bits, lanes;
  uint32_t major, minor;
  uint64_t flags;
  int64_t shape[axes], strides[axes];
} recipe;

typedef struct {
  recipe r;
  union {
    legacy old;
    versioned new;
  } managed, before;
  int64_t shape[axes], strides[axes], shape_before[axes], strides_before[axes];
  char* memory;
  int deleted, by_capsule;
} made;

static void deleted(made* m) {
  __atomic_add_fetch(&m->deleted, 1, __ATOMIC_SEQ_CST);
  memset(m->memory, 0xff, page); /* who reads on sees it */
  for (int i = 0; i < axes; ++i) m->shape[i] = m->strides[i] = INT64_C(-0x5a5a5a5a5a5a);
}
static void delete_legacy(legacy* t) { deleted(t->manager); }
static void delete_versioned(versioned* t) { deleted(t->manager); }

static float bfloat(int i) { return (float)(i % 128 + 1); }
static void fill(char* memory, int code, int bits) {
  for (int i = 0; i < page * 8 / (bits < 8 ? 8 : bits); ++i) {
    const int64_t whole = i + 1;
    if (code == 2 && bits == 64) ((double*)memory)[i] = (double)whole;
    else if (code == 2 && bits == 32) ((float*)memory)[i] = (float)whole;
    else if (code == 4) {
      const float f = bfloat(i);
      memcpy(memory + 2 * i, (const char*)&f + 2, 2);
    } else if (code == 6) memory[i] = (char)(i & 1);
    else if (bits == 64) ((int64_t*)memory)[i] = whole;
    else if (bits == 32) ((int32_t*)memory)[i] = (int32_t)whole;
    else if (code == 17) memory[i] = (char)(i % 16); /* padded: a byte each */
    else if (bits == 8) memory[i] = (char)(i % 100);
  }
}

void* make(const recipe* r) {
  made* m = calloc(1, sizeof *m);
  char* p = mmap(NULL, 3 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (!m || p == MAP_FAILED || mprotect(p + page, page, PROT_READ | PROT_WRITE)) abort();
  m->r = *r;
  m->memory = p + page;
  const int plain = (r->code == 2 || r->code == 0) && (r->bits == 32 || r->bits == 64);
  if (plain || r->code == 4 || r->code == 6 || r->code == 17 || (r->code < 2 && r->bits == 8)) fill(m->memory, r->code, r->bits);
  else fill(m->memory, 2, 32);
  memcpy(m->shape, r->shape, sizeof m->shape);
  memcpy(m->strides, r->strides, sizeof m->strides);
  tensor t = {r->null_data ? NULL : m->memory + page / 2 + r->shift, r->device_type, r->device_id, (int32_t)r->ndim, (uint8_t)r->code,
              (uint8_t)r->bits, (uint16_t)r->lanes, r->null_shape ? NULL : m->shape, r->has_strides ? m->strides : NULL, r->byte_offset};
  if (r->versioned) {
    versioned v = {r->major, r->minor, m, r->null_deleter ? NULL : delete_versioned, r->flags, t};
    m->managed.new = v;
  } else {
    legacy o = {t, m, r->null_deleter ? NULL : delete_legacy};
    m->managed.old = o;
  }
  m->before = m->managed;
  memcpy(m->shape_before, m->shape, sizeof m->shape);
  memcpy(m->strides_before, m->strides, sizeof m->strides);
  return m;
}
void* managed_of(made* m) { return &m->managed; }
int times_deleted(made* m) { return __atomic_load_n(&m->deleted, __ATOMIC_SEQ_CST); }
int times_by_capsule(made* m) { return m->by_capsule; }
/* Whether somebody wrote into the struct, the shape or the strides. */
int changed(made* m) {
  return memcmp(&m->before, &m->managed, sizeof m->managed) || memcmp(m->shape_before, m->shape, sizeof m->shape) ||
         memcmp(m->strides_before, m->strides, sizeof m->strides);
}
void* memory_of(made* m) { return m->memory; }

/* What an export looks like. */
typedef struct {
  uint32_t major, minor;
  uint64_t flags, byte_offset;
  void* data;
  int32_t device_type, device_id, ndim, code, bits, lanes, has_shape, has_strides, has_deleter;
  int64_t shape[8], strides[8];
} seen;

void look(int is_versioned, void* managed, seen* s) {
  const tensor* t = tensor_of(is_versioned, managed);
  memset(s, 0, sizeof *s);
  if (is_versioned) {
    const versioned* v = managed;
    s->major = v->major;
    s->minor = v->minor;
    s->flags = v->flags;
    s->has_deleter = v->deleter != NULL;
  } else {
    s->has_deleter = ((legacy*)managed)->deleter != NULL;
  }
  s->byte_offset = t->byte_offset;
  s->data = t->data;
  s->device_type = t->device_type;
  s->device_id = t->device_id;
  s->ndim = t->ndim;
  s->code = t->code;
  s->bits = t->bits;
  s->lanes = t->lanes;
  s->has_shape = t->shape != NULL;
  s->has_strides = t->strides != NULL;
  for (int i = 0; i < t->ndim && i < 8; ++i) {
    s->shape[i] = t->shape[i];
    s->strides[i] = t->strides ? t->strides[i] : 0;
  }
}

static double element(const char* p, int code, int bits) {
  if (code == 2 && bits == 64) return *(const double*)p;
  if (code == 4 && bits == 16) {
    float f = 0;
    memcpy((char*)&f + 2, p, 2);
    return f;
  }
  if (code == 17 && bits == 8) {
    static const double numbers[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
    return numbers[*p & 7] * (*p & 8 ? -1 : 1);
  }
  if (code == 6 || (code == 1 && bits == 8)) return *(const uint8_t*)p;
  if (code == 0 && bits == 8) return *(const int8_t*)p;
  if (code == 0 && bits == 32) return *(const int32_t*)p;
  if (code == 0 && bits == 64) return (double)*(const int64_t*)p;
  float f;
  memcpy(&f, p, sizeof f);
  return f;
}
/* The sum of what the struct says is there: each field is believed, as most consumers do. A strided walk, whatever the rank. */
double total_of(int is_versioned, void* managed) {
  const tensor* t = tensor_of(is_versioned, managed);
  const char* p = (const char*)t->data + t->byte_offset;
  const int padded = is_versioned && (((const versioned*)managed)->flags & 4) && t->bits < 8; /* a byte each */
  const int64_t bits = padded ? 8 : t->bits, width = bits * t->lanes / 8;
  int64_t n = 1;
  for (int i = 0; i < t->ndim; ++i) n = (int64_t)((uint64_t)n * (uint64_t)t->shape[i]);
  double sum = 0;
  for (int64_t k = 0; k < n; ++k) {
    int64_t rest = k, at = 0, dense = 1;
    for (int i = t->ndim - 1; i >= 0; --i) {
      const int64_t step = t->strides ? t->strides[i] : dense;
      at += rest % t->shape[i] * step;
      rest /= t->shape[i];
      dense *= t->shape[i];
    }
    sum += element(p + at * width, t->code, (int)bits);
  }
  return sum;
}

void free_managed(int is_versioned, void* managed) {
  if (is_versioned) {
    versioned* v = managed;
    if (v->deleter) v->deleter(v);
  } else {
    legacy* o = managed;
    if (o->deleter) o->deleter(o);
  }
}
typedef struct {
  int is_versioned;
  void* managed;
} job;
static void* work(void* p) {
  free_managed(((job*)p)->is_versioned, ((job*)p)->managed);
  return NULL;
}
/* The deleter, on a thread that Python knows nothing of. */
void free_on_thread(int is_versioned, void* managed) {
  job j = {is_versioned, managed};
  pthread_t t;
  if (pthread_create(&t, NULL, work, &j)) abort();
  pthread_join(t, NULL);
}

/* ---- capsules: called with the GIL held ---- */
typedef struct _object PyObject;
extern PyObject* PyCapsule_New(void*, const char*, void (*)(PyObject*));
extern int PyCapsule_IsValid(PyObject*, const char*);
extern void* PyCapsule_GetPointer(PyObject*, const char*);
extern int PyCapsule_SetName(PyObject*, const char*);
extern void PyErr_SetString(PyObject*, const char*);
extern int PyErr_ExceptionMatches(PyObject*);
extern PyObject* PyErr_Occurred(void);
extern void PyErr_Clear(void);
extern PyObject* PyExc_KeyError;
extern void Py_DecRef(PyObject*);

static const char *const names[] = {"dltensor", "dltensor_versioned"}, *const used[] = {"used_dltensor", "used_dltensor_versioned"};

static void drop_capsule(PyObject* capsule) {
  for (int v = 0; v < 2; ++v) {
    if (!PyCapsule_IsValid(capsule, names[v])) continue; /* taken: the taker deletes */
    void* managed = PyCapsule_GetPointer(capsule, names[v]);
    made* m = v ? ((versioned*)managed)->manager : ((legacy*)managed)->manager;
    ++m->by_capsule;
    free_managed(v, managed);
  }
}
PyObject* capsule_of(made* m) { return PyCapsule_New(&m->managed, names[m->r.versioned], drop_capsule); }
/* Which generation a capsule holds, −1: none that is still to be taken. */
int generation(PyObject* capsule) { return PyCapsule_IsValid(capsule, names[1]) ? 1 : PyCapsule_IsValid(capsule, names[0]) ? 0 : -1; }
void* peek(PyObject* capsule) {
  const int v = generation(capsule);
  return v < 0 ? NULL : PyCapsule_GetPointer(capsule, names[v]);
}
/* Takes it, as a consumer does: its struct is ours to delete. */
void* consume(PyObject* capsule) {
  const int v = generation(capsule);
  void* managed = peek(capsule);
  if (v >= 0) PyCapsule_SetName(capsule, used[v]);
  return managed;
}
/* Lets go of the last reference while an exception is pending; whether that is still pending. */
int drop_while_raising(PyObject* capsule) {
  PyErr_SetString(PyExc_KeyError, "pending");
  Py_DecRef(capsule);
  const int kept = PyErr_Occurred() && PyErr_ExceptionMatches(PyExc_KeyError);
  PyErr_Clear();
  return kept;
}
/* DLPack 1.3's table of C functions: −1 no such capsule, else bits: 1 major version 1 is there, 2 what must be there is. */
typedef struct exchange {
  uint32_t major, minor;
  const struct exchange* previous;
  void *allocate, *from_object, *to_object, *borrow, *stream;
} exchange;
int exchange_table(PyObject* capsule) {
  if (!PyCapsule_IsValid(capsule, "dlpack_exchange_api")) return -1;
  const exchange* e = PyCapsule_GetPointer(capsule, "dlpack_exchange_api");
  while (e && e->major != 1) e = e->previous;
  return !e ? 0 : e->allocate && e->from_object && e->to_object && e->stream ? 3 : 1;
}
