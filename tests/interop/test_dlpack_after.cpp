// SPDX-License-Identifier: Apache-2.0
// A dlpack.h of today, included after ours: what is a template at our doors does not care.
#include "foreign_round_trip.hpp"
//
#include "imitated_dlpack.h"

TEST_CASE("a foreign header after ours: both generations go in and out") {
  round_trip<DLManagedTensor>();
  round_trip<DLManagedTensorVersioned>();
}
