// SPDX-License-Identifier: Apache-2.0
// Losses: `auto [l, dy] = loss(y, target)` gives the mean and its gradient, `loss.value(y, target)` the mean alone. They take
// what the network gives: cross_entropy takes logits, no layer has a switch for it. A loss object keeps the memory of its last
// dy and writes the next one there where nobody holds it: no heap call from the second step on. One object may serve threads.
#pragma once
#include <cstddef>
#include <type_traits>
#include <utility>
#include "tenon/core/maths.hpp"
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
      s.swap(kept_);
      unlock();
    }
    const bool sole = s.sole();
    if (sole && s.bytes() >= bytes) return s;
    if (!mine || (s && !sole)) count(&traffic::fresh_slots, 1);
    return storage::allocate(bytes);
  }
  [[gnu::noinline]] void keep(const storage& s) const noexcept {
    if (!lock()) return;
    storage fresh = s;
    fresh.swap(kept_);
    unlock();  // what was kept before goes after this
  }
};

/// What the losses share. `Self` has check(y, target, failure&) and rows<T>(y, target, memory of dy and a scratch row, or null).
template <class Self>
class loss_base {
  reusable_slot slot_;

  [[gnu::noinline]] static void check(const array_ref& y, const array_ref& target) {
    failure f;
    if (check_host(y, Self::name, "y", f) != errc::ok || check_host(target, Self::name, Self::target, f) != errc::ok) raise(f);
    if (!y.dense()) raise(errc::not_dense, Self::name, {.argument = "y"});
    if (y.shape.rank() > 0 && y.shape[0] == 0)
      raise(errc::empty_batch, Self::name, {.argument = "y", .axis = 0, .got = 0, .expected = 1, .relation = "at least "});
    if (Self::check(y, target, f) != errc::ok) raise(f);
  }
  template <class T>
  static double evaluate(const array_ref& y, const array_ref& target, std::byte* to) {
    if constexpr (!std::is_void_v<T>) return Self::template rows<T>(y, target, to);
    else if (y.dtype == float32) return Self::template rows<float>(y, target, to);
    else if (y.dtype == float64) return Self::template rows<double>(y, target, to);
    else if (y.dtype == bfloat16_dtype) return Self::template rows<bfloat16>(y, target, to);
    else raise(errc::dtype, Self::name, {.argument = "y", .got = y.dtype.packed(), .expected = float32.packed()});
  }
  template <class T>
  [[gnu::noinline]] loss_result<T> run(const array_ref& y, const array_ref& target, std::uint64_t stamp) const {
    check(y, target);
    storage to = slot_.take(dy_bytes(y) + Self::row_bytes(y));
    const double l = evaluate<T>(y, target, to.data());
    slot_.keep(to);
    const strides by = dense_strides(y.shape);
    if constexpr (std::is_void_v<T>) {
      const array_ref dy{to.data(), y.dtype, y.device, y.shape, by, false};
      return {{l}, tensor<>(std::move(to), dy, stamp)};
    } else {
      const strided_view<T> dy(reinterpret_cast<T*>(to.data()), y.shape, by);
      return {{l}, tensor<T>(std::move(to), dy, false, stamp)};
    }
  }

 protected:
  static std::size_t dy_bytes(const array_ref& y) {  // rounded up, so that the scratch row behind is aligned
    return static_cast<std::size_t>(y.shape.numel() * y.dtype.bytes() + 63) / 64 * 64;
  }

 public:
  /// The mean loss and its gradient. Errors: see the loss; all of them before anything is written; and no_memory.
  template <class T, class Target>
  loss_result<std::remove_const_t<T>> operator()(const tensor<T>& y, const Target& target) const {
    return run<std::remove_const_t<T>>(y.describe(), detail::describe(target), y.stamp());
  }
  /// The mean loss alone: no memory is taken. Errors: as above.
  template <class T, class Target>
  loss_value value(const tensor<T>& y, const Target& target) const {
    const array_ref a = y.describe(), t = detail::describe(target);
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
  static double rows(const array_ref& y, const array_ref& labels, std::byte* to);
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
  static double rows(const array_ref& y, const array_ref& t, std::byte* to);
};

[[gnu::noinline]] inline errc cross_entropy::check(const array_ref& y, const array_ref& labels, failure& f) {
  const int rank = y.shape.rank();
  const extent classes = y.shape[-1], rows = classes > 0 ? y.shape.numel() / classes : 0;
  detail::failure_text t{.argument = "y", .expected = 1, .relation = "at least "};
  errc c = errc::ok;
  if (rank < 2) {
    c = errc::rank;
    t.got = rank;
    t.expected = 2;
  } else if (classes == 0) {
    c = errc::too_small;
    t.axis = rank - 1;
  } else if (rows == 0) {
    c = errc::empty_batch;
  } else if (detail::is_real(labels.dtype)) {
    t = {.argument = "probabilities"};
    c = detail::check_shape(labels.shape, y.shape, t);
    if (c == errc::rank) t.remedy = "Class numbers are integers: a target of real numbers is probabilities, in y's shape.";
    if (c == errc::ok) return c;
  } else if (!detail::is_integer(labels.dtype)) {
    c = errc::dtype;
    t = {.argument = target, .got = labels.dtype.packed(), .expected = int32.packed()};
  } else if (const extent n = labels.shape.numel(); n != rows) {
    c = errc::extent;
    t = {.argument = "number of labels", .got = n, .expected = rows};
  }
  if (c != errc::ok) return detail::fail(f, c, name, t);
  const detail::outlier bad = detail::first_outside(labels, rows, 0, classes);
  if (!bad) return errc::ok;
  detail::text_buffer which;
  which << "labels[" << bad.at << "]";
  return detail::fail(f, errc::label, name,
                      {.argument = which.c_str(), .got = bad.value, .expected = classes, .relation = "0 or more and below "});
}

template <class T>
[[gnu::noinline]] double cross_entropy::rows(const array_ref& logits, const array_ref& labels, std::byte* to) {
  using C = compute_of_t<T>;
  const auto* y = static_cast<const T*>(logits.data);
  const extent classes = logits.shape[-1], m = logits.shape.numel() / classes;
  if (m < 1 || classes < 1) return 0;  // was refused before; said again for the optimizer
  const bool indices = detail::is_integer(labels.dtype);
  const detail::numbers wanted(labels);
  const auto at = [](const T& v) { return static_cast<C>(v); };
  auto* dy = reinterpret_cast<T*>(to);
  const extent next = to ? classes : 0;
  double sum = 0;
  for (extent i = 0; i < m; ++i, y += classes, dy += next) {
    C top = at(y[0]);
    for (extent j = 0; j < classes; ++j) top = at(y[j]) > top ? at(y[j]) : top;
    C* e = nullptr;  // the exponentials: in dy's own row where it can hold them
    if constexpr (std::is_same_v<T, C>) e = dy;
    else if (dy) e = reinterpret_cast<C*>(to + dy_bytes(logits));
    const extent k = indices ? wanted.integer(i) : -1;
    double others = 0, own = 0;  // Σ exp(y − top) without and of the label: their sum apart keeps small losses exact
    for (extent j = 0; j < classes; ++j) {
      const C v = detail::maths::exp(at(y[j]) - top);
      if (e) e[j] = v;
      (j == k ? own : others) += static_cast<double>(v);
    }
    const double z = others + own, log_z = detail::maths::log(z);
    double weight = 1;  // Σ target
    if (indices) {
      const double below = static_cast<double>(top) - static_cast<double>(at(y[k]));
      sum += below == 0 ? detail::maths::log1p(others) : below + log_z;
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
    for (extent j = 0; j < classes; ++j) {
      const C t = indices ? C(0) : static_cast<C>(wanted.real(i * classes + j) / static_cast<double>(m));
      dy[j] = static_cast<T>(e[j] * share - t);
    }
    if (indices) dy[k] = static_cast<T>(-others / z / static_cast<double>(m));
  }
  return sum / static_cast<double>(m);
}

[[gnu::noinline]] inline errc mse::check(const array_ref& y, const array_ref& t, failure& f) {
  detail::failure_text text{.argument = target};
  errc c = detail::check_shape(t.shape, y.shape, text);
  if (!detail::is_real(t.dtype)) {
    c = errc::dtype;
    text = {.argument = target, .got = t.dtype.packed(), .expected = y.dtype.packed()};
  }
  if (y.shape.numel() == 0) {
    c = errc::too_small;
    text = {.argument = "y", .got = 0, .expected = 1, .relation = "at least "};
  }
  return c == errc::ok ? c : detail::fail(f, c, name, text);
}

template <class T>
[[gnu::noinline]] double mse::rows(const array_ref& a, const array_ref& t, std::byte* to) {
  const auto* y = static_cast<const T*>(a.data);
  auto* dy = reinterpret_cast<T*>(to);
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
