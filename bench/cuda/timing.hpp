// SPDX-License-Identifier: Apache-2.0
// Times on the device, by CUDA events: calls over rotated operands that do not fit the L2 cache together, medians of slices, the
// contestants in turns so that a drifting clock meets all alike. Needs the CUDA runtime: compile with nvcc.
#pragma once
#include <cuda_runtime.h>
#include <algorithm>
#include <functional>
#include <memory>
#include "case.hpp"

namespace bench_cuda {
inline void need(cudaError_t e, const char* what) {
  if (e == cudaSuccess) return;
  std::fprintf(stderr, "%s: %s\n", what, cudaGetErrorString(e));
  std::exit(3);
}
struct pace {
  double warm_ms, slice_ms;
  int rounds;
};
inline constexpr pace full{300, 3, 15}, quick{40, 1, 7}, sweeping{3, 1, 3};

class stopwatch {
  cudaEvent_t begin_{}, end_{};
  cudaStream_t stream_;

 public:
  explicit stopwatch(cudaStream_t s) : stream_(s) {
    need(cudaEventCreate(&begin_), "event");
    need(cudaEventCreate(&end_), "event");
  }
  ~stopwatch() {
    cudaEventDestroy(begin_);
    cudaEventDestroy(end_);
  }
  /// Nanoseconds of `count` calls of f(i), together.
  template <class F>
  double run(long count, const F& f) {
    need(cudaEventRecord(begin_, stream_), "record");
    for (long i = 0; i < count; ++i) f(i);
    need(cudaEventRecord(end_, stream_), "record");
    need(cudaEventSynchronize(end_), "synchronize");
    float ms = 0;
    need(cudaEventElapsedTime(&ms, begin_, end_), "elapsed");
    return static_cast<double>(ms) * 1e6;
  }
};
using contestant = std::function<void(long)>;  // makes call i
/// The median time of a call of each, in nanoseconds.
inline std::vector<double> race(cudaStream_t stream, const std::vector<contestant>& all, const pace& p) {
  stopwatch watch(stream);
  std::vector<long> calls;
  for (const contestant& f : all) {
    double spent = watch.run(2, f), one = spent / 2;
    for (long n = 4; spent < p.warm_ms * 1e6; n = std::min(n * 2, 2000l)) {
      const double t = watch.run(n, f);
      spent += t;
      one = t / static_cast<double>(n);
    }
    calls.push_back(std::clamp(static_cast<long>(p.slice_ms * 1e6 / std::max(one, 1.0)), 2l, 5000l));
  }
  std::vector<std::vector<double>> t(all.size());
  for (int r = 0; r < p.rounds; ++r)
    for (std::size_t j = 0; j < all.size(); ++j) {
      const std::size_t i = (j + static_cast<std::size_t>(r)) % all.size();
      t[i].push_back(watch.run(calls[i], all[i]) / static_cast<double>(calls[i]));
    }
  std::vector<double> median;
  for (auto& v : t) {
    std::sort(v.begin(), v.end());
    median.push_back(v[v.size() / 2]);
  }
  return median;
}
/// The same calls as a graph of `n`: what the device needs without the host's launches. False where they cannot be captured.
class captured {
  cudaGraphExec_t exec_ = nullptr;

 public:
  captured(cudaStream_t stream, long n, const contestant& f) {
    cudaGraph_t graph = nullptr;
    if (cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal) != cudaSuccess) return;
    for (long i = 0; i < n; ++i) f(i);
    if (cudaStreamEndCapture(stream, &graph) != cudaSuccess || !graph || cudaGraphInstantiate(&exec_, graph, 0) != cudaSuccess) {
      exec_ = nullptr;
      (void)cudaGetLastError();
    }
    if (graph) cudaGraphDestroy(graph);
  }
  captured(const captured&) = delete;
  ~captured() {
    if (exec_) cudaGraphExecDestroy(exec_);
  }
  explicit operator bool() const { return exec_ != nullptr; }
  void launch(cudaStream_t stream) const { need(cudaGraphLaunch(exec_, stream), "graph"); }
};

/// Operands of one product, many times over.
class rotated {
  long sets_;
  std::size_t a_, b_, c_;
  device_floats all_, work_;

 public:
  static constexpr std::size_t workspace = 32 << 20;
  rotated(const sizes& s, const char* layout)
      : sets_(1), a_(round(s.m * s.k)), b_(round(s.k * s.n)), c_(round(s.m * s.n)),
        all_((a_ + b_ + c_) *
             static_cast<std::size_t>(sets_ = std::clamp(static_cast<long>(150'000'000 / (4 * (a_ + b_ + c_))), 2l, 2000l))),
        work_(workspace / 4), args(product(s, layout)) {
    static const std::vector<float> pattern = [] {
      draws d(3);
      std::vector<float> p(1'000'003);  // a prime: no set repeats another
      for (float& e : p) e = d.real();
      return p;
    }();
    std::vector<float> v((a_ + b_ + c_) * static_cast<std::size_t>(sets_));
    for (std::size_t i = 0; i < v.size(); i += pattern.size())
      std::copy_n(pattern.begin(), std::min(pattern.size(), v.size() - i), v.begin() + static_cast<std::ptrdiff_t>(i));
    upload(all_.data(), v);
    args.workspace = work_.data(), args.workspace_bytes = workspace;
  }
  float* a(long i) const { return at(i); }
  float* b(long i) const { return at(i) + a_; }
  float* c(long i) const { return at(i) + a_ + b_; }
  tenon_cuda_gemm_args args;

 private:
  static std::size_t round(std::int64_t n) { return (static_cast<std::size_t>(n) + 63) / 64 * 64; }
  float* at(long i) const { return all_.data() + static_cast<std::size_t>(i % sets_) * (a_ + b_ + c_); }
};
}  // namespace bench_cuda
