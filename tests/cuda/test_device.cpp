// SPDX-License-Identifier: Apache-2.0
// tenon::cuda_device over the library's host side, an imitated runtime and emulated kernels: a model of linear layers and relu
// gives the host's numbers, an MLP trains as on the host, and a runtime call that fails is an error that leaves parameters alone.
#include <atomic>
#include <chrono>
#include <thread>
#include "catch.hpp"
#include "cuda/imitation.hpp"
#include "support/witness.hpp"
#include "tenon/tensor/export.hpp"
#include "tenon/tensor/import.hpp"
#include "tenon/train/cuda.hpp"
using namespace tests;
using tenon::cuda_device, tenon::errc, tenon::view;

namespace {
const bool linked = [] {
  tenon::cuda::use_library(tenon_cuda_functions);
  return true;
}();
constexpr auto mlp =
    tenon::network({12}, nn::linear{.out = 20}, nn::relu{}, nn::linear{.out = 9}, nn::tanh{}, nn::linear{.out = 3});

template <class T>
std::vector<float> numbers(const T& t) {
  const tenon::array_ref a = t.describe();
  std::vector<float> v(static_cast<std::size_t>(a.shape.numel()));
  if (a.device.type == tenon::device_type::cuda) cuda_device{}.download(v.data(), a.data, v.size() * 4);
  else std::memcpy(v.data(), a.data, v.size() * 4);
  return v;
}
tenon::tensor<float, cuda_device> sent(const std::vector<float>& v, const tenon::shape& s) {
  return to_device(cuda_device{}, view(v, s));
}
template <class M>
std::vector<float> everything_of(const M& m) {
  std::vector<float> all;
  for (const auto& p : m.parameters())
    for (const auto& v : {numbers(p.value), numbers(p.grad)}) all.insert(all.end(), v.begin(), v.end());
  return all;
}
bool near(const std::vector<float>& a, const std::vector<float>& b, float by) {
  bool all = a.size() == b.size();
  for (std::size_t i = 0; all && i < a.size(); ++i) all = std::abs(a[i] - b[i]) <= by * (1 + std::abs(b[i]));
  return all;
}
}  // namespace

TEST_CASE("a network of linear layers, relu, sums and a residual gives the host's integers") {
  imitation::start();
  {
    tenon::model<whole> host;
    make_whole(host);
    auto device = host.to(cuda_device{});
    const auto x = integers(5 * 4, 7), dy = integers(5 * 3, 8);
    std::vector<float> dx(x.size());
    const auto xd = to_device(device.device(), view(x, {5, 4})), dyd = to_device(device.device(), view(dy, {5, 3}));
    const auto dxd = to_device(device.device(), view(dx, {5, 4}));
    for (int round = 0; round < 3; ++round) {
      const auto y = host.forward(view(x, {5, 4}));
      const auto yd = device.forward(xd);
      CHECK(numbers(y) == numbers(yd));
      host.backward(view(dy, {5, 3}), view(dx, {5, 4}));
      device.backward(dyd, dxd);
      CHECK(numbers(dxd) == dx);
      CHECK(everything_of(host) == everything_of(device));
      CHECK(numbers(host(view(x, {5, 4}))) == numbers(device(xd)));
    }
    const auto clone = device.clone();
    CHECK(numbers(clone(xd)) == numbers(device(xd)));
    const auto home = device.to(tenon::cpu{});
    CHECK(numbers(home(view(x, {5, 4}))) == numbers(device(xd)));
    const auto back = to_host(device.device(), xd);
    CHECK(numbers(back) == x);
    CHECK(imitation::launches > 50);
  }
  CHECK(imitation::fault == "");
  CHECK(imitation::live.empty());
}

TEMPLATE_TEST_CASE("an MLP trains as on the host", "", tenon::sgd, tenon::adam, tenon::adamw) {
  imitation::start();
  {
    TestType rule{};
    rule.lr = 0.01, rule.weight_decay = 0.02;
    if constexpr (std::is_same_v<TestType, tenon::sgd>) rule.momentum = 0.9, rule.nesterov = true, rule.dampening = 0;
    cuda_device gpu{};
    gpu.reserve(1 << 16);
    tenon::model<mlp> host{{.seed = 4}};
    tenon::model<mlp, cuda_device> device{{.seed = 4, .device = gpu}};
    CHECK(everything_of(host) == everything_of(device));
    for (int step = 0; step < 6; ++step) {
      if constexpr (std::is_same_v<TestType, tenon::sgd>)
        if (step == 4) rule.momentum = 0, rule.nesterov = false;
      const tenon::extent n = step == 3 ? 1 : 7;
      const auto x = wave(n * 12, static_cast<std::uint64_t>(step)), dy = wave(n * 3, 50 + static_cast<std::uint64_t>(step));
      const auto xd = to_device(gpu, view(x, {n, 12})), dyd = to_device(gpu, view(dy, {n, 3}));
      (void)host.forward(view(x, {n, 12}));
      (void)device.forward(xd);
      host.backward(view(dy, {n, 3}));
      device.backward(dyd);
      host.update(rule);
      device.update(rule);
      CHECK(near(everything_of(device), everything_of(host), 1e-5f));
    }
  }
  CHECK(imitation::fault == "");
  CHECK(imitation::live.empty());
}

TEST_CASE("from the second step on, nothing is allocated on the device") {
  {
    tenon::model<mlp, cuda_device> m;
    const auto x = sent(wave(24, 1), {2, 12});
    const auto dy = sent(wave(6, 2), {2, 3});
    auto step = [&] {
      (void)m.forward(x);
      m.backward(dy);
      m.update(tenon::adamw{});
    };
    step();
    const auto before = imitation::live;
    for (int i = 0; i < 3; ++i) step();
    CHECK(imitation::live == before);
  }
  CHECK(imitation::live.empty());
}

TEST_CASE("every runtime call of a forward and a backward fails once: an error, parameters as they were, nothing leaked") {
  imitation::start();
  int failures = 0;
  for (int n = 0;; ++n) {
    imitation::start();
    tenon::model<mlp, cuda_device> m{{.seed = 2}};
    const auto x = sent(wave(24, 1), {2, 12});
    const auto dy = sent(wave(6, 2), {2, 3});
    std::vector<std::vector<float>> before, after;
    for (const auto& p : m.parameters()) before.push_back(numbers(p.value));
    imitation::start(n);
    const auto f = failed([&] {
      (void)m.forward(x);
      m.backward(dy);
    });
    imitation::start();
    if (f.code == errc::ok) break;
    ++failures;
    CHECK(f.code == errc::device_fault);
    CHECK(f.got == imitation::broken);
    CHECK(std::string(f.operation) == "cuda");
    for (const auto& p : m.parameters()) after.push_back(numbers(p.value));
    CHECK(before == after);
    REQUIRE(n < 300);
  }
  CHECK(failures > 30);
  CHECK(imitation::live.empty());
}

TEST_CASE("two threads infer at once over one reserved workspace: each gets its own numbers") {
  imitation::start();
  {
    constexpr auto long_sums = tenon::network({512}, nn::linear{.out = 6});
    cuda_device gpu{};
    gpu.reserve(1 << 18);
    const tenon::model<long_sums, cuda_device> net{{.seed = 3, .device = gpu}};
    const auto a = sent(integers(7 * 512, 1), {7, 512}), b = sent(integers(7 * 512, 2), {7, 512});
    const auto want_a = numbers(net(a)), want_b = numbers(net(b));
    REQUIRE(want_a != want_b);
    // The first product waits between its launches until the other thread is through, or has had time enough and was kept out.
    std::atomic<bool> begun = false, through = false;
    imitation::before_reduce = [&] {
      if (begun.exchange(true)) return;
      for (int i = 0; i < 200 && !through; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    };
    std::vector<float> got_b;
    std::thread other([&] {
      while (!begun) std::this_thread::yield();
      got_b = numbers(net(b));
      through = true;
    });
    const auto got_a = numbers(net(a));
    begun = true;
    other.join();
    imitation::before_reduce = nullptr;
    CHECK(got_a == want_a);
    CHECK(got_b == want_b);
  }
  CHECK(imitation::fault == "");
  CHECK(imitation::live.empty());
}

TEST_CASE("a workspace serves the device and stream that it was reserved for, and no other") {
  imitation::start();
  {
    cuda_device gpu{};
    gpu.reserve(1 << 16);
    int other = 0;
    gpu.stream = &other;
    const tenon::model<mlp, cuda_device> net{{.device = gpu}};
    const auto x = sent(wave(24, 1), {2, 12});
    const auto f = failed([&] { (void)net(x); });
    CHECK(f.message() ==
          "[cuda] workspace of another device or stream: value out of range. Call reserve() after setting them, once for each "
          "stream.");
    gpu.reserve(1 << 16);
    const tenon::model<mlp, cuda_device> again{{.device = gpu}};
    (void)again(x);
    gpu.stream = reinterpret_cast<void*>(std::uintptr_t{2});
    CHECK(failed([&] { gpu.reserve(1 << 16); }).code == errc::value);
  }
  CHECK(imitation::live.empty());
}

namespace {
/// What another framework would give: a dense array [2, 12] on device `id`.
struct foreign {
  std::int64_t shape[2] = {2, 12}, strides[2] = {12, 1};
  tenon::dl::managed_tensor_versioned m{};
  foreign(void* data, int id) {
    m.version = {1, 0};
    m.deleter = nullptr;
    m.dl_tensor.data = data;
    m.dl_tensor.device = {static_cast<std::int32_t>(tenon::device_type::cuda), id};
    m.dl_tensor.ndim = 2;
    m.dl_tensor.dtype = {2, 32, 1};
    m.dl_tensor.shape = shape, m.dl_tensor.strides = strides;
  }
};
template <class T>
int exported_number(const T& t) {
  return tenon::to_dlpack(t)->dl_tensor.device.device_id;
}
std::int64_t cuda_number(int id) { return tenon::device{tenon::device_type::cuda, id}.packed(); }
}  // namespace

TEST_CASE("the device's number goes out with every array, and one of another device does not come in") {
  imitation::start();
  {
    const cuda_device first{.device = 0}, second{.device = 1};
    tenon::model<mlp, cuda_device> m{{.device = second}};
    const auto x = wave(24, 1), dy = wave(6, 2);
    const auto x0 = to_device(first, view(x, {2, 12})), x1 = to_device(second, view(x, {2, 12}));
    const auto dy1 = to_device(second, view(dy, {2, 3}));
    CHECK(exported_number(x0) == 0);
    CHECK(exported_number(x1) == 1);
    CHECK(exported_number(m.forward(x1)) == 1);
    m.backward(dy1);
    m.update(tenon::adam{});
    for (const auto& p : m.parameters()) {
      CHECK(exported_number(p.value) == 1);
      CHECK(exported_number(p.grad) == 1);
    }
    for (const auto& s : m.slots()) CHECK(exported_number(s.value) == 1);
    CHECK(exported_number(m.clone()(x1)) == 1);
    CHECK(exported_number(m.to(first)(x0)) == 0);
    (void)m(x1.view());  // a view knows the kind of its device alone
    const auto inside = failed([&] { (void)m(x0); });
    CHECK(inside.message() == "[inference] x: device: got cuda:0, expected cuda:1.");
    const auto parameter = m.to(first).parameters()[0].value;
    CHECK(failed([&] { m.bind_parameter("0.weight", parameter); }).got == cuda_number(0));
    CHECK(failed([&] { (void)to_host(first, x1); }).expected == cuda_number(0));

    const tenon::model<mlp, cuda_device> other{{.device = first}};
    for (const int id : {0, 1}) {
      foreign f(x0.data(), id);
      const auto t = tenon::from_dlpack<const float, cuda_device>(tenon::own(&f.m));
      CHECK(exported_number(t) == id);
      const auto fault = failed([&] { (void)other(t); });
      CHECK(fault.code == (id == 0 ? errc::ok : errc::device));
      if (id == 1) CHECK(fault.got == cuda_number(1));
      foreign g(x0.data(), id);
      const auto late = tenon::from_dlpack<void, cuda_device>(tenon::own(&g.m));
      CHECK(exported_number(late) == id);
      CHECK(exported_number(late.as<const float>()) == id);
    }
    foreign none(x0.data(), -1);
    CHECK(failed([&] { (void)tenon::from_dlpack<const float, cuda_device>(tenon::own(&none.m)); }).code == errc::device);
    const auto lent = tenon::borrow(x1.view(), x1, 1);
    CHECK(exported_number(lent) == 1);
  }
  CHECK(imitation::live.empty());
}

TEST_CASE("errors say the device, the number and what to do") {
  imitation::start();
  CHECK(failed([] { tenon::model<mlp, cuda_device> m{{.device = {.device = 7}}}; }).code == errc::no_device);
  const auto negative = failed([] { tenon::model<mlp, cuda_device> m{{.device = {.device = -1}}}; });
  CHECK(negative.code == errc::no_device);
  CHECK(std::string(negative.argument) == "device: got -1, expected at least 0");
  tenon::storage s;
  tenon::failure why;
  CHECK(cuda_device{}.try_allocate(std::size_t{1} << 40, s, why) == errc::no_memory);
  CHECK(why.message() == "[allocate] bytes on the device: out of memory: got 0, expected 1099511627776.");
  imitation::present = 0;
  CHECK(cuda_device{}.try_allocate(4, s, why) == errc::no_device);
  CHECK(why.message() ==
        "[cuda] cudaGetDevice: CUDA error 35, cudaErrorInsufficientDriver: no device: got 35, expected 0. Is there an NVIDIA "
        "device "
        "with a driver for this library? nvidia-smi tells.");
  imitation::present = imitation::devices;
  tenon::model<mlp, cuda_device> m;
  const auto x = wave(24, 1);
  const auto f = failed([&] { (void)m(view(x, {2, 12})); });
  CHECK(f.code == errc::device);  // host memory
  CHECK(linked);
}
