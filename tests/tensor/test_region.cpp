// SPDX-License-Identifier: Apache-2.0
// Parts, other shapes and other orders of the axes: each element is where index arithmetic says, and what cannot be done without a copy is
// refused.
#include <tenon/tensor/subview.hpp>

#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

#include "catch.hpp"

using namespace tenon;

namespace {
/// The code and the numbers of what goes wrong; `to` must be as it was.
template <class Call>
failure refused(Call call) {
  strided_view<const int> to(nullptr, {7}, {{7}});
  failure why;
  const errc c = call(to, why);
  CHECK(c != errc::ok);
  CHECK(c == why.code);
  CHECK((to.shape() == shape{7} && to.strides()[0] == 7));
  return why;
}
template <class X, class... S>
failure no_subview(const X& x, S... s) {
  return refused([&](auto& to, failure& why) { return try_subview(x, to, why, s...); });
}
template <class X>
failure no_reshape(const X& x, const shape& s) {
  return refused([&](auto& to, failure& why) { return try_reshape(x, s, to, why); });
}
template <class X>
failure no_transpose(const X& x, const axis_order& o) {
  return refused([&](auto& to, failure& why) { return try_transpose(x, o, to, why); });
}
std::vector<int> counted(int n) {
  std::vector<int> v(static_cast<std::size_t>(n));
  std::iota(v.begin(), v.end(), 0);
  return v;
}
strided_view<const int> dense(const std::vector<int>& v, const shape& s) { return {v.data(), s, dense_strides(s)}; }
template <class V>
std::vector<int> values(const V& v) {
  std::vector<int> r;
  for (extent i = 0; i < v.shape().numel(); ++i) r.push_back(v.data()[detail::offset_of(i, v.shape(), v.strides())]);
  return r;
}
}  // namespace

TEST_CASE("an index drops its axis, a range keeps it, all{} and axes without a slice stay whole") {
  const auto memory = counted(24);
  const auto x = dense(memory, {2, 3, 4});
  const auto row = subview(x, 1, 2);
  CHECK(row.shape() == shape{4});
  CHECK(values(row) == std::vector{20, 21, 22, 23});
  const auto column = subview(x, all{}, all{}, 3);
  CHECK(column.shape() == shape{2, 3});
  CHECK(column(1, 1) == 19);
  CHECK(values(subview(x, 0, range{1, 3}, range(0, 4, 3))) == std::vector{4, 7, 8, 11});
  CHECK(values(subview(x, 0, 0, range{3, -1, -1})) == std::vector{3, 2, 1, 0});
  CHECK(values(subview(x, 0, 0, range{3, 0, -2})) == std::vector{3, 1});
  const auto one = subview(x, 1, 1, 1);
  CHECK(one.rank() == 0);
  CHECK(one() == 17);
  CHECK(values(subview(x)) == memory);
  CHECK(values(subview(x, range(0u, std::size_t{1}), short{1}, 2L)) == std::vector{6});
}

TEST_CASE("nothing is clamped, and nothing is counted from the back") {
  const auto memory = counted(12);
  const auto x = dense(memory, {3, 4});
  CHECK(no_subview(x, 3).message() == "[subview] slices: index out of range, axis 0: got 3, expected below 3.");
  CHECK(no_subview(x, 0, -1).message() == "[subview] slices: index out of range, axis 1: got -1, expected at least 0.");
  CHECK(no_subview(x, all{}, range{0, 5}).message() ==
        "[subview] end of a range: index out of range, axis 1: got 5, expected at most 4.");
  CHECK(no_subview(strided_view<const int>(nullptr, {0}, {{1}}), 0).message() ==
        "[subview] slices: index out of range, axis 0: got 0, expected below 0.");
  CHECK(no_subview(x, range{4, 4}).code == errc::index);
  CHECK(no_subview(x, range{-1, 2}).code == errc::index);
  CHECK(no_subview(x, range{2, 1}).code == errc::index);
  CHECK(no_subview(x, range{3, 0, -1}).code == errc::index);
  CHECK(no_subview(x, range{2, -2, -1}).code == errc::index);
  CHECK(no_subview(x, range{0, 1, -1}).code == errc::index);
  CHECK(no_subview(x, range{0, 3, 0}).message() ==
        "[subview] step of a range: value out of range, axis 0: got 0, expected other than 0.");
  CHECK(no_subview(x, 0, 0, 0).message() == "[subview] slices: rank: got 3, expected at most 2.");
  CHECK(subview(x, range{3, 3}).numel() == 0);
  CHECK(subview(x, range{-1, -1, -1}).numel() == 0);
  CHECK(subview(x, range(0, 3, INT64_MAX)).shape() == shape{1, 4});
  CHECK(subview(x, range(2, -1, INT64_MIN)).shape() == shape{1, 4});
}

TEST_CASE("an empty part has no address; of one element, strides say nothing") {
  const auto memory = counted(12);
  const auto x = dense(memory, {3, 4});
  const auto none = subview(x, range{1, 1}, range(0, 4, 2));
  CHECK(none.shape() == shape{0, 2});
  CHECK(none.data() == nullptr);
  CHECK(none.strides() == dense_strides({0, 2}));
  const auto one = subview(x, range{2, 3}, range(1, 4, 2));
  CHECK(one.shape() == shape{1, 2});
  CHECK(one.strides() == strides{{2, 2}});
  CHECK(reshape(none, {5, 0}).shape() == shape{5, 0});
  const strided_view<const int> odd(memory.data(), {1, 0, 2}, {{INT64_MIN, INT64_MAX, INT64_MIN}});
  CHECK(transpose(odd).shape() == shape{2, 0, 1});
  CHECK(subview(odd, all{}, all{}, 1).strides() == dense_strides({1, 0}));
}

TEST_CASE("reshape infers one extent") {
  const auto memory = counted(12);
  const auto x = dense(memory, {3, 4});
  CHECK(reshape(x, {2, dyn, 3}).shape() == shape{2, 2, 3});
  CHECK(values(reshape(x, {12})) == memory);
  CHECK(reshape(subview(x, 0, 0), {}).rank() == 0);
  CHECK(reshape(subview(x, 0, 0), {1, dyn, 1}).strides() == strides{{1, 1, 1}});
  CHECK(no_reshape(x, {5, 2}).message() == "[reshape] elements of the new shape: extent: got 10, expected 12.");
  CHECK(no_reshape(x, {5, dyn}).message() ==
        "[reshape] elements to share out: extent, axis 1: got 12, expected a multiple of 5.");
  CHECK(no_reshape(x, {dyn, 3, dyn}).message() ==
        "[reshape] extents to infer: value out of range, axis 2: got 2, expected at most 1.");
  CHECK(no_reshape(x, {0, dyn}).message() ==
        "[reshape] the extent to infer beside an extent of 0: extent, axis 1. Say how long this axis is.");
  CHECK(no_reshape(subview(x, range{0, 0}), {0, dyn}).code == errc::extent);
  CHECK(reshape(subview(x, range{0, 0}), {dyn, 4}).shape() == shape{0, 4});
  CHECK(no_reshape(x, {-2, -6}).code == errc::negative_extent);
  CHECK(no_reshape(x, {INT64_MAX, INT64_MAX}).code == errc::overflow);
}

TEST_CASE("reshape joins what is one run, and refuses what would take a copy") {
  const auto memory = counted(24);
  const auto x = dense(memory, {2, 3, 4});
  const auto padded = subview(x, all{}, all{}, range{0, 3});  // rows of three in memory of four
  CHECK(values(reshape(padded, {6, 3})) == values(padded));
  CHECK(reshape(padded, {6, 3}).strides() == strides{{4, 1}});
  const failure why = no_reshape(padded, {18});
  CHECK(why.message() ==
        "[reshape] strides of axes that would be joined: not dense, axis 1. Reshape a dense copy: tenon::copy(x).");
  CHECK(why.got == 4);
  CHECK(why.expected == 3);
  CHECK(no_reshape(transpose(x), {24}).code == errc::not_dense);
  const auto backwards = subview(dense(memory, {24}), range{23, -1, -1});
  CHECK(reshape(backwards, {2, 12})(1, 0) == 11);
  CHECK(values(reshape(reshape(backwards, {4, 6}), {24})) == values(backwards));
  const strided_view<const int> broadcast(memory.data(), {2, 3, 4}, {{0, 0, 1}});
  CHECK(reshape(broadcast, {6, 4}).strides() == strides{{0, 1}});
  CHECK(reshape(broadcast, {2, 3, 2, 2}).strides() == strides{{0, 0, 2, 1}});
  CHECK(no_reshape(broadcast, {3, 8}).code == errc::not_dense);
}

TEST_CASE("transpose reverses the axes, or orders them") {
  const auto memory = counted(24);
  const auto x = dense(memory, {2, 3, 4});
  CHECK(transpose(x).shape() == shape{4, 3, 2});
  CHECK(transpose(x)(3, 1, 0) == 7);
  CHECK(transpose(x, {1, 2, 0}).shape() == shape{3, 4, 2});
  CHECK(transpose(x, {1, 2, 0})(2, 3, 1) == 23);
  CHECK(transpose(x, {0, -1, 1}).shape() == shape{2, 4, 3});
  CHECK(values(transpose(transpose(x))) == memory);
  CHECK(transpose(subview(x, 0, 0, 0), {}).rank() == 0);
  CHECK(no_transpose(x, {0, 1}).message() == "[transpose] axes: rank: got 2, expected 3.");
  CHECK(no_transpose(x, {0, 1, 3}).message() == "[transpose] axes: value out of range, axis 2: got 3, expected below 3.");
  CHECK(no_transpose(x, {0, 1, -4}).message() == "[transpose] axes: value out of range, axis 2: got -4, expected at least -3.");
  CHECK(no_transpose(x, {0, 2, -1}).code == errc::value);
}

TEST_CASE("extents and strides that nobody checked are refused where they do not fit") {
  const int memory[4]{};
  const strided_view<const int> negative(memory, {2, -3}, {{1, 1}}), far(memory, {3, 2}, {{INT64_MAX / 2, INT64_MAX / 2}}),
      many(memory, {INT64_MAX, 2}, {{0, 0}});
  CHECK(no_subview(negative, 0).code == errc::negative_extent);
  CHECK(no_reshape(negative, {dyn}).axis == 1);
  CHECK(no_transpose(negative, {1, 0}).code == errc::negative_extent);
  CHECK(no_subview(far, 2, 1).code == errc::overflow);
  const strided_view<const int> steps(memory, {4}, {{INT64_MAX / 2}});
  CHECK(no_subview(steps, range(0, 4, 3)).code == errc::overflow);
  CHECK(no_subview(steps, 3).code == errc::overflow);
  CHECK(subview(steps, range(0, 3, 2)).strides()[0] == INT64_MAX / 2 * 2);
  CHECK(no_subview(many, 0).code == errc::overflow);
  CHECK(no_reshape(many, {2, dyn}).code == errc::overflow);
  CHECK(no_transpose(many, {1, 0}).code == errc::overflow);
}

TEST_CASE("what is not there needs no address, however far its strides would lead") {
  const int memory[4]{};
  const strided_view<const int> none(memory, {3, 0}, {{INT64_MAX, 1}});
  CHECK(subview(none, 2).shape() == shape{0});
  CHECK(subview(none, range{2, -1, -2}).shape() == shape{2, 0});
  CHECK(subview(none, range{2, -1, -2}).data() == nullptr);
  const strided_view<const int> rows(memory, {3, 2}, {{INT64_MAX, 1}});
  CHECK(no_subview(rows, 2).code == errc::overflow);
  CHECK(subview(rows, 2, range{1, 1}).shape() == shape{0});
  CHECK(no_subview(rows, range{0, 3, 2}).message() ==
        "[subview] strides: overflow: got 9223372036854775807, expected below 9223372036854775807.");
  CHECK(subview(rows, range{0, 1, 2}).shape() == shape{1, 2});  // one step is no step
  CHECK(subview(rows, range{0, 2}).strides()[0] == INT64_MAX);
  // The product of these extents, cut to 64 bits, is small again.
  CHECK(no_subview(strided_view<const int>(memory, {INT64_MAX, 4, 1}, {}), 0).code == errc::overflow);
  CHECK(no_transpose(strided_view<const int>(memory, {INT64_MAX, 4, 2}, {}), {0, 1, 2}).code == errc::overflow);
  CHECK(transpose(strided_view<const int>(memory, {INT64_MAX, 4, 0}, {})).shape() == shape{0, 4, INT64_MAX});
}

TEST_CASE("reshape does not join axes beyond the last address, nor split one beyond it") {
  const int memory[4]{};
  const strided_view<const int> far(memory, {2, 2}, {{1, INT64_MAX}}), one(memory, {4}, {{INT64_MAX}});
  CHECK(no_reshape(far, {4}).code == errc::not_dense);
  CHECK(reshape(far, {2, 1, 2}).strides() == strides{{1, 2, INT64_MAX}});
  CHECK(no_reshape(one, {2, 2}).message() ==
        "[reshape] strides: overflow: got 9223372036854775807, expected below 9223372036854775807.");
  CHECK(reshape(one, {1, 4, 1}).strides()[1] == INT64_MAX);
}

TEST_CASE("after each of them strides that mean nothing are row-major, and what is empty starts nowhere") {
  const auto memory = counted(12);
  const strided_view<const int> odd(memory.data(), {2, 1, 0}, {{INT64_MIN, INT64_MAX, INT64_MIN}});
  CHECK(transpose(dense(memory, {2, 1, 3})).strides() == strides{{1, 2, 3}});
  CHECK((transpose(odd).data() == nullptr && transpose(odd).strides() == strides{{2, 2, 1}}));
  CHECK((reshape(odd, {0, 1, 4}).data() == nullptr && reshape(odd, {0, 1, 4}).strides() == strides{{4, 4, 1}}));
  CHECK(reshape(dense(memory, {12}), {3, 1, 4}).strides() == strides{{4, 4, 1}});
  failure why;
  detail::region r{{3, 4}, {{4, 1}}};
  const detail::slice_arg by[2]{2, 1};
  CHECK(detail::cut("test", r, by, 1, why) == errc::ok);  // the second is not asked for
  CHECK((r.shape == shape{4} && r.offset == 8 && !r.empty));
  r = {{3, 4}, {{4, 1}}};
  const detail::slice_arg none[2]{range{1, 3}, range{4, 4}};
  CHECK(detail::cut("test", r, none, 2, why) == errc::ok);
  CHECK((r.shape == shape{2, 0} && r.offset == 0 && r.empty));
  CHECK((detail::reversed(3).d[0] == 2 && detail::reversed(3).d[3] == 0));
}

TEST_CASE("as many axes as there may be") {
  const auto memory = counted(6);
  const auto x = dense(memory, {1, 2, 1, 1, 3, 1, 1, 1});
  CHECK(transpose(x).shape() == shape{1, 1, 1, 3, 1, 1, 2, 1});
  CHECK(transpose(x, {7, 4, 2, 3, 1, 5, 6, 0})(0, 2, 0, 0, 1, 0, 0, 0) == 5);
  CHECK(subview(x, 0, 1, 0, 0, 2, 0, 0, 0)() == 5);
  CHECK(subview(x, all{}, range{1, 2}).shape() == shape{1, 1, 1, 1, 3, 1, 1, 1});
  CHECK(subview(x, range{0, 0}).data() == nullptr);
  CHECK(reshape(x, {1, 1, 1, 1, 1, 1, 1, dyn}).shape() == shape{1, 1, 1, 1, 1, 1, 1, 6});
  CHECK(reshape(x, {6})(5) == 5);
}

namespace {
/// An array of random shape over some memory, with gaps, broadcast, reversed and permuted axes.
struct sample {
  std::vector<int> memory;
  shape s;
  strides by;
  extent first = 0;
  strided_view<const int> view() const { return {memory.data() + first, s, by}; }
};
int pick(std::mt19937& random, int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); }
sample any_array(std::mt19937& random) {
  sample a;
  a.s.rank_ = pick(random, 0, 5);
  int order[max_rank];
  for (int i = 0; i < a.s.rank(); ++i) {
    order[i] = i;
    a.s.d[i] = pick(random, 0, 30) ? pick(random, 1, 4) : 0;
  }
  if (pick(random, 0, 2) == 0) std::shuffle(order, order + a.s.rank(), random);
  extent step = 1, low = 0, high = 0;
  for (int k = a.s.rank() - 1; k >= 0; --k) {
    const int i = order[k];
    const int kind = pick(random, 0, 11);
    a.by.d[i] = kind == 0 ? 0 : kind == 1 ? -step : step;
    if (a.s.d[i] > 0) (a.by.d[i] < 0 ? low : high) += (a.s.d[i] - 1) * a.by.d[i];
    if (kind != 0) step *= a.s.d[i] > 0 ? a.s.d[i] : 1;
    if (pick(random, 0, 7) == 0) step += pick(random, 1, 3);
  }
  a.first = -low;
  a.memory.resize(static_cast<std::size_t>(high - low + 1));
  std::iota(a.memory.begin(), a.memory.end(), 0);  // an element is its own place
  return a;
}
/// Whether these places, in row-major order of a shape, are those of some strides.
bool strided(const std::vector<int>& places, const shape& s) {
  strides by;
  extent step = 1;
  for (int i = s.rank() - 1; i >= 0; --i) {
    by.d[i] = s.d[i] > 1 ? places[static_cast<std::size_t>(step)] - places[0] : 0;
    step *= s.d[i];
  }
  for (std::size_t i = 0; i < places.size(); ++i)
    if (places[i] != places[0] + detail::offset_of(static_cast<extent>(i), s, by)) return false;
  return true;
}
/// n as a product of factors, in random order, some of them 1.
shape factored(std::mt19937& random, extent n) {
  shape s;
  while (n > 1 && s.rank() < 5) {
    std::vector<extent> divisors;
    for (extent d = 2; d <= n; ++d)
      if (n % d == 0) divisors.push_back(d);
    const extent d = divisors[static_cast<std::size_t>(pick(random, 0, static_cast<int>(divisors.size()) - 1))];
    s.d[s.rank_++] = d;
    n /= d;
    if (pick(random, 0, 5) == 0) s.d[s.rank_++] = 1;
  }
  if (n > 1) s.d[s.rank_++] = n;
  return s;
}
constexpr int rounds = TENON_LONG ? 200000 : 20000;
}  // namespace

TEST_CASE("reshape: on random strides it is done exactly where it can be") {
  std::mt19937 random(20);
  int done = 0, refusals = 0;
  for (int k = 0; k < rounds; ++k) {
    const sample a = any_array(random);
    const auto places = values(a.view());
    const extent n = a.s.numel();
    shape want = n ? factored(random, n) : shape{0, 3};
    const shape whole = want;
    if (n && want.rank() && pick(random, 0, 2) == 0) want.d[pick(random, 0, want.rank() - 1)] = dyn;
    strided_view<const int> to;
    failure why;
    const errc c = try_reshape(a.view(), want, to, why);
    const bool possible = n == 0 || strided(places, whole);
    if (c != (possible ? errc::ok : errc::not_dense)) FAIL(text(a.s) << " to " << text(want) << ": " << why.message());
    if (c != errc::ok) {
      ++refusals;
      continue;
    }
    ++done;
    if (to.shape() != whole || values(to) != places) FAIL(text(a.s) << " to " << text(want));
    for (int i = 0; i < whole.rank(); ++i)
      if (whole.d[i] == 1 && to.strides()[i] != dense_strides(whole)[i]) FAIL("a stride that means nothing");
  }
  CHECK(done > rounds / 4);
  CHECK(refusals > rounds / 20);
}

TEST_CASE("subview and transpose: on random strides each element is where index arithmetic says") {
  std::mt19937 random(21);
  for (int k = 0; k < rounds; ++k) {
    const sample a = any_array(random);
    const int rank = a.s.rank();
    std::vector<detail::slice_arg> slices;
    std::vector<std::vector<extent>> taken(static_cast<std::size_t>(rank));
    shape want;
    for (int i = 0; i < rank; ++i) {
      auto& from = taken[static_cast<std::size_t>(i)];
      const extent e = a.s.d[i];
      const int kind = pick(random, 0, 3);
      if (kind == 0 && e > 0) {
        from = {pick(random, 0, static_cast<int>(e) - 1)};
        slices.emplace_back(from[0]);
        continue;
      }
      if (kind == 1) {
        for (extent at = 0; at < e; ++at) from.push_back(at);
        slices.emplace_back(all{});
      } else {
        const extent step = kind == 2 ? pick(random, 1, 3) : pick(random, -3, -1);
        const extent begin = kind == 2 ? pick(random, 0, static_cast<int>(e)) : pick(random, -1, static_cast<int>(e) - 1);
        const extent end =
            kind == 2 ? pick(random, static_cast<int>(begin), static_cast<int>(e)) : pick(random, -1, static_cast<int>(begin));
        for (extent at = begin; step > 0 ? at < end : at > end; at += step) from.push_back(at);
        slices.emplace_back(range(begin, end, step));
      }
      want.d[want.rank_++] = static_cast<extent>(from.size());
    }
    detail::region r{a.s, a.by};
    failure why;
    if (detail::cut("subview", r, slices.data(), rank, why) != errc::ok) FAIL(why.message());
    if (r.shape != want) FAIL(text(r.shape) << " for " << text(want));
    std::vector<int> expected;
    extent many = 1;
    for (const auto& from : taken) many *= static_cast<extent>(from.size());
    for (extent i = 0; i < many; ++i) {
      extent rest = i, place = a.first;
      for (int axis = rank - 1; axis >= 0; --axis) {
        const auto& from = taken[static_cast<std::size_t>(axis)];
        const auto n = static_cast<extent>(from.size());
        place += from[static_cast<std::size_t>(rest % n)] * a.by.d[axis];
        rest /= n;
      }
      expected.push_back(static_cast<int>(place));
    }
    if (values(strided_view<const int>(a.memory.data() + a.first + r.offset, r.shape, r.strides)) != expected) FAIL(text(a.s));

    axis_order order = detail::reversed(rank);
    std::shuffle(order.d, order.d + rank, random);
    const auto turned = transpose(a.view(), order);
    for (extent i = 0, n = turned.numel(); i < n; ++i) {
      extent rest = i, place = a.first;
      for (int axis = rank - 1; axis >= 0; --axis) {
        place += rest % turned.shape()[axis] * a.by.d[order.d[axis]];
        rest /= turned.shape()[axis];
      }
      if (turned.data()[detail::offset_of(i, turned.shape(), turned.strides())] != place) FAIL(text(a.s));
    }
  }
}
