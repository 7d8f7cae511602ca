// SPDX-License-Identifier: Apache-2.0
// The thread pool: each index once, workers in range, nested and concurrent regions, a child after fork(), a failed start.
#include "tenon/ops/cpu/threads.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <thread>
#include <vector>

#include "../catch.hpp"

namespace d = tenon::detail;
using std::int64_t;

namespace {

/// Runs a region over [0, n) and tells whether each index was visited once and each worker number was in range, those but the
/// caller's used once.
bool covers(int threads, int64_t n, int64_t grain) {
  std::vector<int> visits(static_cast<std::size_t>(n < 0 ? 0 : n), 0);
  std::atomic<int> calls[d::max_threads] = {};
  std::atomic<bool> right{true};
  d::parallel(threads, n, grain, [&](int64_t begin, int64_t end, int worker) noexcept {
    if (worker < 0 || worker >= (threads > 1 ? threads : 1) || begin >= end) right = false;
    else if (calls[worker]++ != 0 && worker != 0) right = false;
    for (int64_t i = begin; i < end; ++i) ++visits[static_cast<std::size_t>(i)];
  });
  for (const int v : visits)
    if (v != 1) right = false;
  return right;
}

/// How many calls a region is cut into.
int pieces(int threads, int64_t n, int64_t grain) {
  std::atomic<int> calls{0};
  d::parallel(threads, n, grain, [&](int64_t, int64_t, int) noexcept { ++calls; });
  return calls;
}

}  // namespace

TEST_CASE("parallel covers [0, n) exactly once") {
  for (int threads : {-1, 0, 1, 2, 3, 4, 7})
    for (int64_t n : {0, 1, 2, 3, 4, 5, 31, 100, 1001})
      for (int64_t grain : {0, 1, 2, 50}) {
        INFO("threads " << threads << " n " << n << " grain " << grain);
        CHECK(covers(threads, n, grain));
      }
  CHECK(covers(1000, 5000, 1));
}

TEST_CASE("chunk_of: contiguous, sizes differ by at most one, no overflow") {
  for (int64_t n : {int64_t{0}, int64_t{1}, int64_t{10}, int64_t{63}, INT64_MAX})
    for (int64_t parts : {1, 2, 3, 64}) {
      int64_t at = 0;
      for (int64_t i = 0; i < parts; ++i) {
        const d::range r = d::chunk_of(n, parts, i);
        CHECK(r.begin == at);
        CHECK((r.end - r.begin == n / parts || r.end - r.begin == n / parts + 1));
        at = r.end;
      }
      CHECK(at == n);
    }
}

TEST_CASE("parallel is serial where the work is small") {
  CHECK(pieces(2, 100, 51) == 1);
  CHECK(pieces(2, 100, 50) == 2);
  CHECK(pieces(4, 100, 30) == 3);
  CHECK(pieces(1, 100, 1) == 1);
  CHECK(pieces(2, 0, 1) == 0);
}

// The caller's piece waits for the other, so that it cannot do both.
void who_does_what(std::thread::id (&ids)[2]) {
  std::atomic<bool> other{false};
  d::parallel(2, 2, 1, [&](int64_t begin, int64_t, int worker) noexcept {
    ids[worker] = std::this_thread::get_id();
    if (begin == 1) other = true;
    for (int i = 0; i < 20000 && !other; ++i) usleep(100);
  });
}

TEST_CASE("two threads are seen, and the caller is worker 0") {
  std::thread::id ids[2];
  who_does_what(ids);
  CHECK(ids[0] == std::this_thread::get_id());
  CHECK(ids[1] != ids[0]);
  CHECK(ids[1] != std::thread::id{});
}

TEST_CASE("a piece that its worker has not begun is done by the caller") {
  int by_caller = 0;
  for (int round = 0; round < 50; ++round) {
    usleep(1000);  // the worker sleeps, and takes longer to wake than these pieces
    std::atomic<int> mine{0};
    const std::thread::id me = std::this_thread::get_id();
    d::parallel(2, 2, 1, [&](int64_t, int64_t, int worker) noexcept {
      if (worker == 0 && std::this_thread::get_id() == me) ++mine;
    });
    by_caller += mine == 2;
  }
  CHECK(by_caller > 0);
}

TEST_CASE("a nested region runs on the thread it is met on") {
  std::atomic<int> inner{0}, strangers{0};
  d::parallel(3, 3, 1, [&](int64_t, int64_t, int) noexcept {
    const std::thread::id me = std::this_thread::get_id();
    d::parallel(3, 30, 1, [&](int64_t begin, int64_t end, int worker) noexcept {
      if (std::this_thread::get_id() != me || worker != 0) ++strangers;
      inner += static_cast<int>(end - begin);
    });
  });
  CHECK(inner == 90);
  CHECK(strangers == 0);
  CHECK(pieces(2, 2, 1) == 2);  // and the mark of being nested is gone
}

TEST_CASE("many regions one after another, hot and after the workers have gone to sleep") {
  std::vector<int64_t> sums(64, 0);
  for (int round = 0; round < 3000; ++round)
    d::parallel(2 + round % 3, 64, 1, [&](int64_t begin, int64_t end, int) noexcept {
      for (int64_t i = begin; i < end; ++i) ++sums[static_cast<std::size_t>(i)];
    });
  for (int round = 0; round < 20; ++round) {
    usleep(1000);
    d::parallel(3, 64, 1, [&](int64_t begin, int64_t end, int) noexcept {
      for (int64_t i = begin; i < end; ++i) ++sums[static_cast<std::size_t>(i)];
    });
  }
  for (const int64_t s : sums) CHECK(s == 3020);
}

TEST_CASE("the caller sleeps and is woken where a worker is late") {
  std::atomic<int> done{0};
  for (int round = 0; round < 5; ++round)
    d::parallel(2, 2, 1, [&](int64_t, int64_t, int worker) noexcept {
      if (worker == 1) usleep(3000);
      ++done;
    });
  CHECK(done == 10);
}

TEST_CASE("callers at once: all finish, all right") {
  std::atomic<int> wrong{0};
  std::vector<std::thread> callers;
  for (int t = 0; t < 4; ++t)
    callers.emplace_back([&wrong] {
      for (int round = 0; round < 300; ++round) {
        int64_t out[100] = {};
        d::parallel(2, 100, 1, [&](int64_t begin, int64_t end, int) noexcept {
          for (int64_t i = begin; i < end; ++i) out[i] += i;
        });
        for (int64_t i = 0; i < 100; ++i)
          if (out[i] != i) ++wrong;
      }
    });
  for (std::thread& t : callers) t.join();
  CHECK(wrong == 0);
}

// The thread sanitizer cannot start threads in the child of a program that had some.
#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#endif
#ifndef UNDER_TSAN
TEST_CASE("a child of fork starts a pool of its own and ends well; the parent's goes on") {
  REQUIRE(pieces(3, 30, 1) == 3);
  for (int round = 0; round < 4; ++round) {
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      alarm(20);  // a child that waits for the parent's threads would wait for ever
      std::thread::id ids[2];
      who_does_what(ids);
      const bool right = covers(3, 100, 1) && ids[1] != ids[0] && ids[1] != std::thread::id{};
      if (round % 2 == 0) d::stop_threads();  // what exit() does
      _exit(right ? 0 : 1);
    }
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 0));
    CHECK(covers(3, 100, 1));
  }
}

TEST_CASE("fork while other threads compute") {
  std::atomic<bool> stop{false};
  std::thread busy([&stop] {
    while (!stop) covers(2, 1000, 1);
  });
  for (int round = 0; round < 20; ++round) {
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      alarm(20);
      char out[64] = {};  // no allocation here: the heap's lock may have been held
      d::parallel(2, 64, 1, [&](int64_t begin, int64_t end, int) noexcept {
        for (int64_t i = begin; i < end; ++i) ++out[i];
      });
      for (const char v : out)
        if (v != 1) _exit(1);
      _exit(0);
    }
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 0));
  }
  stop = true;
  busy.join();
}

TEST_CASE("after the end of the pool regions run serially, and exit does not wait") {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    alarm(20);
    const bool before = pieces(2, 2, 1) == 2;
    d::stop_threads();
    _exit(before && pieces(2, 2, 1) == 1 && covers(2, 100, 1) ? 0 : 1);
  }
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 0));
}
#endif

TEST_CASE("available_cores is at least one") { CHECK(d::available_cores() >= 1); }
