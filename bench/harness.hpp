// SPDX-License-Identifier: Apache-2.0
// Paired timing: ours and its peers run in turns, one warm slice each, in one process, so that a drifting clock or a noisy
// neighbour meets all of them alike. A slice in which the process did not get its core is set aside.
// Standard output carries results only (a table, or with --json one object a line); every note goes to standard error.
#pragma once
#include <dlfcn.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace bench {

/// Keeps a value and what it points to alive for the optimiser; costs nothing.
template <class T> void keep(T&& value) { asm volatile("" : : "g"(&value) : "memory"); }

struct options {
  bool json = false;
  int threads = 1;
  double seconds = 0.5;       // of each contestant in each case
  std::string_view only;      // run the cases whose name contains this
  bool wants(std::string_view name) const { return name.find(only) != name.npos; }
};

inline options parse(int argc, char** argv) {
  options o;
  for (int i = 1; i < argc; ++i) {
    const std::string_view a = argv[i];
    if (a == "--json") {
      o.json = true;
      continue;
    }
    const char* value = i + 1 < argc ? argv[i + 1] : "";
    if (a == "--threads") o.threads = std::atoi(value);
    else if (a == "--seconds") o.seconds = std::atof(value);
    else if (a == "--case") o.only = value;
    else o.threads = 0;
    ++i;
  }
  if (o.threads < 1 || !(o.seconds > 0)) {
    std::fprintf(stderr, "usage: %s [--json] [--threads N] [--seconds S] [--case TEXT]\n", argv[0]);
    std::exit(2);
  }
  return o;
}

inline double seconds_of(clockid_t clock) {
  timespec t;
  clock_gettime(clock, &t);
  return double(t.tv_sec) + double(t.tv_nsec) * 1e-9;
}

/// run(n) does the work n times.
struct contestant {
  std::string name;
  std::function<void(long)> run;
};

/// Of a set of slices: the least, the median, the 10th and the 90th percentile.
struct spread {
  double least = 0, median = 0, low = 0, high = 0;
  explicit spread(std::vector<double> v = {}) {
    if (v.empty()) return;
    std::sort(v.begin(), v.end());
    auto at = [&](double part) { return v[std::size_t(part * double(v.size() - 1) + 0.5)]; };
    least = v.front(), median = at(0.5), low = at(0.1), high = at(0.9);
  }
};

struct outcome {
  std::string name;
  spread ns;                  // one call
  spread ratio;               // this one's time / the first one's, round by round
  int quiet = 0, slices = 0;
};

/// The first contestant is ours. A slice is at least 2 ms and one call.
inline std::vector<outcome> race(const std::vector<contestant>& all, const options& o) {
  const double slice = 2e-3;
  const auto n = all.size();
  std::vector<long> calls(n);
  for (std::size_t i = 0; i < n; ++i) {
    all[i].run(2);
    for (long k = 1;; k *= 2) {
      const double start = seconds_of(CLOCK_MONOTONIC);
      all[i].run(k);
      const double took = seconds_of(CLOCK_MONOTONIC) - start;
      if (took < slice / 4) continue;
      calls[i] = std::max(1l, long(slice / took * double(k)));
      break;
    }
  }
  struct sample {
    double ns;
    bool quiet;
  };
  std::vector<std::vector<sample>> t(n);
  std::vector<int> quiet_slices(n);
  const double start_all = seconds_of(CLOCK_MONOTONIC), budget = o.seconds * double(n);
  auto go_on = [&](std::size_t round) {         // at least 7 rounds; up to four times the time where the machine is busy
    const double spent = seconds_of(CLOCK_MONOTONIC) - start_all;
    const bool enough = *std::min_element(quiet_slices.begin(), quiet_slices.end()) >= 5;
    return round < 7 || spent < budget || (!enough && spent < 4 * budget);
  };
  for (std::size_t round = 0; go_on(round); ++round)
    for (std::size_t j = 0; j < n; ++j) {
      const auto i = (j + round) % n;          // nobody always runs after the same one
      if (o.threads > 1) usleep(5000);         // let the others' helper threads stop spinning
      all[i].run(1);                           // untimed: the others have had the caches
      const double cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID), start = seconds_of(CLOCK_MONOTONIC);
      all[i].run(calls[i]);
      const double took = seconds_of(CLOCK_MONOTONIC) - start;
      t[i].push_back({took / double(calls[i]) * 1e9, seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu > 0.97 * took});
      quiet_slices[i] += t[i].back().quiet;
    }
  const bool quiet_only = *std::min_element(quiet_slices.begin(), quiet_slices.end()) >= 5;   // one rule for all of them
  std::vector<outcome> out(n);
  for (std::size_t i = 0; i < n; ++i) {
    std::vector<double> ns, ratio;
    for (std::size_t r = 0; r < t[i].size(); ++r) {
      if (!quiet_only || t[i][r].quiet) ns.push_back(t[i][r].ns);
      if (!quiet_only || (t[i][r].quiet && t[0][r].quiet)) ratio.push_back(t[i][r].ns / t[0][r].ns);
    }
    out[i] = {all[i].name, spread(ns), spread(ratio), quiet_slices[i], int(t[i].size())};
  }
  return out;
}

/// Prints ours against each peer; with no peer, ours alone (nulls in the JSON).
class report {
 public:
  report(const char* bench, const options& o) : bench_(bench), json_(o.json) {
    std::string cpu = "unknown processor";
    if (std::FILE* f = std::fopen("/proc/cpuinfo", "r")) {
      for (char line[256]; std::fgets(line, sizeof line, f);)
        if (!std::strncmp(line, "model name", 10)) {
          cpu = std::strchr(line, ':') + 2;
          cpu.pop_back();
          break;
        }
      std::fclose(f);
    }
    std::fprintf(stderr, "%s: %s, %u cores, %d thread%s, compiler %s\n", bench, cpu.c_str(), std::thread::hardware_concurrency(),
                 o.threads, o.threads > 1 ? "s" : "", __VERSION__);
    if (!json_)
      std::printf("%-18s %10s %10s %21s   %-61s %10s %10s   %s\n", "case", "ours", "least", "10%..90%", "peer", "its time",
                  "least", "peer / ours (10%..90%)");
  }
  void add(const std::string& name, const std::vector<outcome>& all) {
    const auto& ours = all[0];
    const auto& worst = *std::min_element(all.begin(), all.end(), [](auto& a, auto& b) { return a.quiet < b.quiet; });
    if (worst.quiet < 5)
      std::fprintf(stderr, "%s %s: the machine is busy, only %d of %d slices of %s ran undisturbed: rough numbers\n", bench_,
                   name.c_str(), worst.quiet, worst.slices, worst.name.c_str());
    if (all.size() == 1) {
      if (json_)
        std::printf("{\"bench\":\"%s\",\"case\":\"%s\",\"ours_ns\":%.2f,\"peer\":null,\"peer_ns\":null,\"ratio\":null}\n", bench_,
                    name.c_str(), ours.ns.median);
      else std::printf("%s   no peer\n", left(name, ours).c_str());
    }
    for (std::size_t i = 1; i < all.size(); ++i) {
      const auto& peer = all[i];
      if (json_) {
        std::printf("{\"bench\":\"%s\",\"case\":\"%s\",\"ours_ns\":%.2f,\"peer\":\"%s\",\"peer_ns\":%.2f,\"ratio\":%.4f}\n",
                    bench_, name.c_str(), ours.ns.median, peer.name.c_str(), peer.ns.median, peer.ns.median / ours.ns.median);
      } else {
        std::printf("%s   %-61s %10s %10s   %.2fx (%.2f..%.2f)\n", left(name, ours).c_str(), peer.name.c_str(),
                    text(peer.ns.median).c_str(), text(peer.ns.least).c_str(), peer.ns.median / ours.ns.median, peer.ratio.low,
                    peer.ratio.high);
      }
    }
    std::fflush(stdout);
  }

 private:
  static std::string text(double ns) {
    char s[32];
    if (ns < 1e3) std::snprintf(s, sizeof s, "%.1f ns", ns);
    else if (ns < 1e6) std::snprintf(s, sizeof s, "%.1f us", ns / 1e3);
    else std::snprintf(s, sizeof s, "%.2f ms", ns / 1e6);
    return s;
  }
  static std::string left(const std::string& name, const outcome& o) {
    char s[160];
    std::snprintf(s, sizeof s, "%-18s %10s %10s %21s", name.c_str(), text(o.ns.median).c_str(), text(o.ns.least).c_str(),
                  (text(o.ns.low) + ".." + text(o.ns.high)).c_str());
    return s;
  }
  const char* bench_;
  bool json_;
};

/// A peer is a shared library of its own (bench/peers), built by bench/run where its framework is installed.
class peer_library {
 public:
  explicit peer_library(const char* file) {
    const char* folder = std::getenv("TENON_PEERS");
    const auto path = std::string(folder ? folder : ".") + "/" + file;
    if (access(path.c_str(), R_OK))
      std::fprintf(stderr, "no peer %s: ours alone; `./bench/run --install-peers` installs it\n", file);
    else if (!(handle_ = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)))
      std::fprintf(stderr, "the peer %s does not load, ours alone: %s\n", file, dlerror());
  }
  explicit operator bool() const { return handle_; }
  /// The function of that name, of F's type.
  template <class F> F* get(const char* name) const {
    void* p = dlsym(handle_, name);
    if (!p) {
      std::fprintf(stderr, "peer without %s: %s\n", name, dlerror());
      std::exit(1);
    }
    return reinterpret_cast<F*>(p);
  }

 private:
  void* handle_ = nullptr;      // never closed: frameworks do not like it
};

}  // namespace bench
