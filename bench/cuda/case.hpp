// SPDX-License-Identifier: Apache-2.0
// What the programs of bench/cuda share: shapes, device memory through the C ABI alone, a product's arguments by its layout.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>
#include "tenon/ops/cuda/call.hpp"

namespace bench_cuda {
struct sizes {
  std::int64_t m, n, k;
};
inline constexpr sizes shapes[] = {{512, 512, 512}, {1024, 1024, 1024}, {2048, 2048, 2048}, {4096, 4096, 4096}, {64, 256, 784},
                                   {64, 10, 256},   {128, 1024, 1024},  {256, 4096, 1024},  {4096, 16, 4096},   {35, 8457, 2560}};
/// "NN": a is [m, k] and b [k, n], each row-major; T: that operand is stored the other way round.
inline constexpr const char* layouts[] = {"NN", "NT", "TN", "TT"};

inline const tenon_cuda_api& api() {
  const tenon_cuda_api* t = nullptr;
  tenon::failure why;
  if (tenon::cuda::try_library(t, why) == tenon::errc::ok) return *t;
  std::fprintf(stderr, "%s\n", why.message().c_str());
  std::exit(3);
}
inline void must(tenon_cuda_status s, const char* what) {
  if (s == 0) return;
  std::fprintf(stderr, "%s: status %d, %s\n", what, s, api().last_error());
  std::exit(3);
}

/// Floats on device 0.
class device_floats {
  float* p_ = nullptr;

 public:
  explicit device_floats(std::size_t n) {
    void* p = nullptr;
    must(api().allocate(0, n * 4, &p), "allocate");
    p_ = static_cast<float*>(p);
  }
  device_floats(device_floats&& o) noexcept : p_(o.p_) { o.p_ = nullptr; }
  ~device_floats() { (void)api().release(0, p_); }
  float* data() const { return p_; }
};
inline void upload(float* to, const std::vector<float>& v) {
  must(api().copy(0, to, v.data(), v.size() * 4, TENON_CUDA_TO_DEVICE, nullptr), "upload");
  must(api().synchronize(0, nullptr), "upload");
}
inline std::vector<float> download(const float* from, std::size_t n) {
  std::vector<float> v(n);
  must(api().copy(0, v.data(), from, n * 4, TENON_CUDA_TO_HOST, nullptr), "download");
  must(api().synchronize(0, nullptr), "download");
  return v;
}

/// Sizes, strides and layout; pointers are the caller's.
inline tenon_cuda_gemm_args product(const sizes& s, const char* layout, std::int64_t pad_a = 0, std::int64_t pad_b = 0,
                                    std::int64_t pad_c = 0) {
  tenon_cuda_gemm_args g{};
  g.size = sizeof g;
  g.m = s.m, g.n = s.n, g.k = s.k;
  const bool ta = layout[0] == 'T', tb = layout[1] == 'T';
  g.a_row = ta ? 1 : s.k + pad_a, g.a_column = ta ? s.m + pad_a : 1;
  g.b_row = tb ? 1 : s.n + pad_b, g.b_column = tb ? s.k + pad_b : 1;
  g.c_row = s.n + pad_c;
  return g;
}
/// From the first element to behind the last.
inline std::size_t span(std::int64_t rows, std::int64_t columns, std::int64_t row_stride, std::int64_t column_stride) {
  if (rows == 0 || columns == 0) return 0;
  return static_cast<std::size_t>((rows - 1) * row_stride + (columns - 1) * column_stride + 1);
}
inline std::string name_of(const sizes& s, const char* layout) {
  return std::to_string(s.m) + "x" + std::to_string(s.n) + "x" + std::to_string(s.k) + " " + layout;
}
/// Numbers that look random, the same on each run.
class draws {
  std::uint64_t s_;

 public:
  explicit draws(std::uint64_t seed) : s_(seed * 2 + 1) {}
  std::int64_t below(std::int64_t n) {
    s_ = s_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<std::int64_t>((s_ >> 33) % static_cast<std::uint64_t>(n));
  }
  float integer() { return static_cast<float>(below(15) - 7); }
  float real() { return static_cast<float>(below(1 << 24)) / static_cast<float>(1 << 23) - 1; }
};
}  // namespace bench_cuda
