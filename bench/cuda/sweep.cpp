// SPDX-License-Identifier: Apache-2.0
// Every tile and some cuts of k for each shape, timed; beside the best of them what choose_gemm takes. What its constants should be
// is read off here. Links the library's objects, for the C ABI lets nobody choose.
#include "cuda_kernels/gemm/choose.h"
#include "timing.hpp"
using namespace bench_cuda;
using namespace tenon_cuda;

int main() {
  cudaStream_t stream = nullptr;
  need(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "stream");
  int sms = 0;
  need(cudaDeviceGetAttribute(&sms, cudaDevAttrMultiProcessorCount, 0), "attribute");
  for (const sizes& s : shapes)
    for (int l = 0; l < 3; ++l) {
      rotated r(s, layouts[l]);
      const gemm_choice chosen = choose_gemm(s.m, s.n, s.k, sms, static_cast<std::int64_t>(rotated::workspace));
      double best = 1e30, taken = 0;
      std::string line, best_name;
      for (const tile_kind t : all_tiles) {
        const tile_facts f = facts_of(t);
        const std::int64_t tiles_m = (s.m + f.m - 1) / f.m, tiles_n = (s.n + f.n - 1) / f.n, steps = (s.k + depth - 1) / depth;
        std::vector<int> cuts{1, 2, 3, 4, 6, 8, 12, 16, 24, 32};
        if (chosen.tile == t && std::find(cuts.begin(), cuts.end(), chosen.splits) == cuts.end()) cuts.push_back(chosen.splits);
        for (const int splits : cuts) {
          const bool taken_too = t == chosen.tile && splits == chosen.splits;
          if (splits > 1 && !taken_too &&
              (splits > steps || tiles_m * tiles_n * splits > 16 * sms || s.m * s.n * 4 * splits > (32 << 20)))
            continue;
          const std::int64_t chunk = (steps + splits - 1) / splits * depth;
          if ((splits - 1) * chunk >= s.k && splits > 1) continue;
          gemm_launch g;
          g.tile = t;
          g.a = r.args.a_column == 1 ? layout::along_k : layout::across;
          g.b = r.args.b_row == 1 ? layout::along_k : layout::across;
          gemm_problem& p = g.problem;
          p.a = {nullptr, g.a == layout::along_k ? r.args.a_row : r.args.a_column, static_cast<int>(s.m), false};
          p.b = {nullptr, g.b == layout::along_k ? r.args.b_column : r.args.b_row, static_cast<int>(s.n), false};
          p.a.vectors = g.a == layout::across && p.a.ld % 4 == 0 && p.a.extent % 4 == 0;
          p.b.vectors = g.b == layout::across && p.b.ld % 4 == 0 && p.b.extent % 4 == 0;
          p.c_row = s.n, p.c_vectors = s.n % 4 == 0;
          p.m = static_cast<int>(s.m), p.n = static_cast<int>(s.n), p.k = static_cast<int>(s.k);
          p.splits = splits, p.k_chunk = static_cast<int>(chunk);
          p.tiles_m = static_cast<int>(tiles_m), p.tiles_n = static_cast<int>(tiles_n);
          p.partial = splits > 1 ? static_cast<float*>(r.args.workspace) : nullptr;
          const double ns = race(stream, {[&](long i) {
                                   p.a.p = r.a(i), p.b.p = r.b(i), p.c = r.c(i);
                                   need(static_cast<cudaError_t>(runtime().gemm(g, stream)), "gemm");
                                   if (splits > 1) need(static_cast<cudaError_t>(runtime().reduce(p, stream)), "reduce");
                                 }},
                                 sweeping)[0];
          const std::string name = std::to_string(f.m) + "x" + std::to_string(f.n) + "/" + std::to_string(splits);
          char one[40];
          std::snprintf(one, sizeof one, " %s:%.1f", name.c_str(), ns / 1e3);
          line += one;
          if (ns < best) best = ns, best_name = name;
          if (taken_too) taken = ns;
        }
      }
      std::printf("%-20s best %-10s %8.1f us; chosen %dx%d/%d %8.1f us, %.2fx;%s\n", name_of(s, layouts[l]).c_str(),
                  best_name.c_str(), best / 1e3, facts_of(chosen.tile).m, facts_of(chosen.tile).n, chosen.splits, taken / 1e3,
                  taken / best, line.c_str());
      std::fflush(stdout);
    }
  return 0;
}
