// SPDX-License-Identifier: Apache-2.0
// Every allocation of the doors fails once, and then all of them from there on: the error is tenon's, nothing is leaked, nothing has
// changed. Replaces operator new, so it has a main of its own.
#include <tenon/tensor/export.hpp>
#include <tenon/tensor/import.hpp>
#include <tenon/tensor/typed_tensor.hpp>

#include <cstdio>
#include <cstdlib>
#include <vector>

#include "producer.hpp"

#if defined(__SANITIZE_THREAD__)
#define TENON_NO_REPLACEMENT 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define TENON_NO_REPLACEMENT 1
#endif
#endif

#ifdef TENON_NO_REPLACEMENT
int main() { std::puts("skipped: this sanitizer has an operator new of its own"); }
#else
namespace {
long fail_at = -1, asked = 0, live = 0;
bool for_good = false;

void* allocate(std::size_t n, std::size_t align) {
  const long now = asked++;
  if (fail_at >= 0 && (now == fail_at || (for_good && now > fail_at))) return nullptr;
  n = (n + align - 1) / align * align;
  void* p = std::aligned_alloc(align, n ? n : align);
  live += p != nullptr;
  return p;
}
void release(void* p) noexcept {
  live -= p != nullptr;
  std::free(p);
}
void* allocate_or_throw(std::size_t n, std::size_t align) {
  if (void* p = allocate(n, align)) return p;
  throw std::bad_alloc();
}
}  // namespace
void* operator new(std::size_t n) { return allocate_or_throw(n, 16); }
void* operator new(std::size_t n, std::align_val_t a) { return allocate_or_throw(n, static_cast<std::size_t>(a)); }
void* operator new(std::size_t n, const std::nothrow_t&) noexcept { return allocate(n, 16); }
void* operator new(std::size_t n, std::align_val_t a, const std::nothrow_t&) noexcept {
  return allocate(n, static_cast<std::size_t>(a));
}
void operator delete(void* p) noexcept { release(p); }
void operator delete(void* p, std::size_t) noexcept { release(p); }
void operator delete(void* p, std::align_val_t) noexcept { release(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { release(p); }
void operator delete(void* p, const std::nothrow_t&) noexcept { release(p); }
void operator delete(void* p, std::align_val_t, const std::nothrow_t&) noexcept { release(p); }

namespace {
int bad = 0;
void expect(bool holds, const char* what, const char* of, long n) {
  if (!holds) std::printf("FAILED: %s: %s, allocation %ld\n", of, what, n), ++bad;
}

/// Runs `call` with the N-th allocation failing, N = 0, 1, 2 …, until it passes; `unchanged` is asked after each failure.
template <class Call, class Unchanged>
void inject(const char* what, long least, Call call, Unchanged unchanged) {
  for (const bool all : {false, true})
    for (long n = 0;; ++n) {
      const long before = live;
      for_good = all;
      asked = 0;
      fail_at = n;
      bool passed = false, ours = false;
      try {
        call();
        passed = true;
      } catch (const tenon::error& e) { ours = e.code() == tenon::errc::no_memory && e.what()[0] != 0; } catch (...) {
      }
      fail_at = -1;
      if (passed && asked <= n) {
        expect(n >= least, "allocates less often than this test believes", what, n);
        expect(live == before, "leaked at the end", what, n);
        break;
      }
      expect(passed || ours, "another exception", what, n);
      expect(!passed || !all, "passes without memory", what, n);
      expect(passed || unchanged(), "something changed", what, n);
      expect(live == before, "leaked", what, n);
      if (n > 100) return expect(false, "never passes", what, n);
    }
}
}  // namespace

int main() {
  versioned p({1, 2, 3, 4}, {2, 2}, {1, 2});
  tenon::handle<> h;
  const auto fresh = [&] {
    if (!h) h = p.give();
    p.shape = {2, 2};
    p.values = {1, 2, 3, 4};
    p.deleted = 0;
  };
  const auto kept = [&] { return h.get() == &p.managed && p.deleted == 0; };
  fresh();
  inject(
      "import", 1,
      [&] {
        auto t = tenon::from_dlpack<float>(std::move(h));
        t = {};
        h = p.give();
        p.deleted = 0;
        p.shape[0] = p.shape[1] = 2;
      },
      kept);
  fresh();
  inject(
      "import with a copy", 1,
      [&] {
        const auto before = tenon::bytes_moved().copied;
        auto t = tenon::from_dlpack<const float>(std::move(h), {.copies = tenon::copy_policy::always});
        expect(tenon::bytes_moved().copied == before + 16, "counted", "import with a copy", 0);
        h = p.give();
        p.deleted = 0;
        p.shape[0] = p.shape[1] = 2;
      },
      kept);
  fresh();
  inject(
      "typed import", 0,
      [&] {
        auto t = tenon::from_dlpack<const float, tenon::dims<2>>(std::move(h));
        t = {};
        h = p.give();
        p.deleted = 0;
        p.shape[0] = p.shape[1] = 2;
      },
      kept);
  static_cast<void>(h.release());

  tenon::tensor<float> t(tenon::shape{2, 2});
  t[3] = 7;
  const auto intact = [&] { return t.owner().sole() && t[3] == 7; };
  // The first export of a memory takes no heap block, the second does while the first is out.
  for (int i = 0; i < 3; ++i) inject("first export", 0, [&] { auto e = tenon::to_dlpack(t); }, intact);
  asked = 0;
  { auto e = tenon::to_dlpack(t); }
  expect(asked == 0, "takes no heap block", "first export", 0);
  auto out = tenon::to_dlpack(t);
  const auto still = [&] { return t[3] == 7 && out->dl_tensor.data == t.data(); };
  inject("export", 1, [&] { auto e = tenon::to_dlpack(t); }, still);
  inject("legacy export", 1, [&] { auto e = tenon::to_dlpack<tenon::dl::managed_tensor>(t); }, still);
  inject("untyped export", 1, [&] { auto e = tenon::to_dlpack(tenon::tensor<>(t)); }, still);
  out.reset();
  inject("copy", 1, [&] { auto c = tenon::copy(t); }, intact);
  inject(
      "borrow", 1,
      [&] {
        auto b = tenon::borrow(t.view(), t.owner());
        expect(b.data() == t.data(), "empty", "borrow", 0);
      },
      intact);
  float x[2]{1, 2};
  const tenon::extent two[1]{2}, step[1]{1};
  const tenon::view<float, tenon::dims<1>> v(x, two, step);
  tenon::tensor<float, tenon::dims<1>> owner = tenon::borrow(v, t.owner());
  const auto again = [&] {
    fail_at = -1;
    const long before = asked;
    owner = tenon::borrow(v, t.owner());
    asked = before;
  };
  const auto owns = [&] { return owner.data() == x && owner(1) == 2; };
  inject(
      "typed borrow", 1,
      [&] {
        auto b = tenon::borrow(v, t.owner());
        expect(b.data() == x, "empty", "typed borrow", 0);
      },
      owns);
  inject(
      "share", 1,
      [&] {
        auto shared = std::move(owner).share(), beside = shared;
        again();
      },
      owns);
  inject(
      "export of a typed owner", 1,
      [&] {
        auto e = tenon::to_dlpack(std::move(owner));
        again();
      },
      owns);
  inject(
      "export of a copy", 1, [&] { auto e = tenon::to_dlpack(t, {.copies = tenon::copy_policy::always}); },
      [&] { return t[3] == 7; });
  owner.reset();
  inject("fresh tensor", 1, [&] { tenon::tensor<double> d(tenon::shape{100}); }, intact);

  // The message itself needs memory: without any, the word of the code must do.
  tenon::failure f;
  tenon::detail::fail(f, tenon::errc::rank, "a rather long name of an operation", {.argument = "x", .got = 1, .expected = 2});
  fail_at = asked;
  for_good = true;
  try {
    tenon::detail::raise(f);
  } catch (const tenon::error& e) {
    fail_at = -1;
    expect(std::string_view(e.what()) == "rank" && e.got() == 1, "the exception without its text", "raise", 0);
  }
  std::puts(bad ? "failed" : "passed");
  return bad != 0;
}
#endif
