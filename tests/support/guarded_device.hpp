// SPDX-License-Identifier: Apache-2.0
// A second device without one: memory that the host cannot touch. Each allocation is pages of its own under PROT_NONE; they open
// for the time of an op, an upload or a download, and close again. Whatever dereferences them elsewhere ends the process.
#pragma once
#include <sys/mman.h>
#include <cstddef>
#include <cstring>
#include <utility>
#include "tenon/ops/cast.hpp"
#include "tenon/ops/executor.hpp"
#include "tenon/ops/recurrent.hpp"
#include "tenon/ops/update.hpp"

namespace guarded_device {
struct block {
  void* at = nullptr;
  std::size_t bytes = 0;
};
inline constexpr int most_blocks = 4096;
inline block blocks[most_blocks];
inline int open_depth = 0;  // one thread uses this device at a time
inline long ops_run = 0;

inline void protect(int how) {
  for (const block& b : blocks)
    if (b.at) mprotect(b.at, b.bytes, how);
}
/// Opens the device's memory for as long as it lives.
struct opened {
  opened() {
    if (open_depth++ == 0) protect(PROT_READ | PROT_WRITE);
  }
  ~opened() {
    if (--open_depth == 0) protect(PROT_NONE);
  }
  opened(const opened&) = delete;
};
/// Unmaps its pages at the end.
class pages {
  int slot_ = -1;

 public:
  explicit pages(int slot) : slot_(slot) {}
  pages(pages&& o) noexcept : slot_(std::exchange(o.slot_, -1)) {}
  ~pages() {
    if (slot_ < 0) return;
    munmap(blocks[slot_].at, blocks[slot_].bytes);
    blocks[slot_] = {};
  }
};
inline int live_blocks() {
  int n = 0;
  for (const block& b : blocks) n += b.at != nullptr;
  return n;
}

struct guarded {
  static constexpr tenon::device_type type = tenon::device_type::ext;
  [[nodiscard]] tenon::errc try_allocate(std::size_t bytes, tenon::storage& to, tenon::failure& why) const noexcept {
    int slot = 0;
    while (slot < most_blocks && blocks[slot].at) ++slot;
    const std::size_t all = (bytes / 4096 + 1) * 4096;
    void* p = slot < most_blocks ? mmap(nullptr, all, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) : MAP_FAILED;
    if (p == MAP_FAILED)
      return tenon::detail::fail(why, tenon::errc::no_memory, "allocate",
                                 {.argument = "bytes", .got = 0, .expected = static_cast<std::int64_t>(bytes)});
    blocks[slot] = {p, all};
    if (open_depth > 0) mprotect(p, all, PROT_READ | PROT_WRITE);
    else {  // rubbish, as a device's fresh memory is
      const opened o;
      std::memset(p, 0xa5, all);
    }
    return tenon::storage::try_adopt(pages(slot), p, bytes, to, why);
  }
  void upload(void* to, const void* host, std::size_t bytes) const {
    const opened o;
    if (bytes) std::memcpy(to, host, bytes);
  }
  void download(void* host, const void* from, std::size_t bytes) const {
    const opened o;
    if (bytes) std::memcpy(host, from, bytes);
  }
};

template <class T>
const T& on_host(const T& t) {
  return t;
}
template <class T>
tenon::view<T> on_host(const tenon::view<T, guarded>& v) {
  return {v.data(), v.shape()};
}
template <class S, class A>
tenon::ops::lstm_tape<S, A> on_host(const tenon::ops::lstm_tape<S, A, guarded>& t) {
  return {on_host(t.gates), on_host(t.tanh_c), on_host(t.c), on_host(t.dh), on_host(t.dc)};
}
/// Every op of the library: the host's own kernel, on opened pages.
template <class Op, class C, class... A>
void run_op(Op, const tenon::execution<guarded, C>& ex, const A&... a) {
  const opened o;
  ++ops_run;
  const tenon::cpu host;
  Op::host(tenon::execution<tenon::cpu, C>{host, ex.scratch, ex.per_thread}, on_host(a)...);
}
}  // namespace guarded_device
static_assert(tenon::executor<guarded_device::guarded>);
