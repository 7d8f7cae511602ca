// SPDX-License-Identifier: Apache-2.0
// Schedules against PyTorch 2.13: whole small ones, and the first 30 steps of the main job from tests/data.
#include "tenon/train/schedule.hpp"

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "../catch.hpp"

namespace {
void equals(const auto& rate, const std::vector<double>& torch) {
  for (std::size_t i = 0; i < torch.size(); ++i) CHECK(rate(std::int64_t(i)) == Approx(torch[i]).epsilon(1e-13));
}
}  // namespace

TEST_CASE("cosine is CosineAnnealingLR, and stays at its end") {
  const tenon::cosine rate{.max = 0.4, .min = 0.05, .steps = 7};
  equals(rate, {0.40000000000000002, 0.38266955188292334, 0.33411071532527836, 0.26394116344235502, 0.18605883655764499,
                0.11588928467472165, 0.067330448117076669, 0.050000000000000003, 0.05, 0.05});
  const tenon::cosine warm{.max = 0.4, .min = 0.05, .steps = 11, .warmup = 4};
  equals(warm, {0.1, 0.2, 0.3, 0.4, 0.40000000000000002, 0.38266955188292334, 0.33411071532527836, 0.26394116344235502});
  CHECK(tenon::cosine{.steps = 0}(0) == 0);
}

TEST_CASE("one_cycle is OneCycleLR, and stays at its end") {
  equals(tenon::one_cycle{.max = 0.4, .steps = 11},
         {0.016000000000000014, 0.16893644549389433, 0.38410456988904701, 0.39189862712852064, 0.35379028990745215,
          0.29043481971901136, 0.21223308323503992, 0.13202321159491795, 0.062973005119803152, 0.016418217282516346,
          1.5999999999999999e-06, 1.6e-6, 1.6e-6});
  equals(tenon::one_cycle{.max = 0.4f, .steps = 8u, .rise = 0.5f, .start_divisor = 10, .end_divisor = 100}, {});
  equals(tenon::one_cycle{.max = 0.4, .steps = 8, .rise = 0.5, .start_divisor = 10, .end_divisor = 100},
         {0.03999999999999998, 0.13, 0.30999999999999994, 0.40000000000000002, 0.3414799348810722, 0.20020000000000002,
          0.05892006511892782, 0.0004});
}

TEST_CASE("one_cycle at its edges is finite and within its bounds") {
  for (const double rise : {0.0, 0.1, 0.5, 1.0})
    for (const int steps : {1, 2, 3, 10})
      for (int i = 0; i < steps + 2; ++i) {
        const double r = tenon::one_cycle{.max = 1, .steps = steps, .rise = rise}(i);
        CHECK((r >= 1 / 25.0 / 1e4 * 0.999 && r <= 1.0000001));
      }
}

TEST_CASE("the main job's first 30 rates are PyTorch's") {
  const char* folder = std::getenv("TENON_DATA");
  REQUIRE(folder);
  std::FILE* f = std::fopen((std::string(folder) + "/torch_lenet_30_steps.txt").c_str(), "r");
  REQUIRE(f);
  const tenon::one_cycle rate{.max = 3e-3, .steps = 9375};
  char line[256];
  int step = 0, seen = 0;
  double lr = 0;
  while (std::fgets(line, sizeof line, f))
    if (std::sscanf(line, "step %d %lf", &step, &lr) == 2) {
      CHECK(rate(step) == Approx(lr).epsilon(1e-13));
      ++seen;
    }
  std::fclose(f);
  CHECK(seen == 30);
}
