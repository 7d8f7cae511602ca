// SPDX-License-Identifier: Apache-2.0
// From the second step on, a training step (batch, forward, loss, backward, update, schedule) asks for no memory: malloc and its
// like and mmap are interposed. Ragged last batches, a new shuffle, one and two threads. Has a main of its own.
#include <cstddef>
#include <cstdio>
#include <vector>

#include "tenon/graph/model.hpp"
#include "tenon/layers/activation.hpp"
#include "tenon/layers/batch_norm.hpp"
#include "tenon/layers/conv2d.hpp"
#include "tenon/layers/dropout.hpp"
#include "tenon/layers/linear.hpp"
#include "tenon/layers/pool2d.hpp"
#include "tenon/layers/reshape.hpp"
#include "tenon/train/batches.hpp"
#include "tenon/train/loss.hpp"
#include "tenon/train/optimizer.hpp"
#include "tenon/train/schedule.hpp"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TENON_NO_REPLACEMENT 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define TENON_NO_REPLACEMENT 1
#endif
#endif
#if defined(TENON_NO_REPLACEMENT) || !defined(__GLIBC__)
int main() { std::puts("skipped: malloc cannot be replaced here"); }
#else
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cerrno>

namespace {
int calls = 0;
void count() { __atomic_fetch_add(&calls, 1, __ATOMIC_RELAXED); }
}  // namespace
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void* malloc(std::size_t n) { return count(), __libc_malloc(n); }
void* calloc(std::size_t n, std::size_t m) { return count(), __libc_calloc(n, m); }
void* realloc(void* p, std::size_t n) { return count(), __libc_realloc(p, n); }
void* memalign(std::size_t a, std::size_t n) { return count(), __libc_memalign(a, n); }
void* aligned_alloc(std::size_t a, std::size_t n) { return count(), __libc_memalign(a, n); }
int posix_memalign(void** p, std::size_t a, std::size_t n) {
  count();
  *p = __libc_memalign(a, n);
  return *p ? 0 : ENOMEM;
}
void* mmap(void* p, std::size_t n, int prot, int flags, int fd, off_t at) noexcept {
  count();
  return reinterpret_cast<void*>(syscall(SYS_mmap, p, n, prot, flags, fd, at));
}
}

namespace nn = tenon::layers;
namespace {
constexpr auto net = tenon::network({1, 12, 12}, nn::conv2d{.out = 4, .kernel = 3}, nn::batch_norm{}, nn::relu{},
                                    nn::max_pool2d{.kernel = 2}, nn::flatten{}, nn::dropout{}, nn::linear{.out = 3});
int bad = 0;

void run(const char* what, int threads, const auto& loss, const auto& first_rule, const auto& labels) {
  const std::vector<std::uint8_t> pixels(21 * 144, 100);
  tenon::batches data{tenon::view(pixels, {21, 1, 12, 12}), labels, {.batch = 8}};
  tenon::model<net> m{{.seed = 1, .device = {.threads = threads}}};
  const tenon::one_cycle rate{.max = 1e-2, .steps = 12};
  auto rule = first_rule;
  tenon::batches<>::item item;
  int step = 0, in_first = 0;
  calls = 0;
  for (int epoch = 0; epoch < 4; ++epoch)
    while (data.next(item)) {
      rule.lr = rate(step);
      {
        auto y = m.forward(item.x);
        auto [l, dy] = loss(y, item.labels);
        m.backward(dy);
      }
      m.update(rule);
      if (step++ == 0) {
        in_first = calls;
        calls = 0;
      }
    }
  const int later = calls;  // printf may allocate its buffer
  std::printf("%s, %d threads: %d heap calls in the first step, %d in %d others\n", what, threads, in_first, later, step - 1);
  if (later != 0 || in_first == 0 || step != 12) ++bad;  // none in the first: the count counts nothing
}
}  // namespace

int main() {
  std::vector<int> labels(21);
  for (int i = 0; i < 21; ++i) labels[static_cast<std::size_t>(i)] = i % 3;
  for (const int threads : {1, 2}) {
    run("adamw", threads, tenon::cross_entropy{}, tenon::adamw{}, labels);
    run("sgd", threads, tenon::cross_entropy{}, tenon::sgd{.momentum = 0.9}, labels);
  }
  return bad;
}
#endif
