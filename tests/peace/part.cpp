// SPDX-License-Identifier: Apache-2.0
// A translation unit that sees one foreign dlpack.h (FIRST: before ours, LAST: after ours, neither: none). tests/tools/headers_peace.py
// compiles it once a header and order, and links the results into one program.
#ifdef FIRST
#include FIRST
#endif
#include <tenon/tensor/export.hpp>
#include <tenon/tensor/typed_tensor.hpp>
#ifdef LAST
#include LAST
#endif
#if defined(FIRST) || defined(LAST)
#include <tenon/interop/dlpack.hpp>
using legacy = DLManagedTensor;
#else
using legacy = tenon::dl::managed_tensor;
#endif
#include "part.hpp"

#if !defined(DLPACK_DLPACK_H_)
using versioned = tenon::dl::managed_tensor_versioned;
#elif defined(DLPACK_MAJOR_VERSION)
using versioned = DLManagedTensorVersioned;
#else
using versioned = void;
#endif

namespace {

template <class M>
void* give(const auto& t) {
  return tenon::to_dlpack<M>(t).release();
}
template <class M>
matrix take(void* p) {
  return tenon::from_dlpack(tenon::own(static_cast<M*>(p)));
}

/// The header's names and our doors write and read the same memory in one function, where an optimiser sees both.
template <class M>
bool through_fields() {
  static float values[]{1, 2, 3, 4, 5, 6};
  static std::int64_t shape[]{2, 3}, strides[]{3, 1};
  static int deleted;
  deleted = 0;
  M m{};
  m.dl_tensor.data = values;
  m.dl_tensor.device.device_type = static_cast<decltype(m.dl_tensor.device.device_type)>(1);
  m.dl_tensor.ndim = 2;
  m.dl_tensor.dtype.code = 2;
  m.dl_tensor.dtype.bits = 32;
  m.dl_tensor.dtype.lanes = 1;
  m.dl_tensor.shape = shape;
  m.dl_tensor.strides = strides;
  m.deleter = [](M*) { ++deleted; };
  if constexpr (tenon::versioned_struct<M>) m.version.major = 1;
  bool good = true;
  {
    auto t = tenon::from_dlpack<const float, tenon::extents<tenon::dyn, 3>>(tenon::own(&m));
    good = good && t.data() == values && t(1, 2) == 6 && deleted == 0;
  }
  good = good && deleted == 1;
  auto counted = tenon::from_dlpack<float>(tenon::own(&m), {.assume_writable = true});
  tenon::handle<M> out = tenon::to_dlpack<M>(counted);
  m.dl_tensor.ndim = 7;  // ours has its own
  good = good && out->dl_tensor.ndim == 2 && out->dl_tensor.shape[1] == 3 && out->dl_tensor.strides[0] == 3 &&
         out->dl_tensor.data == values && out->dl_tensor.dtype.bits == 32;
  out->dl_tensor.ndim = 1;
  const auto row = tenon::from_dlpack<const float>(std::move(out));
  good = good && row.rank() == 1 && row.shape()[0] == 2;
  shape[0] = -1;
  m.dl_tensor.ndim = 2;
  tenon::handle<M> bad = tenon::own(&m);
  matrix none;
  tenon::failure why;
  good = good && tenon::try_from_dlpack(bad, none, why) == tenon::errc::negative_extent && bad.release() == &m;
  shape[0] = 2;
  return good;
}

template <class V>
constexpr part describe() {
  part p{NAME, give<legacy>, take<legacy>, nullptr, nullptr, nullptr};
  if constexpr (std::is_void_v<V>) {
    p.fields = through_fields<legacy>;
  } else {
    p.give_versioned = give<V>;
    p.take_versioned = take<V>;
    p.fields = [] { return through_fields<legacy>() && through_fields<V>(); };
  }
  return p;
}

}  // namespace

extern const part PART;
const part PART = describe<versioned>();
