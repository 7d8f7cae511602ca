// SPDX-License-Identifier: Apache-2.0
// Elements of any type and strides as numbers: every width, both ends of each range, and the first one outside of given limits.
#include <tenon/tensor/numbers.hpp>

#include <limits>
#include <vector>

#include "catch.hpp"

using namespace tenon;
using detail::first_outside;
using detail::numbers;

namespace {
template <class T>
array_ref array_of(const T* data, const shape& s, const strides& st) {
  array_ref a;
  a.data = const_cast<T*>(data);
  a.dtype = dtype_of<T>::value;
  a.shape = s;
  a.strides = st;
  return a;
}
template <class T>
array_ref array_of(const std::vector<T>& v) {
  return array_of(v.data(), {v.size()}, {{1}});
}
}  // namespace

TEST_CASE("what counts as an integer, and as a real number") {
  using enum dtype_code;
  static_assert(detail::is_integer({int_, 8, 1}) && detail::is_integer({uint_, 64, 1}) && detail::is_integer({bool_, 8, 1}));
  static_assert(!detail::is_integer({int_, 8, 2}) && !detail::is_integer({bool_, 8, 4}) && !detail::is_integer(float32));
  static_assert(detail::is_real(float32) && detail::is_real(float64) && detail::is_real(bfloat16_dtype));
  static_assert(!detail::is_real({float_, 16, 1}) && !detail::is_real({int_, 32, 1}) && !detail::is_real({float_, 32, 2}));
  CHECK(detail::is_integer({int_, 32, 1}));
  CHECK(detail::is_integer({uint_, 16, 1}));
  CHECK_FALSE(detail::is_integer({uint_, 16, 2}));
  CHECK(detail::is_integer({bool_, 8, 1}));
  CHECK_FALSE(detail::is_integer(bfloat16_dtype));
  CHECK(detail::is_real(bfloat16_dtype));
  CHECK(detail::is_real(float64));
  CHECK(detail::is_real(float32));
  CHECK_FALSE(detail::is_real({complex, 64, 1}));
}

TEMPLATE_TEST_CASE("integers of every width, to both ends of their range", "", std::int8_t, std::uint8_t, std::int16_t,
                   std::uint16_t, std::int32_t, std::uint32_t, std::int64_t) {
  using limits = std::numeric_limits<TestType>;
  const std::vector<TestType> v{limits::min(), 0, 1, 77, limits::max()};
  const array_ref a = array_of(v);
  for (std::size_t i = 0; i < v.size(); ++i) CHECK(numbers(a).integer(static_cast<extent>(i)) == std::int64_t{v[i]});
}

TEST_CASE("integers of the other types; unsigned ones above INT64_MAX come out negative") {
  const std::vector<std::uint64_t> v{0, INT64_MAX, std::uint64_t{INT64_MAX} + 1, ~std::uint64_t{0}};
  const array_ref a = array_of(v);
  CHECK(numbers(a).integer(1) == INT64_MAX);
  CHECK(numbers(a).integer(2) == INT64_MIN);
  CHECK(numbers(a).integer(3) == -1);
  const bool truth[]{true, false};
  const array_ref b = array_of(truth, {2}, {{1}});
  CHECK(numbers(b).integer(0) == 1);
  CHECK(numbers(b).integer(1) == 0);
}

TEST_CASE("real numbers of every type") {
  const std::vector<float> f{1.5f, -2};
  const std::vector<double> d{0.1, 1e300};
  const std::vector<bfloat16> h{bfloat16(1.5f), bfloat16(-3.0f)};
  const array_ref a = array_of(f), b = array_of(d), c = array_of(h);
  CHECK(numbers(a).real(0) == 1.5);
  CHECK(numbers(a).real(1) == -2);
  CHECK(numbers(b).real(0) == 0.1);
  CHECK(numbers(b).real(1) == 1e300);
  CHECK(numbers(c).real(0) == 1.5);
  CHECK(numbers(c).real(1) == -3);
}

TEST_CASE("numbers are counted in row-major order, whatever the strides") {
  const std::int16_t memory[]{1, 2, 3, 4, 5, 6};
  const array_ref columns = array_of(memory, {3, 2}, {{1, 3}}), back = array_of(memory + 5, {6}, {{-1}});
  const extent seen[]{1, 4, 2, 5, 3, 6};
  for (extent i = 0; i < 6; ++i) {
    CHECK(numbers(columns).integer(i) == seen[i]);
    CHECK(numbers(back).integer(i) == 6 - i);
  }
  const float reals[]{1, 2, 3, 4};
  const array_ref every_other = array_of(reals, {2}, {{2}});
  CHECK(numbers(every_other).real(1) == 3);
}

TEST_CASE("the first number outside: the lower limit is in, the upper one out, and no more than n are looked at") {
  const std::vector<std::int32_t> v{0, 9, 10, -1, 5};
  const array_ref a = array_of(v);
  const detail::outlier high = first_outside(a, 5, 0, 10);
  CHECK(high);
  CHECK(high.at == 2);
  CHECK(high.value == 10);
  CHECK_FALSE(first_outside(a, 2, 0, 10));
  CHECK(first_outside(a, 2, 0, 10).at == -1);
  CHECK(first_outside(a, 2, 0, 10).value == 0);
  CHECK_FALSE(first_outside(a, 0, 0, 0));
  const detail::outlier low = first_outside(a, 5, 0, 11);
  CHECK(low.at == 3);
  CHECK(low.value == -1);
  CHECK_FALSE(first_outside(a, 5, -1, 11));
  CHECK(first_outside(a, 5, 1, 11).at == 0);  // the first place is a place
  CHECK(first_outside(a, 5, 1, 11));
}

TEST_CASE("what is above INT64_MAX is no negative number, and other types may be negative") {
  const std::vector<std::uint64_t> huge{1, ~std::uint64_t{0}};
  const array_ref a = array_of(huge);
  CHECK(first_outside(a, 2, -5, 10).at == 1);
  CHECK(first_outside(a, 2, 2, 10).at == 0);  // a lower limit of one's own stays
  CHECK(first_outside(a, 1, 1, 2).at == -1);
  CHECK(first_outside(a, 2, -5, 1).at == 0);
  const std::vector<std::uint64_t> zero{0};
  const array_ref z = array_of(zero);
  CHECK_FALSE(first_outside(z, 1, -5, 1));
  const std::vector<std::int64_t> negative{-3};
  const array_ref b = array_of(negative);
  CHECK_FALSE(first_outside(b, 1, -5, 1));
  const std::vector<std::uint32_t> small{7};
  const array_ref c = array_of(small);
  CHECK_FALSE(first_outside(c, 1, -5, 8));
}
