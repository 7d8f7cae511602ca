// SPDX-License-Identifier: Apache-2.0
// Finds the CUDA library (cuda_kernels/) and checks it once: no CUDA header, no nvcc, nothing to link. Looked for at first use, in
// this order; the first place that has one decides, and stays for the life of the process:
//   1. what use_library() named: a file, or the function of a library that is linked
//   2. the file in the environment variable TENON_CUDA_LIBRARY
//   3. the program itself and what it is linked with
//   4. libtenon_cuda.so.1, as the system's loader finds libraries; the number is the ABI's major version
#pragma once
#include <dlfcn.h>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include "tenon/core/error.hpp"
#include "tenon/ops/cuda/absent.hpp"
namespace tenon::cuda {
namespace detail {
using tenon::detail::fail;
using tenon::detail::text_buffer;
using functions = const tenon_cuda_api*();
using abi_function = std::uint32_t();
struct file_name {
  char text[20] = "libtenon_cuda.so.";
  constexpr file_name() noexcept { text[17] = static_cast<char>('0' + TENON_CUDA_ABI_MAJOR); }
};
inline constexpr file_name usual_name;
inline constexpr const char* how_to_build =
    "Build it where nvcc is: meson setup build && ninja -C build tenon_cuda; then set TENON_CUDA_LIBRARY to "
    "build/cuda_kernels/libtenon_cuda.so, or call tenon::cuda::use_library(file).";

/// Whether a library of this version is one that this header can call. Errors: version.
inline errc check_version(std::uint32_t abi, const char* file, failure& why) noexcept {
  constexpr const char* remedy = "Build the library and the program from one version of Tenon.";
  const int major = static_cast<int>(abi >> 16), minor = static_cast<int>(abi & 0xffff);
  if (major != TENON_CUDA_ABI_MAJOR)
    return fail(why, errc::version, "cuda", {.argument = file, .got = major, .expected = TENON_CUDA_ABI_MAJOR, .remedy = remedy});
  if (minor < TENON_CUDA_ABI_MINOR)
    return fail(
        why, errc::version, "cuda",
        {.argument = file, .got = minor, .expected = TENON_CUDA_ABI_MINOR, .relation = "minor at least ", .remedy = remedy});
  return errc::ok;
}
/// Whether a library's table is one that this header can call. Errors: version, library (no table, or a short one).
inline errc check_table(const tenon_cuda_api* t, const char* file, failure& why) noexcept {
  if (!t) return fail(why, errc::library, "cuda", {.argument = file, .remedy = "It has no table of functions."});
  if (const errc c = check_version(t->abi, file, why); c != errc::ok) return c;
  constexpr auto least = static_cast<std::int64_t>(sizeof(tenon_cuda_api));
  if (t->size < sizeof(tenon_cuda_api))
    return fail(why, errc::library, "cuda",
                {.argument = file,
                 .got = static_cast<std::int64_t>(t->size),
                 .expected = least,
                 .relation = "a table of at least ",
                 .remedy = "Build the library and the program from one version of Tenon."});
  return errc::ok;
}
/// The argument is the file and the loader's reason; of a long name, its end.
inline errc not_found(const char* file, const char* reason, failure& why) noexcept {
  constexpr std::size_t shown = 32;
  const std::size_t length = std::strlen(file);
  if (std::strncmp(reason, file, length) == 0) {  // the loader repeats the name
    reason += length;
    while (*reason == ':' || *reason == ' ') ++reason;
  }
  text_buffer b;
  const char* name = file;
  if (length > shown) {
    name += length - shown;
    while ((static_cast<unsigned char>(*name) & 0xc0u) == 0x80u) ++name;  // not from within a character
    b << "…";
  }
  b << name << ": " << reason;
  return fail(why, errc::library, "cuda", {.argument = b.c_str(), .remedy = how_to_build});
}
/// The table of a library whose symbols `find` gives. Its version is asked for before anything else of it is touched, by the one
/// function whose form no version changes. Errors: library, version.
template <class Find>
errc take_table(const Find& find, const char* file, const tenon_cuda_api*& to, failure& why) noexcept {
  auto* const abi = reinterpret_cast<abi_function*>(find("tenon_cuda_abi"));
  if (!abi) return not_found(file, "it has no tenon_cuda_abi", why);
  if (const errc c = check_version(abi(), file, why); c != errc::ok) return c;
  auto* const f = reinterpret_cast<functions*>(find("tenon_cuda_functions"));
  if (!f) return not_found(file, "it has no tenon_cuda_functions", why);
  const tenon_cuda_api* const t = f();
  if (const errc c = check_table(t, file, why); c != errc::ok) return c;
  to = t;
  return errc::ok;
}
/// The table of a file. Errors: library, version.
inline errc load(const char* file, const tenon_cuda_api*& to, failure& why) noexcept {
  (void)dlerror();
  void* const handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);  // never closed: memory and streams outlive whoever asked
  if (!handle) {
    const char* const reason = dlerror();
    return not_found(file, reason ? reason : "it cannot be loaded", why);
  }
  return take_table([&](const char* symbol) { return dlsym(handle, symbol); }, file, to, why);
}

inline const tenon_cuda_api* named = nullptr;  // by use_library
struct search_result {
  const tenon_cuda_api* api = nullptr;
  failure why;
  search_result() noexcept {
    if (const char* const file = std::getenv("TENON_CUDA_LIBRARY"); file && *file) {
      load(file, api, why);
    } else if (dlsym(RTLD_DEFAULT, "tenon_cuda_abi")) {
      take_table([](const char* symbol) { return dlsym(RTLD_DEFAULT, symbol); }, "the library that is linked", api, why);
    } else {
      load(usual_name.text, api, why);
    }
  }
};
inline const search_result& searched() noexcept {
  static const search_result once;
  return once;
}
}  // namespace detail

/// The library's table, or null and why. Errors: library (not there, or not ours), version.
[[nodiscard]] inline errc try_library(const tenon_cuda_api*& to, failure& why) noexcept {
  if (const auto* const t = __atomic_load_n(&detail::named, __ATOMIC_ACQUIRE)) {
    to = t;
    return errc::ok;
  }
  const detail::search_result& s = detail::searched();
  if (!s.api) {
    why = s.why;
    return why.code;
  }
  to = s.api;
  return errc::ok;
}
/// The functions to call: the library's, or those of absent.hpp.
inline const tenon_cuda_api& calls() noexcept {
  const tenon_cuda_api* t = nullptr;
  failure why;
  return try_library(t, why) == errc::ok ? *t : detail::absent;
}

/// Takes the library from this file, from now on. Call it before the first device memory is asked for: what came from another
/// library would be given back to this one. Errors: library, version; then nothing changes.
[[nodiscard]] inline errc try_use_library(const char* file, failure& why) noexcept {
  const tenon_cuda_api* t = nullptr;
  if (const errc c = detail::load(file, t, why); c != errc::ok) return c;
  __atomic_store_n(&detail::named, t, __ATOMIC_RELEASE);
  return errc::ok;
}
/// The same for a library that is linked: `try_use_library(tenon_cuda_functions, why)`.
[[nodiscard]] inline errc try_use_library(detail::functions* linked, failure& why) noexcept {
  const tenon_cuda_api* const t = linked ? linked() : nullptr;
  if (const errc c = detail::check_table(t, "the library that is linked", why); c != errc::ok) return c;
  __atomic_store_n(&detail::named, t, __ATOMIC_RELEASE);
  return errc::ok;
}
#if TENON_EXCEPTIONS
/// As try_use_library, throwing tenon::error. `from` is a file, or tenon_cuda_functions.
template <class From>
void use_library(From from) {
  failure f;
  tenon::detail::check(try_use_library(from, f), f);
}
#endif

namespace detail {
constexpr errc code_of(tenon_cuda_status s) noexcept {
  switch (s) {
    case TENON_CUDA_OK: return errc::ok;
    case TENON_CUDA_STRUCT: return errc::version;
    case TENON_CUDA_NULL: return errc::null_data;
    case TENON_CUDA_EXTENT: return errc::extent;
    case TENON_CUDA_STRIDE: return errc::not_dense;
    case TENON_CUDA_OVERFLOW: return errc::overflow;
    case TENON_CUDA_ALIGNMENT: return errc::alignment;
    case TENON_CUDA_DEVICE: return errc::no_device;
    case TENON_CUDA_VALUE: return errc::value;
    case 2: return errc::no_memory;  // cudaErrorMemoryAllocation
    case 98:  // invalid device function
    case 200:  // invalid kernel image
    case 209:  // no kernel image for the device
    case 218:  // invalid PTX
    case 221:  // no compiler for PTX
    case 222:  // PTX newer than the driver
    case 223: return errc::library;  // compiling PTX is switched off
    case 3:  // initialisation
    case 35:  // insufficient driver: also where there is none
    case 46:  // devices unavailable
    case 100:  // no device
    case 101:  // invalid device
    case 802:
    case 803:
    case 804: return errc::no_device;  // driver not ready, mismatched, not compatible
    default: return errc::device_fault;
  }
}
/// What to do about it; "" where nothing is known.
constexpr const char* advice_for(tenon_cuda_status s) noexcept {
  switch (code_of(s)) {
    case errc::library:
      return "The library was not built for this device or driver: it needs compute capability 8.0 or later, see -Dgpu_arch.";
    case errc::no_device: return "Is there an NVIDIA device with a driver for this library? nvidia-smi tells.";
    case errc::device_fault: break;
    default: return "";
  }
  switch (s) {
    case 1: return "CUDA refuses an argument: memory of the host or of another device, or memory that was given back?";
    case 400: return "The stream is none of this device, or was destroyed.";
    case 700:  // illegal address
    case 702:  // time-out of a kernel
    case 710:  // assertion
    case 714:  // stack
    case 715:  // illegal instruction
    case 716:  // misaligned address
    case 717:  // invalid address space
    case 718:  // invalid program counter
    case 719: return "After a fault in a kernel the process must start anew.";  // the device answers nothing else until then
    default: return "";
  }
}
/// From a status to an error, with the library's text as its argument. `op` is what was being done.
[[gnu::cold, gnu::noinline]] inline errc fail_status(tenon_cuda_status s, const char* op, failure& why) noexcept {
  if (s == TENON_CUDA_NO_LIBRARY) {
    const tenon_cuda_api* none = nullptr;
    const errc c = try_library(none, why);
    return c != errc::ok ? c : fail(why, errc::library, op, {.argument = usual_name.text});
  }
  return fail(why, code_of(s), op, {.argument = calls().last_error(), .got = s, .remedy = advice_for(s)});
}
}  // namespace detail
}  // namespace tenon::cuda
