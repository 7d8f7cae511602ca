// SPDX-License-Identifier: Apache-2.0
// The machine of machine.h on a GPU of compute capability 8.0 or later. All of it is inlined: `each` is the calling thread.
#pragma once
#include "cuda_kernels/machine/machine.h"
namespace tenon_cuda {
template <class S>
struct device_registers {
  S own;
};

class device_thread {
  float* shared_;
  std::uint32_t address_;  // of shared_, as cp.async wants it

 public:
  TENON_DEVICE explicit device_thread(float* shared)
      : shared_(shared), address_(static_cast<std::uint32_t>(__cvta_generic_to_shared(shared))) {}
  TENON_DEVICE int id() const { return static_cast<int>(threadIdx.x); }
  TENON_DEVICE void copy16(int to, const float* from, bool some) const {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(address_ + 4u * static_cast<std::uint32_t>(to)),
                 "l"(from), "r"(some ? 16 : 0)
                 : "memory");
  }
  TENON_DEVICE void copy4(int to, const float* from, bool some) const {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;\n" ::"r"(address_ + 4u * static_cast<std::uint32_t>(to)),
                 "l"(from), "r"(some ? 4 : 0)
                 : "memory");
  }
  TENON_DEVICE void commit() const { asm volatile("cp.async.commit_group;\n" ::: "memory"); }
  template <int But>
  TENON_DEVICE void wait() const {
    asm volatile("cp.async.wait_group %0;\n" ::"n"(But) : "memory");
  }
  TENON_DEVICE void shared_run(int at, float (&v)[4]) const {
    const float4 all = *reinterpret_cast<const float4*>(shared_ + at);
    v[0] = all.x, v[1] = all.y, v[2] = all.z, v[3] = all.w;
  }
  TENON_DEVICE float apart(float v, int zero) const { return __int_as_float(__float_as_int(v) ^ zero); }
  TENON_DEVICE float shared(int at) const { return shared_[at]; }
  TENON_DEVICE void put(int at, float v) const { shared_[at] = v; }
  TENON_DEVICE float load(const float* p) const { return *p; }
  TENON_DEVICE void store(float* p, float v) const { *p = v; }
  TENON_DEVICE void store4(float* p, const float (&v)[4]) const {
    *reinterpret_cast<float4*>(p) = make_float4(v[0], v[1], v[2], v[3]);
  }
};

struct device_block {
  float* memory;
  template <class S>
  using registers = device_registers<S>;
  TENON_DEVICE std::int64_t block() const { return blockIdx.x; }
  TENON_DEVICE std::int64_t blocks() const { return gridDim.x; }
  TENON_DEVICE int split() const { return static_cast<int>(blockIdx.y); }
  template <class S, class F>
  TENON_DEVICE void each(device_registers<S>& r, const F& f) const {
    device_thread t(memory);
    f(t, r.own);
  }
  TENON_DEVICE void sync() const { __syncthreads(); }
};
}  // namespace tenon_cuda
