// SPDX-License-Identifier: Apache-2.0
// A program called with everything it needs: the same bits as a graph, several forwards in flight, errors before the first write.
#include <map>
#include <new>
#include "../catch.hpp"
#include "support/witness.hpp"
#include "tenon/graph/by_name.hpp"
#include "tenon/graph/stateless.hpp"
using namespace tests;
using tenon::array_ref, tenon::extent, tenon::view;

static_assert(!std::is_copy_constructible_v<tenon::stateless>);

namespace {
bool heap_is_empty = false;
}
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept {
  return heap_is_empty ? nullptr : ::operator new[](bytes);
}

namespace {
constexpr extent batch = 4;
template <class T>
array_ref described(tenon::view<T> v) {
  return tenon::detail::describe(v);
}

/// What a caller of a stateless program keeps: values of its own, and what one call writes.
struct caller {
  std::vector<tenon::tensor<float>> p, s, dp;
  std::vector<array_ref> parameters, states, gradients;
  explicit caller(const tenon::graph& g) {
    for (const auto& w : g.parameters()) {
      p.push_back(tenon::copy(w.value).as<float>());
      dp.push_back(tenon::copy(w.value).as<float>());
    }
    for (const auto& w : g.states()) s.push_back(tenon::copy(w.value).as<float>());
    for (const auto& t : p) parameters.push_back(t.describe());
    for (const auto& t : s) states.push_back(t.describe());
    for (const auto& t : dp) gradients.push_back(t.describe());
  }
};
struct flight {
  std::vector<float> xs, ys, dxs;
  tenon::storage saved;
  array_ref x, y, dx;
  tenon::stateless_call call;
  flight(const tenon::stateless& f, const caller& c, int step)
      : xs(wave(batch * 36, static_cast<std::uint64_t>(step + 1))), ys(static_cast<std::size_t>(batch) * 3), dxs(xs.size()),
        saved(tenon::storage::allocate(f.saved_bytes(batch))), x(described(view(xs, {batch, 1, 6, 6}))),
        y(described(view(ys, {batch, 3}))), dx(described(view(dxs, {batch, 1, 6, 6}))) {
    call = {c.parameters.data(), c.states.data(), &x, &y, saved.data(), 7, static_cast<std::uint64_t>(step + 1)};
  }
  flight(const flight&) = delete;
};
std::vector<unsigned char> joined(const std::vector<tenon::tensor<float>>& all) {
  std::vector<unsigned char> r;
  for (const auto& t : all) {
    const auto b = bits(t);
    r.insert(r.end(), b.begin(), b.end());
  }
  return r;
}
}  // namespace

TEST_CASE("a stateless program gives a graph's bits, with two forwards in flight") {
  tenon::graph g{everything, {.seed = 7}};
  const tenon::stateless f{g.bound()};
  caller c(g);
  const auto values = joined(c.p);
  REQUIRE(c.p.size() == static_cast<std::size_t>(f.parameters()));
  flight one(f, c, 0), two(f, c, 1);
  const auto dy = wave(batch * 3, 99);
  const array_ref d = described(view(dy, {batch, 3}));
  for (flight* at : {&one, &two}) {
    f.forward(at->call);
    f.commit(batch, c.states.data(), at->saved.data());
  }
  tenon::tape t1{g}, t2{g};
  const auto y1 = g.forward(view(one.xs, {batch, 1, 6, 6}), t1), y2 = g.forward(view(two.xs, {batch, 1, 6, 6}), t2);
  CHECK(std::memcmp(one.ys.data(), y1.describe().data, one.ys.size() * 4) == 0);
  CHECK(std::memcmp(two.ys.data(), y2.describe().data, two.ys.size() * 4) == 0);
  std::vector<float> dx(one.xs.size());
  one.call.states = nullptr;  // backward reads none
  for (auto [at, tape] : {std::pair{&two, &t2}, std::pair{&one, &t1}}) {
    f.backward(at->call, &d, c.gradients.data(), &at->dx);
    g.clear_gradients();
    g.backward(view(dy, {batch, 3}), *tape, view(dx, {batch, 1, 6, 6}));
    CHECK(joined(c.dp) == gradient_bits(g));
    CHECK(dx == at->dxs);
  }
  CHECK(joined(c.p) == values);  // neither pass changes a parameter
  std::vector<unsigned char> states;
  for (const auto& s : g.states())
    for (const unsigned char b : bits(s.value)) states.push_back(b);
  CHECK(joined(c.s) == states);  // folded twice
}

TEST_CASE("a stateless backward stores, and writes only what is asked for") {
  tenon::graph g{everything, {.seed = 7}};
  const tenon::stateless f{g.bound()};
  caller c(g);
  flight at(f, c, 0);
  f.forward(at.call);
  const auto dy = wave(batch * 3, 99);
  const array_ref d = described(view(dy, {batch, 3}));
  f.backward(at.call, &d, c.gradients.data(), &at.dx);
  const auto first = joined(c.dp);
  const auto dx = at.dxs;
  f.backward(at.call, &d, c.gradients.data(), &at.dx);
  CHECK(joined(c.dp) == first);
  f.backward(at.call, &d, nullptr, &at.dx);
  CHECK(at.dxs == dx);
  auto only = c.gradients;
  const auto kept = bits(c.dp[1]);
  for (std::size_t i = 0; i < only.size(); ++i)
    if (i != 1) only[i].data = nullptr;
  std::memset(c.dp[1].describe().data, 0, kept.size());
  f.backward(at.call, &d, only.data(), nullptr);
  CHECK(bits(c.dp[1]) == kept);
}

TEST_CASE("a stateless program refuses before it writes") {
  tenon::graph g{everything, {.seed = 7}};
  const tenon::stateless f{g.bound()};
  caller c(g);
  flight at(f, c, 0);
  at.ys.assign(at.ys.size(), 5.0f);
  const auto untouched = at.ys;
  auto refused = [&](auto&& change) {
    tenon::stateless_call call = at.call;
    auto p = c.parameters;
    auto s = c.states;
    array_ref x = at.x, y = at.y;
    call.parameters = p.data();
    call.states = s.data();
    call.x = &x;
    call.y = &y;
    change(call, p, s, x, y);
    return say(failed([&] { f.forward(call); }));
  };
  using refs = std::vector<array_ref>;
  CHECK(refused([](auto&, refs& p, refs&, auto&, auto&) { p[0].dtype = tenon::float64; }) ==
        "dtype|forward|0.weight|" + std::to_string(tenon::float64.packed()) + "|" + std::to_string(tenon::float32.packed()));
  CHECK(refused([](auto&, refs& p, refs&, auto&, auto&) { p[0].shape.d[0] = 5; }) == "extent|forward|0.weight|5|4|axis 0");
  CHECK(refused([](auto&, refs&, refs& s, auto&, auto&) { s[0].data = nullptr; }) == "null data|forward|1.running_mean|0|0");
  CHECK(refused([](auto&, refs&, refs&, array_ref& x, auto&) { x.shape.d[2] = 7; }) == "extent|forward|x|7|6|axis 2");
  CHECK(refused([](auto&, refs&, refs&, auto&, array_ref& y) { y.read_only = true; }) == "read-only memory|forward|y|0|0");
  CHECK(refused([](auto& call, refs&, refs&, auto&, auto&) { call.saved += 8; }) == "alignment|forward|saved|8|0");
  CHECK(at.ys == untouched);
  tenon::stateless_call inference = at.call;
  inference.saved = nullptr;
  CHECK(say(failed([&] { f.backward(inference, &at.y, nullptr, nullptr); })) == "no forward|backward|saved|0|0");
}

TEST_CASE("an empty heap is an error of a stateless call, and a check writes nothing") {
  tenon::layer_list deep{tenon::input{{tenon::dyn, 2}}};
  for (int i = 0; i < 25; ++i) deep.add("linear", {{"out", 2}});
  tenon::graph g{deep, {.seed = 7}};
  const tenon::stateless f{g.bound()};
  caller c(g);
  std::vector<float> xs(static_cast<std::size_t>(batch) * 2, 1.0f), ys(xs.size(), 5.0f);
  const array_ref x = described(view(xs, {batch, 2})), y = described(view(ys, {batch, 2}));
  const tenon::stateless_call call{c.parameters.data(), c.states.data(), &x, &y};
  tenon::failure why;
  heap_is_empty = true;
  const tenon::errc code = f.try_forward(call, why);
  heap_is_empty = false;
  CHECK(code == tenon::errc::no_memory);
  CHECK(f.try_check(call, why) == tenon::errc::ok);
  CHECK(ys == std::vector<float>(xs.size(), 5.0f));
  CHECK(f.try_forward(call, why) == tenon::errc::ok);
  CHECK(ys != std::vector<float>(xs.size(), 5.0f));
}

TEST_CASE("the fields of layers can be read back by name") {
  tenon::layer_list net({1, 28, 28});
  const tenon::attribute fields[] = {{"out", 6}, {"kernel", 5, 3}, {"bias", false}};
  net.add("conv2d", fields, 3, "first").add("dropout", {{"rate", 0.25}});
  std::map<std::string, tenon::field_value> seen;
  net.fields(0, [&](const char* name, const tenon::field_value& v) { seen[name] = v; });
  CHECK(std::string(net.name(0)) == "conv2d");
  CHECK(seen.size() == 8);
  CHECK(seen["out"].first == 6);
  CHECK((seen["kernel"].what == tenon::field_value::form::pair && seen["kernel"].first == 5 && seen["kernel"].second == 3));
  CHECK((seen["bias"].what == tenon::field_value::form::flag && seen["bias"].first == 0));
  net.fields(1, [&](const char* name, const tenon::field_value& v) { seen[name] = v; });
  CHECK((seen["rate"].what == tenon::field_value::form::real && seen["rate"].first == 0.25));
}
