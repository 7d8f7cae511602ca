// SPDX-License-Identifier: Apache-2.0
// What a check found: one line a property, over all shapes tried. Owns its text.
#pragma once
#include <cstdint>
#include <string>
#include <vector>
#include "tenon/core/text.hpp"
namespace tenon {
/// How check_layer tries a layer.
struct check_options {
  std::uint64_t seed = 1;
  int shapes = 6;                // the given one at two batch sizes, the others with changed extents that infer accepts
  int points = 2;                // places in each shape
  float low = -1, high = 1;      // range of x: change it for a layer that takes logarithms
  double ulps = 4;               // allowed difference between the two derivatives, in units of eps · Σ|terms|
  bool exact = true;             // use the prime field; a body that iterates until something is small may not end there
};

/// True when nothing was wrong; `text` says what was tried, what failed where, and the seed that shows it again.
struct [[nodiscard]] check_report {
  bool ok = true;
  std::string text;
  int checks = 0, failures = 0;
  double worst = 0;  // largest difference of derivatives, in units of eps · Σ|terms|
  explicit operator bool() const noexcept { return ok; }
};

namespace detail {
/// "1.5e-07": six significant digits.
[[gnu::noinline]] inline std::string number(double v) {
  char text[32];
  const int n = __builtin_snprintf(text, sizeof text, "%.6g", v);
  return std::string(text, n > 0 ? static_cast<std::size_t>(n) : 0);
}

/// Collects results by property; the first failure of each is told.
class findings {
  struct entry {
    std::string what, detail;
    int tried = 0, failed = 0;
  };
  std::vector<entry> all_;
  entry& find(const std::string& what) {
    for (entry& e : all_)
      if (e.what == what) return e;
    all_.push_back({what, {}, 0, 0});
    return all_.back();
  }

 public:
  double worst = 0;
  std::string where;  // "x [3, 8]": said with each failure
  int failures = 0;

  [[gnu::noinline]] void pass(const std::string& what) { ++find(what).tried; }
  [[gnu::noinline]] void fail(const std::string& what, const std::string& detail) {
    entry& e = find(what);
    ++e.tried;
    if (e.failed++ == 0) e.detail = concat(detail, " (", where, ")");
    ++failures;
  }
  void say(bool holds, const std::string& what, const std::string& detail) { holds ? pass(what) : fail(what, detail); }
  /// The report, failures first.
  [[gnu::noinline]] check_report report(const std::string& subject, std::uint64_t seed) const {
    check_report r;
    std::string passed, failed;
    for (const entry& e : all_) {
      ++r.checks;
      const std::string times = std::to_string(e.tried);
      if (e.failed == 0) {
        passed += concat("  pass  ", e.what, "  (", times, " times)\n");
        continue;
      }
      ++r.failures;
      failed += concat("  FAIL  ", e.what, ": ", e.detail, ", ", std::to_string(e.failed), " of ", times, " times\n");
    }
    r.ok = r.failures == 0 && r.checks > 0;
    r.worst = worst;
    r.text = concat(subject, r.ok ? ": right" : ": wrong", ", seed ", std::to_string(seed), ", forward and backward differ by ",
                    number(worst), " eps of the sum of terms\n", failed, passed);
    return r;
  }
};
}  // namespace detail
}  // namespace tenon
