// SPDX-License-Identifier: Apache-2.0
// Fresh memory for what a call gives back, which is used again only when nobody holds it.
#pragma once
#include <mutex>

#include "common.hpp"

namespace pytenon {
/// Memory that comes back when its last holder lets go.
class memory_pool {
  static constexpr int slots = 12;
  std::mutex one_;
  tenon::storage kept_[slots];
  unsigned next_ = 0;

 public:
  tenon::storage take(std::size_t bytes) {
    const std::lock_guard lock(one_);
    tenon::storage* best = nullptr;
    for (tenon::storage& s : kept_)
      if (s.sole() && s.bytes() >= bytes && s.bytes() / 4 <= bytes + 1024 && (!best || s.bytes() < best->bytes())) best = &s;
    if (best) return *best;
    tenon::storage fresh;
    tenon::failure f;
    check(tenon::storage::try_allocate(bytes, fresh, f), f);
    tenon::storage* to = nullptr;
    for (tenon::storage& s : kept_)
      if (!s) to = &s;
    if (!to) to = &kept_[next_++ % slots];  // whoever still holds it keeps it alive
    *to = fresh;
    return fresh;
  }
};
}  // namespace pytenon
