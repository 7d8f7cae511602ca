// SPDX-License-Identifier: Apache-2.0
// Counted memory: who keeps bytes alive. One heap block a storage, none for a copy of it; data on a 64-byte boundary.
#pragma once
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>
#include <utility>
#include "tenon/core/error.hpp"
namespace tenon {
/// Every array of ours starts on such a boundary: JAX shares nothing less aligned.
inline constexpr std::size_t alignment = 64;

/// Where memory comes from. Anything with std::pmr::memory_resource's allocate and deallocate converts to it.
/// It must outlive what was allocated from it.
struct memory_source {
  void* self = nullptr;
  void* (*allocate)(void* self, std::size_t bytes, std::size_t align) = nullptr;  // may throw, or give null
  void (*deallocate)(void* self, void* p, std::size_t bytes, std::size_t align) = nullptr;

  constexpr memory_source() = default;
  template <class R>
    requires requires(R* r, void* p) {
      { r->allocate(std::size_t{}, std::size_t{}) } -> std::same_as<void*>;
      r->deallocate(p, std::size_t{}, std::size_t{});
    }
  constexpr memory_source(R* r)
      : self(r), allocate([](void* s, std::size_t n, std::size_t a) { return static_cast<R*>(s)->allocate(n, a); }),
        deallocate([](void* s, void* p, std::size_t n, std::size_t a) { static_cast<R*>(s)->deallocate(p, n, a); }) {}
};

/// Shares one block of memory: its own, or one that somebody else owns and it keeps alive. Copies are cheap and thread-safe.
class storage {
 public:
  /// Of a block's room for one export at a time: a managed struct with the extents and strides of max_rank axes.
  static constexpr std::size_t room_bytes = 208;

 private:
  struct block {
    int refs = 1;
    std::int32_t device = 0;
    void (*destroy)(block*) noexcept = nullptr;
    void* data = nullptr;
    std::size_t bytes = 0;
    memory_source from{};
    bool room_taken = false;
    alignas(std::int64_t) std::byte room[room_bytes];
    block() noexcept {}  // the room is filled by who takes it
  };
  static constexpr std::size_t head = (sizeof(block) + alignment - 1) / alignment * alignment;  // of fresh memory
  template <class Owner>
  struct adopted : block {
    Owner owner;
    explicit adopted(Owner&& o) noexcept(std::is_nothrow_move_constructible_v<Owner>) : owner(std::move(o)) {}
  };
  block* b_ = nullptr;
  // A process that never started a thread need not count in one step: half of what an export and its release cost.
  static bool alone() noexcept {
#if TENON_HAS_SINGLE_THREADED
    return __libc_single_threaded != 0;
#else
    return false;
#endif
  }
  static void share(block* b) noexcept {
    if (alone()) ++b->refs;
    else __atomic_fetch_add(&b->refs, 1, __ATOMIC_RELAXED);
  }
  /// True for the last one: then nobody else can hold it, nor come to.
  static bool let_go(block* b) noexcept {
    if (alone()) return --b->refs == 0;
    return __atomic_load_n(&b->refs, __ATOMIC_ACQUIRE) == 1 || __atomic_fetch_sub(&b->refs, 1, __ATOMIC_ACQ_REL) == 1;
  }
  explicit storage(block* b) noexcept : b_(b) {}

  // Small blocks that need no special alignment: the aligned operator new takes four times as long.
  template <std::size_t Align>
  static void* raw(std::size_t bytes) noexcept {
    if constexpr (Align <= __STDCPP_DEFAULT_NEW_ALIGNMENT__) return ::operator new(bytes, std::nothrow);
    else return ::operator new(bytes, std::align_val_t{Align}, std::nothrow);
  }
  template <std::size_t Align>
  static void free_raw(void* p) noexcept {
    if constexpr (Align <= __STDCPP_DEFAULT_NEW_ALIGNMENT__) ::operator delete(p);
    else ::operator delete(p, std::align_val_t{Align});
  }

  static void destroy_own(block* b) noexcept {
    const memory_source from = b->from;
    if (from.deallocate) from.deallocate(from.self, b, b->bytes + head, alignment);
    else ::operator delete(from.self);
  }

 public:
  storage() = default;
  storage(const storage& o) noexcept : b_(o.b_) {
    if (b_) share(b_);
  }
  storage(storage&& o) noexcept : b_(std::exchange(o.b_, nullptr)) {}
  storage& operator=(storage o) noexcept {
    swap(o);
    return *this;
  }
  ~storage() { reset(); }
  void swap(storage& o) noexcept { std::swap(b_, o.b_); }
  /// Lets go. Apart, because every holder of a tensor would carry a copy of it.
  [[gnu::noinline]] void reset() noexcept {
    if (block* const b = std::exchange(b_, nullptr); b && let_go(b)) b->destroy(b);
  }

  /// Fresh memory with undefined contents; `to` stays as it was on an error. Errors: no_memory, overflow.
  [[nodiscard]] static errc try_allocate(std::size_t bytes, storage& to, failure& why, memory_source from = {}) noexcept {
    const auto asked = static_cast<std::int64_t>(bytes);
    constexpr std::size_t spare = alignment - __STDCPP_DEFAULT_NEW_ALIGNMENT__;
    if (bytes > static_cast<std::size_t>(INT64_MAX) - head - spare)
      return detail::fail(why, errc::overflow, "allocate",
                          {.argument = "bytes", .got = asked, .expected = INT64_MAX, .relation = "at most "});
    void* p = nullptr;
#if TENON_EXCEPTIONS
    try {
#endif
      p = from.allocate ? from.allocate(from.self, bytes + head, alignment) : ::operator new(bytes + head + spare, std::nothrow);
#if TENON_EXCEPTIONS
    } catch (...) {  // a memory_source may throw what it likes: p is null then, too
    }
#endif
    if (!p) return detail::fail(why, errc::no_memory, "allocate", {.argument = "bytes", .got = 0, .expected = asked});
    if (!from.allocate) {  // aligned by hand: glibc before 2.38 takes four times as long where it is asked to
      from.self = p;
      p = reinterpret_cast<void*>((reinterpret_cast<std::uintptr_t>(p) + spare) & ~(alignment - 1));
    }
    block* b = new (p) block;
    b->destroy = destroy_own;
    b->data = static_cast<std::byte*>(p) + head;
    b->bytes = bytes;
    b->from = from;
    to = storage(b);
    return errc::ok;
  }
  /// Keeps `owner` alive for as long as `data` is used; `device` is the number of the device that `data` is on. Errors: no_memory, value
  /// (its move threw); `owner` is then as it was, or as its own move left it.
  template <class Owner>
  [[nodiscard]] static errc try_adopt(Owner&& owner, void* data, std::size_t bytes, storage& to, failure& why,
                                      std::int32_t device = 0) noexcept {
    static_assert(!std::is_lvalue_reference_v<Owner>, "[storage] ownership moves: pass std::move(owner)");
    using held = adopted<std::remove_cvref_t<Owner>>;
    void* p = raw<alignof(held)>(sizeof(held));
    if (!p)
      return detail::fail(why, errc::no_memory, "adopt",
                          {.argument = "bytes", .got = 0, .expected = static_cast<std::int64_t>(sizeof(held))});
    held* b = nullptr;
#if TENON_EXCEPTIONS
    if constexpr (!std::is_nothrow_constructible_v<held, Owner&&>) {
      try {
        b = new (p) held(std::move(owner));
      } catch (...) {
        free_raw<alignof(held)>(p);
        return detail::fail(why, errc::value, "adopt", {.argument = "the owner, whose move threw"});
      }
    } else
#endif
      b = new (p) held(std::move(owner));
    b->destroy = [](block* raw) noexcept {
      auto* whole = static_cast<held*>(raw);
      whole->~held();
      free_raw<alignof(held)>(whole);
    };
    b->device = device;
    b->data = data;
    b->bytes = bytes;
    to = storage(b);
    return errc::ok;
  }
#if TENON_EXCEPTIONS
  /// Errors: no_memory, overflow.
  [[nodiscard, gnu::noinline]] static storage allocate(std::size_t bytes, memory_source from = {}) {
    storage s;
    if (failure f; try_allocate(bytes, s, f, from) != errc::ok) [[unlikely]]
      detail::raise(f);
    return s;
  }
#endif

  /// Gives its share away as a pointer, which `attach` turns into a storage again.
  [[nodiscard]] void* detach() noexcept { return std::exchange(b_, nullptr); }
  [[nodiscard]] static storage attach(void* detached) noexcept { return storage(static_cast<block*>(detached)); }

  /// The room of its block, uninitialised, or null where it is taken already. A heap block is spared.
  [[nodiscard]] void* take_room() const noexcept {
    if (!b_) return nullptr;
    if (alone()) {
      if (std::exchange(b_->room_taken, true)) return nullptr;
    } else if (__atomic_exchange_n(&b_->room_taken, true, __ATOMIC_ACQUIRE)) {
      return nullptr;
    }
    return b_->room;
  }
  void give_room_back() const noexcept { __atomic_store_n(&b_->room_taken, false, __ATOMIC_RELEASE); }

  std::byte* data() const noexcept { return b_ ? static_cast<std::byte*>(b_->data) : nullptr; }
  std::size_t bytes() const noexcept { return b_ ? b_->bytes : 0; }
  /// The number of the device that the memory is on; 0 on the host.
  std::int32_t device() const noexcept { return b_ ? b_->device : 0; }
  explicit operator bool() const noexcept { return b_ != nullptr; }
  /// Whether nobody else holds it.
  bool sole() const noexcept { return b_ && __atomic_load_n(&b_->refs, __ATOMIC_ACQUIRE) == 1; }
};

/// How many bytes this process copied where a user might not expect it.
struct traffic {
  std::uint64_t copied = 0;  // at the doors: imports and exports that copy, clones, moves between devices
  std::uint64_t packed = 0;  // inside: strided or narrower inputs made dense
  std::uint64_t fresh_slots = 0;  // outputs that could not reuse a slot, because somebody still held it
};
namespace detail {
inline traffic traffic_counters;
inline void count(std::uint64_t traffic::* which, std::uint64_t n) noexcept {
  __atomic_fetch_add(&(traffic_counters.*which), n, __ATOMIC_RELAXED);
}
}  // namespace detail
/// The counters so far; subtract two readings.
inline traffic bytes_moved() noexcept {
  traffic t;
  t.copied = __atomic_load_n(&detail::traffic_counters.copied, __ATOMIC_RELAXED);
  t.packed = __atomic_load_n(&detail::traffic_counters.packed, __ATOMIC_RELAXED);
  t.fresh_slots = __atomic_load_n(&detail::traffic_counters.fresh_slots, __ATOMIC_RELAXED);
  return t;
}
/// When a copy may be made: never (an error instead), where it must, or always.
enum class copy_policy : std::uint8_t { never, if_needed, always };
}  // namespace tenon
