// SPDX-License-Identifier: Apache-2.0
// What holds of every foreign managed struct, legacy or versioned: in, out, once each.
#pragma once
#include <tenon/tensor/export.hpp>
#include <tenon/tensor/import.hpp>

#include "catch.hpp"
#include "tensor/producer.hpp"

template <class M>
void round_trip() {
  producer<M> p({1, 2, 3, 4, 5, 6}, {2, 3});
  {
    auto t = tenon::from_dlpack<float>(p.give(), {.assume_writable = true});
    CHECK(t.data() == p.values.data());
    CHECK(t(1, 2) == 6);
    tenon::handle<M> h = tenon::to_dlpack<M>(t);
    CHECK(h->dl_tensor.data == t.data());
    CHECK(h->dl_tensor.ndim == 2);
    CHECK(h->dl_tensor.shape[1] == 3);
    CHECK(h->dl_tensor.strides[0] == 3);
    CHECK(h->dl_tensor.byte_offset == 0);
    CHECK(static_cast<int>(h->dl_tensor.device.device_type) == 1);
    t = {};
    CHECK(p.deleted == 0);
    M* raw = h.release();
    raw->deleter(raw);
    CHECK(p.deleted == 1);
  }
  CHECK(p.deleted == 1);
  producer<M> bad({1}, {-1});
  CHECK(bad.template refused<void>().code == tenon::errc::negative_extent);
}
