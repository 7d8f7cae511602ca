// SPDX-License-Identifier: Apache-2.0
// A data set in batches: each epoch in its own order, which is a function of (seed, epoch), so that a position says all. Borrows
// the images and labels (a tensor is retained), owns one batch of x and labels and the order; no heap call after construction.
#pragma once
#include <cstdint>
#include <utility>
#include "tenon/core/precision.hpp"
#include "tenon/ops/random.hpp"
#include "tenon/train/real.hpp"
#include "tenon/train/targets.hpp"
namespace tenon {
#if TENON_EXCEPTIONS
struct batch_options {
  size batch = 32;
  bool shuffle = true;
  std::uint64_t seed = 1;
  shape sample{};              // the shape that one sample gets; without it, the one that it has
  size limit = 0;              // use the first so many samples; 0: all
  real mean = 0, deviation = 1;  // x = (value − mean) / deviation, where a byte is first divided by 255
};
/// The batch that comes next.
struct batch_position {
  std::uint64_t epoch = 0, batch = 0;
  friend constexpr bool operator==(const batch_position&, const batch_position&) = default;
};

///   tenon::batches data{images, labels, {.batch = 32}};
///   for (int epoch = 0; epoch < 5; ++epoch)
///     for (auto [x, target] : data) …              // what is left of the epoch; the last batch may be shorter
/// images are [n, …] bytes or real numbers, labels n integers; x is [batch, sample…] of T. A batch holds until the
/// next is asked for.
template <class T = float>
class batches {
 public:
  struct item {
    view<const T> x;
    view<const std::int32_t> labels;
  };

 private:
  array_ref images_, labels_;
  storage images_owner_, labels_owner_, x_, target_, order_;
  batch_options options_;
  extent n_ = 0, per_sample_ = 0;
  batch_position at_{};
  std::uint64_t ordered_ = ~std::uint64_t{0};  // the epoch whose order is in order_
  T byte_[256]{};

  T* x() const { return reinterpret_cast<T*>(x_.data()); }
  std::int32_t* target() const { return reinterpret_cast<std::int32_t*>(target_.data()); }
  std::uint32_t* order() const { return reinterpret_cast<std::uint32_t*>(order_.data()); }

  template <class X>
  static storage owner_of(const X& x) {
    if constexpr (is_tensor<X>) return x.owner();
    else return {};
  }
  template <class X>
  static constexpr bool retains = outlives_call<X> || is_tensor<std::remove_cvref_t<X>>;
  void set_up();
  void shuffle();
  template <class S, class F>
  void gather(extent row, extent sample, const F& f);
  void load(extent sample, extent row);

 public:
  /// Errors: rank, dtype, device, null_data, not_dense (images), empty_batch (no sample), extent (number of labels, sample
  /// shape), value (batch), limit (more than 2³² − 1 samples), label (beyond int32), overflow, no_memory.
  template <class Images, class Labels>
  batches(Images&& images, Labels&& labels, const batch_options& options = {})
      : images_(detail::describe(std::as_const(images))), labels_(detail::describe(std::as_const(labels))),
        images_owner_(owner_of(images)), labels_owner_(owner_of(labels)), options_(options) {
    static_assert(retains<Images> && retains<Labels>,
                  "[batches] this temporary owns its elements and dies at the end of the line: name it first");
    set_up();
  }
  batches(batches&&) noexcept = default;  // no copy: two would write the same batch
  batches& operator=(batches&&) noexcept = default;

  /// Samples, and batches in an epoch.
  extent samples() const { return n_; }
  extent count() const { return (n_ + options_.batch - 1) / options_.batch; }
  const batch_options& options() const { return options_; }
  batch_position position() const { return at_; }
  /// Goes on from there. Errors: value (no such batch).
  void seek(batch_position p) {
    if (p.batch > static_cast<std::uint64_t>(count()))
      detail::raise(
          errc::value, "batches.seek",
          {.argument = "batch", .got = static_cast<std::int64_t>(p.batch), .expected = count(), .relation = "at most "});
    at_ = p;
  }
  /// The next batch of this epoch; false at its end, and the position is then the beginning of the next.
  bool next(item& to) {
    if (at_.batch == static_cast<std::uint64_t>(count())) {
      at_ = {at_.epoch + 1, 0};
      return false;
    }
    if (ordered_ != at_.epoch) shuffle();
    const extent from = static_cast<extent>(at_.batch) * options_.batch,
                 rows = from + options_.batch < n_ ? extent{options_.batch} : n_ - from;
    for (extent r = 0; r < rows; ++r) load(order()[from + r], r);
    shape s = options_.sample;
    s.rank_ += 1;
    for (int i = s.rank_ - 1; i > 0; --i) s.d[i] = s.d[i - 1];
    s.d[0] = rows;
    to = {{x(), s}, {target(), {rows}}};
    ++at_.batch;
    return true;
  }

  struct end_mark {};
  class iterator {
    batches* of_;
    item now_{};
    bool more_;

   public:
    explicit iterator(batches* b) : of_(b), more_(b->next(now_)) {}
    const item& operator*() const { return now_; }
    iterator& operator++() {
      more_ = of_->next(now_);
      return *this;
    }
    bool operator!=(end_mark) const { return more_; }
  };
  iterator begin() { return iterator(this); }
  end_mark end() { return {}; }
};
template <class Images, class Labels>
batches(Images&&, Labels&&, const batch_options& = {}) -> batches<>;

template <class T>
void batches<T>::set_up() {
  constexpr const char* name = "batches";
  using detail::raise;
  failure f;
  if (detail::check_host(images_, name, "images", f) != errc::ok || detail::check_host(labels_, name, "labels", f) != errc::ok)
    raise(f);
  if (images_.shape.rank() < 1) raise(errc::rank, name, {.argument = "images", .got = 0, .expected = 1, .relation = "at least "});
  if (images_.dtype != uint8 && !detail::is_real(images_.dtype))
    raise(errc::dtype, name, {.argument = "images", .got = images_.dtype.packed(), .expected = uint8.packed()});
  if (!detail::is_integer(labels_.dtype))
    raise(errc::dtype, name, {.argument = "labels", .got = labels_.dtype.packed(), .expected = int32.packed()});
  if (!images_.dense())
    raise(errc::not_dense, name, {.argument = "images", .remedy = "Take a dense copy with tenon::copy(images)."});
  n_ = images_.shape[0];
  if (labels_.shape.numel() != n_)
    raise(errc::extent, name, {.argument = "number of labels", .got = labels_.shape.numel(), .expected = n_});
  if (n_ == 0)
    raise(errc::empty_batch, name, {.argument = "images", .axis = 0, .got = 0, .expected = 1, .relation = "at least "});
  if (options_.batch < 1)
    raise(errc::value, name, {.argument = "batch", .got = options_.batch, .expected = 1, .relation = "at least "});
  if (n_ > INT64_C(0xffffffff))
    raise(errc::limit, name,
          {.argument = "images", .axis = 0, .got = n_, .expected = INT64_C(0xffffffff), .relation = "at most "});
  per_sample_ = images_.shape.numel() / n_;
  if (options_.limit > 0 && options_.limit < n_) n_ = options_.limit;
  if (options_.batch > n_) options_.batch = n_;
  if (options_.sample.rank() == 0) {
    for (int i = 1; i < images_.shape.rank(); ++i) options_.sample = options_.sample.append(images_.shape[i]);
  } else if (options_.sample.numel() != per_sample_) {
    raise(errc::extent, name, {.argument = "elements of a sample", .got = options_.sample.numel(), .expected = per_sample_});
  }
  if (options_.sample.rank() == max_rank)
    raise(errc::rank, name, {.argument = "sample", .got = max_rank, .expected = max_rank - 1, .relation = "at most "});
  if (const detail::outlier bad = detail::first_outside(labels_, n_, INT32_MIN, INT64_C(1) + INT32_MAX))
    raise(errc::label, name,
          {.argument = detail::concat("labels[", std::to_string(bad.at), "]"),
           .got = bad.value,
           .expected = INT32_MAX,
           .relation = "at most "});
  const extent bytes =
      detail::saturating_mul(detail::saturating_mul(options_.batch, per_sample_), static_cast<extent>(sizeof(T)));
  x_ = storage::allocate(static_cast<std::size_t>(bytes));
  target_ = storage::allocate(static_cast<std::size_t>(options_.batch) * sizeof(std::int32_t));
  order_ = storage::allocate(static_cast<std::size_t>(n_) * sizeof(std::uint32_t));
  for (int i = 0; i < 256; ++i)
    byte_[i] = static_cast<T>(static_cast<compute_of_t<T>>((i / 255.0 - options_.mean) / options_.deviation));
}

/// Fisher & Yates, from the back; sample i changes places with one of 0 … i, drawn from (seed, epoch, i).
template <class T>
void batches<T>::shuffle() {
  std::uint32_t* o = order();
  for (extent i = 0; i < n_; ++i) o[i] = static_cast<std::uint32_t>(i);
  const random_key key{options_.seed, at_.epoch, 0x5AFFE1u};  // a "layer" that no network has
  if (options_.shuffle)
    for (auto i = static_cast<std::uint64_t>(n_); i-- > 1;) std::swap(o[i], o[(key.bits(i) * (i + 1)) >> 32]);
  ordered_ = at_.epoch;
}

template <class T>
template <class S, class F>
void batches<T>::gather(extent row, extent sample, const F& f) {
  const auto* from = static_cast<const S*>(images_.data) + sample * per_sample_;
  T* TENON_RESTRICT to = x() + row * per_sample_;
  for (extent i = 0; i < per_sample_; ++i) to[i] = f(from[i]);
}
template <class T>
void batches<T>::load(extent sample, extent row) {
  const double mean = options_.mean, factor = 1 / options_.deviation;
  const auto scaled = [&](auto v) {
    return static_cast<T>(static_cast<compute_of_t<T>>((static_cast<double>(v) - mean) * factor));
  };
  if (images_.dtype == uint8) gather<std::uint8_t>(row, sample, [&](std::uint8_t v) { return byte_[v]; });
  else if (images_.dtype == float32) gather<float>(row, sample, scaled);
  else if (images_.dtype == float64) gather<double>(row, sample, scaled);
  else gather<bfloat16>(row, sample, [&](bfloat16 v) { return scaled(static_cast<float>(v)); });
  target()[row] = static_cast<std::int32_t>(detail::numbers(labels_).integer(sample));
}
#endif
}  // namespace tenon
