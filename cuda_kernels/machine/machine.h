// SPDX-License-Identifier: Apache-2.0
// What a kernel is written against, so that one source runs on a GPU (device.cuh) and, checked access by access, on the host
// (tests/cuda/emulator.hpp). A kernel is a function over a block `hw`:
//
//   hw.block(), hw.split(), hw.blocks()       where this block is in the grid
//   registers<S> r{…}                         an S for each thread of the block
//   hw.each(r, [&](auto& t, S& s) { … })      every thread, in any order; nothing may pass between threads inside
//   hw.sync()                                 the barrier between two of them
//   t.id()                                    the thread
//   t.copy16(to, from, some), t.copy4(…)      16 or 4 bytes, global to shared memory without waiting; 0 where not `some`
//   t.commit(), t.wait<n>()                   … until here, but for the last n commits, for the thread that copied; for others a
//                                             sync must follow
//   t.shared_run(at, v), t.shared(at), t.put(at, v)       shared memory, by number of floats; v is 4 of them
//   t.apart(v, zero)                          v, in a register of its own; `zero` is a 0 that no compiler knows to be one
//   t.load(p), t.store(p, v), t.store4(p, v)  global memory
#pragma once
#include <cstdint>

#if defined(__CUDACC__)
#define TENON_DEVICE __device__ __forceinline__
#define TENON_BOTH __host__ __device__ __forceinline__
#define TENON_UNROLL _Pragma("unroll")
#define TENON_ROLLED _Pragma("unroll 1")
#else
#define TENON_DEVICE inline
#define TENON_BOTH inline
#define TENON_UNROLL
#define TENON_ROLLED
#endif
