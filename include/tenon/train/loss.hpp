// SPDX-License-Identifier: Apache-2.0
// Losses: `auto [l, dy] = loss(y, target)` gives the mean and its gradient, `loss.value(y, target)` the mean alone. They take
// what the network gives: cross_entropy takes logits, no layer has a switch for it. A loss object keeps the memory of its last
// dy and writes the next one there where nobody holds it: no heap call from the second step on. One object may serve threads.
#pragma once
#include <cmath>
#include <cstddef>
#include <type_traits>
#include <utility>
#include "tenon/core/precision.hpp"
#include "tenon/train/targets.hpp"
namespace tenon {
#if TENON_EXCEPTIONS
/// The mean loss, summed in double: `double total = l;`, `float(l)`.
struct loss_value {
  double v = 0;
  constexpr explicit operator float() const { return static_cast<float>(v); }
  constexpr operator double() const { return v; }
};
/// T is void where y is a tensor<>. dy has y's shape and stamp.
template <class T>
struct loss_result {
  loss_value loss;
  tensor<T> dy;
};

namespace detail {
/// Memory used again when nobody else holds it. Copies of the owner begin with none.
class reusable_slot {
  mutable storage kept_;
  mutable unsigned busy_ = 0;
  bool lock() const noexcept { return !__atomic_exchange_n(&busy_, 1u, __ATOMIC_ACQUIRE); }
  void unlock() const noexcept { __atomic_store_n(&busy_, 0u, __ATOMIC_RELEASE); }

 public:
  reusable_slot() = default;
  reusable_slot(const reusable_slot&) noexcept {}
  reusable_slot& operator=(const reusable_slot&) noexcept { return *this; }
  /// At least `bytes` that nobody else holds. Errors: no_memory.
  [[gnu::noinline]] storage take(std::size_t bytes) const {
    storage s;
    const bool mine = lock();
    if (mine) {
      s = std::move(kept_);
      unlock();
    }
    if (s.sole() && s.bytes() >= bytes) return s;
    if (!mine || (s && !s.sole())) count(&traffic::fresh_slots, 1);
    return storage::allocate(bytes);
  }
  [[gnu::noinline]] void keep(const storage& s) const noexcept {
    if (!lock()) return;
    storage old = std::exchange(kept_, s);
    unlock();
  }
};

/// What the losses share. `Self` has check(y, target, failure&) and rows<T>(y, target, T* dy or null, scratch row).
template <class Self>
class loss_base {
  reusable_slot slot_;

  template <class T>
  static double run(const array_ref& y, const array_ref& target, storage* to) {
    using C = compute_of_t<T>;
    auto* dy = to ? reinterpret_cast<T*>(to->data()) : nullptr;
    auto* row = to ? reinterpret_cast<C*>(to->data() + dy_bytes(y)) : nullptr;
    return Self::template rows<T>(y, target, dy, row);
  }
  static std::size_t dy_bytes(const array_ref& y) {  // rounded up, so that the scratch row behind is aligned
    return static_cast<std::size_t>(y.shape.numel() * y.dtype.bytes() + 63) / 64 * 64;
  }
  [[gnu::cold, gnu::noinline]] static void check(const array_ref& y, const array_ref& target) {
    failure f;
    if (check_host(y, Self::name, "y", f) != errc::ok || check_host(target, Self::name, Self::target, f) != errc::ok) raise(f);
    if (!y.dense()) raise(errc::not_dense, Self::name, {.argument = "y"});
    if (y.shape.rank() > 0 && y.shape[0] == 0)
      raise(errc::empty_batch, Self::name, {.argument = "y", .axis = 0, .got = 0, .expected = 1, .relation = "at least "});
    if (Self::check(y, target, f) != errc::ok) raise(f);
  }
  template <class T>
  static double evaluate(const array_ref& y, const array_ref& target, storage* to) {
    if constexpr (!std::is_void_v<T>) return run<T>(y, target, to);
    else if (y.dtype == float32) return run<float>(y, target, to);
    else if (y.dtype == float64) return run<double>(y, target, to);
    else if (y.dtype == bfloat16_dtype) return run<bfloat16>(y, target, to);
    else raise(errc::dtype, Self::name, {.argument = "y", .got = y.dtype.packed(), .expected = float32.packed()});
  }

 public:
  /// The mean loss and its gradient. Errors: see the loss; all of them before anything is written; and no_memory.
  template <class T, class Target>
  loss_result<std::remove_const_t<T>> operator()(const tensor<T>& y, const Target& target) const {
    using bare = std::remove_const_t<T>;
    array_ref a = y.describe();
    const array_ref t = describe_any(target);
    check(a, t);
    storage to = slot_.take(dy_bytes(a) + Self::row_bytes(a));
    const double l = evaluate<bare>(a, t, &to);
    slot_.keep(to);
    if constexpr (std::is_void_v<T>) {
      a.data = to.data();
      a.strides = dense_strides(a.shape);
      a.read_only = false;
      return {{l}, tensor<>(std::move(to), a, y.stamp())};
    } else {
      auto* dy = reinterpret_cast<bare*>(to.data());
      return {{l}, tensor<bare>(std::move(to), view<bare>(dy, a.shape), false, y.stamp())};
    }
  }
  /// The mean loss alone: no memory is taken. Errors: as above.
  template <class T, class Target>
  loss_value value(const tensor<T>& y, const Target& target) const {
    const array_ref a = y.describe(), t = describe_any(target);
    check(a, t);
    return {evaluate<std::remove_const_t<T>>(a, t, nullptr)};
  }
};
}  // namespace detail

/// Mean over rows of −Σ target · log softmax(y), as torch.nn.functional.cross_entropy. y is [batch, …, classes] logits; target
/// is one integer a row (any container or view of integers), or probabilities in y's shape.
/// dy = (softmax(y) · Σ target − target) / rows.
/// Errors: empty_batch, rank (y has no class axis), too_small (no class), extent (number of labels), label (`labels[17]`), rank
/// and extent (probabilities), dtype, device, null_data, not_dense (y). NaN and infinite logits give a loss of NaN.
class cross_entropy : public detail::loss_base<cross_entropy> {
  friend loss_base<cross_entropy>;
  static constexpr const char *name = "cross_entropy", *target = "labels";

  static errc check(const array_ref& y, const array_ref& labels, failure& f);
  /// Exponentials of one row, where T itself is too coarse for them.
  static std::size_t row_bytes(const array_ref& y) {
    return y.dtype.bits < 32 ? static_cast<std::size_t>(y.shape[-1]) * sizeof(float) : 0;
  }
  template <class T>
  static double rows(const array_ref& y, const array_ref& labels, T* dy, compute_of_t<T>* scratch);
};

/// Mean over all elements of (y − target)², as torch.nn.functional.mse_loss; target is real numbers in y's shape.
/// dy = 2 (y − target) / elements. Errors: empty_batch, too_small (no element), rank, extent, dtype, device, null_data,
/// not_dense (y).
class mse : public detail::loss_base<mse> {
  friend loss_base<mse>;
  static constexpr const char *name = "mse", *target = "target";

  static errc check(const array_ref& y, const array_ref& t, failure& f);
  static std::size_t row_bytes(const array_ref&) { return 0; }
  template <class T>
  static double rows(const array_ref& y, const array_ref& t, T* dy, compute_of_t<T>*);
};

[[gnu::cold]] inline errc cross_entropy::check(const array_ref& y, const array_ref& labels, failure& f) {
  if (y.shape.rank() < 2)
    return detail::fail(f, errc::rank, name, {.argument = "y", .got = y.shape.rank(), .expected = 2, .relation = "at least "});
  const extent classes = y.shape[-1];
  if (classes == 0)
    return detail::fail(f, errc::too_small, name,
                        {.argument = "y", .axis = y.shape.rank() - 1, .got = 0, .expected = 1, .relation = "at least "});
  const extent rows = y.shape.numel() / classes;
  if (rows == 0)
    return detail::fail(f, errc::empty_batch, name, {.argument = "y", .got = 0, .expected = 1, .relation = "at least "});
  if (detail::is_real(labels.dtype)) {
    const errc c = detail::check_shape(labels.shape, y.shape, name, "probabilities", f);
    if (c == errc::rank) f.remedy = "Class numbers are integers: a target of real numbers is probabilities, in y's shape.";
    return c;
  }
  if (!detail::is_integer(labels.dtype))
    return detail::fail(f, errc::dtype, name, {.argument = target, .got = labels.dtype.packed(), .expected = int32.packed()});
  if (const extent n = labels.shape.numel(); n != rows)
    return detail::fail(f, errc::extent, name, {.argument = "number of labels", .got = n, .expected = rows});
  const detail::numbers label(labels);
  for (extent i = 0; i < rows; ++i)
    if (const std::int64_t k = label.integer(i); k < 0 || k >= classes) [[unlikely]]
    {
      detail::text_buffer which;
      which << "labels[" << i << "]";
      return detail::fail(f, errc::label, name,
                          {.argument = which.c_str(), .got = k, .expected = classes, .relation = "0 or more and below "});
    }
  return errc::ok;
}

template <class T>
[[gnu::noinline]] double cross_entropy::rows(const array_ref& logits, const array_ref& labels, T* dy, compute_of_t<T>* scratch) {
  using C = compute_of_t<T>;
  const auto* y = static_cast<const T*>(logits.data);
  const extent classes = logits.shape[-1], m = logits.shape.numel() / classes;
  const bool indices = detail::is_integer(labels.dtype);
  const detail::numbers wanted(labels);
  const auto at = [](const T& v) { return static_cast<C>(v); };
  double sum = 0;
  for (extent i = 0; i < m; ++i, y += classes) {
    C top = at(y[0]);
    for (extent j = 1; j < classes; ++j) top = at(y[j]) > top ? at(y[j]) : top;
    C* e = nullptr;  // the exponentials: in dy's own row where it can hold them
    if constexpr (std::is_same_v<T, C>) e = dy ? dy + i * classes : nullptr;
    else e = dy ? scratch : nullptr;
    const extent k = indices ? wanted.integer(i) : -1;
    double others = 0, own = 0;  // Σ exp(y − top) without and of the label: their sum apart keeps small losses exact
    for (extent j = 0; j < classes; ++j) {
      const C v = std::exp(at(y[j]) - top);
      if (e) e[j] = v;
      (j == k ? own : others) += static_cast<double>(v);
    }
    const double z = others + own, log_z = std::log(z);
    double weight = 1;  // Σ target
    if (indices) {
      const double below = static_cast<double>(top) - static_cast<double>(at(y[k]));
      sum += below == 0 ? std::log1p(others) : below + log_z;
    } else {
      weight = 0;
      for (extent j = 0; j < classes; ++j) {
        const double t = wanted.real(i * classes + j);
        weight += t;
        sum += t * (log_z - (static_cast<double>(at(y[j])) - static_cast<double>(top)));
      }
    }
    if (!e) continue;
    const C share = static_cast<C>(weight / z / static_cast<double>(m));
    T* d = dy + i * classes;
    if (indices) {
      for (extent j = 0; j < classes; ++j) d[j] = static_cast<T>(e[j] * share);
      d[k] = static_cast<T>(-others / z / static_cast<double>(m));
    } else {
      for (extent j = 0; j < classes; ++j)
        d[j] = static_cast<T>(e[j] * share - static_cast<C>(wanted.real(i * classes + j) / static_cast<double>(m)));
    }
  }
  return sum / static_cast<double>(m);
}

[[gnu::cold]] inline errc mse::check(const array_ref& y, const array_ref& t, failure& f) {
  if (y.shape.numel() == 0)
    return detail::fail(f, errc::too_small, name, {.argument = "y", .got = 0, .expected = 1, .relation = "at least "});
  if (!detail::is_real(t.dtype))
    return detail::fail(f, errc::dtype, name, {.argument = target, .got = t.dtype.packed(), .expected = y.dtype.packed()});
  return detail::check_shape(t.shape, y.shape, name, target, f);
}

template <class T>
[[gnu::noinline]] double mse::rows(const array_ref& a, const array_ref& t, T* dy, compute_of_t<T>*) {
  const auto* y = static_cast<const T*>(a.data);
  const extent n = a.shape.numel();
  const double scale = 2 / static_cast<double>(n);
  const detail::numbers wanted(t);
  double sum = 0;
  for (extent i = 0; i < n; ++i) {
    const double d = static_cast<double>(static_cast<compute_of_t<T>>(y[i])) - wanted.real(i);
    sum += d * d;
    if (dy) dy[i] = static_cast<T>(scale * d);
  }
  return sum / static_cast<double>(n);
}
#endif
}  // namespace tenon
