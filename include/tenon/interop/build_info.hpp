// SPDX-License-Identifier: Apache-2.0
// What a report of a bug should say of this side: versions, compiler, instruction set, which dlpack.h this file was compiled with, and
// what was copied so far. Each file that calls it gets its own answer. Touches no tensor's memory.
#pragma once
#include <string>
#include "tenon/core/config.hpp"
#include "tenon/core/text.hpp"
#include "tenon/ops/cpu/gemm_kernels.hpp"
#include "tenon/tensor/dlpack.hpp"
#include "tenon/tensor/storage.hpp"
namespace tenon {
struct build_report {
  const char* compiler;
  long cplusplus;
  bool exceptions, assertions;
  const char *compiled_for, *runs_on;  // instruction sets: of the baseline code, and of the kernels in use
  /// Of a foreign dlpack.h that came before this header: its version, 0 where there is none. One older than 1.0 has no major version.
  int dlpack_major, dlpack_minor;
  bool dlpack_seen, dlpack_installed;
  traffic moved;

  /// `name: value`, one a line.
  std::string text() const {
    detail::text_buffer s;
    auto number = [&](auto v) -> detail::text_buffer& { return s << static_cast<std::int64_t>(v); };
    s << "tenon: ", number(library_version.major) << ".", number(library_version.minor) << ".", number(library_version.patch);
    s << "\ncompiler: " << compiler << ", C++ ", number(cplusplus) << (exceptions ? "" : ", without exceptions");
    s << (assertions ? ", with assertions" : "");
    s << "\ninstruction set: compiled for " << compiled_for << ", runs " << runs_on;
    s << "\ndlpack spoken: ", number(dl::spoken.major) << ".", number(dl::spoken.minor);
    s << "\ndlpack.h seen: ";
    if (!dlpack_seen) s << (dlpack_installed ? "none included, one is installed" : "none");
    else if (!dlpack_major) s << "before 1.0";
    else number(dlpack_major) << ".", number(dlpack_minor);
    s << "\nbytes copied: ", number(moved.copied) << ", packed: ", number(moved.packed);
    s << ", fresh slots: ", number(moved.fresh_slots) << "\n";
    return s.c_str();
  }
};

/// Static, for what it says differs from file to file.
[[maybe_unused]] static build_report build_info() noexcept {
  constexpr const char* levels[] = {"baseline", "avx2", "avx512"};
  build_report r{};
#if defined(__clang__)
  r.compiler = "clang " __clang_version__;
#elif defined(__GNUC__)
  r.compiler = "gcc " __VERSION__;
#else
  r.compiler = "unknown";
#endif
  r.cplusplus = __cplusplus;
  r.exceptions = exceptions_enabled;
#if defined(_GLIBCXX_ASSERTIONS)
  r.assertions = true;
#endif
#if defined(__AVX512F__)
  r.compiled_for = "avx512";
#elif defined(__AVX2__)
  r.compiled_for = "avx2";
#elif defined(__x86_64__)
  r.compiled_for = "x86_64";
#else
  r.compiled_for = "another machine";
#endif
  r.runs_on = levels[static_cast<int>(detail::current_isa())];
#if defined(DLPACK_DLPACK_H_)
  r.dlpack_seen = true;
#endif
#if defined(DLPACK_MAJOR_VERSION)
  r.dlpack_major = DLPACK_MAJOR_VERSION;
  r.dlpack_minor = DLPACK_MINOR_VERSION;
#endif
#if __has_include(<dlpack/dlpack.h>)
  r.dlpack_installed = true;
#endif
  r.moved = bytes_moved();
  return r;
}
}  // namespace tenon
