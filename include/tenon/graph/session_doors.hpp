// SPDX-License-Identifier: Apache-2.0
// The doors of a session: every check before the first write, the user's memory where layers can read it, outputs nobody holds.
#pragma once
#include "tenon/graph/session_owns.hpp"
#include "tenon/tensor/numbers.hpp"
#if TENON_EXCEPTIONS
namespace tenon {
namespace detail {
/// All indices are in [0, limit). Errors: index.
[[nodiscard, gnu::noinline]] inline errc indices_below(extent limit, const array_ref& a, const char* op, const char* argument,
                                                       failure& why) noexcept {
  const outlier bad = first_outside(a, a.shape.numel(), 0, limit);
  if (!bad) return errc::ok;
  const char* relation = bad.value < 0 ? "at least 0 and below " : "below ";
  return fail(why, errc::index, op, {.argument = argument, .got = bad.value, .expected = limit, .relation = relation});
}
/// The dx of a backward, and what else it uses that lies in their memory.
struct written_memory {
  const plan& planned;
  extent batch;
  std::uintptr_t begin[max_inputs]{}, end[max_inputs]{};
  int n = 0;
  const char* overlap = nullptr;

  /// `by`: the strides, or null where the array is dense. Unsigned, so that strides which reach no memory are no overflow.
  [[gnu::noinline]] void meet(const void* p, int value, const strides* by, const char* as, bool written = false) noexcept {
    const slot& s = planned.at(value).s;
    const shape all = with_batch(s, batch);
    const strides st = by ? *by : dense_strides(all);
    const std::uintptr_t element = s.what == kind::index ? sizeof(index) : planned.width.storage;
    auto first = reinterpret_cast<std::uintptr_t>(p), last = first + element;
    for (int i = 0; i < all.rank(); ++i) {
      const auto reach = static_cast<std::uintptr_t>(all.d[i] - 1) * static_cast<std::uintptr_t>(st.d[i]) * element;
      (st.d[i] < 0 ? first : last) += reach;
    }
    for (int i = 0; i < n; ++i)
      if (first < end[i] && begin[i] < last && !overlap) overlap = as;
    if (!written) return;
    begin[n] = first;
    end[n++] = last;
  }
};
}  // namespace detail

template <class D>
errc session<D>::alive(const char* op, failure& why) const noexcept {
  if (program_) return errc::ok;
  return detail::fail(why, errc::null_handle, op, {.argument = "this model", .remedy = "It was moved from."});
}

template <class D>
errc session<D>::check_inputs(const char* op, const input_arg* x, int n, extent& batch, failure& why,
                              bool one_output) const noexcept {
  using detail::fail;
  if (const errc c = alive(op, why); c != errc::ok) return c;
  const detail::plan& pl = planned();
  if (one_output && pl.out.n != 1)
    return fail(why, errc::arity, op,
                {.argument = "outputs of the network",
                 .got = pl.out.n,
                 .expected = 1,
                 .remedy = "Call all({x, …}), forward_all({x, …}) and backward_all({dy, …})."});
  if (n != pl.in.n) return fail(why, errc::arity, op, {.argument = "inputs", .got = n, .expected = pl.in.n});
  batch = dyn;
  for (int i = 0; i < n; ++i) {
    const detail::argument_text name("x", i, n);
    const slot& want = pl.at(i).s;
    const array_ref& a = x[i].array;
    const bool indices = want.what == kind::index;
    const shape expected = detail::with_batch(want, batch);  // all inputs have one batch
    const dtype type = !indices ? types().storage : a.dtype == int32 && packing_ != copy_policy::never ? int32 : int64;
    const bool dense = packing_ == copy_policy::never && !program_->takes_strides(i);
    if (const errc c = detail::check_array(a, {op, name.text, type, device_of(device_), expected, dense, false}, why);
        c != errc::ok) {
      if (c == errc::rank && a.shape.rank() + 1 == want.rank()) why.remedy = "The batch is axis 0: one sample is a batch of 1.";
      return c;
    }
    if (want[0] == dyn) batch = a.shape[0];
  }
  if (batch == dyn) batch = pl.at(0).s[0];
  if (batch > pl.batch_limit)
    return fail(why, errc::overflow, op, {.argument = "batch", .got = batch, .expected = pl.batch_limit, .relation = "at most "});
  for (int i = 0; i < n; ++i)
    if (pl.index_limit[i] > 0)
      if (const errc c = check_indices(op, x[i].array, detail::argument_text("x", i, n).text, pl.index_limit[i], why);
          c != errc::ok)
        return c;
  return errc::ok;
}

// before anything is written: an index out of range would be read out of bounds
template <class D>
errc session<D>::check_indices(const char* op, const array_ref& x, const char* name, extent limit, failure& why) const noexcept {
  if constexpr (device_traits<D>::host_accessible) {
    return detail::indices_below(limit, x, op, name, why);
  } else {
    if (!x.dense()) return detail::fail(why, errc::not_dense, op, {.argument = name});
    array_ref a = x;
    storage host;
    const auto bytes = static_cast<std::size_t>(a.shape.numel() * a.dtype.bytes());
    if (const errc c = storage::try_allocate(bytes, host, why); c != errc::ok) return c;
    device_.download(host.data(), a.data, bytes);
    a.data = host.data();
    return detail::indices_below(limit, a, op, name, why);
  }
}

// a gradient of `value`: dx, which is written, or dy
template <class D>
errc session<D>::check_gradient(bool written, int i, int n, const array_ref& a, int value, const tape& t,
                                failure& why) const noexcept {
  const detail::argument_text name(written ? "dx" : "dy", i, n);
  const slot& s = planned().at(value).s;
  if (s.what == kind::index)
    return detail::fail(why, errc::kind, "backward",
                        {.argument = name.text, .got = 2, .expected = 0, .remedy = "Indices have no gradient."});
  const shape want = detail::with_batch(s, t.batch_);
  return detail::check_array(a, {"backward", name.text, types().storage, device_of(device_), want, true, written}, why);
}

// dx is written while dy, x and every other dx are used
template <class D>
errc session<D>::check_overlaps(const buffers& b, const tape& t, failure& why) const noexcept {
  const detail::plan& pl = planned();
  detail::written_memory dx{pl, t.batch_};
  for (int i = 0; i < pl.in.n; ++i)
    if (b.dx[i]) dx.meet(b.dx[i], i, nullptr, "dx, which overlaps another dx", true);
  if (dx.n == 0) return errc::ok;
  for (int i = 0; i < pl.in.n; ++i) dx.meet(t.x_[i], i, t.x_strided_[i] ? &t.x_strides_[i] : nullptr, "dx, which overlaps x");
  for (int k = 0; k < pl.out.n; ++k) dx.meet(b.dy[k], pl.out[k], nullptr, "dx, which overlaps dy");
  if (!dx.overlap) return errc::ok;
  return detail::fail(why, errc::value, "backward", {.argument = dx.overlap, .remedy = "Give dx memory of its own."});
}

// the user's memory where layers can read it, else packed into `packed`
template <class D>
errc session<D>::take_input(const input_arg& x, int i, buffers& b, storage& packed, strides& st, bool& strided,
                            failure& why) const noexcept {
  const bool widen = planned().at(i).s.what == kind::index && x.array.dtype == int32, dense = x.array.dense();
  strided = false;
  b.x[i] = x.array.data;
  b.x_strides[i] = nullptr;
  if (!widen && (dense || program_->takes_strides(i))) {
    strided = !dense;
    st = x.array.strides;
    if (strided) b.x_strides[i] = &st;
    return errc::ok;
  }
  if (!device_traits<D>::host_accessible)
    return detail::fail(why, errc::not_dense, "forward",
                        {.argument = "x", .remedy = "Strided memory of this device is not packed: pass a dense tensor."});
  const extent n = x.array.shape.numel();
  const auto bytes = static_cast<std::size_t>(n) * (widen ? sizeof(index) : static_cast<std::size_t>(x.array.dtype.bytes()));
  if (!packed.sole()) packed.reset();
  if (const errc c = detail::grow(packed, bytes, why, device_); c != errc::ok) return c;
  if (widen) {
    auto* wide = reinterpret_cast<index*>(packed.data());
    const detail::numbers narrow(x.array);
    for (extent k = 0; k < n; ++k) wide[k] = narrow.integer(k);
  } else {
    detail::pack(packed.data(), x.array);
  }
  detail::count(&traffic::packed, bytes);
  b.x[i] = packed.data();
  return errc::ok;
}

// an output that someone still holds is never written again
template <class D>
errc session<D>::take_output(std::size_t bytes, storage& to, failure& why) noexcept {
  storage* best = nullptr;
  for (storage& s : outputs_)
    if (s.sole() && (!best || s.bytes() > best->bytes())) best = &s;
  if (!best) {
    best = &outputs_[next_output_++ % output_slots];  // one never used, or the oldest
    best->reset();
    detail::count(&traffic::fresh_slots, 1);
  }
  if (const errc c = detail::grow(*best, bytes, why, device_); c != errc::ok) return c;
  to = *best;
  return errc::ok;
}

template <class D>
[[gnu::noinline]] tensor<void, D> session<D>::output_tensor(const storage& s, int k, extent batch, bool read_only,
                                                            std::uint64_t stamp) const noexcept {
  const shape sh = planned().output(k, batch);
  return {s, array_ref{s.data(), types().storage, device_of(device_), sh, dense_strides(sh), read_only}, stamp};
}

namespace detail {
[[gnu::noinline]] inline std::size_t output_bytes(const plan& p, int k, extent batch) {
  return bytes_of(p.output(k, batch), p.width.storage);
}
}  // namespace detail
}  // namespace tenon
#endif
