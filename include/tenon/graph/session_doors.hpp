// SPDX-License-Identifier: Apache-2.0
// The doors of a session: every check before the first write, the user's memory where layers can read it, outputs nobody holds.
#pragma once
#include "tenon/graph/session_owns.hpp"
#if TENON_EXCEPTIONS
namespace tenon {
namespace detail {
/// Whether all indices are in [0, limit); the first that is not goes into `bad`.
template <class I>
bool indices_below(const array_ref& a, extent limit, index& bad) {
  const auto* p = static_cast<const I*>(a.data);
  extent at[max_rank]{}, offset = 0;
  for (extent n = a.shape.numel(); n > 0; --n) {
    if (const auto v = static_cast<index>(p[offset]); v < 0 || v >= limit) {
      bad = v;
      return false;
    }
    for (int axis = a.shape.rank() - 1; axis >= 0; --axis) {
      offset += a.strides[axis];
      if (++at[axis] < a.shape[axis]) break;
      offset -= a.strides[axis] * a.shape[axis];
      at[axis] = 0;
    }
  }
  return true;
}
}  // namespace detail

template <class D>
[[gnu::cold]] errc session<D>::alive(const char* op, failure& why) const noexcept {
  if (program_) return errc::ok;
  return detail::fail(why, errc::null_handle, op, {.argument = "this model", .remedy = "It was moved from."});
}

template <class D>
[[gnu::cold]] errc session<D>::check_inputs(const char* op, const input_arg* x, int n, extent& batch,
                                            failure& why) const noexcept {
  using detail::fail;
  if (const errc c = alive(op, why); c != errc::ok) return c;
  const detail::plan& pl = planned();
  if (n != pl.in.n) return fail(why, errc::arity, op, {.argument = "inputs", .got = n, .expected = pl.in.n});
  batch = dyn;
  for (int i = 0; i < n; ++i) {
    const detail::argument_text name("x", i, n);
    const slot& want = pl.at(i).s;
    const array_ref& a = x[i].array;
    const bool indices = want.what == kind::index;
    const shape expected = want[0] == dyn ? want.with(0, batch) : static_cast<const shape&>(want);  // all inputs have one batch
    const dtype type = !indices ? types().storage : a.dtype == int32 && packing_ != copy_policy::never ? int32 : int64;
    const bool dense = packing_ == copy_policy::never && !program_->takes_strides(i);
    if (const errc c = detail::check_array(a, {op, name.text, type, device_traits<D>::type, expected, dense, false}, why);
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
[[gnu::cold]] errc session<D>::check_indices(const char* op, const array_ref& x, const char* name, extent limit,
                                             failure& why) const noexcept {
  array_ref a = x;
  storage host;
  if (!device_traits<D>::host_accessible) {
    if (!a.dense()) return detail::fail(why, errc::not_dense, op, {.argument = name});
    const auto bytes = static_cast<std::size_t>(a.shape.numel() * a.dtype.bytes());
    if (const errc c = storage::try_allocate(bytes, host, why); c != errc::ok) return c;
    device_.download(host.data(), a.data, bytes);
    a.data = host.data();
  }
  index bad = 0;
  if (a.dtype == int64 ? detail::indices_below<std::int64_t>(a, limit, bad) : detail::indices_below<std::int32_t>(a, limit, bad))
    return errc::ok;
  return detail::fail(
      why, errc::index, op,
      {.argument = name, .got = bad, .expected = limit, .relation = bad < 0 ? "at least 0 and below " : "below "});
}

// dx is written while dy and x are still read
template <class D>
[[gnu::cold]] errc session<D>::check_overlaps(const buffers& b, const tape& t, failure& why) const noexcept {
  auto bytes = [&](const shape& s, std::size_t element) { return static_cast<std::size_t>(s.numel()) * element; };
  const std::size_t element = planned().width.storage;
  for (int i = 0; i < planned().in.n; ++i) {
    if (!b.dx[i]) continue;
    const std::size_t mine = bytes(detail::with_batch(planned().at(i).s, t.batch_), element);
    auto meets = [&](const void* other, std::size_t n) {
      const auto a = reinterpret_cast<std::uintptr_t>(b.dx[i]), o = reinterpret_cast<std::uintptr_t>(other);
      return a < o + n && o < a + mine;
    };
    const char* with = nullptr;
    for (int k = 0; k < planned().out.n; ++k)
      if (meets(b.dy[k], bytes(planned().output(k, t.batch_), element))) with = "dx, which overlaps dy";
    for (int k = 0; k < planned().in.n; ++k) {
      const slot& s = planned().at(k).s;
      const std::size_t n = bytes(detail::with_batch(s, t.batch_), planned().width.of(s.what));
      if (meets(t.x_[k], n)) with = "dx, which overlaps x";
      if (k != i && b.dx[k] && meets(b.dx[k], n)) with = "dx, which overlaps another dx";
    }
    if (with) return detail::fail(why, errc::value, "backward", {.argument = with, .remedy = "Give dx memory of its own."});
  }
  return errc::ok;
}

template <class D>
[[gnu::cold]] errc session<D>::one_output(const char* op, failure& why) const noexcept {
  if (const errc c = alive(op, why); c != errc::ok) return c;
  if (program_->outputs() == 1) return errc::ok;
  return detail::fail(why, errc::arity, op,
                      {.argument = "outputs of the network",
                       .got = program_->outputs(),
                       .expected = 1,
                       .remedy = "Call all({x, …}), forward_all({x, …}) and backward_all({dy, …})."});
}

// the user's memory where layers can read it, else packed into `packed`
template <class D>
[[gnu::cold]] errc session<D>::take_input(const input_arg& x, int i, buffers& b, storage& packed, strides& st, bool& strided,
                                          failure& why) const noexcept {
  const bool widen = planned().at(i).s.what == kind::index && x.array.dtype == int32;
  strided = false;
  b.x[i] = x.array.data;
  b.x_strides[i] = nullptr;
  if (!widen && (x.array.dense() || program_->takes_strides(i))) {
    strided = !x.array.dense();
    st = x.array.strides;
    if (strided) b.x_strides[i] = &st;
    return errc::ok;
  }
  const auto n = static_cast<std::size_t>(x.array.shape.numel());
  const std::size_t bytes = n * (widen ? sizeof(index) : static_cast<std::size_t>(x.array.dtype.bytes()));
  if (!device_traits<D>::host_accessible)
    return detail::fail(why, errc::not_dense, "forward",
                        {.argument = "x", .remedy = "Strided memory of this device is not packed: pass a dense tensor."});
  if (!packed.sole()) packed = {};
  if (const errc c = detail::grow(packed, bytes, why, device_); c != errc::ok) return c;
  detail::pack(packed.data(), x.array);
  if (widen) {  // in place, from the back
    auto* wide = reinterpret_cast<index*>(packed.data());
    for (std::size_t k = n; k-- > 0;) {
      std::int32_t narrow;
      std::memcpy(&narrow, packed.data() + k * sizeof narrow, sizeof narrow);
      wide[k] = narrow;
    }
  }
  detail::count(&traffic::packed, bytes);
  b.x[i] = packed.data();
  return errc::ok;
}

// an output that someone still holds is never written again
template <class D>
[[gnu::cold]] errc session<D>::take_output(std::size_t bytes, storage& to, failure& why) noexcept {
  storage* best = nullptr;
  for (storage& s : outputs_)
    if (s.sole() && (!best || s.bytes() > best->bytes())) best = &s;
  if (!best) {
    for (storage& s : outputs_)
      if (!s) best = best ? best : &s;
    if (!best) best = &outputs_[next_output_++ % output_slots];
    *best = {};
    detail::count(&traffic::fresh_slots, 1);
  }
  if (const errc c = detail::grow(*best, bytes, why, device_); c != errc::ok) return c;
  to = *best;
  return errc::ok;
}

template <class D>
[[gnu::cold]] tensor<void, D> session<D>::output_tensor(const storage& s, int k, extent batch, bool read_only,
                                                        std::uint64_t stamp) const noexcept {
  const shape sh = planned().output(k, batch);
  return {s, array_ref{s.data(), types().storage, {device_traits<D>::type, 0}, sh, dense_strides(sh), read_only}, stamp};
}

namespace detail {
inline std::size_t output_bytes(const plan& p, int k, extent batch) { return bytes_of(p.output(k, batch), p.width.storage); }
}  // namespace detail
}  // namespace tenon
#endif
