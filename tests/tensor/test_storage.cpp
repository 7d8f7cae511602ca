// SPDX-License-Identifier: Apache-2.0
// Shared memory: alignment, counts, owners of any type, threads; and the counters of bytes.
#include <tenon/tensor/storage.hpp>

#include <atomic>
#include <memory>
#include <memory_resource>
#include <stdexcept>
#include <thread>
#include <vector>

#include "catch.hpp"

using tenon::errc;
using tenon::storage;

namespace {
/// Counts what it gives and takes; refuses the N-th request, or throws.
struct counting_source {
  int given = 0, back = 0, fail_at = -1;
  std::size_t bytes = 0;
  bool throws = false;
  void* allocate(std::size_t n, std::size_t align) {
    if (given + back == fail_at || fail_at == 0) {
      if (throws) throw std::runtime_error("no");
      return nullptr;
    }
    ++given;
    bytes += n;
    return ::operator new(n, std::align_val_t{align});
  }
  void deallocate(void* p, std::size_t n, std::size_t align) {
    ++back;
    bytes -= n;
    ::operator delete(p, std::align_val_t{align});
  }
};
struct counted_owner {
  int* gone;
  explicit counted_owner(int* counter) : gone(counter) {}
  counted_owner(counted_owner&& o) noexcept : gone(std::exchange(o.gone, nullptr)) {}
  counted_owner& operator=(counted_owner&&) = delete;
  ~counted_owner() {
    if (gone) ++*gone;
  }
};
struct throws_when_moved {
  std::shared_ptr<int> held = std::make_shared<int>(1);
  throws_when_moved() = default;
  throws_when_moved(const throws_when_moved& o) : held(o.held) { throw std::runtime_error("no"); }
};
}  // namespace

TEST_CASE("fresh memory lies on a 64-byte boundary, whatever its size") {
  for (const std::size_t n : {0u, 1u, 63u, 64u, 1000u}) {
    const storage s = storage::allocate(n);
    CHECK(reinterpret_cast<std::uintptr_t>(s.data()) % 64 == 0);
    CHECK(s.bytes() == n);
    CHECK(s.sole());
  }
}

TEST_CASE("memory goes back where it came from, once, with the size it was asked with") {
  counting_source from;
  {
    storage a = storage::allocate(100, &from), b = a, c;
    CHECK(from.given == 1);
    CHECK_FALSE(a.sole());
    c = std::move(b);
    a = {};
    CHECK(from.back == 0);
    CHECK(c.sole());
    auto& self = c;
    c = self;
    CHECK(c.sole());
  }
  CHECK(from.back == 1);
  CHECK(from.bytes == 0);
  std::pmr::monotonic_buffer_resource arena;
  CHECK(storage::allocate(10, &arena).data() != nullptr);
}

TEST_CASE("a source that refuses or throws: no_memory, and the target is as it was") {
  for (const bool throws : {false, true}) {
    counting_source from;
    from.fail_at = 0;
    from.throws = throws;
    storage s = storage::allocate(8);
    const auto* before = s.data();
    tenon::failure why;
    CHECK(storage::try_allocate(24, s, why, &from) == errc::no_memory);
    CHECK(why.expected == 24);
    CHECK(s.data() == before);
    CHECK_THROWS_AS(storage::allocate(24, &from), tenon::error);
  }
}

TEST_CASE("a size that no address can reach is an overflow, not a request") {
  counting_source from;
  storage s;
  tenon::failure why;
  CHECK(storage::try_allocate(~std::size_t{0}, s, why, &from) == errc::overflow);
  CHECK(storage::try_allocate(static_cast<std::size_t>(INT64_MAX) - 63, s, why, &from) == errc::overflow);
  CHECK(from.given == 0);
  struct refuses {
    std::size_t asked = 0;
    void* allocate(std::size_t n, std::size_t) {
      asked = n;
      return nullptr;
    }
    void deallocate(void*, std::size_t, std::size_t) {}
  } none;
  CHECK(storage::try_allocate(100, s, why, &none) == errc::no_memory);
  const std::size_t head = none.asked - 100, spare = 64 - __STDCPP_DEFAULT_NEW_ALIGNMENT__;
  const std::size_t most = static_cast<std::size_t>(INT64_MAX) - head - spare;
  CHECK(storage::try_allocate(most, s, why, &none) == errc::no_memory);
  CHECK(none.asked == most + head);
  CHECK(storage::try_allocate(most + 1, s, why, &none) == errc::overflow);
  CHECK(none.asked == most + head);
}

TEST_CASE("an adopted owner dies once, with the last copy") {
  int gone = 0;
  {
    storage s, t;
    tenon::failure why;
    int data = 0;
    CHECK(storage::try_adopt(counted_owner(&gone), &data, 4, s, why) == errc::ok);
    CHECK(static_cast<void*>(s.data()) == &data);
    t = s;
    s = {};
    CHECK(gone == 0);
  }
  CHECK(gone == 1);
}

TEST_CASE("an owner whose move throws is an error, not the end of the process") {
  throws_when_moved owner;
  storage s;
  tenon::failure why;
  CHECK(storage::try_adopt(std::move(owner), nullptr, 0, s, why) == errc::value);
  CHECK_FALSE(s);
  CHECK(owner.held.use_count() == 1);
}

TEST_CASE("of two holders the first to go leaves the memory to the other, in a process with threads too") {
  std::thread([] {}).join();  // from here on the count is atomic
  int gone = 0;
  storage s;
  tenon::failure why;
  REQUIRE(storage::try_adopt(counted_owner(&gone), nullptr, 0, s, why) == errc::ok);
  storage other = s;
  CHECK_FALSE(s.sole());
  s = {};
  CHECK(gone == 0);
  CHECK(other.sole());
  other = {};
  CHECK(gone == 1);
}

TEST_CASE("copies are counted across threads") {
  int gone = 0;
  {
    storage s;
    tenon::failure why;
    REQUIRE(storage::try_adopt(counted_owner(&gone), nullptr, 0, s, why) == errc::ok);
    std::vector<std::thread> threads;
    std::atomic<int> ready{0};
    for (int i = 0; i < 4; ++i)
      threads.emplace_back([&ready, mine = s] {
        for (++ready; ready < 4;) std::this_thread::yield();
        for (int k = 0; k < 100'000; ++k) {
          storage a = mine, b = a;
          a = std::move(b);
        }
      });
    s = {};
    for (auto& t : threads) t.join();
  }
  CHECK(gone == 1);
}

TEST_CASE("of two holders who act at the same time one gets the room, and one is the last") {
  std::atomic<int> at{0}, rooms{0};
  std::atomic<storage*> theirs{nullptr};
  constexpr int rounds = 3'000;
  std::thread other([&] {
    for (int i = 1; i <= rounds; ++i) {
      while (at.load(std::memory_order_acquire) != 2 * i - 1) std::this_thread::yield();
      storage* const s = theirs.load();
      at.store(2 * i, std::memory_order_release);
      rooms += s->take_room() != nullptr;
      for (int k = 0; k < 8; ++k) const storage copy = *s;
      s->reset();
      theirs.store(nullptr);
    }
  });
  int gone = 0;
  for (int i = 1; i <= rounds; ++i) {
    storage mine;
    tenon::failure why;
    REQUIRE(storage::try_adopt(counted_owner(&gone), nullptr, 0, mine, why) == errc::ok);
    storage yours = mine;
    theirs.store(&yours);
    at.store(2 * i - 1, std::memory_order_release);
    for (int spins = 0; at.load(std::memory_order_acquire) != 2 * i; ++spins)
      if (spins > 1000) std::this_thread::yield();  // the other may have no core
    rooms += mine.take_room() != nullptr;
    for (int k = 0; k < 8; ++k) const storage copy = mine;
    mine.reset();
    while (theirs.load()) std::this_thread::yield();
  }
  other.join();
  CHECK(rooms == rounds);
  CHECK(gone == rounds);
}

TEST_CASE("the last copy may go on another thread") {
  int gone = 0;
  storage s;
  tenon::failure why;
  REQUIRE(storage::try_adopt(counted_owner(&gone), nullptr, 0, s, why) == errc::ok);
  std::thread([mine = std::move(s)]() mutable { mine = {}; }).join();
  CHECK(gone == 1);
}

TEST_CASE("the counters add up across threads") {
  const auto before = tenon::bytes_moved();
  std::thread a([] {
    for (int i = 0; i < 10'000; ++i) tenon::detail::count(&tenon::traffic::packed, 3);
  });
  for (int i = 0; i < 10'000; ++i) tenon::detail::count(&tenon::traffic::packed, 3);
  a.join();
  CHECK(tenon::bytes_moved().packed - before.packed == 60'000);
  CHECK(tenon::bytes_moved().copied == before.copied);
  tenon::detail::count(&tenon::traffic::fresh_slots, 5);
  CHECK(tenon::bytes_moved().fresh_slots == before.fresh_slots + 5);
  const tenon::traffic none;
  CHECK((none.copied == 0 && none.packed == 0 && none.fresh_slots == 0));
}

TEST_CASE("storage that holds nothing is nobody's, and has no room") {
  const storage none;
  CHECK_FALSE(none.sole());
  CHECK_FALSE(none);
  CHECK(none.take_room() == nullptr);
  CHECK(none.data() == nullptr);
  CHECK(none.bytes() == 0);
  storage s;
  tenon::failure why;
  REQUIRE(storage::try_allocate(8, s, why) == errc::ok);
  void* room = s.take_room();
  CHECK(room != nullptr);
  CHECK(s.take_room() == nullptr);
  s.give_room_back();
  CHECK(s.take_room() == room);
  storage copy = storage::attach(storage(s).detach());
  CHECK_FALSE(s.sole());
  copy.reset();
  CHECK(s.sole());
}

TEST_CASE("storage knows how many bytes and on which device") {
  storage s;
  tenon::failure why;
  int data[3]{};
  CHECK(s.device() == 0);
  REQUIRE(storage::try_adopt(0, data, 12, s, why, 5) == errc::ok);
  CHECK(s.data() == reinterpret_cast<std::byte*>(data));
  CHECK(s.bytes() == 12);
  CHECK(s.device() == 5);
  CHECK(s.sole());
  s = storage::allocate(7);
  CHECK(s.bytes() == 7);
  CHECK(s.device() == 0);
}

namespace {
template <std::size_t Align>
struct alignas(Align) aligned_owner {
  int* gone;
  bool* fits;
  aligned_owner(int* g, bool* f) : gone(g), fits(f) {}
  aligned_owner(aligned_owner&& o) noexcept : gone(std::exchange(o.gone, nullptr)), fits(o.fits) {
    *fits = reinterpret_cast<std::uintptr_t>(this) % Align == 0;
  }
  aligned_owner& operator=(aligned_owner&&) = delete;
  ~aligned_owner() {
    if (gone) ++*gone;
  }
};
}  // namespace
TEMPLATE_TEST_CASE("an owner of a wider alignment gets it, and its memory back", "", aligned_owner<16>, aligned_owner<32>,
                   aligned_owner<128>) {
  int gone = 0;
  bool fits = false;
  storage s;
  tenon::failure why;
  REQUIRE(storage::try_adopt(TestType(&gone, &fits), nullptr, 0, s, why) == errc::ok);
  CHECK(fits);
  CHECK(gone == 0);
  s.reset();
  CHECK(gone == 1);
  CHECK_FALSE(s);
}
