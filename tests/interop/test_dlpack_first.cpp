// SPDX-License-Identifier: Apache-2.0
// A dlpack.h of today, included before anything of ours.
#include "imitated_dlpack.h"
//
#include "foreign_round_trip.hpp"

TEST_CASE("a foreign header before ours: both generations go in and out") {
  round_trip<DLManagedTensor>();
  round_trip<DLManagedTensorVersioned>();
}

TEST_CASE("our structs and theirs are different types of one layout") {
  STATIC_CHECK(tenon::versioned_struct<DLManagedTensorVersioned>);
  STATIC_CHECK(!tenon::versioned_struct<DLManagedTensor>);
  STATIC_CHECK(!std::is_same_v<DLManagedTensor, tenon::dl::managed_tensor>);
  STATIC_CHECK(sizeof(DLManagedTensorVersioned) == sizeof(tenon::dl::managed_tensor_versioned));
}

TEST_CASE("read-only crosses in both directions") {
  producer<DLManagedTensorVersioned> p({1, 2}, {2});
  p.managed.flags = 1;
  CHECK(p.refused<float>().code == tenon::errc::read_only);
  auto t = tenon::from_dlpack(p.give());
  CHECK(tenon::to_dlpack<DLManagedTensorVersioned>(t)->flags == 1);
  tenon::handle<DLManagedTensor> h;
  tenon::failure why;
  CHECK(tenon::try_to_dlpack<DLManagedTensor>(t, h, why) == tenon::errc::read_only);
}

TEST_CASE("another major version keeps its owner") {
  producer<DLManagedTensorVersioned> p({1}, {1});
  p.managed.version.major = 2;
  CHECK(p.refused<float>().code == tenon::errc::version);
}
