// SPDX-License-Identifier: Apache-2.0
// A body that uses a view which is empty in this call stops the program. This says why on the way; the fault then goes to whoever
// handled it before (the system, a sanitizer). Installed while a check runs.
#pragma once
#include <pthread.h>
#include <signal.h>
#include <unistd.h>
#include <cstdint>
#include <cstring>
namespace tenon::detail {
class null_access {
  static inline pthread_mutex_t lock_ = PTHREAD_MUTEX_INITIALIZER;  // <mutex> costs a third of the umbrella to compile
  static inline int users_ = 0;
  static inline struct sigaction before_{};
  static inline thread_local const char* layer_ = nullptr;

  static void say(const char* text) { static_cast<void>(!::write(STDERR_FILENO, text, std::strlen(text))); }
  [[gnu::noinline]] static void explain(int, siginfo_t* info, void*) {
    if (layer_ && reinterpret_cast<std::uintptr_t>(info->si_addr) < 1 << 16) {
      say("[check_layer] ");
      say(layer_);
      say(": a body uses a view that is empty in this call. Ask before: if (auto dx = pass.dx()), if (auto s = pass.saved(0)): "
          "any gradient may be unwanted, and inference saves nothing.\n");
    }
    sigaction(SIGSEGV, &before_, nullptr);  // the same access faults again
  }

 public:
  explicit null_access(const char* layer) {
    pthread_mutex_lock(&lock_);
    layer_ = layer;
    if (users_++ == 0) {
      struct sigaction mine{};
      mine.sa_sigaction = explain;
      mine.sa_flags = SA_SIGINFO | SA_ONSTACK;
      sigaction(SIGSEGV, &mine, &before_);
    }
    pthread_mutex_unlock(&lock_);
  }
  ~null_access() {
    pthread_mutex_lock(&lock_);
    layer_ = nullptr;
    if (--users_ == 0) sigaction(SIGSEGV, &before_, nullptr);
    pthread_mutex_unlock(&lock_);
  }
  null_access(const null_access&) = delete;
  null_access& operator=(const null_access&) = delete;
};
}  // namespace tenon::detail
