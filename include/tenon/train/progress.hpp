// SPDX-License-Identifier: Apache-2.0
// How a training shows where it is: a bar that redraws itself on a terminal, one plain line an epoch elsewhere. Writes text to a
// FILE; no heap call.
#pragma once
#include <stdio.h>
#include <time.h>
#include <unistd.h>
#include <cstdint>
namespace tenon {
namespace detail {
/// Seconds on a clock that nobody sets.
inline double seconds_now() noexcept {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}
}  // namespace detail

/// What one epoch has come to.
struct epoch_state {
  std::uint64_t epoch = 0, epochs = 1;  // from 0
  std::uint64_t batch = 0, batches = 1;
  std::uint64_t samples = 0;            // in `seconds`
  double seconds = 0, loss = 0;         // the mean so far
  double batch_loss = 0;                // of the last batch alone
};

/// Draws an epoch_state; `to` null: nothing.
class progress {
  FILE* to_;
  bool terminal_, drawn_ = false;
  double last_ = -1;

  [[gnu::noinline]] void line(const epoch_state& s, const char* end) {
    const double rate = s.seconds > 0 ? static_cast<double>(s.samples) / s.seconds : 0;
    fprintf(to_, "epoch %llu/%llu: loss %.4f, %.0f samples/s, %.1f s%s", static_cast<unsigned long long>(s.epoch + 1),
            static_cast<unsigned long long>(s.epochs), s.loss, rate, s.seconds, end);
    fflush(to_);
  }

 public:
  explicit progress(FILE* to) noexcept : to_(to), terminal_(to && isatty(fileno(to)) == 1) {}
  progress(const progress&) = delete;
  progress& operator=(const progress&) = delete;
  ~progress() { finish(); }

  /// After each batch. On a terminal it redraws ten times a second.
  void step(const epoch_state& s) {
    if (!terminal_) return;
    const double now = detail::seconds_now();
    if (last_ >= 0 && now - last_ < 0.1 && s.batch < s.batches) return;
    last_ = now;
    char bar[31];
    const std::uint64_t full = s.batches ? s.batch * 30 / s.batches : 30;
    for (unsigned i = 0; i < 30; ++i) bar[i] = i < full ? '=' : i == full ? '>' : ' ';
    bar[30] = 0;
    fprintf(to_, "\r[%s] ", bar);
    line(s, "\033[K");
    drawn_ = true;
  }
  /// At the end of an epoch: a line that stays.
  void epoch(const epoch_state& s) {
    if (!to_) return;
    if (drawn_) fputs("\r\033[K", to_);
    drawn_ = false;
    line(s, "\n");
  }
  /// Leaves an unfinished bar behind, with a line of its own.
  void finish() {
    if (drawn_) fputc('\n', to_);
    drawn_ = false;
  }
};
}  // namespace tenon
