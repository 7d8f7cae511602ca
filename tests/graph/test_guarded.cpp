// SPDX-License-Identifier: Apache-2.0
// A network of library layers on a device whose memory the host cannot touch: the same bits as on the host, and nothing in the
// graph ever looks behind a pointer. A program of its own: it forks to see the host fault.
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>
#include <cstdio>
#include "support/guarded_device.hpp"
#include "support/witness.hpp"
using namespace tests;
using guarded_device::guarded;
using tenon::errc, tenon::extent, tenon::view;

namespace {
int failures = 0;
void expect(bool holds, const char* what) {
  std::printf("%s: %s\n", holds ? "ok" : "FAILED", what);
  failures += !holds;
}
/// What ends the process does so in a child.
template <class F>
bool dies(F&& f) {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    close(STDERR_FILENO);
    std::signal(SIGSEGV, SIG_DFL);  // a sanitizer's would print
    f();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
template <class T>
tenon::tensor<T, guarded> on_device(const std::vector<T>& host, const tenon::shape& s) {
  tenon::storage m;
  tenon::failure f;
  if (guarded{}.try_allocate(host.size() * sizeof(T), m, f) != errc::ok) std::abort();
  guarded{}.upload(m.data(), host.data(), host.size() * sizeof(T));
  auto* p = reinterpret_cast<T*>(m.data());
  return {std::move(m), tenon::strided_view<T, guarded>(view<T, guarded>(p, s))};
}
template <class T>
std::vector<unsigned char> bits_of(const T& t) {
  const tenon::array_ref a = t.describe();
  std::vector<unsigned char> b(static_cast<std::size_t>(a.shape.numel() * a.dtype.bytes()));
  if (a.device.type == guarded::type) guarded{}.download(b.data(), a.data, b.size());
  else std::memcpy(b.data(), a.data, b.size());
  return b;
}
template <class M>
std::vector<unsigned char> all_bits(const M& m) {
  std::vector<unsigned char> all;
  auto add = [&](const auto& t) {
    if (!t) return;
    const auto b = bits_of(t);
    all.insert(all.end(), b.begin(), b.end());
  };
  for (const auto& p : m.parameters()) add(p.value), add(p.grad);
  for (const auto& p : m.states()) add(p.value);
  return all;
}

void trains_alike() {
  tenon::model<everything> host{{.seed = 2}};
  tenon::model<everything, guarded> device{{.seed = 2}};
  expect(all_bits(host) == all_bits(device), "the same initial bits");
  const tenon::adamw rule{.lr = 0.01};
  for (const extent n : {4, 7, 1}) {
    const auto x = wave(n * 36, static_cast<std::uint64_t>(n)), dy = wave(n * 3, 3);
    std::vector<float> dx(x.size(), 5.0f);
    const auto xd = on_device(x, {n, 1, 6, 6}), dxd = on_device(dx, {n, 1, 6, 6});
    const auto dyd = on_device(dy, {n, 3});
    const auto y = host.forward(view(x, {n, 1, 6, 6}));
    const auto yd = device.forward(xd);
    expect(bits_of(y) == bits_of(yd), "forward");
    host.backward(view(dy, {n, 3}), view(dx, {n, 1, 6, 6}));
    device.backward(dyd, dxd);
    std::vector<float> back(dx.size());
    guarded{}.download(back.data(), dxd.data(), back.size() * sizeof(float));
    expect(back == dx, "backward: dx");
    expect(all_bits(host) == all_bits(device), "gradients, and the state after commit");
    host.update(rule);
    device.update(rule);
    expect(all_bits(host) == all_bits(device), "update");
    expect(bits_of(host(view(x, {n, 1, 6, 6}))) == bits_of(device(xd)), "inference");
  }
  const auto before = tenon::bytes_moved().copied;
  const auto moved = host.to(guarded{});
  std::uint64_t bytes = 0;
  for (const auto& p : host.parameters()) bytes += static_cast<std::uint64_t>(p.value.numel()) * sizeof(float);
  for (const auto& p : host.states()) bytes += static_cast<std::uint64_t>(p.value.numel()) * sizeof(float);
  expect(tenon::bytes_moved().copied == before + bytes, ".to(guarded{}) is counted");
  const auto x = wave(2 * 36, 8);
  expect(bits_of(moved(on_device(x, {2, 1, 6, 6}))) == bits_of(host(view(x, {2, 1, 6, 6}))), "and answers alike");
  const auto home = moved.to(tenon::cpu{});
  expect(bits_of(home(view(x, {2, 1, 6, 6}))) == bits_of(host(view(x, {2, 1, 6, 6}))), "and back again");
  const auto clone = device.clone();
  expect(bits_of(clone(on_device(x, {2, 1, 6, 6}))) == bits_of(device(on_device(x, {2, 1, 6, 6}))), "a clone there");
}
void every_other_layer() {
  static constexpr auto cell = tenon::network(tenon::input{{tenon::dyn, 3}, "x"}, tenon::input{{tenon::dyn, 2}, "h"},
                                              tenon::input{{tenon::dyn, 2}, "c"}, nn::lstm_cell{.out = 2});
  static constexpr auto words =
      tenon::network(tenon::input{{tenon::dyn, 3}, "tokens", tenon::kind::index}, nn::embedding{.rows = 5, .out = 4},
                     nn::flatten{}, nn::linear{.out = 4}, nn::softmax{});
  tenon::model<cell> a;
  tenon::model<cell, guarded> b;
  const auto x = wave(6, 1), h = wave(4, 2), c = wave(4, 3), d = wave(4, 4);
  const auto ya = a.forward_all({view(x, {2, 3}), view(h, {2, 2}), view(c, {2, 2})});
  const auto yb = b.forward_all({on_device(x, {2, 3}), on_device(h, {2, 2}), on_device(c, {2, 2})});
  expect(bits_of(ya[0]) == bits_of(yb[0]) && bits_of(ya[1]) == bits_of(yb[1]), "lstm_cell forward");
  a.backward_all({view(d, {2, 2}), view(d, {2, 2})});
  b.backward_all({on_device(d, {2, 2}), on_device(d, {2, 2})});
  expect(all_bits(a) == all_bits(b), "lstm_cell backward");
  tenon::model<words> e;
  tenon::model<words, guarded> g;
  const std::vector<std::int64_t> ids{0, 4, 2, 1, 1, 3}, wrong{0, 4, 2, 1, 5, 3};
  const auto dy = wave(8, 5);
  expect(bits_of(e.forward(view(ids, {2, 3}))) == bits_of(g.forward(on_device(ids, {2, 3}))), "embedding and softmax forward");
  e.backward(view(dy, {2, 4}));
  g.backward(on_device(dy, {2, 4}));
  expect(all_bits(e) == all_bits(g), "embedding and softmax backward");
  expect(failed([&] { g.forward(on_device(wrong, {2, 3})); }).code == errc::index, "an index out of range is found there, too");
  const tenon::model<words, guarded, tenon::precision<tenon::bfloat16>> half;
  const tenon::model<words, tenon::cpu, tenon::precision<tenon::bfloat16>> half_host;
  expect(bits_of(half(on_device(ids, {2, 3}))) == bits_of(half_host(view(ids, {2, 3}))),
         "bfloat16 storage, master weights cast there");
}
void refuses() {
  tenon::model<whole, guarded> m;
  const std::vector<float> x = wave(8, 1);
  const auto f = failed([&] { (void)m(view(x, {2, 4})); });
  expect(f.code == errc::device, "host memory is refused");
  expect(f.got == tenon::device{}.packed() && f.expected == tenon::device{guarded::type, 0}.packed(), "with both devices named");
  tenon::model<whole> host;
  expect(failed([&] { (void)host(on_device(x, {2, 4})); }).code == errc::device, "and the device's memory on the host");
  const auto p = m.parameters()[0].value;
  expect(dies([&] { (void)*const_cast<volatile float*>(p.data()); }), "the host cannot read its memory");
  expect(dies([&] { *const_cast<volatile float*>(p.data()) = 1; }), "nor write it");
  const tenon::strided_view<float, guarded> turned(p.data(), {3, 4}, {{1, 3}});
  const auto t = tenon::tensor<float, guarded>(p.owner(), turned);
  expect(failed([&] { (void)m(t); }).code == errc::not_dense, "strided memory there is not packed");
  expect(m.first_not_finite(on_device(x, {2, 4})).empty(), "diagnosis works through downloads");
  const auto blocks = guarded_device::live_blocks();
  const auto other = m.share(7);
  expect(guarded_device::live_blocks() == blocks + 1, "what shares parameters has only gradients of its own");
}
}  // namespace

int main() {
  trains_alike();
  every_other_layer();
  refuses();
  expect(guarded_device::ops_run > 100, "the ops ran on the device");
  expect(guarded_device::live_blocks() == 0, "all memory was given back");
  return failures > 0;
}
