// SPDX-License-Identifier: Apache-2.0
// Counts every call for memory of the process: malloc and its kin, mmap, operator new. Include it in one file, that of main.
// Touches no memory of its own; the C library is reached by its own names, so that counting allocates nothing.
#pragma once
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <new>
#if defined(__linux__)
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace tests {
inline long heap_calls = 0;
inline void note_heap_call() noexcept { __atomic_fetch_add(&heap_calls, 1, __ATOMIC_RELAXED); }
inline long heap_calls_so_far() noexcept { return __atomic_load_n(&heap_calls, __ATOMIC_RELAXED); }
}  // namespace tests

// A sanitizer has interposed these already; then operator new alone is counted.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TESTS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TESTS_SANITIZED 1
#endif
#endif

#if defined(__GLIBC__) && !defined(TESTS_SANITIZED)
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);

void* malloc(std::size_t n) noexcept {
  tests::note_heap_call();
  return __libc_malloc(n);
}
void* calloc(std::size_t n, std::size_t m) noexcept {
  tests::note_heap_call();
  return __libc_calloc(n, m);
}
void* realloc(void* p, std::size_t n) noexcept {
  tests::note_heap_call();
  return __libc_realloc(p, n);
}
void* memalign(std::size_t a, std::size_t n) noexcept {
  tests::note_heap_call();
  return __libc_memalign(a, n);
}
void* aligned_alloc(std::size_t a, std::size_t n) noexcept {
  tests::note_heap_call();
  return __libc_memalign(a, n);
}
int posix_memalign(void** p, std::size_t a, std::size_t n) noexcept {
  tests::note_heap_call();
  *p = __libc_memalign(a, n);
  return *p ? 0 : ENOMEM;
}
void* mmap(void* at, std::size_t n, int protection, int flags, int file, off_t offset) noexcept {
  tests::note_heap_call();
  return reinterpret_cast<void*>(syscall(SYS_mmap, at, n, protection, flags, file, offset));
}
}
#else
// operator new and its kin, over what the sanitizer watches.
[[gnu::noinline]] void* operator new(std::size_t n) {
  tests::note_heap_call();
  if (void* p = std::malloc(n ? n : 1)) return p;
  std::abort();
}
[[gnu::noinline]] void* operator new(std::size_t n, std::align_val_t a) {
  tests::note_heap_call();
  const auto align = static_cast<std::size_t>(a);
  if (void* p = std::aligned_alloc(align, (n + align) / align * align)) return p;
  std::abort();
}
[[gnu::noinline]] void* operator new(std::size_t n, std::align_val_t a, const std::nothrow_t&) noexcept {
  tests::note_heap_call();
  const auto align = static_cast<std::size_t>(a);
  return std::aligned_alloc(align, (n + align) / align * align);
}
[[gnu::noinline]] void* operator new(std::size_t n, const std::nothrow_t&) noexcept {
  tests::note_heap_call();
  return std::malloc(n ? n : 1);
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
#endif
