// SPDX-License-Identifier: Apache-2.0
// Several forwards in flight: each tape is its own, what is held is never written again, and what is stale is refused.
#include <algorithm>
#include "../catch.hpp"
#include "support/witness.hpp"
#include "tenon/tensor/export.hpp"
#include "tenon/train/loss.hpp"
using namespace tests;
using tenon::errc, tenon::extent, tenon::view;

namespace {
struct batch {
  extent n;
  std::vector<float> x, dy, dx;
  batch(extent samples, extent in, extent out, std::uint64_t seed)
      : n(samples), x(integers(samples * in, seed)), dy(integers(samples * out, seed + 9)),
        dx(static_cast<std::size_t>(samples * in), 1e9f) {}
};
struct outcome {
  std::vector<unsigned char> gradients, values, y1, y2;
  std::vector<float> dx1, dx2;
  bool operator==(const outcome&) const = default;
};
/// Two batches, their forwards and backwards interleaved or one after the other.
template <class M>
outcome run(M&& m, tenon::shape sample, extent out, bool interleaved) {
  const extent in = sample.numel();
  batch a(2, in, out, 1), b(5, in, out, 2);
  auto as_input = [&](batch& w) {
    tenon::shape s{w.n};
    for (int i = 0; i < sample.rank(); ++i) s = s.append(sample[i]);
    return s;
  };
  auto back = [&](batch& w, tenon::tape& t) { m.backward(view(w.dy, {w.n, out}), t, view(w.dx, as_input(w))); };
  tenon::tape s{m}, t{m};
  outcome o;
  auto y1 = m.forward(view(a.x, as_input(a)), s);
  o.y1 = bits(y1);
  auto held = tenon::to_dlpack(y1);
  y1 = {};
  if (!interleaved) back(a, s);
  const auto y2 = m.forward(view(b.x, as_input(b)), t);
  o.y2 = bits(y2);
  if (interleaved) back(a, s);
  back(b, t);
  const auto* raw = static_cast<const unsigned char*>(held->dl_tensor.data);
  CHECK(std::memcmp(raw, o.y1.data(), o.y1.size()) == 0);
  CHECK(static_cast<const void*>(raw) != static_cast<const void*>(y2.data()));
  o.gradients = gradient_bits(m);
  o.values = value_bits(m);
  o.dx1 = a.dx;
  o.dx2 = b.dx;
  return o;
}
}  // namespace

TEST_CASE("two forwards before two backwards equal the same calls one after the other") {
  tenon::model<everything> a, b;
  tenon::graph c{everything}, d{everything};
  const outcome first = run(a, {1, 6, 6}, 3, true);
  CHECK(first.gradients == run(b, {1, 6, 6}, 3, false).gradients);
  CHECK(value_bits(a) == value_bits(b));
  CHECK(first == run(c, {1, 6, 6}, 3, true));
  CHECK(first == run(d, {1, 6, 6}, 3, false));
}
TEST_CASE("gradients of two batches in flight are the sum of two single runs, on integers exactly") {
  tenon::model<whole> both;
  make_whole(both);
  const outcome o = run(both, {4}, 3, true);
  std::vector<float> sum;
  for (const int which : {0, 1}) {
    tenon::model<whole> one;
    make_whole(one);
    batch w(which ? 5 : 2, 4, 3, which ? 2 : 1);
    one.forward(view(w.x, {w.n, 4}));
    one.backward(view(w.dy, {w.n, 3}), view(w.dx, {w.n, 4}));
    const auto g = gradients(one);
    sum.resize(g.size());
    for (std::size_t i = 0; i < g.size(); ++i) sum[i] += g[i];
    CHECK(w.dx == (which ? o.dx2 : o.dx1));
  }
  CHECK(gradients(both) == sum);
  CHECK(*std::max_element(sum.begin(), sum.end()) > 0);
}
TEST_CASE("fan-out: a value read by three parts gets the sum of three gradients") {
  static constexpr auto fan =
      tenon::network({3}, nn::linear{.out = 3}, nn::branch{nn::residual{}, nn::linear{.out = 3}}, nn::add{});
  tenon::model<fan> m;
  make_whole(m);
  const std::vector<float> x{1, 2, -1}, dy{1, -2, 3};
  std::vector<float> dx(3, 99.0f);
  m.forward(view(x, {1, 3}));
  m.backward(view(dy, {1, 3}), view(dx, {1, 3}));
  const auto p = m.parameters();
  float dv[3]{};  // of the value between: two by the residual without a body, one by the linear
  for (int i = 0; i < 3; ++i) {
    dv[i] = 2 * dy[static_cast<std::size_t>(i)];
    for (int o = 0; o < 3; ++o) dv[i] += dy[static_cast<std::size_t>(o)] * p[2].value[o * 3 + i];
  }
  for (int i = 0; i < 3; ++i) {
    float want = 0;
    for (int o = 0; o < 3; ++o) {
      want += dv[o] * p[0].value[o * 3 + i];
      CHECK(p[0].grad[o * 3 + i] == dv[o] * x[static_cast<std::size_t>(i)]);
    }
    CHECK(dx[static_cast<std::size_t>(i)] == want);
    CHECK(p[1].grad[i] == dv[i]);
  }
}
TEST_CASE("a dy of another forward or another model is refused, with the numbers") {
  tenon::model<whole> m, other;
  tenon::cross_entropy loss;
  const std::vector<float> x = integers(8, 1);
  const std::vector<int> labels{0, 2};
  const auto xv = view(x, {2, 4});
  auto [l1, dy1] = loss(m.forward(xv), labels);
  auto [l2, dy2] = loss(m.forward(xv), labels);
  const auto before = gradient_bits(m);
  const auto stale = failed([&, &d = dy1] { m.backward(d); });
  CHECK(stale.code == errc::stale);
  CHECK(stale.got == 1);
  CHECK(stale.expected == 2);
  CHECK(std::string(stale.remedy).find("tape") != std::string::npos);
  auto [l3, dy3] = loss(other.forward(xv), labels);
  const auto foreign = failed([&, &d = dy3] { m.backward(d); });
  CHECK(foreign.code == errc::stale);
  CHECK(std::string(foreign.argument).find("another model") != std::string::npos);
  CHECK(foreign.got != foreign.expected);
  tenon::tape t{m};
  other.forward(xv, t);
  CHECK(failed([&, &d = dy2] { m.backward(d, t); }).code == errc::stale);  // the tape itself is another model's
  CHECK(gradient_bits(m) == before);
  m.backward(dy2);  // all of that has left the last forward as it was
  CHECK(gradient_bits(m) != before);
}
TEST_CASE("backward needs a forward, and the parameters of that forward") {
  tenon::model<whole> m;
  const std::vector<float> x = integers(8, 1), dy = integers(6, 2);
  const auto xv = view(x, {2, 4});
  const auto dv = view(dy, {2, 3});
  CHECK(failed([&] { m.backward(dv); }).code == errc::no_forward);
  tenon::tape t{m};
  CHECK(t.batch() == 0);
  CHECK(failed([&] { m.backward(dv, t); }).code == errc::no_forward);
  m.forward(xv, t);
  CHECK(t.batch() == 2);
  m.backward(dv, t);
  m.update(plain_step{});
  m.update(plain_step{});
  const auto late = failed([&] { m.backward(dv, t); });
  CHECK(late.code == errc::stale);
  CHECK(late.got == 2);
  CHECK(late.expected == 0);
  m.forward(xv, t);
  tenon::tape moved = std::move(t);
  CHECK(failed([&] { m.backward(dv, t); }).code == errc::no_forward);  // NOLINT: what was moved from holds nothing
  CHECK(t.batch() == 0);
  m.backward(dv, moved);
}
TEST_CASE("a refused forward leaves the one before it in flight") {
  tenon::model<whole> m, twin;
  make_whole(m);
  make_whole(twin);
  const std::vector<float> x = integers(8, 1), dy = integers(6, 2);
  m.forward(view(x, {2, 4}));
  twin.forward(view(x, {2, 4}));
  CHECK(failed([&] { m.forward(view(x, {4, 2})); }).code == errc::extent);
  m.backward(view(dy, {2, 3}));
  twin.backward(view(dy, {2, 3}));
  CHECK(gradient_bits(m) == gradient_bits(twin));
}
TEST_CASE("a held output is never written again: fresh slots are counted, dropped ones are used again") {
  tenon::model<whole> m;
  const std::vector<float> x = integers(4, 1), dy = integers(3, 4);
  const auto xv = view(x, {1, 4});
  const auto before = tenon::bytes_moved().fresh_slots;
  std::vector<tenon::tensor<float>> held;
  std::vector<std::vector<unsigned char>> then;
  for (int i = 0; i < 12; ++i) {
    held.push_back(m.forward(xv));
    then.push_back(bits(held.back()));
    held.push_back(m(xv));
    then.push_back(bits(held.back()));
    for (std::size_t k = 0; k + 1 < held.size(); ++k) REQUIRE(held[k].data() != held.back().data());
    m.backward(view(dy, {1, 3}));
    m.update(plain_step{});
  }
  for (std::size_t i = 0; i < held.size(); ++i) CHECK(bits(held[i]) == then[i]);
  CHECK(tenon::bytes_moved().fresh_slots >= before + 22);
  held.clear();
  for (int i = 0; i < 3; ++i) m.forward(xv), m(xv);
  const auto steady = tenon::bytes_moved().fresh_slots;
  const void* first = m(xv).data();
  for (int i = 0; i < 20; ++i) {
    m.forward(xv);
    CHECK(m(xv).data() == first);
  }
  CHECK(tenon::bytes_moved().fresh_slots == steady);
}
