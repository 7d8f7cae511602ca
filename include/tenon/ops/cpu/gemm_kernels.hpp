// SPDX-License-Identifier: Apache-2.0
// Which instruction set this process uses, and the micro-kernels of the matrix product compiled for each of them without any
// flag. The choice is made once, at the first call. Touches one static int.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tenon/core/config.hpp"
#include "tenon/ops/cpu/vector_math.hpp"

namespace tenon::detail {

/// Instruction sets in rising order; `baseline` is what the compiler's flags allow anywhere.
enum class isa : int { baseline, avx2, avx512 };

inline constinit int isa_in_use = -1;  // -1: not asked yet

inline namespace TENON_KERNELS {

/// The best instruction set of this machine.
inline isa detect_isa() noexcept {
#if TENON_DISPATCH_X86
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return __builtin_cpu_supports("avx512f") ? isa::avx512 : isa::avx2;
#endif
  return isa::baseline;
}

/// The instruction set that kernels use.
inline isa current_isa() noexcept {
  int level = __atomic_load_n(&isa_in_use, __ATOMIC_RELAXED);
  if (level < 0) {
    level = static_cast<int>(detect_isa());
    __atomic_store_n(&isa_in_use, level, __ATOMIC_RELAXED);
  }
  return static_cast<isa>(level);
}

/// For tests: use `level` from now on (-1: the best one); false, and nothing changed, where this machine lacks it.
inline bool set_isa_for_testing(int level) noexcept {
  if (level > static_cast<int>(detect_isa())) return false;
  __atomic_store_n(&isa_in_use, level < 0 ? static_cast<int>(detect_isa()) : level, __ATOMIC_RELAXED);
  return true;
}

typedef float eight_floats __attribute__((vector_size(32)));

inline constexpr int max_tile_rows = 6;
inline constexpr int max_tile_columns = 64;

// What a tile of C is made of; see gemm_kernels.inl for the formulas.
struct gemm_tile {
  const float *a[max_tile_rows], *b[4];
  float* c[max_tile_rows];
  std::int64_t a_step, b_step, column, k;
  int rows;
  bool add;
};
using gemm_kernel = void(const gemm_tile&) noexcept;

struct gemm_kernels {
  int panel_rows, columns[2];  // of the panels: narrow, wide
  gemm_kernel* panel[2];
  int dot_rows;         // of the taller dot tile; 0 where there is none
  gemm_kernel* dot[2];  // 1 row, dot_rows rows
};

#define TENON_SIMD_NAME baseline_kernels
#define TENON_SIMD_WIDTH 4
#define TENON_SIMD_FMA(a, b, c) ((a) * (b) + (c))
#define TENON_SIMD_KEEP(x) (void)(x)
#include "tenon/ops/cpu/gemm_kernels.inl"
#undef TENON_SIMD_NAME
#undef TENON_SIMD_WIDTH
#undef TENON_SIMD_FMA
#undef TENON_SIMD_KEEP

#if TENON_DISPATCH_X86
TENON_TARGET_AVX2
#define TENON_SIMD_NAME avx2_kernels
#define TENON_SIMD_WIDTH 8
#if defined(__clang__)
#define TENON_SIMD_FMA(a, b, c) __builtin_elementwise_fma(a, b, c)
#else
#define TENON_SIMD_FMA(a, b, c) __builtin_ia32_vfmaddps256(a, b, c)
#endif
#define TENON_SIMD_KEEP(x) __asm__("" : "+x"(x))
#include "tenon/ops/cpu/gemm_kernels.inl"
#undef TENON_SIMD_NAME
#undef TENON_SIMD_WIDTH
#undef TENON_SIMD_FMA
#undef TENON_SIMD_KEEP
TENON_TARGET_END

TENON_TARGET_AVX512
#define TENON_SIMD_NAME avx512_kernels
#define TENON_SIMD_WIDTH 16
#if defined(__clang__)
#define TENON_SIMD_FMA(a, b, c) __builtin_elementwise_fma(a, b, c)
#else
#define TENON_SIMD_FMA(a, b, c) __builtin_ia32_vfmaddps512_mask(a, b, c, -1, 4)
#endif
#define TENON_SIMD_KEEP(x) __asm__("" : "+v"(x))
#include "tenon/ops/cpu/gemm_kernels.inl"
#undef TENON_SIMD_NAME
#undef TENON_SIMD_WIDTH
#undef TENON_SIMD_FMA
#undef TENON_SIMD_KEEP
TENON_TARGET_END
#endif

/// The kernels of current_isa().
inline const gemm_kernels& current_gemm_kernels() noexcept {
#if TENON_DISPATCH_X86
  const isa level = current_isa();
  if (level == isa::avx512) return avx512_kernels::kernels;
  if (level == isa::avx2) return avx2_kernels::kernels;
#endif
  return baseline_kernels::kernels;
}

}  // namespace TENON_KERNELS
}  // namespace tenon::detail
