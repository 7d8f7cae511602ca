// SPDX-License-Identifier: Apache-2.0
// The CUDA runtime of cuda_kernels/host/runtime.h without a GPU: two devices, memory that is counted and fenced, kernels run by the
// emulator, at once; and any call can be told to fail. Include it in one file: it has the one definition of runtime(), and with it
// the library's host side.
#pragma once
#include <cstdlib>
#include <functional>
#include <mutex>
#include "cuda/emulator.hpp"
#include "cuda_kernels/host/abi.cpp"

namespace imitation {
inline constexpr int devices = 2, broken = 999;
inline int present = devices;
inline int current = 0;
inline int calls = 0, fail_at = -1;  // which call gives `broken`; −1: none
inline int launches = 0, multiprocessors = 4;
inline std::map<void*, std::size_t> live;
inline std::string fault;  // of the emulator: a kernel did what it must not
inline std::function<void()> before_reduce;  // between the two launches of a product that is cut along k
inline std::recursive_mutex one;  // threads come one after the other

inline bool fails() {
  const std::lock_guard alone(one);
  return calls++ == fail_at;
}
inline void start(int fail = -1) {
  calls = launches = 0;
  fail_at = fail;
}
template <class F>
int launch(const F& kernel) {
  const std::lock_guard alone(one);
  if (fails()) return broken;
  ++launches;
  try {
    kernel();
  } catch (const emulator::fault& e) {
    fault = e.what();
    return 700;  // as an illegal address gives
  }
  return 0;
}
inline int allocate(void** to, std::size_t bytes) {
  const std::lock_guard alone(one);
  if (fails()) return broken;
  if (bytes > (std::size_t{1} << 32)) return 2;
  void* const p = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  std::memset(p, 0xff, bytes);  // NaN
  live[p] = bytes;
  emulator::map(p, bytes);
  *to = p;
  return 0;
}
inline int release(void* p) {
  const std::lock_guard alone(one);
  if (fails()) return broken;
  if (!live.erase(p)) return 1;
  emulator::unmap(p);
  std::free(p);
  return 0;
}
inline int copy(void* to, const void* from, std::size_t bytes, int direction, void*) {
  return launch([&] {
    if (direction != TENON_CUDA_TO_HOST) emulator::touch(to, bytes, 1, true);
    if (direction != TENON_CUDA_TO_DEVICE) emulator::touch(from, bytes, 1, false);
    std::memcpy(to, from, bytes);
  });
}
}  // namespace imitation

const tenon_cuda::runtime_table& tenon_cuda::runtime() noexcept {
  using namespace imitation;
  static const runtime_table table{
      [](int* count) { return fails()   ? broken
                              : present ? (*count = present, 0)
                                        : 100; },
      [](int* device) { return fails()   ? broken
                               : present ? (*device = current, 0)
                                         : 35; },
      [](int device) { return fails()            ? broken
                              : device < present ? (current = device, 0)
                                                 : 101; },
      [](int, tenon_cuda_device_info* to) {
        if (fails()) return broken;
        to->major = 9, to->minor = 0, to->multiprocessors = multiprocessors;
        std::strcpy(to->name, "an imitation");
        return 0;
      },
      [](int, int* count) { return fails() ? broken : (*count = multiprocessors, 0); },
      allocate,
      release,
      copy,
      [](void*) { return fails() ? broken : 0; },
      [](const gemm_launch& l, void*) { return launch([&] { emulator::gemm(l); }); },
      [](const gemm_problem& p, void*) {
        if (before_reduce) before_reduce();
        return launch([&] { emulator::reduce(p); });
      },
      [](const tenon_cuda_map_args& a, void*) { return launch([&] { emulator::map(a); }); },
      [](const tenon_cuda_sum_args& a, void*) { return launch([&] { emulator::sum(a); }); },
      [](const tenon_cuda_update_args& a, void*) { return launch([&] { emulator::update(a); }); },
      [](int error) -> const char* {
        return error == broken ? "cudaErrorBroken" : error == 35 ? "cudaErrorInsufficientDriver" : "other";
      }};
  return table;
}
