// SPDX-License-Identifier: Apache-2.0
// The only macros of the library, and the only place that asks which compiler this is. Touches no memory.
#pragma once

#if __cplusplus < 202002L
#error "Tenon needs C++20: compile with -std=c++20"
#endif

#define TENON_VERSION_MAJOR 0
#define TENON_VERSION_MINOR 1
#define TENON_VERSION_PATCH 0

/// 1 where the throwing functions exist; under -fno-exceptions only their noexcept twins (`try_…`) do.
#if defined(__cpp_exceptions) || defined(__EXCEPTIONS)
#define TENON_EXCEPTIONS 1
#else
#define TENON_EXCEPTIONS 0
#endif

/// 1 where the C library says whether a thread was ever started (`__libc_single_threaded`).
#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#define TENON_HAS_SINGLE_THREADED 1
#else
#define TENON_HAS_SINGLE_THREADED 0
#endif

#define TENON_RESTRICT __restrict__

// Kernels of translation units with different flags must not be merged by the linker: an older CPU would stop on the newer one's
// instructions. So the flags that matter most are in the name of their namespace. What calls kernels carries no such name: a
// program whose files are compiled for different machines is not made safe by this, only less likely to break.
#if defined(__AVX512F__)
#define TENON_TAG_ISA avx512
#elif defined(__AVX2__) && defined(__FMA__)
#define TENON_TAG_ISA avx2
#elif defined(__x86_64__)
#define TENON_TAG_ISA x86_64
#else
#define TENON_TAG_ISA portable
#endif
#if TENON_EXCEPTIONS
#define TENON_TAG_EXCEPTIONS _ex
#else
#define TENON_TAG_EXCEPTIONS _noex
#endif
#if defined(NDEBUG)
#define TENON_TAG_DEBUG _ndebug
#else
#define TENON_TAG_DEBUG _debug
#endif
#define TENON_PASTE3(a, b, c) a##b##c
#define TENON_TAG(a, b, c) TENON_PASTE3(a, b, c)
/// The inline namespace of everything whose code depends on compiler flags: `namespace tenon::detail { inline namespace TENON_KERNELS {`
#define TENON_KERNELS TENON_TAG(TENON_TAG_ISA, TENON_TAG_EXCEPTIONS, TENON_TAG_DEBUG)

/// 1 where kernels for newer instruction sets are compiled beside the baseline and chosen at run time.
#if defined(__x86_64__) && defined(__GNUC__)
#define TENON_DISPATCH_X86 1
#else
#define TENON_DISPATCH_X86 0
#endif

// What stands between TENON_TARGET_… and TENON_TARGET_END is compiled for that instruction set, whatever the flags.
#if TENON_DISPATCH_X86 && defined(__clang__)
#define TENON_TARGET_AVX2 _Pragma("clang attribute push(__attribute__((target(\"avx2,fma\"))), apply_to = function)")
#define TENON_TARGET_AVX512 _Pragma("clang attribute push(__attribute__((target(\"avx512f,avx2,fma\"))), apply_to = function)")
#define TENON_TARGET_END _Pragma("clang attribute pop")
#elif TENON_DISPATCH_X86
#define TENON_TARGET_AVX2 _Pragma("GCC push_options") _Pragma("GCC target(\"avx2,fma\")")
#define TENON_TARGET_AVX512 _Pragma("GCC push_options") _Pragma("GCC target(\"avx512f,avx2,fma\")")
#define TENON_TARGET_END _Pragma("GCC pop_options")
#endif

namespace tenon {
inline constexpr struct library_version_type {
  int major, minor, patch;
} library_version{TENON_VERSION_MAJOR, TENON_VERSION_MINOR, TENON_VERSION_PATCH};
/// Whether the throwing functions exist in this translation unit.
inline constexpr bool exceptions_enabled = TENON_EXCEPTIONS != 0;
}  // namespace tenon
