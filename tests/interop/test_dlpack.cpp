// SPDX-License-Identifier: Apache-2.0
// The system's own <dlpack/dlpack.h>, whatever its version, through the door.
#include <tenon/interop/dlpack.hpp>

#include "foreign_round_trip.hpp"

TEST_CASE("the visible dlpack.h goes in and out") { round_trip<DLManagedTensor>(); }
#if defined(DLPACK_MAJOR_VERSION)
TEST_CASE("its versioned struct, too") { round_trip<DLManagedTensorVersioned>(); }
#endif
