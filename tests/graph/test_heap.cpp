// SPDX-License-Identifier: Apache-2.0
// From the second step on nothing asks for memory: forward, loss, backward, update, a ragged last batch, inference; one thread
// and two. A program of its own, for it replaces malloc.
#include <cstdlib>
#include "support/heap_calls.hpp"
#include "support/witness.hpp"
#include "tenon/graph/by_name.hpp"
#include "tenon/graph/fixed.hpp"
#include "tenon/train/loss.hpp"
using namespace tests;
using tenon::extent, tenon::view;

namespace {
int failures = 0;
void expect(bool holds, const char* what, long got) {
  std::printf("%s: %s (%ld)\n", holds ? "ok" : "FAILED", what, got);
  failures += !holds;
}
template <class F>
long calls(F&& f) {
  const long before = heap_calls_so_far();
  f();
  return heap_calls_so_far() - before;
}

/// Large enough that a second thread gets work.
constexpr auto wide = tenon::network({256}, nn::linear{.out = 384}, nn::relu{}, nn::dropout{}, nn::linear{.out = 384}, nn::tanh{},
                                     nn::linear{.out = 10});

template <class M>
void trains_without_heap(M& m, const char* what) {
  const std::vector<float> x = wave(16 * 36, 1);
  const std::vector<int> labels{0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0};
  tenon::cross_entropy loss;
  const tenon::adamw rule{.lr = 0.01};
  double sum = 0;
  auto epoch = [&] {
    for (const extent n : {16, 16, 5}) {  // ragged: the last batch is smaller
      const auto xv = view(x.data(), {n, 1, 6, 6});
      auto y = m.forward(xv);
      auto [l, dy] = loss(y, view(labels.data(), {n}));
      m.backward(dy);
      m.update(rule);
      sum += double(l) + double(loss.value(m(xv), view(labels.data(), {n})));
    }
  };
  epoch();
  const long n = calls([&] {
    for (int i = 0; i < 3; ++i) epoch();
  });
  expect(n == 0, what, n);
  expect(sum > 0, "the loss is a number", static_cast<long>(sum));
}
}  // namespace

int main() {
#if defined(__GLIBC__) && !defined(TESTS_SANITIZED)
  expect(calls([] { std::free(std::malloc(100)); }) == 1, "malloc is counted", 0);
  expect(calls([] { std::free(std::aligned_alloc(64, 128)); }) == 1, "aligned_alloc is counted", 0);
  expect(calls([] {
           void* p = nullptr;
           if (posix_memalign(&p, 64, 128) == 0) std::free(p);
         }) == 1,
         "posix_memalign is counted", 0);
  expect(calls([] {
           void* p = mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
           munmap(p, 4096);
         }) == 1,
         "mmap is counted", 0);
#endif
  expect(calls([] { delete new int(1); }) <= 1, "operator new may be counted", 0);
  expect(calls([] { ::operator delete(::operator new(100, std::align_val_t{64}), std::align_val_t{64}); }) == 1,
         "aligned operator new is counted", 0);
  for (const int threads : {1, 2}) {
    tenon::model<everything> m{{.device = {.threads = threads}}};
    trains_without_heap(m, threads == 1 ? "a model on one thread" : "a model on two threads");
    tenon::graph g{everything, {.device = {.threads = threads}}};
    trains_without_heap(g, threads == 1 ? "a graph on one thread" : "a graph on two threads");
  }
  {
    tenon::model<wide> m{{.device = {.threads = 2}}};
    const std::vector<float> x = wave(256 * 256, 1);
    const std::vector<int> labels(256, 3);
    tenon::cross_entropy loss;
    auto round = [&] {
      for (const extent n : {256, 256, 100}) {
        auto y = m.forward(view(x.data(), {n, 256}));
        auto [l, dy] = loss(y, view(labels.data(), {n}));
        m.backward(dy);
        m.update(tenon::adamw{});
        (void)m(view(x.data(), {n, 256}));
      }
    };
    round();
    const long n = calls(round);
    expect(n == 0, "a wide model on two threads that both have work", n);
  }
  {
    tenon::model<everything> m;
    const std::vector<float> x = wave(36 * 4, 1), dy = wave(12, 2);
    std::vector<float> dx(x.size());
    tenon::tape s{m}, t{m};
    auto round = [&] {  // two in flight, dx wanted, y of the last round still held while the next is made
      auto y1 = m.forward(view(x, {4, 1, 6, 6}), s);
      auto y2 = m.forward(view(x, {4, 1, 6, 6}), t);
      m.backward(view(dy, {4, 3}), s, view(dx, {4, 1, 6, 6}));
      m.backward(view(dy, {4, 3}), t);
      m.update(tenon::sgd{.lr = 0.01, .momentum = 0.9});
    };
    round();
    round();
    const long n = calls([&] {
      for (int i = 0; i < 3; ++i) round();
    });
    expect(n == 0, "two forwards in flight", n);
    tenon::tensor<float> kept;
    for (int i = 0; i < 3; ++i) kept = m(view(x, {4, 1, 6, 6}));
    const long k = calls([&] {
      for (int i = 0; i < 4; ++i) kept = m(view(x, {4, 1, 6, 6}));
    });
    expect(k == 0, "y = net(x) over the y before", k);
    const tenon::strided_view<const float> turned(x.data(), {2, 1, 6, 6}, {{1, 0, 12, 2}});
    (void)m(turned);
    const long p = calls([&] { (void)m(turned); });
    expect(p == 0, "a strided x is packed into the same memory", p);
  }
  {
    static tenon::fixed<everything, 4, float, tenon::adamw> f;
    const std::vector<float> x = wave(36 * 4, 1), dy = wave(12, 2);
    const long n = calls([&] {
      (void)f(view(x, {4, 1, 6, 6}));
      (void)f.forward(view(x, {4, 1, 6, 6}));
      (void)f.backward(view(dy, {4, 3}));
      f.update(tenon::adamw{});
    });
    expect(n == 0, "fixed, from the first step on", n);
  }
  {  // so that the error arrives, and not std::bad_alloc, where no memory is left
    tenon::layer_list layers({4});
    const auto refused = [&](const char* name) {
      return calls([&] {
        try {
          layers.add(name);
        } catch (const tenon::error&) {}
      });
    };
    refused("x");  // the first throw of a program asks for more
    const long n = refused("a name that no short string holds") - refused("x");
    expect(n == 0, "a refusal copies no long name to the heap", n);
  }
  return failures > 0;
}
