// SPDX-License-Identifier: Apache-2.0
// ATen's doors, as bench_bridge uses ours: a tensor over borrowed memory, DLPack in and out in both generations.
#include <ATen/DLConvertor.h>
#include <ATen/Functions.h>
#include <torch/version.h>

#include <string>
#include <vector>

#include "bridge_peer.h"

namespace {

float* memory;
std::vector<int64_t> extents, steps;
at::Tensor array;
long deleted;

template <class Managed>
Managed producer() {
  Managed m{};
  m.dl_tensor = {memory, {kDLCPU, 0}, int32_t(extents.size()), {kDLFloat, 32, 1}, extents.data(), steps.data(), 0};
  m.deleter = [](Managed*) { ++deleted; };
  return m;
}
void keep(const at::Tensor& t) { asm volatile("" : : "g"(&t) : "memory"); }

}  // namespace

extern "C" {

const char* bridge_name(bridge_case c) {
  static const std::string lib = "libtorch " TORCH_VERSION " at::";
  static const std::string names[] = {lib + "toDLPackNonOwning", lib + "from_blob",         lib + "fromDLPackVersioned",
                                      lib + "fromDLPack",        lib + "toDLPackVersioned", lib + "toDLPack"};
  return names[c].c_str();
}

void bridge_open(float* data, const int64_t* shape, int rank) {
  memory = data;
  extents.assign(shape, shape + rank);
  array = at::from_blob(data, extents);
  steps.assign(array.strides().begin(), array.strides().end());
}

long bridge_run(bridge_case c, long n) {
  deleted = 0;
  long i = 0;
  switch (c) {
    case bridge_view:
      for (DLTensor t; i < n; ++i) {
        at::toDLPackNonOwning(array, &t);
        asm volatile("" : : "g"(&t) : "memory");
      }
      return n;
    case bridge_container:
      for (; i < n; ++i) keep(at::from_blob(memory, extents));
      return n;
    case bridge_import_versioned: {
      auto m = producer<DLManagedTensorVersioned>();
      m.version = {DLPACK_MAJOR_VERSION, DLPACK_MINOR_VERSION};
      for (; i < n; ++i) keep(at::fromDLPackVersioned(&m));
      return deleted;
    }
    case bridge_import_legacy: {
      auto m = producer<DLManagedTensor>();
      for (; i < n; ++i) keep(at::fromDLPack(&m));
      return deleted;
    }
    case bridge_export_versioned:
      for (; i < n; ++i) {
        auto* m = at::toDLPackVersioned(array);
        m->deleter(m);
      }
      return n;
    case bridge_export_legacy:
      for (; i < n; ++i) {
        auto* m = at::toDLPack(array);
        m->deleter(m);
      }
      return n;
  }
  return 0;
}

}  // extern "C"
