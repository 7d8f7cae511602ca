// SPDX-License-Identifier: Apache-2.0
// Many imports and exports: each deleter runs once, no heap block is left; eight threads import and export the same memory at the same
// time. Long (-Dintensity=long): 10^8 pairs, and 10^6 imports a thread.
#include <tenon/tensor/export.hpp>
#include <tenon/tensor/typed_tensor.hpp>

#include <atomic>
#include <cstdio>
#include <thread>
#include <vector>

namespace {
using namespace tenon;
float values[6]{1, 2, 3, 4, 5, 6};
std::int64_t extents_of[2]{2, 3}, strides_of[2]{3, 1};
std::atomic<long> deleted{0};

template <class M>
M foreign() {
  M m{};
  m.dl_tensor = {values, {1, 0}, 2, {2, 32, 1}, extents_of, strides_of, 0};
  if constexpr (versioned_struct<M>) m.version = dl::spoken;
  m.deleter = [](M*) { deleted.fetch_add(1, std::memory_order_relaxed); };
  return m;
}
int bad = 0;
void expect(bool holds, const char* what, long got, long wanted) {
  if (!holds) std::printf("FAILED: %s: %ld, not %ld\n", what, got, wanted), ++bad;
}

/// Each round: an import of each form, an export of each form, in both orders of letting go.
void pairs(long n) {
  auto m = foreign<dl::managed_tensor_versioned>();
  auto old = foreign<dl::managed_tensor>();
  deleted = 0;
  for (long i = 0; i < n; ++i) {
    auto typed = from_dlpack<const float, dims<2>>(own(&m));
    auto counted = from_dlpack<const float>(own(&old));
    auto first = to_dlpack(counted), second = to_dlpack(counted);
    counted = {};
    if (i % 2) first.reset(), second.reset();
    else second.reset(), first.reset();
    auto handed_on = to_dlpack(std::move(typed));
  }
  expect(deleted == 2 * n, "deleters of pairs", deleted, 2 * n);
}

/// All share one tensor, and each has imports of its own.
void threads(int count, long n) {
  auto shared = foreign<dl::managed_tensor_versioned>();
  deleted = 0;
  {
    const auto t = from_dlpack<float>(own(&shared));
    std::vector<std::thread> all;
    for (int k = 0; k < count; ++k)
      all.emplace_back([&t, n] {
        auto mine = foreign<dl::managed_tensor_versioned>();
        for (long i = 0; i < n; ++i) {
          auto out = to_dlpack(t);  // of all threads one at a time has the room of the block
          auto back = from_dlpack<const float, extents<2, 3>>(std::move(out));
          auto own_import = from_dlpack<const float>(own(&mine));
          auto copy = own_import;
          own_import = {};
          if (back(1, 2) != 6 || copy[5] != 6) std::abort();
        }
      });
    for (auto& th : all) th.join();
    expect(deleted == count * n, "deleters of the threads", deleted, count * n);
    expect(t.owner().sole(), "holders left", 2, 1);
  }
  expect(deleted == count * n + 1, "deleters in the end", deleted, count * n + 1);
}
}  // namespace

int main() {
  pairs(TENON_LONG ? 50'000'000 : 50'000);
  threads(8, TENON_LONG ? 1'000'000 : 5'000);
  std::puts(bad ? "failed" : "passed");
  return bad != 0;
}
