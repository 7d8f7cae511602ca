// SPDX-License-Identifier: Apache-2.0
// tvm-ffi's doors, as bench_bridge uses ours: DLPack in and out in both generations. It checks nothing of what comes in.
#include <tvm/ffi/container/tensor.h>

#include <vector>

#include "bridge_peer.h"

namespace {

float* memory;
std::vector<int64_t> extents, steps;
tvm::ffi::Tensor array;
long deleted;

template <class Managed>
Managed producer() {
  Managed m{};
  m.dl_tensor = {memory, {kDLCPU, 0}, int32_t(extents.size()), {kDLFloat, 32, 1}, extents.data(), steps.data(), 0};
  m.deleter = [](Managed*) { ++deleted; };
  if constexpr (requires { m.version; }) m.version = {DLPACK_MAJOR_VERSION, DLPACK_MINOR_VERSION};
  return m;
}
void keep(const tvm::ffi::Tensor& t) { asm volatile("" : : "g"(&t) : "memory"); }

}  // namespace

extern "C" {

const char* bridge_name(bridge_case c) {
  switch (c) {
    case bridge_import_versioned: return "tvm-ffi FromDLPackVersioned";
    case bridge_import_legacy: return "tvm-ffi FromDLPack";
    case bridge_export_versioned: return "tvm-ffi ToDLPackVersioned";
    case bridge_export_legacy: return "tvm-ffi ToDLPack";
    default: return nullptr;
  }
}

void bridge_open(float* data, const int64_t* shape, int rank) {
  memory = data;
  extents.assign(shape, shape + rank);
  steps.assign(extents.size(), 1);
  for (int i = rank - 1; i > 0; --i) steps[i - 1] = steps[i] * extents[i];
  static auto m = producer<DLManagedTensorVersioned>();
  m = producer<DLManagedTensorVersioned>();
  array = tvm::ffi::Tensor::FromDLPackVersioned(&m);
}

long bridge_run(bridge_case c, long n) {
  deleted = 0;
  switch (c) {
    case bridge_import_versioned: {
      auto m = producer<DLManagedTensorVersioned>();
      for (long i = 0; i < n; ++i) keep(tvm::ffi::Tensor::FromDLPackVersioned(&m));
      return deleted;
    }
    case bridge_import_legacy: {
      auto m = producer<DLManagedTensor>();
      for (long i = 0; i < n; ++i) keep(tvm::ffi::Tensor::FromDLPack(&m));
      return deleted;
    }
    case bridge_export_versioned:
      for (long i = 0; i < n; ++i) {
        auto* m = array.ToDLPackVersioned();
        m->deleter(m);
      }
      return n;
    case bridge_export_legacy:
      for (long i = 0; i < n; ++i) {
        auto* m = array.ToDLPack();
        m->deleter(m);
      }
      return n;
    default: return 0;
  }
}

}  // extern "C"
