// SPDX-License-Identifier: Apache-2.0
// What a kernel is written against, so that one source runs on a GPU (device.cuh) and, checked access by access, on the host
// (tests/cuda/emulator.hpp). A kernel is a function over a block `hw`:
//
//   hw.block(), hw.split(), hw.blocks()       where this block is in the grid
//   registers<S> r{…}                         an S for each thread of the block
//   hw.each(r, [&](auto& t, S& s) { … })      every thread, in any order; nothing may pass between threads inside
//   hw.sync()                                 the barrier between two of them
//   t.id()                                    the thread
//   t.copy16(to, from, valid), t.copy4(…)     global to shared memory without waiting; what is not valid becomes 0
//   t.commit(), t.wait()                      … until here, for the thread that copied; for others a sync must follow
//   t.shared_run(at, v), t.shared(at), t.put(at, v)       shared memory, by number of floats; v is 2 or 4 of them
//   t.load(p), t.store(p, v), t.store4(p, v)  global memory
#pragma once
#include <cstdint>

#if defined(__CUDACC__)
#define TENON_DEVICE __device__ __forceinline__
#define TENON_BOTH __host__ __device__ __forceinline__
#define TENON_UNROLL _Pragma("unroll")
#define TENON_ROLLED _Pragma("unroll 1")
#define TENON_PRAGMA(text) _Pragma(#text)
#define TENON_UNROLL_BY(times) TENON_PRAGMA(unroll times)
#else
#define TENON_DEVICE inline
#define TENON_BOTH inline
#define TENON_UNROLL
#define TENON_ROLLED
#define TENON_UNROLL_BY(times)
#endif
