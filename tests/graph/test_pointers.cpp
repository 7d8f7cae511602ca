// SPDX-License-Identifier: Apache-2.0
// No hidden copy: pointers that must be the user's, exports that must be the arena, and counters that tell of everything else.
#include <algorithm>
#include "../catch.hpp"
#include "support/witness.hpp"
#include "tenon/tensor/export.hpp"
#include "tenon/tensor/import.hpp"
#include "tenon/train/loss.hpp"
using namespace tests;
using tenon::errc, tenon::extent, tenon::view;

namespace {
const void *seen[3], *made[3], *back_in[3], *back_out[3];
/// Notes the pointers it is given.
struct spy {
  int at = 0;
  static constexpr auto name = "spy";
  constexpr tenon::spec infer(tenon::inputs x) const { return tenon::spec{x[0]}.reads(tenon::keep::nothing); }
  void forward(auto& pass) const {
    seen[at] = pass.x().data();
    made[at] = pass.y().data();
    tenon::ops::copy(pass.ex(), pass.y(), pass.x());
  }
  void backward(auto& pass) const {
    back_in[at] = pass.dy().data();
    if (auto dx = pass.dx()) {
      back_out[at] = dx.data();
      tenon::ops::copy(pass.ex(), dx, pass.dy());
    }
  }
};
/// Reads a strided x as it is: y = x in rows.
struct strided_spy {
  static constexpr auto name = "strided_spy";
  constexpr tenon::spec infer(tenon::inputs x) const { return tenon::spec{x[0]}.reads(tenon::keep::input).takes_strides(); }
  void forward(auto& pass) const {
    const auto x = pass.x_strided();
    seen[0] = x.data();
    for (extent i = 0; i < x.shape()[0]; ++i)
      for (extent k = 0; k < x.shape()[1]; ++k) pass.y()(i, k) = x(i, k);
  }
  void backward(auto& pass) const {
    const auto x = pass.x_strided();
    if (auto dx = pass.dx())
      for (extent i = 0; i < x.shape()[0]; ++i)
        for (extent k = 0; k < x.shape()[1]; ++k) dx(i, k) = pass.dy()(i, k) * x(i, k);
  }
};
struct moved_bytes {
  tenon::traffic start = tenon::bytes_moved();
  std::uint64_t copied() const { return tenon::bytes_moved().copied - start.copied; }
  std::uint64_t packed() const { return tenon::bytes_moved().packed - start.packed; }
};
}  // namespace

TEST_CASE("the first layer sees the user's pointer, behind a flatten too, and dx is written where the user said") {
  static constexpr auto front = tenon::network({1, 4, 4}, spy{0}, nn::flatten{}, spy{1}, nn::linear{.out = 2}, spy{2});
  static constexpr auto behind = tenon::network({1, 4, 4}, nn::flatten{}, nn::flatten{}, spy{0}, nn::linear{.out = 2});
  const std::vector<float> x(32, 0.5f), dy(4, 1.0f);
  std::vector<float> dx(32);
  const auto xv = view(x, {2, 1, 4, 4});
  const moved_bytes counted;
  tenon::model<front> a;
  auto y = a.forward(xv);
  CHECK(seen[0] == x.data());
  CHECK(made[0] == seen[1]);  // the flatten between shares the memory
  CHECK(made[2] == y.data());
  a.backward(view(dy, {2, 2}), view(dx, {2, 1, 4, 4}));
  CHECK(back_in[2] == dy.data());
  CHECK(back_in[0] == back_out[1]);
  CHECK(back_out[0] == dx.data());
  back_out[0] = nullptr;
  a.backward(view(dy, {2, 2}));
  CHECK(back_out[0] == nullptr);
  seen[0] = nullptr;
  y = a(xv);
  CHECK(seen[0] == x.data());
  CHECK(made[2] == y.data());
  tenon::model<behind> b;
  b.forward(xv);
  CHECK(seen[0] == x.data());
  seen[0] = nullptr;
  (void)b(xv);
  CHECK(seen[0] == x.data());
  CHECK(counted.copied() == 0);
  CHECK(counted.packed() == 0);
}
TEST_CASE("parameters lie in one arena on 64-byte boundaries, gradients mirror them, and exports are that memory") {
  tenon::model<everything> m;
  const auto p = m.parameters();
  const auto base = [](const void* a) { return reinterpret_cast<std::uintptr_t>(a); };
  for (const auto& w : p) {
    CHECK(base(w.value.data()) % 64 == 0);
    CHECK(base(w.value.data()) - base(p[0].value.data()) == base(w.grad.data()) - base(p[0].grad.data()));
    const auto arena = base(w.value.owner().data());
    CHECK(arena == base(p[0].value.owner().data()));
    CHECK(base(w.value.data()) >= arena);
    CHECK(base(w.value.data()) + static_cast<std::size_t>(w.value.numel()) * sizeof(float) <= arena + w.value.owner().bytes());
    const auto exported = tenon::to_dlpack(w.value), grad = tenon::to_dlpack(w.grad);
    CHECK(exported->dl_tensor.data == w.value.data());
    CHECK(grad->dl_tensor.data == w.grad.data());
    CHECK(exported->flags == 0);
  }
  for (std::size_t i = 1; i < p.size(); ++i)
    CHECK(base(p[i].value.data()) >=
          base(p[i - 1].value.data()) + static_cast<std::size_t>(p[i - 1].value.numel()) * sizeof(float));
  for (const auto& s : m.states()) CHECK(base(s.value.data()) > base(p.back().value.data()));
  CHECK(p[0].name == "0.weight");
  CHECK(m.states()[1].name == "1.running_var");
  bool mid = false, shortcut = false;
  for (const auto& w : p) mid |= w.name == "mid.0.weight", shortcut |= w.name == "3.shortcut.0.weight";
  CHECK(mid);
  CHECK(shortcut);
}
TEST_CASE("an exported parameter outlives the model, and both see what the other writes") {
  tenon::handle<> kept;
  std::vector<unsigned char> then;
  {
    tenon::model<whole> m;
    kept = tenon::to_dlpack(m.parameters()[0].value);
    auto* w = static_cast<float*>(kept->dl_tensor.data);
    w[0] = 42;
    CHECK(m.parameters()[0].value[0] == 42);
    then = bits(m.parameters()[0].value);
  }
  CHECK(std::memcmp(kept->dl_tensor.data, then.data(), then.size()) == 0);
}
TEST_CASE("a forced copy raises its counter, a step raises none") {
  tenon::model<whole> m;
  std::vector<float> x = integers(12, 1);
  std::vector<int> labels{0, 1, 2};
  tenon::cross_entropy loss;
  auto step = [&](const auto& input) {
    auto y = m.forward(input);
    auto [l, dy] = loss(y, labels);
    m.backward(dy);
    m.update(tenon::adamw{});
    (void)m(input);
  };
  const auto xv = view(x, {3, 4});
  const moved_bytes none;
  step(xv);
  step(tenon::from_dlpack<const float>(tenon::to_dlpack(tenon::borrow(xv, 0))));
  CHECK(none.copied() == 0);
  CHECK(none.packed() == 0);
  const auto imported = tenon::from_dlpack<float>(tenon::to_dlpack(tenon::borrow(xv, 0)), {.copies = tenon::copy_policy::always});
  CHECK(none.copied() == 48);
  CHECK(imported.data() != x.data());
  const moved_bytes cloned;
  const auto c = m.clone();
  std::uint64_t want = 0;
  for (const auto& p : m.parameters()) want += static_cast<std::uint64_t>(p.value.numel()) * sizeof(float);
  CHECK(cloned.copied() >= want);
  // x transposed: 4 columns behind one another
  const tenon::strided_view<const float> turned(x.data(), {3, 4}, {{1, 3}});
  std::vector<float> straight;
  for (int i = 0; i < 3; ++i)
    for (int k = 0; k < 4; ++k) straight.push_back(turned(i, k));
  const moved_bytes packs;
  const auto y = m(turned);
  CHECK(packs.packed() == 48);
  CHECK(packs.copied() == 0);
  CHECK(bits(y) == bits(m(view(straight, {3, 4}))));
  tenon::model<whole> twin = m.clone();
  std::vector<float> dx(12), dt(12), dy = integers(9, 4);
  m.forward(turned);
  m.backward(view(dy, {3, 3}), view(dx, {3, 4}));
  twin.forward(view(straight, {3, 4}));
  twin.backward(view(dy, {3, 3}), view(dt, {3, 4}));
  CHECK(dx == dt);
  CHECK(gradient_bits(m) == gradient_bits(twin));
}
TEST_CASE("copy_policy::never makes a strided x an error, unless the layer takes strides") {
  tenon::model<whole> m{{.packing = tenon::copy_policy::never}};
  std::vector<float> x = integers(12, 1), dx(12), dy(12, 2.0f);
  const tenon::strided_view<const float> turned(x.data(), {3, 4}, {{1, 3}});
  const moved_bytes none;
  CHECK(failed([&] { (void)m(turned); }).code == errc::not_dense);
  CHECK(failed([&] { m.forward(turned); }).code == errc::not_dense);
  static constexpr auto strided = tenon::network({4}, strided_spy{});
  tenon::model<strided> s{{.packing = tenon::copy_policy::never}};
  auto y = s.forward(turned);
  CHECK(seen[0] == x.data());
  for (int i = 0; i < 3; ++i)
    for (int k = 0; k < 4; ++k) CHECK(y(i, k) == turned(i, k));
  s.backward(view(dy, {3, 4}), view(dx, {3, 4}));
  for (int i = 0; i < 3; ++i)
    for (int k = 0; k < 4; ++k) CHECK(dx[static_cast<std::size_t>(i * 4 + k)] == 2 * turned(i, k));
  CHECK(none.packed() == 0);
  static constexpr auto both =
      tenon::network({4}, nn::branch{strided_spy{}, nn::relu{}}, nn::add{});  // relu cannot: packed for both
  tenon::model<both> b;
  const auto sum = b.forward(turned);
  for (int i = 0; i < 3; ++i)
    for (int k = 0; k < 4; ++k) CHECK(sum(i, k) == turned(i, k) + std::max(0.0f, turned(i, k)));
  CHECK(none.packed() == 48);
  b.backward(view(dy, {3, 4}), view(dx, {3, 4}));
  CHECK(dx[1] == 2 * turned(0, 1) + (turned(0, 1) > 0 ? 2 : 0));
}
TEST_CASE("an x that owns its memory is retained until backward") {
  struct counted {
    std::vector<float> v;
    int* alive;
    counted(std::vector<float> numbers, int* n) : v(std::move(numbers)), alive(n) { ++*alive; }
    counted(counted&& o) noexcept : v(std::move(o.v)), alive(std::exchange(o.alive, nullptr)) {}
    ~counted() {
      if (alive) --*alive;
    }
  };
  int alive = 0;
  tenon::model<whole> m, twin;
  make_whole(m);
  make_whole(twin);
  const std::vector<float> x = integers(4, 1), dy = integers(3, 2);
  {
    counted owner(x, &alive);
    const view<const float> v(owner.v.data(), {1, 4});
    m.forward(tenon::borrow(v, std::move(owner)));
  }
  CHECK(alive == 1);
  m.backward(view(dy, {1, 3}));
  twin.forward(view(x, {1, 4}));
  twin.backward(view(dy, {1, 3}));
  CHECK(gradient_bits(m) == gradient_bits(twin));
  m.forward(view(x, {1, 4}));
  CHECK(alive == 0);
}
TEST_CASE("indices: int64 as they are, int32 widened and counted, out of range refused before anything is written") {
  static constexpr auto net = tenon::network(tenon::input{{tenon::dyn, 3}, "tokens", tenon::kind::index},
                                             nn::embedding{.rows = 5, .out = 2}, nn::flatten{}, nn::linear{.out = 2});
  tenon::model<net> m, twin;
  const std::vector<std::int64_t> wide{0, 4, 2, 2, 1, 4};
  const std::vector<std::int32_t> narrow{0, 4, 2, 2, 1, 4};
  const std::vector<float> dy = integers(4, 2);
  const moved_bytes counted;
  auto y = m.forward(view(wide, {2, 3}));
  CHECK(counted.packed() == 0);
  m.backward(view(dy, {2, 2}));
  auto z = twin.forward(view(narrow, {2, 3}));
  CHECK(counted.packed() == 6 * 8);
  twin.backward(view(dy, {2, 2}));
  CHECK(bits(y) == bits(z));
  CHECK(gradient_bits(m) == gradient_bits(twin));
  const tenon::strided_view<const std::int32_t> turned(narrow.data(), {2, 3}, {{1, 2}});
  const std::vector<std::int64_t> straight{0, 2, 1, 4, 2, 4};
  CHECK(bits(m(turned)) == bits(m(view(straight, {2, 3}))));
  const auto values = value_bits(m);
  const auto held = bits(z);
  for (const std::int64_t wrong : {std::int64_t{5}, std::int64_t{-1}, std::int64_t{1} << 40}) {
    auto bad = wide;
    bad[4] = wrong;
    const auto f = failed([&] { twin.forward(view(bad, {2, 3})); });
    CHECK(f.code == errc::index);
    CHECK(f.got == wrong);
    CHECK(f.expected == 5);
    CHECK(failed([&] { (void)m(view(bad, {2, 3})); }).code == errc::index);
  }
  CHECK(bits(z) == held);
  CHECK(value_bits(m) == values);
  CHECK(twin.counters().forwards == 1);
  std::vector<float> dx(6);
  const auto f = failed([&] { twin.backward(view(dy, {2, 2}), view(dx, {2, 3})); });
  CHECK(f.code == errc::kind);
}
