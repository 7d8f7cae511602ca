/* SPDX-License-Identifier: Apache-2.0 */
/* What the CUDA library (cuda_kernels/) exports, in plain C: no CUDA header, no C++ type, no exception crosses it. Functions give a
 * status and never print or end the process. Every struct begins with its size and grows at its end alone: what an earlier caller
 * does not have counts as 0, what a later one has beyond this file must be 0, and results are written no longer than that
 * size. Memory is the caller's, workspace included; a stream is a cudaStream_t (null: the default stream).
 *
 * Work is queued on the stream and may still run when a function returns; what it reads and writes must stay until then. A
 * function that gives an error has written nothing but workspace, with one exception: where the calling thread's own device
 * could not be made current again afterwards, the work is queued all the same.
 * Functions may be called from any thread. */
#pragma once
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

/* 0: well; above 0: that cudaError_t; below 0: one of these. */
typedef int32_t tenon_cuda_status;
enum {
  TENON_CUDA_OK = 0,
  TENON_CUDA_STRUCT = -1, /* a struct's size is less than it was in 1.0, or it asks for what this library does not know */
  TENON_CUDA_NULL = -2, /* a null pointer where memory is needed */
  TENON_CUDA_EXTENT = -3, /* a negative extent, or one above the largest: about 2^31 */
  TENON_CUDA_STRIDE = -4, /* no stride of a matrix is 1, a stride is negative, or rows of c overlap */
  TENON_CUDA_OVERFLOW = -5, /* an array longer than 2^63 - 1 bytes, or more blocks than a grid holds */
  TENON_CUDA_ALIGNMENT = -6, /* an address that is no multiple of 4 (of 16: workspace) */
  TENON_CUDA_DEVICE = -7, /* no device of this number */
  TENON_CUDA_VALUE = -8, /* a flag or kind that this library does not know */
  TENON_CUDA_NO_LIBRARY = -9 /* never from the library: what the calls of absent.hpp give */
};

/* The version of this file. A library works for a caller when majors are equal and its minor is at least the caller's. */
enum { TENON_CUDA_ABI_MAJOR = 1, TENON_CUDA_ABI_MINOR = 0 };

typedef struct tenon_cuda_device_info {
  uint64_t size;
  int32_t major, minor; /* compute capability */
  int32_t multiprocessors;
  int32_t driver, runtime; /* 13000 is 13.0 */
  int32_t reserved;
  uint64_t memory; /* bytes */
  char name[256];
} tenon_cuda_device_info;

/* c = a * b (+ bias) (+ c): a is [m, k], b is [k, n], c is [m, n] row-major with c_row >= n, bias is [n] or null. Strides are in
 * elements; one of each pair is 1, which gives every transposition. Sums run over k in a fixed order: the same bits each time, on
 * one kind of device, with the same workspace_bytes. NaN and infinities propagate. c overlaps no input. With k = 0 the product is 0. */
enum { TENON_CUDA_ACCUMULATE = 1 };
typedef struct tenon_cuda_gemm_args {
  uint64_t size;
  int32_t device;
  uint32_t flags; /* TENON_CUDA_ACCUMULATE or 0 */
  void* stream;
  int64_t m, n, k;
  const float* a;
  int64_t a_row, a_column; /* a(i, p) is a[i * a_row + p * a_column] */
  const float* b;
  int64_t b_row, b_column; /* b(p, j) is b[p * b_row + j * b_column] */
  float* c;
  int64_t c_row;
  const float* bias;
  /* Device memory, or null: then products of few tiles run on few multiprocessors. It serves one product at a time: two launches
   * go through it, so products that share it are called one after the other (a lock where threads do) and on one stream. */
  void* workspace;
  uint64_t workspace_bytes;
} tenon_cuda_gemm_args;

/* How a product is cut: blocks of tile_m x tile_n, each over a part of k. workspace_bytes is what that needs. */
typedef struct tenon_cuda_gemm_plan {
  uint64_t size;
  int32_t tile_m, tile_n;
  int32_t splits;
  int32_t vectors; /* bit 0: a is read 16 bytes at a time; bit 1: b */
  uint64_t workspace_bytes;
} tenon_cuda_gemm_plan;

/* y[i] = f(a[i], b[i]) for i < n; y may be a or b. */
enum {
  TENON_CUDA_FILL = 0, /* value */
  TENON_CUDA_ADD = 1, /* a + b */
  TENON_CUDA_RELU = 2, /* a < 0 ? 0 : a, NaN stays */
  TENON_CUDA_RELU_DX = 3, /* a where b > 0 or b is NaN, else 0: a is dy, b is relu's output */
  TENON_CUDA_TANH = 4,
  TENON_CUDA_TANH_DX = 5, /* a * (1 - b * b) */
  TENON_CUDA_SIGMOID = 6, /* 1 / (1 + exp(-a)) */
  TENON_CUDA_SIGMOID_DX = 7 /* a * b * (1 - b) */
};
typedef struct tenon_cuda_map_args {
  uint64_t size;
  int32_t device;
  int32_t kind;
  void* stream;
  int64_t n;
  float* y;
  const float *a, *b; /* null where the kind does not read them */
  float value;
  float reserved;
} tenon_cuda_map_args;

/* y[c] += sum of x[o, c, i] over o and i: x is [outer, length, inner], dense. In a fixed order. */
typedef struct tenon_cuda_sum_args {
  uint64_t size;
  int32_t device;
  int32_t reserved;
  void* stream;
  int64_t outer, length, inner;
  float* y;
  const float* x;
} tenon_cuda_sum_args;

/* One step of an optimizer on n elements.
 * SGD:  d = g + decay * w; with first set: first = keep * first + take * d; w -= rate * (now * d + buffer * first), else w -= rate * d.
 * Adam: with l2 not 0: g += l2 * w; first += take1 * (g - first); second = keep2 * second + take2 * g * g;
 *       w -= shrink * w + scale * first / (sqrt(second) * root + epsilon). */
enum { TENON_CUDA_SGD = 0, TENON_CUDA_ADAM = 1 };
typedef struct tenon_cuda_update_args {
  uint64_t size;
  int32_t device;
  int32_t kind;
  void* stream;
  int64_t n;
  float* w;
  const float* g;
  float *first, *second; /* SGD: the momentum, or null; Adam: both moments */
  float rate, decay, keep, take, now, buffer;
  float l2, take1, keep2, take2, shrink, scale, root, epsilon;
} tenon_cuda_update_args;

enum { TENON_CUDA_TO_DEVICE = 1, TENON_CUDA_TO_HOST = 2, TENON_CUDA_WITHIN = 3 };

/* major << 16 | minor. The one function whose form no version changes. */
uint32_t tenon_cuda_abi(void);

/* The text of this thread's last error; valid until its next call. Never null. */
const char* tenon_cuda_last_error(void);
tenon_cuda_status tenon_cuda_device_count(int32_t* count);
tenon_cuda_status tenon_cuda_device_properties(int32_t device, tenon_cuda_device_info* to);
/* Aligned to 256 bytes, contents undefined. *to is null for no bytes, and untouched on an error. */
tenon_cuda_status tenon_cuda_allocate(int32_t device, uint64_t bytes, void** to);
/* Waits for the device's work, so memory may be given back while kernels still use it. */
tenon_cuda_status tenon_cuda_release(int32_t device, void* p);
/* Host memory that is not page-locked has been read when this returns; writes to the host are there after synchronize. */
tenon_cuda_status tenon_cuda_copy(int32_t device, void* to, const void* from, uint64_t bytes, int32_t direction, void* stream);
tenon_cuda_status tenon_cuda_synchronize(int32_t device, void* stream);
tenon_cuda_status tenon_cuda_plan(const tenon_cuda_gemm_args* args, tenon_cuda_gemm_plan* plan);
tenon_cuda_status tenon_cuda_gemm(const tenon_cuda_gemm_args* args);
tenon_cuda_status tenon_cuda_map(const tenon_cuda_map_args* args);
tenon_cuda_status tenon_cuda_sum(const tenon_cuda_sum_args* args);
tenon_cuda_status tenon_cuda_update(const tenon_cuda_update_args* args);

/* All of the above in a table, for those who load the library at run time. A later minor adds at the end. */
typedef struct tenon_cuda_api {
  uint64_t size;
  uint32_t abi; /* as tenon_cuda_abi() */
  uint32_t reserved;
  const char* (*last_error)(void);
  tenon_cuda_status (*device_count)(int32_t* count);
  tenon_cuda_status (*device_properties)(int32_t device, tenon_cuda_device_info* to);
  tenon_cuda_status (*allocate)(int32_t device, uint64_t bytes, void** to);
  tenon_cuda_status (*release)(int32_t device, void* p);
  tenon_cuda_status (*copy)(int32_t device, void* to, const void* from, uint64_t bytes, int32_t direction, void* stream);
  tenon_cuda_status (*synchronize)(int32_t device, void* stream);
  tenon_cuda_status (*plan)(const tenon_cuda_gemm_args* args, tenon_cuda_gemm_plan* plan);
  tenon_cuda_status (*gemm)(const tenon_cuda_gemm_args* args);
  tenon_cuda_status (*map)(const tenon_cuda_map_args* args);
  tenon_cuda_status (*sum)(const tenon_cuda_sum_args* args);
  tenon_cuda_status (*update)(const tenon_cuda_update_args* args);
} tenon_cuda_api;
const tenon_cuda_api* tenon_cuda_functions(void);

#ifdef __cplusplus
}
#endif
