// SPDX-License-Identifier: Apache-2.0
// The machine of cuda_kernels/machine/machine.h on the host, where every access is checked: bounds and alignment, of shared and
// global memory; shared words that nobody wrote; copies read before they were waited for; and words that pass between two threads
// with no barrier in between, in either direction. Threads run in another order each time. A fault is an exception.
#pragma once
#include <cstdint>
#include <cstring>
#include <deque>
#include <limits>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>
#include "cuda_kernels/gemm/kernel.h"
#include "cuda_kernels/host/runtime.h"
#include "cuda_kernels/small/kernel.h"

namespace emulator {
struct fault : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Global memory: what kernels may touch, and what of it they may write.
struct range {
  std::uintptr_t end;
  bool writable;
};
inline std::map<std::uintptr_t, range> memory;
inline void map(const void* p, std::size_t bytes, bool writable = true) {
  const auto at = reinterpret_cast<std::uintptr_t>(p);
  if (bytes > 0) memory[at] = {at + bytes, writable};
}
inline void unmap(const void* p) { memory.erase(reinterpret_cast<std::uintptr_t>(p)); }
inline void touch(const void* p, std::size_t bytes, std::size_t align, bool write) {
  const auto at = reinterpret_cast<std::uintptr_t>(p);
  if (at % align) throw fault("global memory: misaligned");
  if (bytes == 0) return;
  auto next = memory.upper_bound(at);
  if (next == memory.begin() || at + bytes > std::prev(next)->second.end) throw fault("global memory: out of bounds");
  if (write && !std::prev(next)->second.writable) throw fault("global memory: a write to an input");
}

inline unsigned order = 1;  // of threads, changes with each step
inline unsigned long steps = 0;  // all there were: how many blocks ran, and how far

class machine {
  static constexpr int nobody = -1, several = -2;
  struct word {
    float value = 0, coming = 0;
    int writer = nobody, reader = nobody, copier = nobody;
    long written = -1, read = -1;  // in which epoch
  };
  std::vector<word> shared_;
  std::vector<std::deque<std::vector<int>>> coming_;  // of each thread, by commits: the words its copies will write
  std::int64_t block_, blocks_;
  int split_, threads_;
  long epoch_ = 0;

  word& at(int i) {
    if (i < 0 || static_cast<std::size_t>(i) >= shared_.size()) throw fault("shared memory: out of bounds");
    return shared_[static_cast<std::size_t>(i)];
  }
  void may_write(const word& w, int who) const {
    if (w.copier != nobody && w.copier != who) throw fault("shared memory: two threads write one word");
    if (w.written == epoch_ && w.writer != who) throw fault("shared memory: two threads write one word");
    if (w.read == epoch_ && w.reader != who) throw fault("shared memory: written while another thread reads it");
  }
  void put(int i, int who, float v) {
    word& w = at(i);
    may_write(w, who);
    w.value = v;
    w.writer = who;
    w.written = epoch_;
    w.copier = nobody;
  }
  float get(int i, int who) {
    word& w = at(i);
    if (w.copier != nobody) throw fault("shared memory: read before its copy was waited for");
    if (w.writer == nobody) throw fault("shared memory: read before anybody wrote it");
    if (w.written == epoch_ && w.writer != who) throw fault("shared memory: read without a barrier");
    w.reader = w.read == epoch_ && w.reader != who ? several : who;
    w.read = epoch_;
    return w.value;
  }

 public:
  class thread {
    machine* b_;
    int id_;

    /// All of what it names must be there, even where it takes nothing of it: so compute-sanitizer wants it.
    void copy(int to, const float* from, bool some, int n) const {
      if (to % n) throw fault("shared memory: misaligned");
      touch(from, 4 * static_cast<std::size_t>(n), 4 * static_cast<std::size_t>(n), false);
      for (int e = 0; e < n; ++e) {
        word& w = b_->at(to + e);
        b_->may_write(w, id_);
        w.copier = id_;
        w.coming = some ? from[e] : 0;
        b_->coming_[static_cast<std::size_t>(id_)].back().push_back(to + e);
      }
    }

   public:
    thread(machine* b, int id) : b_(b), id_(id) {}
    int id() const { return id_; }
    void copy16(int to, const float* from, bool some) const { copy(to, from, some, 4); }
    void copy4(int to, const float* from, bool some) const { copy(to, from, some, 1); }
    void commit() const { b_->coming_[static_cast<std::size_t>(id_)].emplace_back(); }
    template <int But>
    void wait() const {
      auto& mine = b_->coming_[static_cast<std::size_t>(id_)];
      for (; mine.size() > But + 1; mine.pop_front())  // the last is not committed yet
        for (const int i : mine.front()) b_->put(i, id_, b_->at(i).coming);
    }
    template <int N>
    void shared_run(int at, float (&v)[N]) const {
      if (at % N) throw fault("shared memory: misaligned");
      for (int e = 0; e < N; ++e) v[e] = b_->get(at + e, id_);
    }
    float apart(float v, int zero) const {
      if (zero) throw fault("not zero");
      return v;
    }
    float shared(int at) const { return b_->get(at, id_); }
    void put(int at, float v) const { b_->put(at, id_, v); }
    float load(const float* p) const {
      touch(p, 4, 4, false);
      return *p;
    }
    void store(float* p, float v) const {
      touch(p, 4, 4, true);
      *p = v;
    }
    void store4(float* p, const float (&v)[4]) const {
      touch(p, 16, 16, true);
      std::memcpy(p, v, 16);
    }
  };
  /// Registers start as NaN: nothing may rely on what they hold.
  template <class S>
  struct registers {
    std::vector<S> all;
  };

  machine(std::int64_t number, std::int64_t all, int split, int threads, std::size_t shared_floats)
      : shared_(shared_floats), coming_(static_cast<std::size_t>(threads), {{}}), block_(number), blocks_(all), split_(split),
        threads_(threads) {}
  std::int64_t block() const { return block_; }
  std::int64_t blocks() const { return blocks_; }
  int split() const { return split_; }
  template <class S, class F>
  void each(registers<S>& r, const F& f) {
    const auto n = static_cast<std::size_t>(threads_);
    if (r.all.empty()) {
      r.all.resize(n);
      std::memset(static_cast<void*>(r.all.data()), 0xff, n * sizeof(S));
    }
    order = order * 1664525u + 1013904223u;
    const unsigned start = order >> 8, back = order >> 7 & 1;
    for (unsigned i = 0; i < n; ++i) {
      const std::size_t id = (start + (back ? static_cast<unsigned>(n) - 1 - i : i)) % n;
      thread t(this, static_cast<int>(id));
      f(t, r.all[id]);
    }
    ++steps;
  }
  void sync() { ++epoch_; }
  void end() const {
    for (const auto& one : coming_)
      for (const auto& commit : one)
        if (!commit.empty()) throw fault("a block ends with copies under way");
  }
};
template <class F>
void grid(std::int64_t blocks, int splits, int threads, std::size_t shared_floats, const F& kernel) {
  for (int s = 0; s < splits; ++s)
    for (std::int64_t b = 0; b < blocks; ++b) {
      machine hw(b, blocks, s, threads, shared_floats);
      kernel(hw);
      hw.end();
    }
}
namespace detail {
using tenon_cuda::layout;
template <class Tile, layout A, layout B>
void product(const tenon_cuda::gemm_problem& p) {
  grid(static_cast<std::int64_t>(p.tiles_m) * p.tiles_n, p.splits, Tile::threads, tenon_cuda::stage<Tile>::bytes / 4,
       [&](machine& hw) { tenon_cuda::gemm_block<Tile, A, B>(hw, p); });
}
template <class Tile>
void by_layout(const tenon_cuda::gemm_launch& l) {
  const bool a = l.a == layout::along_k, b = l.b == layout::along_k;
  if (a && b) product<Tile, layout::along_k, layout::along_k>(l.problem);
  else if (a) product<Tile, layout::along_k, layout::across>(l.problem);
  else if (b) product<Tile, layout::across, layout::along_k>(l.problem);
  else product<Tile, layout::across, layout::across>(l.problem);
}
}  // namespace detail
inline void gemm(const tenon_cuda::gemm_launch& l) {
  switch (l.tile) {
    case tenon_cuda::tile_kind::t128: return detail::by_layout<tenon_cuda::tile_128>(l);
    case tenon_cuda::tile_kind::t64: return detail::by_layout<tenon_cuda::tile_64>(l);
    case tenon_cuda::tile_kind::t64x32: return detail::by_layout<tenon_cuda::tile_64x32>(l);
    case tenon_cuda::tile_kind::t32: return detail::by_layout<tenon_cuda::tile_32>(l);
  }
}
inline void reduce(const tenon_cuda::gemm_problem& p) {
  grid(3, 1, tenon_cuda::reduce_threads, 0, [&](machine& hw) { tenon_cuda::reduce_block(hw, p); });
}
inline void map(const tenon_cuda_map_args& a) {
  grid(2, 1, tenon_cuda::small_threads, 0, [&](machine& hw) { tenon_cuda::map_block(hw, a); });
}
inline void update(const tenon_cuda_update_args& a) {
  grid(2, 1, tenon_cuda::small_threads, 0, [&](machine& hw) { tenon_cuda::update_block(hw, a); });
}
inline void sum(const tenon_cuda_sum_args& a) {
  grid((a.length + tenon_cuda::sum_columns - 1) / tenon_cuda::sum_columns, 1, tenon_cuda::small_threads,
       tenon_cuda::small_threads, [&](machine& hw) { tenon_cuda::sum_block(hw, a); });
}
}  // namespace emulator
