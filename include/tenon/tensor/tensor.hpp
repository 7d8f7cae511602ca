// SPDX-License-Identifier: Apache-2.0
// Tensors own: a view with whoever keeps its memory alive. `tensor<T>` knows its element type, `tensor<>` learns it at run time.
#pragma once
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>
#include "tenon/tensor/layout.hpp"
#include "tenon/tensor/pack.hpp"
#include "tenon/tensor/storage.hpp"
#include "tenon/tensor/view.hpp"
namespace tenon {
template <class T = void, class Device = cpu, class... Promises>
class tensor;

namespace detail {
/// How a copy is made.
struct copy_form {
  const char* operation = "copy";
  std::size_t aligned_to = alignment;
  bool column_major = false;
  memory_source from{};
};
/// Fresh host memory without gaps that holds the elements of `a`, which was checked; `a` then describes it. Counted. Errors: device,
/// overflow, no_memory; nothing has then changed.
[[nodiscard]] inline errc dense_copy(array_ref& a, storage& to, failure& why, const copy_form& form = {}) noexcept {
  if (!host_devices.contains(a.device.type))
    return fail(why, errc::device, form.operation,
                {.argument = "what is to be copied", .got = a.device.packed(), .expected = device{}.packed()});
  const auto bytes = static_cast<std::size_t>(a.bytes());
  const std::size_t spare = form.aligned_to > alignment ? form.aligned_to : 0;
  if (const errc c = storage::try_allocate(bytes + spare, to, why, form.from); c != errc::ok) return c;
  std::byte* p = to.data();
  if (spare) p += (spare - reinterpret_cast<std::uintptr_t>(p) % spare) % spare;
  array_ref from = a;
  const int n = a.shape.rank();
  if (form.column_major)  // is row-major with the axes in reverse
    for (int i = 0; i < n; ++i) {
      from.shape.d[i] = a.shape.d[n - 1 - i];
      from.strides.d[i] = a.strides.d[n - 1 - i];
    }
  pack(p, from);
  count(&traffic::copied, bytes);
  const strides dense = dense_strides(from.shape);
  for (int i = 0; i < n; ++i) a.strides.d[i] = dense.d[form.column_major ? n - 1 - i : i];
  a.data = p;
  a.device = {};
  a.read_only = false;
  return errc::ok;
}
}  // namespace detail

/// An array of known element type that keeps its memory alive. Copies share the memory.
template <class T, class Device, class... Promises>
class tensor {
  static_assert(sizeof...(Promises) == 0, "[tensor] the extents come first: tenon::tensor<T, tenon::extents<…>, …>");
  strided_view<T, Device> view_;
  extent n_ = 0;
  bool dense_ = true, read_only_ = std::is_const_v<T>;
  std::uint64_t stamp_ = 0;
  storage owner_;  // assigned last: what it lets go of may own the tensor that is assigned

 public:
  using element_type = T;
  using device_type = Device;
  tensor() = default;
  [[gnu::noinline]] tensor(storage owner, const strided_view<T, Device>& v, bool read_only = std::is_const_v<T>,
                           std::uint64_t stamp = 0) noexcept
      : view_(v), n_(v.numel()), dense_(v.dense()), read_only_(read_only || std::is_const_v<T>), stamp_(stamp),
        owner_(std::move(owner)) {}
  template <class U>
    requires std::same_as<const U, T>
  tensor(const tensor<U, Device>& o) noexcept : tensor(o.owner(), o.strided(), o.read_only(), o.stamp()) {}
  tensor(const tensor&) = default;
  tensor& operator=(const tensor&) = default;
  [[gnu::noinline]] tensor(tensor&& o) noexcept
      : view_(o.view_), n_(o.n_), dense_(o.dense_), read_only_(o.read_only_), stamp_(o.stamp_), owner_(std::move(o.owner_)) {
    o.reset();  // what was moved from is empty
  }
  [[gnu::noinline]] tensor& operator=(tensor&& o) noexcept {
    if (this != &o) {
      view_ = o.view_;
      n_ = o.n_;
      dense_ = o.dense_;
      read_only_ = o.read_only_;
      stamp_ = o.stamp_;
      storage taken = std::move(o.owner_);
      o.reset();
      owner_ = std::move(taken);
    }
    return *this;
  }
  ~tensor() = default;
  /// Lets go of the memory.
  [[gnu::noinline]] void reset() noexcept {
    const tensor empty;
    *this = empty;
  }
  /// Fresh zeroed host memory. Errors: negative_extent, overflow, no_memory; `to` is then untouched.
  [[nodiscard]] static errc try_zeros(const tenon::shape& s, tensor& to, failure& why, memory_source from = {}) noexcept
    requires(std::same_as<Device, cpu> && !std::is_const_v<T> && std::is_nothrow_default_constructible_v<T>)
  {
    static_assert(alignof(T) <= alignment,
                  "[tensor] fresh memory lies on 64-byte boundaries, which is too little for this element");
    for (int i = 0; i < s.rank(); ++i)
      if (s[i] < 0)
        return detail::fail(why, errc::negative_extent, "tensor",
                            {.argument = "shape", .axis = i, .got = s[i], .expected = 0, .relation = "at least "});
    const extent bytes = detail::saturating_mul(s.numel(), static_cast<extent>(sizeof(T)));
    storage m;
    if (const errc c = storage::try_allocate(static_cast<std::size_t>(bytes), m, why, from); c != errc::ok) return c;
    auto* p = reinterpret_cast<T*>(m.data());
    for (extent i = 0, n = s.numel(); i < n; ++i) new (p + i) T();
    to = tensor(std::move(m), tenon::view<T>(p, s));
    return errc::ok;
  }
#if TENON_EXCEPTIONS
  /// As try_zeros, throwing tenon::error.
  explicit tensor(const tenon::shape& s, memory_source from = {})
    requires(std::same_as<Device, cpu> && !std::is_const_v<T>)
  {
    if (failure f; try_zeros(s, *this, f, from) != errc::ok) [[unlikely]]
      detail::raise(f);
  }
  /// The dense view. Errors: not_dense.
  tenon::view<T, Device> view() const& {
    if (!dense_) [[unlikely]]
      detail::raise(
          errc::not_dense, "tensor.view",
          {.argument = "this tensor", .remedy = "Take a dense copy with tenon::copy(t), or read it through t.strided()."});
    return {view_.data(), view_.shape()};
  }
  tenon::view<T, Device> view() const&& = delete;  // a view of a temporary would dangle: name the tensor first
  operator tenon::view<T, Device>() const& { return view(); }
  operator tenon::view<const T, Device>() const&
    requires(!std::is_const_v<T>)
  {
    return view();
  }
#endif

  explicit operator bool() const noexcept { return view_.data() != nullptr; }
  T* data() const noexcept { return view_.data(); }
  const tenon::shape& shape() const noexcept { return view_.shape(); }
  const tenon::strides& strides() const noexcept { return view_.strides(); }
  extent numel() const noexcept { return n_; }
  int rank() const noexcept { return view_.rank(); }
  bool dense() const noexcept { return dense_; }
  /// Exported with DLPack's read-only flag: the producer said so, or a backward will read it.
  bool read_only() const noexcept { return read_only_; }
  const storage& owner() const noexcept { return owner_; }
  /// Which forward it belongs to; 0 for none.
  std::uint64_t stamp() const noexcept { return stamp_; }
  const strided_view<T, Device>& strided() const noexcept { return view_; }

  /// Element in row-major order, whatever the strides. Loops that matter take view() first.
  T& operator[](extent i) const noexcept {
    static_assert(detail::expect_host<Device>());
    if (dense_) [[likely]]
      return view_.data()[i];
    return view_.data()[detail::offset_of(i, shape(), strides())];
  }
  /// Element by one index an axis.
  template <std::integral... I>
    requires(sizeof...(I) > 1)
  T& operator()(I... i) const noexcept {
    return view_(i...);
  }
  [[gnu::noinline]] array_ref describe() const noexcept {
    using bare = std::remove_const_t<T>;
    const tenon::device where{device_traits<Device>::type, device_traits<Device>::host_accessible ? 0 : owner_.device()};
    return {const_cast<bare*>(data()), dtype_of<bare>::value, where, shape(), strides(), read_only_};
  }
};

/// An array whose element type is known at run time.
template <class Device>
class tensor<void, Device> {
  array_ref array_;
  std::uint64_t stamp_ = 0;
  storage owner_;  // assigned last, as above

 public:
  using element_type = void;
  tensor() = default;
  tensor(storage owner, const array_ref& a, std::uint64_t stamp = 0) noexcept
      : array_(a), stamp_(stamp), owner_(std::move(owner)) {}
  template <class T>
    requires(!std::is_void_v<T>)
  tensor(const tensor<T, Device>& t) noexcept : tensor(t.owner(), t.describe(), t.stamp()) {}
  tensor(const tensor&) = default;
  tensor& operator=(const tensor&) = default;
  [[gnu::noinline]] tensor(tensor&& o) noexcept : tensor(static_cast<const tensor&>(o)) {
    o.reset();
  }  // what was moved from is empty
  [[gnu::noinline]] tensor& operator=(tensor&& o) noexcept {
    if (this != &o) {
      array_ = o.array_;
      stamp_ = o.stamp_;
      storage taken = std::move(o.owner_);
      o.reset();
      owner_ = std::move(taken);
    }
    return *this;
  }
  ~tensor() = default;
  /// Lets go of the memory.
  [[gnu::noinline]] void reset() noexcept {
    array_ = {};
    stamp_ = 0;
    owner_.reset();
  }

  explicit operator bool() const noexcept { return array_.data != nullptr; }
  void* data() const noexcept { return array_.data; }
  const tenon::shape& shape() const noexcept { return array_.shape; }
  const tenon::strides& strides() const noexcept { return array_.strides; }
  tenon::dtype dtype() const noexcept { return array_.dtype; }
  tenon::device device() const noexcept { return array_.device; }
  extent numel() const noexcept { return array_.data ? array_.shape.numel() : 0; }
  int rank() const noexcept { return array_.shape.rank(); }
  bool dense() const noexcept { return array_.dense(); }
  bool read_only() const noexcept { return array_.read_only; }
  const storage& owner() const noexcept { return owner_; }
  std::uint64_t stamp() const noexcept { return stamp_; }
  const array_ref& describe() const noexcept { return array_; }

  /// The same memory with its element type in the C++ type. Errors: dtype, alignment, read_only (ask for `const T`).
  template <element T>
  [[nodiscard]] errc try_as(tensor<T, Device>& to, failure& why) const noexcept {
    using bare = std::remove_const_t<T>;
    if (array_.dtype != dtype_of<bare>::value)
      return detail::fail(why, errc::dtype, "tensor.as",
                          {.argument = "this tensor", .got = array_.dtype.packed(), .expected = dtype_of<bare>::value.packed()});
    if (const auto off = reinterpret_cast<std::uintptr_t>(array_.data) % alignof(T))
      return detail::fail(why, errc::alignment, "tensor.as",
                          {.argument = "address of the first element, modulo its alignment",
                           .got = static_cast<std::int64_t>(off),
                           .expected = 0,
                           .remedy = "Take a copy with tenon::copy(t)."});
    if (!std::is_const_v<T> && array_.read_only)
      return detail::fail(why, errc::read_only, "tensor.as", {.argument = "this tensor", .remedy = "Ask for as<const T>()."});
    to = tensor<T, Device>(owner_, strided_view<T, Device>(static_cast<T*>(array_.data), array_.shape, array_.strides),
                           array_.read_only, stamp_);
    return errc::ok;
  }
#if TENON_EXCEPTIONS
  template <element T>
  tensor<T, Device> as() const {
    tensor<T, Device> t;
    if (failure f; try_as<T>(t, f) != errc::ok) [[unlikely]]
      detail::raise(f);
    return t;
  }
#endif
};

template <class>
inline constexpr bool is_tensor = false;
template <class T, class D>
  requires(!detail::is_extents<D>)
inline constexpr bool is_tensor<tensor<T, D>> = true;

template <class T, class Device>
  requires(!std::is_void_v<T> && !detail::is_extents<Device>)
struct adapter<tensor<T, Device>> {
  static T* data(const tensor<T, Device>& t) { return t.data(); }
  static const tenon::shape& shape(const tensor<T, Device>& t) { return t.shape(); }
  static const tenon::strides& strides(const tensor<T, Device>& t) { return t.strides(); }
  using device_type = Device;
};

namespace detail {
/// What a tensor of either kind, or anything adaptable, says of itself. Nothing of that is checked, no element is touched.
template <class X>
array_ref describe(X& x) {
  using bare = std::remove_const_t<X>;
  if constexpr (is_tensor<bare>) {
    return x.describe();
  } else if constexpr (requires { requires is_extents<typename bare::view_type::extents_type>; }) {
    return describe(x.view());
  } else if constexpr (requires { requires is_extents<typename bare::extents_type>; }) {  // a typed view, which knows its device
    using T = typename bare::element_type;
    return {const_cast<std::remove_const_t<T>*>(x.data()),
            dtype_of<std::remove_const_t<T>>::value,
            x.device(),
            x.shape(),
            x.strides(),
            std::is_const_v<T>};
  } else {
    static_assert(expect_adaptable<X&>());
    if constexpr (describable<X&>) {
      using T = adapted_element<X>;
      const shape& s = adapter<bare>::shape(x);
      return {const_cast<std::remove_const_t<T>*>(adapter<bare>::data(x)),
              dtype_of<std::remove_const_t<T>>::value,
              adapted_device<bare>(x),
              s,
              adapted_strides<bare>(x, s),
              std::is_const_v<T>};
    } else {
      return {};
    }
  }
}
}  // namespace detail

/// A view made exportable: `keep_alive` (a shared_ptr, a handle, a container …) lives as long as anyone uses the tensor.
/// `number`: of the device that it is on. Errors: no_memory.
template <class T, class Device, class Owner>
[[nodiscard]] errc try_borrow(const strided_view<T, Device>& v, Owner&& keep_alive, tensor<T, Device>& to, failure& why,
                              std::int32_t number = 0) noexcept {
  static_assert(!std::is_lvalue_reference_v<Owner>, "[borrow] ownership moves: pass std::move(keep_alive), or a copy");
  storage s;
  auto* data = const_cast<std::remove_const_t<T>*>(v.data());
  const auto bytes = static_cast<std::size_t>(detail::saturating_mul(v.numel(), static_cast<extent>(sizeof(T))));
  if (const errc c = storage::try_adopt(std::move(keep_alive), data, bytes, s, why, number); c != errc::ok) return c;
  to = tensor<T, Device>(std::move(s), v);
  return errc::ok;
}
/// A dense host copy of anything adaptable, counted in bytes_moved().copied.
/// Errors: negative_extent, overflow, null_data, alignment, device, no_memory; `to` is then untouched.
template <class X, class T>
  requires std::same_as<T, std::remove_const_t<detail::adapted_element<const X>>>
[[nodiscard]] errc try_copy(const X& x, tensor<T>& to, failure& why, memory_source from = {}) noexcept {
  array_ref a = detail::describe(x);
  if (const errc c = detail::check_layout("copy", a, alignof(T), why); c != errc::ok) return c;
  storage m;
  const detail::copy_form form{.aligned_to = alignof(T) > alignment ? alignof(T) : alignment, .from = from};
  if (const errc c = detail::dense_copy(a, m, why, form); c != errc::ok) return c;
  to = tensor<T>(std::move(m), tenon::view<T>(static_cast<T*>(a.data), a.shape));
  return errc::ok;
}
/// The same where the element type is known at run time.
[[nodiscard]] inline errc try_copy(const tensor<void>& x, tensor<void>& to, failure& why, memory_source from = {}) noexcept {
  array_ref a = x.describe();
  if (!a.data && x.shape().numel() != 0) return detail::fail(why, errc::null_data, "copy", {.argument = "x"});
  storage m;
  if (const errc c = detail::dense_copy(a, m, why, {.from = from}); c != errc::ok) return c;
  to = tensor<void>(std::move(m), a);
  return errc::ok;
}
#if TENON_EXCEPTIONS
/// As try_borrow, throwing tenon::error.
template <class T, class Device, class Owner>
tensor<T, Device> borrow(const strided_view<T, Device>& v, Owner keep_alive, std::int32_t number = 0) {
  tensor<T, Device> t;
  if (failure f; try_borrow(v, std::move(keep_alive), t, f, number) != errc::ok) [[unlikely]]
    detail::raise(f);
  return t;
}
template <class T, class Device, class Owner>
  requires(!detail::is_extents<Device>)
tensor<T, Device> borrow(const view<T, Device>& v, Owner keep_alive, std::int32_t number = 0) {
  return borrow(strided_view<T, Device>(v), std::move(keep_alive), number);
}
/// As try_copy, throwing tenon::error.
template <class X>
auto copy(const X& x, memory_source from = {}) {
  static_assert(expect_adaptable<const X&>());
  if constexpr (detail::describable<const X&>) {
    tensor<std::remove_const_t<detail::adapted_element<const X>>> t;
    if (failure f; try_copy(x, t, f, from) != errc::ok) [[unlikely]]
      detail::raise(f);
    return t;
  }
}
inline tensor<void> copy(const tensor<void>& x, memory_source from = {}) {
  tensor<void> t;
  if (failure f; try_copy(x, t, f, from) != errc::ok) [[unlikely]]
    detail::raise(f);
  return t;
}
#endif
}  // namespace tenon
