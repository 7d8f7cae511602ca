// SPDX-License-Identifier: Apache-2.0
// Somebody else's tensor: a managed struct of either generation whose deleter counts its calls and then spoils what it described, so
// that whoever looks at it afterwards is found out.
#pragma once
#include <tenon/tensor/import.hpp>
#include <vector>

template <class M = tenon::dl::managed_tensor_versioned>
struct producer {
  std::vector<float> values;
  std::vector<std::int64_t> shape, strides;
  M managed{};
  int deleted = 0;

  explicit producer(std::vector<float> v, std::vector<std::int64_t> extents, std::vector<std::int64_t> steps = {})
      : values(std::move(v)), shape(std::move(extents)), strides(std::move(steps)) {
    auto& t = managed.dl_tensor;
    t.data = values.data();
    t.device.device_type = static_cast<decltype(t.device.device_type)>(1);
    t.ndim = static_cast<std::int32_t>(shape.size());
    t.dtype.code = 2;
    t.dtype.bits = 32;
    t.dtype.lanes = 1;
    t.shape = shape.empty() ? nullptr : shape.data();
    t.strides = strides.empty() ? nullptr : strides.data();
    managed.manager_ctx = this;
    managed.deleter = [](M* m) {
      auto* p = static_cast<producer*>(m->manager_ctx);
      ++p->deleted;
      for (auto& e : p->shape) e = -1234567;
      for (auto& old : p->values) old = -1e30f;
    };
    if constexpr (tenon::versioned_struct<M>) managed.version.major = 1;
  }
  producer(const producer&) = delete;
  producer& operator=(const producer&) = delete;

  tenon::handle<M> give() { return tenon::own(&managed); }
  auto& dl() { return managed.dl_tensor; }

  /// A failing import: the handle still owns, the deleter has not run, shape and strides are as they were, `to` is untouched.
  template <class T>
  tenon::failure refused(const tenon::import_options& o = {}) {
    tenon::handle<M> h = give();
    tenon::tensor<T> to;
    tenon::failure why;
    const auto old_shape = shape, old_strides = strides;
    const tenon::errc code = tenon::try_from_dlpack(h, to, why, o);
    const bool kept = h.get() == &managed && deleted == 0 && shape == old_shape && strides == old_strides && !to && !to.owner();
    if (code != why.code || !kept) why.operation = "the import was not without effect";
    static_cast<void>(h.release());
    return why;
  }
};
using versioned = producer<tenon::dl::managed_tensor_versioned>;
using legacy = producer<tenon::dl::managed_tensor>;
