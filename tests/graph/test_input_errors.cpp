// SPDX-License-Identifier: Apache-2.0
// What comes through the doors of forward and backward and is not right: the code, the argument and the numbers of each; nothing
// is leaked, nothing is written, and the twins say the same without throwing.
#include "../catch.hpp"
#include "support/witness.hpp"
using namespace tests;
using tenon::errc, tenon::extent, tenon::view;

namespace {
/// How many owners are alive.
struct owner {
  static inline int alive = 0;
  std::vector<unsigned char> memory;
  explicit owner(std::size_t bytes) : memory(bytes + 64) { ++alive; }
  owner(owner&& o) noexcept : memory(std::move(o.memory)) { ++alive; }
  ~owner() { --alive; }
};
/// A tensor of any dtype, shape, device and address.
struct described {
  tenon::dtype dtype = tenon::float32;
  tenon::shape shape{2, 4};
  tenon::device device{};
  bool null = false, read_only = true;
  std::size_t off = 0;

  tenon::tensor<> make() const {
    owner o(4096);
    auto* p = reinterpret_cast<std::byte*>((reinterpret_cast<std::uintptr_t>(o.memory.data()) + 63) / 64 * 64 + off);
    tenon::storage s;
    tenon::failure f;
    if (tenon::storage::try_adopt(std::move(o), p, 1024, s, f) != errc::ok) std::abort();
    return {std::move(s), tenon::array_ref{null ? nullptr : p, dtype, device, shape, tenon::dense_strides(shape), read_only}};
  }
};
struct refusal {
  described what;
  const char* said;  // code|argument|got|expected[|axis]
};
std::string short_of(const tenon::failure& f, const char* operation) {
  CHECK(std::string(f.operation) == operation);
  std::string all = say(f);
  const auto at = all.find('|');
  return all.substr(0, at) + all.substr(all.find('|', at + 1));
}
std::string number(std::int64_t n) { return std::to_string(n); }

constexpr tenon::device elsewhere{tenon::device_type::cuda, 1};
}  // namespace

TEST_CASE("x: each fault has its own code, argument and numbers, in forward, in inference and in the twins") {
  tenon::model<whole> m;
  make_whole(m);
  tenon::graph g{whole};
  const auto values = value_bits(m);
  const std::string f32 = number(tenon::float32.packed()), f64 = number(tenon::float64.packed()),
                    cpu = number(tenon::device{}.packed());
  const std::pair<described, std::string> cases[]{
      {{.dtype = tenon::float64}, "dtype|x|" + f64 + "|" + f32},
      {{.dtype = tenon::int32}, "dtype|x|" + number(tenon::int32.packed()) + "|" + f32},
      {{.device = elsewhere}, "device|x|" + number(elsewhere.packed()) + "|" + cpu},
      {{.shape = {8}}, "rank|x|1|2"},
      {{.shape = {2, 2, 2}}, "rank|x|3|2"},
      {{.shape = {2, 5}}, "extent|x|5|4|axis 1"},
      {{.shape = {2, 0}}, "extent|x|0|4|axis 1"},
      {{.shape = {0, 4}}, "empty batch|x|0|1|axis 0"},
      {{.shape = {-3, 4}}, "negative extent|x|-3|1|axis 0"},
      {{.shape = {2, -4}}, "negative extent|x|-4|4|axis 1"},
      {{.null = true}, "null data|x|0|0"},
      {{.shape = {extent{1} << 60, 4}},
       "overflow|batch|" + number(extent{1} << 60) + "|" + number(m.bound().planned().batch_limit)},
      {{.off = 2}, "alignment|x|2|0"},
  };
  for (const auto& [what, said] : cases) {
    INFO(said);
    CHECK(short_of(failed([&] { m.forward(what.make()); }), "forward") == said);
    CHECK(short_of(failed([&] { (void)m(what.make()); }), "inference") == said);
    CHECK(short_of(failed([&] { g.forward(what.make()); }), "forward") == said);
    tenon::failure f;
    tenon::tensor<float> y;
    CHECK(m.try_forward(what.make(), y, f) != errc::ok);
    CHECK(short_of(f, "forward") == said);
    f = {};
    CHECK(m.try_infer(what.make(), y, f) != errc::ok);
    CHECK(short_of(f, "inference") == said);
    CHECK(!y);
    CHECK(owner::alive == 0);
  }
  CHECK(value_bits(m) == values);
  CHECK(m.counters().forwards == 0);
  CHECK(failed([&] { m.backward(described{.shape = {2, 3}}.make()); }).code == errc::no_forward);
  // the message is one line that says it all
  try {
    m.forward(described{.shape = {2, 5}}.make());
  } catch (const tenon::error& e) { CHECK(std::string(e.what()) == "[forward] x: extent, axis 1: got 5, expected 4."); }
}
TEST_CASE("dy and dx: the same, and gradients stay as they were") {
  tenon::model<whole> m;
  make_whole(m);
  m.forward(described{}.make());
  m.backward(described{.shape = {2, 3}}.make());
  const auto g = gradient_bits(m);
  const described good{.shape = {2, 3}};
  const std::string f32 = number(tenon::float32.packed());
  const std::pair<described, std::string> of_dy[]{
      {{.dtype = tenon::float64, .shape = {2, 3}}, "dtype|dy|" + number(tenon::float64.packed()) + "|" + f32},
      {{.shape = {2, 3}, .device = elsewhere},
       "device|dy|" + number(elsewhere.packed()) + "|" + number(tenon::device{}.packed())},
      {{.shape = {6}}, "rank|dy|1|2"},
      {{.shape = {3, 3}}, "extent|dy|3|2|axis 0"},
      {{.shape = {2, 4}}, "extent|dy|4|3|axis 1"},
      {{.shape = {0, 3}}, "empty batch|dy|0|2|axis 0"},
      {{.shape = {2, 3}, .null = true}, "null data|dy|0|0"},
      {{.shape = {2, 3}, .off = 1}, "alignment|dy|1|0"},
  };
  for (const auto& [what, said] : of_dy) {
    INFO(said);
    CHECK(short_of(failed([&] { m.backward(what.make()); }), "backward") == said);
    tenon::failure f;
    CHECK(m.try_backward(what.make(), f) != errc::ok);
    CHECK(short_of(f, "backward") == said);
    CHECK(gradient_bits(m) == g);
  }
  const std::pair<described, std::string> of_dx[]{
      {{.dtype = tenon::float64, .read_only = false}, "dtype|dx|" + number(tenon::float64.packed()) + "|" + f32},
      {{.shape = {2, 5}, .read_only = false}, "extent|dx|5|4|axis 1"},
      {{.shape = {3, 4}, .read_only = false}, "extent|dx|3|2|axis 0"},
      {{.read_only = true}, "read-only memory|dx|0|0"},
      {{.read_only = false, .off = 3}, "alignment|dx|3|0"},
  };
  for (const auto& [what, said] : of_dx) {
    INFO(said);
    const auto dx = what.make();
    CHECK(short_of(failed([&] { m.backward(good.make(), dx); }), "backward") == said);
    CHECK(gradient_bits(m) == g);
  }
  const std::vector<float> strided(12, 1.0f);
  CHECK(failed([&] { m.backward(tenon::strided_view<const float>(strided.data(), {2, 3}, {{1, 2}})); }).code == errc::not_dense);
  CHECK(gradient_bits(m) == g);
}
TEST_CASE("how many inputs and outputs there are") {
  static constexpr auto two =
      tenon::network(tenon::input{{tenon::dyn, 3}, "a"}, tenon::input{{tenon::dyn, 3}, "b"}, nn::add{}, nn::split{.first = 1});
  tenon::model<two> m;
  const std::vector<float> x(12, 1.0f);
  const auto a = view(x.data(), {2, 3}), b = view(x.data(), {3, 3});
  const auto one = failed([&] { m.forward_all({a}); });
  CHECK(say(one) == "number of inputs|forward|inputs|1|2");
  CHECK(say(failed([&] { (void)m.all({a, a, a}); })) == "number of inputs|inference|inputs|3|2");
  CHECK(say(failed([&] { m.forward(a); })) == "number of inputs|forward|outputs of the network|2|1");
  CHECK(say(failed([&] { m.forward_all({a, b}); })) == "extent|forward|x[1]|3|2|axis 0");  // one batch for all
  m.forward_all({a, a});
  const auto d1 = view(x.data(), {2, 1}), d2 = view(x.data(), {2, 2});
  CHECK(say(failed([&] { m.backward(d1); })) == "number of inputs|backward|dy|1|2");
  CHECK(say(failed([&] { m.backward_all({d2, d2}); })) == "extent|backward|dy[0]|2|1|axis 1");
  std::vector<float> dx(6);
  m.backward_all({d1, d2}, {{}, view(dx, {2, 3})});
  CHECK(dx == std::vector<float>(6, 1.0f));
  CHECK(say(failed([&] { m.backward_all({d1, d2}, {{}, {}, view(dx, {2, 3})}); })) == "number of inputs|backward|dx|3|2");
}
TEST_CASE("inputs of a fixed batch and inputs of any batch do not mix") {
  // the layer would read the free one as far as the fixed one goes
  const auto net = tenon::network(tenon::input{{4, 3}, "table"}, tenon::input{{tenon::dyn, 3}, "x"}, nn::add{});
  const auto f = failed([&] { tenon::graph g{net}; });
  CHECK(f.code == errc::extent);
  const auto fixed_batch = tenon::network(tenon::input{{4, 3}}, nn::linear{.out = 2});
  tenon::graph g{fixed_batch};
  const std::vector<float> x(15, 1.0f), dy(8, 1.0f);
  CHECK(say(failed([&] { g.forward(view(x, {5, 3})); })) == "extent|forward|x|5|4|axis 0");
  CHECK(g.forward(view(x.data(), {4, 3})).shape() == tenon::shape(4, 2));
  g.backward(view(dy, {4, 2}));
  CHECK(g.parameters()[1].grad.as<float>()[0] == 4);
}
