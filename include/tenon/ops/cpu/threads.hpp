// SPDX-License-Identifier: Apache-2.0
// The one pool of worker threads of the process. A worker spins for some tens of microseconds after its last job and then
// sleeps in the kernel; a child of fork() starts with an empty pool, and at exit the workers are joined. Touches its own static
// state only: no heap call here (pthread_create maps a stack the first time a thread is wanted).
// Source: prototypes/cpu/pool.cpp of the design phase (fork-join of 2 threads: 0.3 us hot, 25 us out of sleep).
#pragma once

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include <cstdint>

#include "tenon/core/config.hpp"

namespace tenon::detail {

/// More threads than this are never started.
inline constexpr int max_threads = 64;

// State is shared by translation units of any flags, so it is outside TENON_KERNELS; code is inside.
struct alignas(64) worker_slot {
  unsigned ticket;  // goes up by one for each job of this worker
  unsigned parked;  // 1 while the worker sleeps on `ticket`
  unsigned open;    // 1 while nobody has begun its piece: who takes it down to 0 does the piece, the worker or the caller
  int index;
  pthread_t thread;
};

struct thread_pool_state {
  unsigned busy;      // 1 while a caller (or the end of the process) owns everything below
  unsigned stopping;  // 1: a worker that gets a ticket returns
  bool hooked;        // exit and fork handlers are registered
  int workers;        // running workers are slots[1 … workers]
  void (*call)(const void* f, std::int64_t begin, std::int64_t end, int worker) noexcept;
  const void* f;
  std::int64_t n;
  int threads;
  alignas(64) unsigned pending;  // pieces that are not finished, but for the caller's own
  unsigned caller_parked;        // 1 while the caller sleeps on `pending`
  worker_slot slots[max_threads];
};

inline constinit thread_pool_state thread_pool{};
/// True inside a parallel region of this thread; a nested one runs serially.
inline constinit thread_local bool in_parallel = false;

inline namespace TENON_KERNELS {

struct range {
  std::int64_t begin, end;
};

/// Part `i` of [0, n) cut into `parts` contiguous pieces whose sizes differ by at most one.
constexpr range chunk_of(std::int64_t n, std::int64_t parts, std::int64_t i) noexcept {
  const std::int64_t size = n / parts, larger = n % parts;
  const std::int64_t begin = i * size + (i < larger ? i : larger);
  return {begin, begin + size + (i < larger ? 1 : 0)};
}

/// Cores this thread may run on, at least 1.
[[gnu::noinline]] inline int available_cores() noexcept {
#if defined(__linux__)
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    const int cores = CPU_COUNT(&set);
    if (cores > 0) return cores;
  }
#endif
  return 1;
}

// A futex where there is one; elsewhere the loops around these calls poll.
[[gnu::noinline]] inline void sleep_while_equal(unsigned* word, unsigned value) noexcept {
#if defined(__linux__)
  constexpr int futex_wait_private = 128;
  syscall(SYS_futex, word, futex_wait_private, value, nullptr, nullptr, 0);
#else
  (void)word, (void)value;
  sched_yield();
#endif
}

[[gnu::noinline]] inline void wake_sleeper(unsigned* word) noexcept {
#if defined(__linux__)
  constexpr int futex_wake_private = 129;
  syscall(SYS_futex, word, futex_wake_private, 1, nullptr, nullptr, 0);
#else
  (void)word;
#endif
}

/// Polls `*word` until it differs from (`equal`) or equals (`!equal`) `value`; false after some 50 microseconds.
[[gnu::noinline]] inline bool spin_while(const unsigned* word, unsigned value, bool equal) noexcept {
#if defined(__x86_64__)
  const std::uint64_t start = __builtin_ia32_rdtsc();
  do {
    for (int i = 0; i < 16; ++i) {
      if ((__atomic_load_n(word, __ATOMIC_ACQUIRE) == value) != equal) return true;
      __builtin_ia32_pause();
    }
  } while (__builtin_ia32_rdtsc() - start < 120000);
#else
  for (int i = 0; i < 20000; ++i)
    if ((__atomic_load_n(word, __ATOMIC_ACQUIRE) == value) != equal) return true;
#endif
  return false;
}

inline void* worker_main(void* argument) noexcept {
  worker_slot& slot = *static_cast<worker_slot*>(argument);
  thread_pool_state& pool = thread_pool;
  in_parallel = true;
  for (unsigned seen = 0;; ++seen) {
    if (!spin_while(&slot.ticket, seen, true)) {
      __atomic_store_n(&slot.parked, 1u, __ATOMIC_SEQ_CST);
      while (__atomic_load_n(&slot.ticket, __ATOMIC_SEQ_CST) == seen) sleep_while_equal(&slot.ticket, seen);
      __atomic_store_n(&slot.parked, 0u, __ATOMIC_SEQ_CST);
    }
    if (__atomic_load_n(&pool.stopping, __ATOMIC_ACQUIRE)) return nullptr;
    if (!__atomic_exchange_n(&slot.open, 0u, __ATOMIC_SEQ_CST)) continue;  // too late: the caller has done it
    const range part = chunk_of(pool.n, pool.threads, slot.index);
    pool.call(pool.f, part.begin, part.end, slot.index);
    if (__atomic_sub_fetch(&pool.pending, 1u, __ATOMIC_SEQ_CST) == 0 && __atomic_load_n(&pool.caller_parked, __ATOMIC_SEQ_CST))
      wake_sleeper(&pool.pending);
  }
}

[[gnu::noinline]] inline void give_ticket(worker_slot& slot) noexcept {
  __atomic_add_fetch(&slot.ticket, 1u, __ATOMIC_SEQ_CST);
  if (__atomic_load_n(&slot.parked, __ATOMIC_SEQ_CST)) wake_sleeper(&slot.ticket);
}

/// In a child of fork() the workers are gone: forget them, whatever their state was.
[[gnu::noinline]] inline void forget_threads() noexcept {
  thread_pool_state& pool = thread_pool;
  pool.workers = 0;
  __atomic_store_n(&pool.stopping, 0u, __ATOMIC_RELAXED);
  __atomic_store_n(&pool.pending, 0u, __ATOMIC_RELAXED);
  __atomic_store_n(&pool.caller_parked, 0u, __ATOMIC_RELAXED);
  __atomic_store_n(&pool.busy, 0u, __ATOMIC_RELEASE);
}

/// At exit: ends and joins the workers, and leaves the pool owned, so that later callers run serially. Does nothing where exit()
/// came from inside a parallel region or another thread still computes: such workers end with the process.
[[gnu::noinline]] inline void stop_threads() noexcept {
  thread_pool_state& pool = thread_pool;
  if (in_parallel || __atomic_exchange_n(&pool.busy, 1u, __ATOMIC_ACQUIRE)) return;
  __atomic_store_n(&pool.stopping, 1u, __ATOMIC_RELEASE);
  for (int i = 1; i <= pool.workers; ++i) give_ticket(pool.slots[i]);
  for (int i = 1; i <= pool.workers; ++i) pthread_join(pool.slots[i].thread, nullptr);
  pool.workers = 0;
}

struct stop_threads_at_exit {
  stop_threads_at_exit() noexcept {
    pthread_atfork(nullptr, nullptr, [] { forget_threads(); });
  }
  ~stop_threads_at_exit() { stop_threads(); }
  stop_threads_at_exit(const stop_threads_at_exit&) = delete;
  stop_threads_at_exit& operator=(const stop_threads_at_exit&) = delete;
};

/// Called by the owner of the pool: starts workers until there are `wanted`; returns how many there are, maybe fewer.
[[gnu::noinline]] inline int start_workers(int wanted) noexcept {
  thread_pool_state& pool = thread_pool;
  if (pool.workers >= wanted) return pool.workers;
  if (!pool.hooked) {
    static const stop_threads_at_exit hook;
    pool.hooked = true;
  }
  sigset_t all, before;  // signals belong to the user's threads
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  while (pool.workers < wanted) {
    worker_slot& slot = pool.slots[pool.workers + 1];
    slot.index = pool.workers + 1;
    __atomic_store_n(&slot.ticket, 0u, __ATOMIC_RELAXED);
    __atomic_store_n(&slot.parked, 0u, __ATOMIC_RELAXED);
    __atomic_store_n(&slot.open, 0u, __ATOMIC_RELAXED);
    if (pthread_create(&slot.thread, nullptr, [](void* p) -> void* { return worker_main(p); }, &slot) != 0) break;
    ++pool.workers;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return pool.workers;
}

/// False, and nothing done, where another caller owns the pool or no worker can be had.
[[gnu::noinline]] inline bool run_on_pool(int threads, std::int64_t n, decltype(thread_pool_state::call) call,
                                          const void* f) noexcept {
  thread_pool_state& pool = thread_pool;
  if (__atomic_load_n(&pool.busy, __ATOMIC_RELAXED) || __atomic_exchange_n(&pool.busy, 1u, __ATOMIC_ACQUIRE)) return false;
  const int helpers = start_workers(threads - 1) < threads - 1 ? pool.workers : threads - 1;
  if (helpers < 1) {
    __atomic_store_n(&pool.busy, 0u, __ATOMIC_RELEASE);
    return false;
  }
  pool.call = call;
  pool.f = f;
  pool.n = n;
  pool.threads = helpers + 1;
  __atomic_store_n(&pool.pending, static_cast<unsigned>(helpers), __ATOMIC_RELAXED);
  for (int i = 1; i <= helpers; ++i) {
    __atomic_store_n(&pool.slots[i].open, 1u, __ATOMIC_SEQ_CST);
    give_ticket(pool.slots[i]);
  }

  in_parallel = true;
  call(f, 0, chunk_of(n, helpers + 1, 0).end, 0);
  for (int i = helpers; i >= 1; --i)  // what a worker has not begun, because its core is busy with something else
    if (__atomic_exchange_n(&pool.slots[i].open, 0u, __ATOMIC_SEQ_CST)) {
      const range part = chunk_of(n, helpers + 1, i);
      call(f, part.begin, part.end, 0);
      __atomic_sub_fetch(&pool.pending, 1u, __ATOMIC_SEQ_CST);
    }
  in_parallel = false;

  if (!spin_while(&pool.pending, 0, false)) {
    __atomic_store_n(&pool.caller_parked, 1u, __ATOMIC_SEQ_CST);
    while (const unsigned left = __atomic_load_n(&pool.pending, __ATOMIC_SEQ_CST)) sleep_while_equal(&pool.pending, left);
    __atomic_store_n(&pool.caller_parked, 0u, __ATOMIC_SEQ_CST);
  }
  __atomic_store_n(&pool.busy, 0u, __ATOMIC_RELEASE);
  return true;
}

/// parallel() below, for all callables.
[[gnu::noinline]] inline void parallel_call(int threads, std::int64_t n, std::int64_t grain,
                                            decltype(thread_pool_state::call) call, const void* f) noexcept {
  if (n <= 0) return;
  const std::int64_t pieces = grain > 1 ? n / grain : n;
  if (pieces < threads) threads = static_cast<int>(pieces);
  if (threads > max_threads) threads = max_threads;
  if (threads <= 1 || in_parallel || !run_on_pool(threads, n, call, f)) call(f, 0, n, 0);
}

/// Calls `f(begin, end, worker)` on contiguous pieces that cover [0, n) exactly once; 0 ≤ worker < threads, the caller is worker 0
/// (and may do several pieces: no two calls of one worker overlap in time).
/// One call f(0, n, 0) where threads ≤ 1, n < 2·grain, in a nested region, or while another thread uses the pool: results may
/// depend on the pieces only through independent outputs. `f` must be noexcept and must not fork.
template <class F>
void parallel(int threads, std::int64_t n, std::int64_t grain, const F& f) noexcept {
  static_assert(
      noexcept(f(std::int64_t{}, std::int64_t{}, 0)),
      "tenon::detail::parallel: write the callable as [&](std::int64_t begin, std::int64_t end, int worker) noexcept { … }");
  parallel_call(
      threads, n, grain,
      [](const void* g, std::int64_t begin, std::int64_t end, int worker) noexcept {
        (*static_cast<const F*>(g))(begin, end, worker);
      },
      &f);
}

}  // namespace TENON_KERNELS
}  // namespace tenon::detail
