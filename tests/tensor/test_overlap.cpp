// SPDX-License-Identifier: Apache-2.0
// Whether elements share memory, against counting the addresses one by one; and the range of bytes that an array reaches.
#include <tenon/tensor/overlap.hpp>

#include <random>
#include <set>

#include "catch.hpp"

using namespace tenon;

namespace {
bool shares(const shape& s, const strides& st) {
  std::set<extent> seen;
  const extent n = s.numel();
  for (extent i = 0; i < n; ++i)
    if (!seen.insert(detail::offset_of(i, s, st)).second) return true;
  return false;
}
}  // namespace

TEST_CASE("D14 self-overlap agrees with counting addresses") {
  std::mt19937 random(20261126);
  const auto below = [&](unsigned n) { return static_cast<extent>(random() % n); };
  int some = 0, none = 0;
  for (int round = 0; round < (TENON_LONG ? 2'000'000 : 40'000); ++round) {
    shape s;
    strides st;
    s.rank_ = static_cast<int>(below(5));
    for (int i = 0; i < s.rank(); ++i) {
      s.d[i] = below(12) ? 1 + below(5) : 0;
      st.d[i] = below(25) - 12;
    }
    const overlap found = self_overlap(s, st);
    const bool really = shares(s, st);
    if (found != (really ? overlap::some : overlap::none)) {
      CAPTURE(round, text(s), st[0], st[1], st[2], st[3]);
      REQUIRE(found == (really ? overlap::some : overlap::none));
    }
    ++(really ? some : none);
  }
  CHECK(some > 1000);
  CHECK(none > 1000);
}

TEST_CASE("D14 what cannot be decided in reasonable time is said to be unknown, or decided") {
  // a knapsack: eight axes whose strides have no order
  const shape s{60, 60, 60, 60, 60, 60, 60, 60};
  const strides st{{1000003, 999983, 999979, 999961, 999959, 999953, 999931, 999917}};
  CHECK(self_overlap(s, st) != overlap::none);
  CHECK(self_overlap({1000, 1000, 1000}, {{1, 1000, 1000000}}) == overlap::none);
  CHECK(self_overlap({1000, 1000, 1000}, {{1000000, 1, 1000}}) == overlap::none);
  CHECK(self_overlap({4, 4}, {{-4, 1}}) == overlap::none);
  CHECK(self_overlap({1, 4}, {{0, 1}}) == overlap::none);  // an axis of one element may carry anything
  CHECK(self_overlap({0, 4}, {{0, 0}}) == overlap::none);
  CHECK(self_overlap({}, {}) == overlap::none);
}

TEST_CASE("D15 the bytes that an array reaches, and whether two arrays may meet") {
  float memory[24]{};
  const auto at = [&](float* p, const shape& s, const strides& st) { return address_range_of(strided_view<float>(p, s, st)); };
  const auto whole = at(memory, {4, 6}, {{6, 1}});
  CHECK(whole.first == reinterpret_cast<std::byte*>(memory));
  CHECK(whole.last == reinterpret_cast<std::byte*>(memory + 24));
  const auto back = at(memory + 5, {3}, {{-2}});
  CHECK(back.first == reinterpret_cast<std::byte*>(memory + 1));
  CHECK(back.last == reinterpret_cast<std::byte*>(memory + 6));
  CHECK(at(memory, {3, 0}, {{1, 1}}).empty());
  CHECK(may_overlap(whole, back));
  CHECK_FALSE(may_overlap(at(memory, {6}, {{1}}), at(memory + 6, {6}, {{1}})));
  CHECK_FALSE(may_overlap(at(memory + 6, {6}, {{1}}), at(memory, {6}, {{1}})));
  CHECK_FALSE(may_overlap(whole, at(memory, {0}, {{1}})));
  CHECK_FALSE(may_overlap(at(memory, {0}, {{1}}), whole));
  CHECK(address_range_of(strided_view<float>()).empty());
}
