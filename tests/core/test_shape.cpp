// SPDX-License-Identifier: Apache-2.0
// Shapes: axes, sizes that saturate, faults that stick, and strides that say row-major.
#include <tenon/core/shape.hpp>

#include <random>
#include <vector>

#include "catch.hpp"

using tenon::dyn;
using tenon::errc;
using tenon::extent;
using tenon::shape;
using tenon::strides;

TEST_CASE("axes count from both ends; one that is not there reads as dyn") {
  constexpr shape s{2, 3, 4};
  STATIC_CHECK(s.rank() == 3);
  STATIC_CHECK(s[0] == 2);
  STATIC_CHECK(s[-1] == 4);
  STATIC_CHECK(s[-3] == 2);
  STATIC_CHECK(s[3] == dyn);
  STATIC_CHECK(s[-4] == dyn);
  STATIC_CHECK(s.with(-1, 9)[2] == 9);
  STATIC_CHECK(s.with(5, 9) == s);
  CHECK(text(shape{dyn, 1, 28, dyn}) == "[batch, 1, 28, ?]");
  CHECK(text(shape{}) == "[]");
}

TEST_CASE("numel saturates, and an empty axis makes it 0 wherever it stands") {
  constexpr extent huge = extent{1} << 62;
  STATIC_CHECK(shape{}.numel() == 1);
  STATIC_CHECK(shape{2, 3}.numel() == 6);
  STATIC_CHECK(shape{huge, huge}.overflows());
  STATIC_CHECK(shape{huge, huge, 0}.numel() == 0);
  STATIC_CHECK(shape{0, huge, huge}.numel() == 0);
  STATIC_CHECK(!shape{huge}.overflows());
  STATIC_CHECK(tenon::detail::saturating_add(INT64_MAX, 1) == INT64_MAX);
}

TEST_CASE("the first fault sticks") {
  constexpr shape s = shape{dyn, 5}.expect(1, 6).expect_rank(3).expect_least(1, 100);
  STATIC_CHECK(s.bad() == tenon::fault{errc::extent, 1, 5, 6});
  STATIC_CHECK(shape{dyn, 5}.expect(-1, 6).bad().axis == 1);
  STATIC_CHECK(shape{dyn, 5}.expect(0, 6).ok());
  STATIC_CHECK(shape{4, 5}.expect(0, dyn).ok());
  STATIC_CHECK(shape{4}.expect(3, 6).ok());  // not there: another check says so
  STATIC_CHECK(shape{4}.expect_least(0, 5).bad() == tenon::fault{errc::too_small, 0, 4, 5});
  STATIC_CHECK(shape{4}.expect_given(0).bad().code == errc::missing_size);
  STATIC_CHECK(shape{4}.expect_value(false, 7, 8).bad() == tenon::fault{errc::value, -1, 7, 8});
  STATIC_CHECK(shape{1, 1, 1, 1, 1, 1, 1, 1}.append(1).bad() == tenon::fault{errc::rank, -1, 9, 8});
  STATIC_CHECK(shape{2}.append(3) == shape{2, 3});
  // its numbers lie in the last two extents: nothing is written over them
  constexpr shape wide = shape{1, 1, 1, 1, 1, 1, 1, 1}.expect(0, 2);
  STATIC_CHECK(wide.with(6, 9).with(-1, 9).bad() == tenon::fault{errc::extent, 0, 1, 2});
  STATIC_CHECK(shape{1, 1, 1, 1, 1, 1}.expect(0, 2).append(9).bad() == tenon::fault{errc::extent, 0, 1, 2});
  STATIC_CHECK(wide.failed(tenon::fault{errc::rank, -1, 3, 4}).bad().code == errc::extent);
}

TEST_CASE("layer fields take any integer") {
  std::vector<int> v(7);
  const tenon::size a = v.size();
  const tenon::size2 b = 3u, c{std::size_t{2}, 5};
  CHECK(a == 7);
  CHECK((b.h == 3 && b.w == 3));
  CHECK((c.h == 2 && c.w == 5));
}

TEST_CASE("dense strides, and what counts as dense") {
  STATIC_CHECK(tenon::dense_strides(shape{2, 3, 4}) == strides{{12, 4, 1}});
  STATIC_CHECK(tenon::is_dense(shape{2, 3}, {{3, 1}}));
  STATIC_CHECK(!tenon::is_dense(shape{2, 3}, {{1, 2}}));
  STATIC_CHECK(!tenon::is_dense(shape{2, 3}, {{4, 1}}));
  STATIC_CHECK(!tenon::is_dense(shape{3}, {{-1}}));
  STATIC_CHECK(!tenon::is_dense(shape{3}, {{0}}));
  STATIC_CHECK(tenon::is_dense(shape{1, 3, 1}, {{-7, 1, INT64_MAX}}));
  STATIC_CHECK(tenon::is_dense(shape{5, 0, 3}, {{-7, 9, 11}}));
  STATIC_CHECK(tenon::is_dense(shape{}, {}));
}

TEST_CASE("is_dense agrees with counting addresses") {
  std::mt19937 random(3);
  for (int round = 0; round < 20'000; ++round) {
    shape s;
    strides st;
    const int rank = static_cast<int>(random() % 4);
    for (int i = 0; i < rank; ++i) s = s.append(static_cast<extent>(random() % 4));
    st = tenon::dense_strides(s);
    for (int i = 0; i < rank; ++i)
      if (random() % 3 == 0) st.d[i] = static_cast<extent>(random() % 9) - 4;
    bool dense = true;
    for (extent n = 0; n < s.numel(); ++n) {
      extent at = 0, rest = n;
      for (int i = rank - 1; i >= 0; --i) {
        at += rest % s[i] * st[i];
        rest /= s[i];
      }
      dense &= at == n;
    }
    if (tenon::is_dense(s, st) != dense) FAIL(text(s) << " strides " << st[0] << " " << st[1] << " " << st[2]);
  }
  SUCCEED();
}
