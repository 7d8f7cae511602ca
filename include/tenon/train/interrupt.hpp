// SPDX-License-Identifier: Apache-2.0
// Ctrl-C as a question one can ask: the first one is noted, a second one ends the process as ever. Touches the process's
// disposition of SIGINT, and gives it back.
#pragma once
#include <signal.h>
namespace tenon {
namespace detail {
inline int interrupts_seen = 0, interrupt_watchers = 0;
inline struct sigaction interrupt_before{};
}  // namespace detail

/// While one lives, SIGINT is noted instead of ending the process; where it was ignored before, it stays so. Several may live at
/// once, on any threads: the last one to go gives the earlier handler back.
class interrupt_watch {
 public:
  interrupt_watch() noexcept {
    if (__atomic_fetch_add(&detail::interrupt_watchers, 1, __ATOMIC_ACQ_REL) != 0) return;
    __atomic_store_n(&detail::interrupts_seen, 0, __ATOMIC_RELAXED);
    sigaction(SIGINT, nullptr, &detail::interrupt_before);
    if (detail::interrupt_before.sa_handler == SIG_IGN) return;
    struct sigaction mine{};
    mine.sa_handler = [](int) {
      __atomic_store_n(&detail::interrupts_seen, 1, __ATOMIC_RELAXED);
    };  // lock-free: safe in a handler
    mine.sa_flags = static_cast<int>(SA_RESTART | SA_RESETHAND);
    sigemptyset(&mine.sa_mask);
    sigaction(SIGINT, &mine, nullptr);
  }
  ~interrupt_watch() {
    if (__atomic_fetch_sub(&detail::interrupt_watchers, 1, __ATOMIC_ACQ_REL) == 1)
      sigaction(SIGINT, &detail::interrupt_before, nullptr);
  }
  interrupt_watch(const interrupt_watch&) = delete;
  interrupt_watch& operator=(const interrupt_watch&) = delete;
  /// Whether Ctrl-C was pressed since the watch began.
  bool seen() const noexcept { return __atomic_load_n(&detail::interrupts_seen, __ATOMIC_RELAXED) != 0; }
};
}  // namespace tenon
