// SPDX-License-Identifier: Apache-2.0
// Products against cuBLAS's SGEMM (fp32, no TF32), which is loaded from the file in CUBLAS_LIBRARY: one table line a case, and with
// --json also an object. Small products are timed twice: call by call, and as a CUDA graph, where launches cost the host nothing.
//
//   time [--quick] [--json]
#include <dlfcn.h>
#include "timing.hpp"
using namespace bench_cuda;

namespace {
/// The few functions of cuBLAS that this needs, declared here so that no header of it is needed.
struct cublas {
  void* handle = nullptr;
  int (*set_stream)(void*, void*) = nullptr;
  int (*sgemm)(void*, int, int, int, int, int, const float*, const float*, int, const float*, int, const float*, float*,
               int) = nullptr;
  std::string name;

  cublas() {
    const char* const file = std::getenv("CUBLAS_LIBRARY");
    if (!file || !*file) {
      std::fprintf(stderr, "no peer: CUBLAS_LIBRARY is not set\n");
      return;
    }
    std::string lt = file;  // beside it; the loader may not look there by itself
    if (const auto at = lt.rfind("libcublas.so"); at != std::string::npos)
      (void)dlopen(lt.replace(at, 12, "libcublasLt.so").c_str(), RTLD_NOW | RTLD_GLOBAL);
    void* const l = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (!l) {
      std::fprintf(stderr, "no peer: %s\n", dlerror());
      return;
    }
    const auto create = reinterpret_cast<int (*)(void**)>(dlsym(l, "cublasCreate_v2"));
    const auto version = reinterpret_cast<int (*)(void*, int*)>(dlsym(l, "cublasGetVersion_v2"));
    const auto mode = reinterpret_cast<int (*)(void*, int)>(dlsym(l, "cublasSetMathMode"));
    set_stream = reinterpret_cast<decltype(set_stream)>(dlsym(l, "cublasSetStream_v2"));
    sgemm = reinterpret_cast<decltype(sgemm)>(dlsym(l, "cublasSgemm_v2"));
    if (!create || !version || !mode || !set_stream || !sgemm || create(&handle) != 0) {
      std::fprintf(stderr, "no peer: %s does not start\n", file);
      handle = nullptr;
      return;
    }
    int v = 0;
    (void)version(handle, &v);
    (void)mode(handle, 0);  // CUBLAS_DEFAULT_MATH: fp32 stays fp32
    name = "cuBLAS " + std::to_string(v) + " SGEMM";
  }
  /// Row-major c = a·b is column-major cᵀ = bᵀ·aᵀ.
  int run(const sizes& s, const char* layout, const float* a, const float* b, float* c) const {
    const float one = 1, zero = 0;
    const bool ta = layout[0] == 'T', tb = layout[1] == 'T';
    return sgemm(handle, tb, ta, static_cast<int>(s.n), static_cast<int>(s.m), static_cast<int>(s.k), &one, b,
                 static_cast<int>(tb ? s.k : s.n), a, static_cast<int>(ta ? s.m : s.k), &zero, c, static_cast<int>(s.n));
  }
};

void report(const char* bench, const std::string& name, const sizes& s, double ours, const std::string& peer, double theirs,
            const std::string& how, bool json) {
  const double flop = 2.0 * static_cast<double>(s.m) * static_cast<double>(s.n) * static_cast<double>(s.k);
  std::printf("%-10s %-20s %10.2f us %6.2f TFLOP/s  %-26s", bench[9] ? "graph" : "calls", name.c_str(), ours / 1e3,
              flop / ours / 1e3, how.c_str());
  if (theirs > 0) std::printf(" %s %10.2f us   %.2fx", peer.c_str(), theirs / 1e3, theirs / ours);
  std::printf("\n");
  if (json) {
    std::printf("{\"bench\":\"%s\",\"case\":\"%s\",\"ours_ns\":%.1f,", bench, name.c_str(), ours);
    if (theirs > 0) std::printf("\"peer\":\"%s\",\"peer_ns\":%.1f,\"ratio\":%.4f}\n", peer.c_str(), theirs, theirs / ours);
    else std::printf("\"peer\":null,\"peer_ns\":null,\"ratio\":null}\n");
  }
  std::fflush(stdout);
}
}  // namespace

int main(int argc, char** argv) {
  bool json = false;
  pace p = full;
  for (int i = 1; i < argc; ++i) {
    if (!std::strcmp(argv[i], "--json")) json = true;
    if (!std::strcmp(argv[i], "--quick")) p = quick;
  }
  tenon_cuda_device_info info{};
  info.size = sizeof info;
  must(api().device_properties(0, &info), "device 0");
  std::printf("%s, compute capability %d.%d, %d multiprocessors, %.0f GB, driver %d, runtime %d\n", info.name, info.major,
              info.minor, info.multiprocessors, static_cast<double>(info.memory) / 1e9, info.driver, info.runtime);
  const cublas peer;
  cudaStream_t stream = nullptr;
  need(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "stream");
  if (peer.handle) (void)peer.set_stream(peer.handle, stream);
  int wrong = 0;
  double log_sum = 0;
  int compared = 0;
  for (const sizes& s : shapes)
    for (int l = 0; l < 3; ++l) {
      const char* const layout = layouts[l];
      rotated r(s, layout);
      r.args.stream = stream;
      int failures = 0, theirs_failed = 0;
      std::vector<contestant> all{[&](long i) {
        r.args.a = r.a(i), r.args.b = r.b(i), r.args.c = r.c(i);
        failures += api().gemm(&r.args) != 0;
      }};
      all[0](0);
      need(cudaStreamSynchronize(stream), "ours");
      const auto elements = static_cast<std::size_t>(s.m * s.n);
      if (peer.handle) {
        all.push_back([&](long i) { theirs_failed += peer.run(s, layout, r.a(i), r.b(i), r.c(i)) != 0; });
        const std::vector<float> ours = download(r.c(0), elements);
        all[1](0);
        need(cudaStreamSynchronize(stream), "peer");
        const std::vector<float> theirs = download(r.c(0), elements);
        double worst = 0;
        for (std::size_t e = 0; e < elements; ++e) worst = std::max(worst, static_cast<double>(std::abs(ours[e] - theirs[e])));
        if (!(worst <= 1e-4 * std::sqrt(static_cast<double>(s.k)))) {
          std::printf("FAILED %s: ours and the peer's differ by %g\n", name_of(s, layout).c_str(), worst);
          ++wrong;
        }
      }
      tenon_cuda_gemm_plan plan{};
      plan.size = sizeof plan;
      must(api().plan(&r.args, &plan), "plan");
      const std::string how =
          std::to_string(plan.tile_m) + "x" + std::to_string(plan.tile_n) + ", k in " + std::to_string(plan.splits);
      const std::vector<double> t = race(stream, all, p);
      report("cuda_gemm", name_of(s, layout), s, t[0], peer.name, t.size() > 1 ? t[1] : 0, how, json);
      if (t.size() > 1) log_sum += std::log(t[1] / t[0]), ++compared;
      if (s.m * s.n * s.k < 2'000'000'000) {
        constexpr long n = 100;
        std::vector<std::unique_ptr<captured>> graphs;
        std::vector<contestant> replays;
        bool good = true;
        for (const contestant& f : all) {
          graphs.push_back(std::make_unique<captured>(stream, n, f));
          good &= static_cast<bool>(*graphs.back());
          replays.push_back([&g = *graphs.back(), stream](long) { g.launch(stream); });
        }
        if (good) {
          const std::vector<double> g = race(stream, replays, p);
          report("cuda_gemm_graph", name_of(s, layout), s, g[0] / n, peer.name, g.size() > 1 ? g[1] / n : 0, how, json);
        } else {
          std::printf("not captured: %s\n", name_of(s, layout).c_str());
        }
      }
      if (theirs_failed) std::printf("%s: %d calls of the peer failed\n", name_of(s, layout).c_str(), theirs_failed);
      if (failures) {
        std::printf("FAILED %s: %d calls: %s\n", name_of(s, layout).c_str(), failures, api().last_error());
        ++wrong;
      }
    }
  if (compared)
    std::printf("geometric mean over %d cases, call by call: %.3fx %s\n", compared, std::exp(log_sum / compared),
                peer.name.c_str());
  std::printf("time: %d failed\n", wrong);
  return wrong > 0;
}
