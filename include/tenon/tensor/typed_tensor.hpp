// SPDX-License-Identifier: Apache-2.0
// The owner of a typed view: an import that is not counted, so it takes no heap block and cannot be copied. `share()` makes a counted
// tensor of it.
#pragma once
#include <type_traits>
#include <utility>
#include "tenon/tensor/view_as.hpp"
namespace tenon {
namespace detail {
struct import_access;
struct owner_access;
template <managed_struct M>
void release_managed(void* m) noexcept {
  handle<M>(static_cast<M*>(m)).reset();
}
/// Owns a thing by its address and by how to let go of it.
class erased_owner {
  void* what_ = nullptr;
  void (*release_)(void*) noexcept = nullptr;

 public:
  erased_owner() = default;
  erased_owner(void* what, void (*release)(void*) noexcept) noexcept : what_(what), release_(release) {}
  erased_owner(erased_owner&& o) noexcept : what_(std::exchange(o.what_, nullptr)), release_(o.release_) {}
  erased_owner& operator=(erased_owner&& o) noexcept {
    void* const w = std::exchange(o.what_, nullptr);  // before letting go: o may be this one, or be owned by it
    auto* const release = o.release_;
    reset();
    what_ = w;
    release_ = release;
    return *this;
  }
  ~erased_owner() { reset(); }
  void reset() noexcept {
    void* const w = std::exchange(what_, nullptr);
    if (!w) return;
    using usual = dl::managed_tensor_versioned;  // spared a call
    release_ == release_managed<usual> ? release_managed<usual>(w) : release_(w);
  }
};
template <managed_struct M>
erased_owner erase(handle<M>& h) noexcept {
  return {h.release(), release_managed<M>};
}
inline erased_owner erase(storage& s) noexcept {
  return {s.detach(), [](void* block) noexcept { storage::attach(block).reset(); }};
}
}  // namespace detail

/// Owns what `view<T, extents<E...>, Tags...>` views. Moves, and does not copy.
template <class T, extent... E, class... Tags>
class tensor<T, extents<E...>, Tags...> {
 public:
  using element_type = T;
  using view_type = tenon::view<T, extents<E...>, Tags...>;

 private:
  view_type view_{};
  detail::erased_owner owner_{};
  friend detail::import_access;
  friend detail::owner_access;
  explicit tensor(detail::to_be_filled f) noexcept : view_(f) {}

 public:
  tensor() = default;
  tensor(const view_type& v, detail::erased_owner&& owner) noexcept : view_(v), owner_(std::move(owner)) {}
  tensor(tensor&& o) noexcept : view_(std::exchange(o.view_, {})), owner_(std::move(o.owner_)) {}
  tensor& operator=(tensor&& o) noexcept {
    const view_type v = std::exchange(o.view_, {});
    hold(v, std::move(o.owner_));
    return *this;
  }
  ~tensor() = default;

  explicit operator bool() const noexcept { return static_cast<bool>(view_); }
  const view_type& view() const& noexcept { return view_; }
  view_type view() const&& = delete;  // a view of a temporary would dangle: name the tensor first
  T* data() const noexcept { return view_.data(); }
  tenon::shape shape() const noexcept { return view_.shape(); }
  tenon::strides strides() const noexcept { return view_.strides(); }
  static constexpr int rank() noexcept { return view_type::rank(); }
  extent numel() const noexcept { return view_.numel(); }
  template <std::integral... I>
  decltype(auto) operator()(I... i) const noexcept {
    return view_(i...);
  }
  decltype(auto) operator[](extent i) const noexcept { return view_[i]; }

  /// Lets go of what it holds for `v` and whoever keeps that alive.
  void hold(const view_type& v, detail::erased_owner&& owner) noexcept {
    view_ = v;
    owner_ = std::move(owner);
  }
  /// Lets go of the memory.
  void reset() noexcept { hold({}, {}); }
  /// The same memory as a counted tensor on the host or on `Device`; this one is then empty. Errors: null_data, no_memory; nothing has then
  /// changed.
  template <class Device = cpu>
    requires(view_type::devices.size() == 1 && view_type::devices.contains(device_traits<Device>::type))
  [[nodiscard]] errc try_share(tensor<T, Device>& to, failure& why) noexcept {
    if (!view_.data() && view_.shape().numel() != 0)
      return detail::fail(why, errc::null_data, "share",
                          {.argument = "this tensor", .remedy = "It was never filled, or moved from."});
    storage s;
    const strided_view<T, Device> v(view_.data(), view_.shape(), view_.strides());
    const auto bytes = static_cast<std::size_t>(v.numel()) * sizeof(T);
    auto* p = const_cast<std::remove_const_t<T>*>(view_.data());
    if (const errc c = storage::try_adopt(std::move(owner_), p, bytes, s, why, view_.device().id); c != errc::ok) return c;
    view_ = {};
    to = tensor<T, Device>(std::move(s), v);
    return errc::ok;
  }
#if TENON_EXCEPTIONS
  template <class Device = cpu>
    requires(view_type::devices.size() == 1 && view_type::devices.contains(device_traits<Device>::type))
  [[nodiscard]] tensor<T, Device> share() && {
    tensor<T, Device> t;
    if (failure f; try_share(t, f) != errc::ok) [[unlikely]]
      detail::raise(f);
    return t;
  }
#endif
};

namespace detail {
struct owner_access {
  template <class T, class E, class... Tags>
  static erased_owner& of(tensor<T, E, Tags...>& t) noexcept {
    return t.owner_;
  }
};
}  // namespace detail

/// An owner, too, is adaptable, where the host can reach its memory.
template <class T, extent... E, class... Tags>
  requires(host_devices.contains(view<T, extents<E...>, Tags...>::devices))
struct adapter<tensor<T, extents<E...>, Tags...>> {
  using owner = tensor<T, extents<E...>, Tags...>;
  static T* data(const owner& t) { return t.data(); }
  static tenon::shape shape(const owner& t) { return t.shape(); }
  static tenon::strides strides(const owner& t) { return t.strides(); }
};

/// A typed view made exportable: `keep_alive` lives as long as anyone uses the tensor. Errors: no_memory.
template <class T, extent... E, class... Tags, class Owner>
[[nodiscard]] errc try_borrow(const view<T, extents<E...>, Tags...>& v, Owner&& keep_alive, tensor<T, extents<E...>, Tags...>& to,
                              failure& why) noexcept {
  static_assert(!std::is_lvalue_reference_v<Owner>, "[borrow] ownership moves: pass std::move(keep_alive), or a copy");
  storage s;  // an owner alone: what is viewed is in the view
  if (const errc c = storage::try_adopt(std::move(keep_alive), nullptr, 0, s, why); c != errc::ok) return c;
  to.hold(v, detail::erase(s));
  return errc::ok;
}
#if TENON_EXCEPTIONS
template <class T, extent... E, class... Tags, class Owner>
tensor<T, extents<E...>, Tags...> borrow(const view<T, extents<E...>, Tags...>& v, Owner keep_alive) {
  tensor<T, extents<E...>, Tags...> t;
  if (failure f; try_borrow(v, std::move(keep_alive), t, f) != errc::ok) [[unlikely]]
    detail::raise(f);
  return t;
}
#endif

namespace detail {
template <class T, class E, class... Tags, managed_struct M>
[[gnu::cold, gnu::noinline]] errc import_closely(handle<M>& h, tensor<T, E, Tags...>& to, failure& why,
                                                 const import_options& o) noexcept {
  using V = view<T, E, Tags...>;
  if (const errc c = check_handle(h, why); c != errc::ok) return c;
  array_ref a;
  storage copied;
  if (const errc c = admit(read_managed(*h), request_of_view<V>("from_dlpack"), o, a, copied, why); c != errc::ok) return c;
  if (copied) h.reset();
  to.hold(view_of<V>(a), copied ? erase(copied) : erase(h));
  return errc::ok;
}
/// The quick way in: false says nothing, and `v` may hold anything.
template <class V, managed_struct M>
[[gnu::always_inline]] inline bool comes_in_plainly(const handle<M>& h, const import_options& o, V& v) noexcept {
  if (!h || !plain(o)) [[unlikely]]
    return false;
  if constexpr (versioned_struct<M>) return h->version.major == dl::spoken.major && fits_plainly(h->dl_tensor, h->flags, true, v);
  else return fits_plainly(h->dl_tensor, 0, o.assume_writable, v);
}
#if TENON_EXCEPTIONS
template <class T, class E, class... Tags, managed_struct M>
[[gnu::cold, gnu::noinline]] void import_or_raise(handle<M>& h, tensor<T, E, Tags...>& to, const import_options& o) {
  if (failure f; import_closely(h, to, f, o) != errc::ok) raise(f);
}
struct import_access {
  template <class T, class E, class... Tags, managed_struct M>
  [[gnu::always_inline]] static tensor<T, E, Tags...> make(handle<M>& h, const import_options& o) {
    tensor<T, E, Tags...> t{to_be_filled{}};
    if (comes_in_plainly(h, o, t.view_)) [[likely]]
      t.owner_ = erase(h);
    else import_or_raise(h, t, o);
    return t;
  }
};
#endif
}  // namespace detail

/// Imports into the type: what it promises is checked, the memory is owned without a heap block.
/// `auto rows = tenon::from_dlpack<const float, tenon::extents<tenon::dyn, 3>>(tenon::own(raw))`. Ownership and errors are those of the
/// untyped form, and extent, not_dense.
template <class T, class E, class... Tags, managed_struct M>
  requires detail::is_extents<E>
[[nodiscard]] errc try_from_dlpack(handle<M>& h, tensor<T, E, Tags...>& to, failure& why, const import_options& o = {}) noexcept {
  if (view<T, E, Tags...> v{detail::to_be_filled{}}; detail::comes_in_plainly(h, o, v)) [[likely]] {
    to.hold(v, detail::erase(h));
    return errc::ok;
  }
  return detail::import_closely(h, to, why, o);
}
#if TENON_EXCEPTIONS
/// As try_from_dlpack, throwing tenon::error; the handle then still owns.
template <class T, class E, class... Tags, managed_struct M>
  requires detail::is_extents<E>
[[nodiscard]] tensor<T, E, Tags...> from_dlpack(handle<M>&& h, const import_options& o) {
  return detail::import_access::make<T, E, Tags...>(h, o);
}
template <class T, class E, class... Tags, managed_struct M>
  requires detail::is_extents<E>
[[nodiscard]] tensor<T, E, Tags...> from_dlpack(handle<M>&& h) {
  return detail::import_access::make<T, E, Tags...>(h, import_options{});
}
#endif
}  // namespace tenon
