// SPDX-License-Identifier: Apache-2.0
// Whether elements share memory, against counting the addresses one by one; and the range of bytes that an array reaches.
#include <tenon/tensor/overlap.hpp>

#include <random>
#include <set>
#include <utility>

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

TEST_CASE("D14 the search gives up after 2^14 tries, and not before") {
  // 20021 d = 20011 e has no solution as small as these, which takes a try for every d
  const extent most = 1 << 14;
  CHECK(self_overlap({most + 1, 20021}, {{20021, 20011}}) == overlap::none);
  CHECK(self_overlap({most + 2, 20021}, {{20021, 20011}}) == overlap::unknown);
  CHECK(self_overlap({20012, 20022}, {{20021, 20011}}) == overlap::unknown);
  CHECK(self_overlap({20012, 20022, 2}, {{20021, 20011, 0}}) == overlap::some);  // a stride of 0 takes no search
}

TEST_CASE("D14 sums that reach a target: at both ends of each axis, in as many tries as are allowed") {
  const detail::overlap_axis one[]{{5, 7}}, two[]{{3, 10}, {2, 3}};
  const extent behind_one[]{35, 0}, behind_two[]{36, 6, 0};
  const auto tries = [](extent target, const detail::overlap_axis* axes, const extent* reach, int budget) {
    const overlap found = detail::reaches(target, axes, reach, budget);
    return std::pair(found, budget);
  };
  using result = std::pair<overlap, int>;
  CHECK(tries(0, one, behind_one, 0) == result(overlap::some, 0));
  for (const extent sign : {-1, 1}) {
    CHECK(tries(sign * 35, one, behind_one, 1) == result(overlap::some, 0));
    CHECK(tries(sign * 35, one, behind_one, 0) == result(overlap::unknown, -1));
    CHECK(tries(sign * 42, one, behind_one, 9) == result(overlap::none, 9));  // d = 6 is too far
    CHECK(tries(sign * 34, one, behind_one, 9) == result(overlap::none, 9));
    CHECK(tries(sign * 36, two, behind_two, 9).first == overlap::some);  // 30 + 6
    CHECK(tries(sign * 24, two, behind_two, 9).first == overlap::some);  // 30 - 6
    CHECK(tries(sign * 4, two, behind_two, 9).first == overlap::some);  // 10 - 6
    CHECK(tries(sign * 37, two, behind_two, 9).first == overlap::none);
    CHECK(tries(sign * 5, two, behind_two, 9).first == overlap::none);
  }
  CHECK(tries(4, two, behind_two, 9) == result(overlap::some, 6));  // what cannot be reached is not tried: 0, 1, and 2 behind it
  for (extent target = -50; target <= 50; ++target) {
    bool there = false;
    for (extent d = -3; d <= 3; ++d)
      for (extent e = -2; e <= 2; ++e) there |= d * 10 + e * 3 == target;
    CHECK(tries(target, two, behind_two, 1000).first == (there ? overlap::some : overlap::none));
  }
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
