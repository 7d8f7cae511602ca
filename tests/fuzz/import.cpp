// SPDX-License-Identifier: Apache-2.0
// Bytes as a DLPack struct, through every way in; whatever is accepted must be what the oracle accepts, deleters run once, and what goes out
// again describes the same array. Addresses are made up: nothing here may touch an element. A libFuzzer target (fuzz/run), and a test that
// replays import.corpus (replay.cpp).
#include <tenon/tensor/export.hpp>
#include <tenon/tensor/typed_tensor.hpp>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "../tensor/oracle.hpp"

namespace {
using namespace tenon;

/// Reads numbers off the input; zeros when it is used up.
class bytes_in {
  const std::uint8_t* at_;
  std::size_t left_;

 public:
  bytes_in(const std::uint8_t* data, std::size_t n) : at_(data), left_(n) {}
  template <class T>
  T number() {
    T v{};
    const std::size_t n = left_ < sizeof v ? left_ : sizeof v;
    if (n) std::memcpy(&v, at_, n);
    at_ += n;
    left_ -= n;
    return v;
  }
  /// Small numbers and those at the ends of the range are what breaks arithmetic, so a first byte may choose one.
  std::int64_t extent_like() {
    const auto kind = number<std::uint8_t>();
    if (kind < 96) return kind % 8;
    if (kind < 128) return -static_cast<std::int64_t>(kind % 8);
    if (kind < 192) return static_cast<std::int64_t>((std::uint64_t{1} << (kind - 128)) + number<std::uint8_t>() - 2u);
    return number<std::int64_t>();
  }
};

[[noreturn]] void wrong(const char* what) {
  std::fprintf(stderr, "fuzz/import: %s\n", what);
  std::abort();
}
void expect(bool holds, const char* what) {
  if (!holds) wrong(what);
}

int deleted;
template <class M>
void count_deletion(M*) {
  ++deleted;
}

template <class M>
struct described {
  oracle::sample s;
  M managed{};
  import_options options;
  bool known_type = false, float_type = false, host = false, spoken = true, read_only = false, strides_missed = false;
  bool padded = false;  // small elements have a byte each

  explicit described(bytes_in& in) {
    const auto switches = in.number<std::uint8_t>();
    s.ndim = switches & 15;
    s.strided = switches & 16;
    const auto odd = in.number<std::uint8_t>();  // most inputs are sound in most fields
    auto& t = managed.dl_tensor;
    t.ndim = odd & 1 ? in.number<std::int32_t>() : static_cast<std::int32_t>(s.ndim);
    s.ndim = t.ndim;
    t.dtype = {2, 32, 1};
    if (odd & 2) t.dtype = {in.number<std::uint8_t>(), in.number<std::uint8_t>(), in.number<std::uint16_t>()};
    t.device = {1, 0};
    if (odd & 4) t.device = {in.number<std::int32_t>(), in.number<std::int32_t>()};
    const auto axes = s.ndim < 0 ? 0 : s.ndim > max_rank ? max_rank : s.ndim;
    for (int i = 0; i < axes; ++i) s.shape[i] = in.extent_like();
    for (int i = 0; i < axes && s.strided; ++i) s.strides[i] = in.extent_like();
    s.base = odd & 8 ? in.number<std::uint64_t>() : 0x7f0000001000u + (switches >> 5) * 2u;
    s.offset = odd & 16 ? static_cast<std::uint64_t>(in.extent_like()) : 0;
    t.data = reinterpret_cast<void*>(s.base);
    t.byte_offset = s.offset;
    t.shape = s.shape;
    t.strides = s.strided ? s.strides : nullptr;
    managed.deleter = odd & 32 ? nullptr : count_deletion<M>;
    read_only = true;
    options.assume_writable = odd & 64;
    if constexpr (versioned_struct<M>) {
      managed.version = dl::spoken;
      if (odd & 128) managed.version = {in.number<std::uint32_t>() % 4, in.number<std::uint32_t>()};
      managed.flags = odd & 128 ? in.number<std::uint64_t>() : (odd >> 6 & 1);
      spoken = managed.version.major == 1;
      read_only = managed.flags & dl::flag_read_only;
      padded = managed.flags & dl::flag_subbyte_padded;
    } else {
      read_only = !options.assume_writable;
    }
    const dtype type{static_cast<dtype_code>(t.dtype.code), t.dtype.bits, t.dtype.lanes};
    padded &= type.bits < 8;
    known_type = type.known() && (type.bits < 8 ? !padded || type.lanes == 1 : type.lanes == 1);
    float_type = type == float32;
    host = t.device.device_type == 1;
    s.width = padded ? 1 : type.bytes();
    if (!padded && type.bits * type.lanes % 8 != 0) s.bits = std::int64_t{type.bits} * type.lanes;
    const auto asked = in.number<std::uint8_t>();  // of the door
    options.strict = asked & 1;
    if (asked & 2) options.alignment = std::size_t{1} << (asked >> 4);
    if (asked & 4) s.known_bytes = options.known_bytes = 1 + in.number<std::uint16_t>();
    if constexpr (versioned_struct<M>) strides_missed = options.strict && !s.strided && s.ndim > 0 && managed.version.minor >= 2;
  }
  bool rank_fits() const { return s.ndim >= 0 && s.ndim <= max_rank; }
  /// Whether the arithmetic of an array with this alignment holds.
  bool lies_well(std::int64_t alignment, std::uint64_t& address) {
    const auto asked = static_cast<std::int64_t>(options.alignment);
    s.alignment = alignment > asked ? alignment : asked;
    return !strides_missed && oracle::judge(s, address) == errc::ok;
  }
};

template <class M, class T>
void check_array(const described<M>& d, const T& t, std::uint64_t address) {
  expect(reinterpret_cast<std::uintptr_t>(t.data()) == address, "another address");
  const shape s = t.shape();
  const strides st = t.strides();
  expect(s.rank() == d.s.ndim, "another rank");
  for (int i = 0; i < s.rank(); ++i) {
    expect(s[i] == d.s.shape[i], "another extent");
    if (s.numel() != 0) expect(st[i] == oracle::stride(d.s, i), "another stride");
  }
}

template <class M>
void untyped(described<M> d) {
  handle<M> h(&d.managed);
  tensor<> t;
  failure why;
  std::uint64_t address = 0;
  deleted = 0;
  const errc c = try_from_dlpack(h, t, why, d.options);
  const bool good = d.spoken && d.rank_fits() && d.known_type && d.host && d.lies_well(1, address);
  expect((c == errc::ok) == good, good ? "a good tensor was refused" : "a bad tensor was accepted");
  expect(c == why.code, "the code is not that of the failure");
  if (good) {
    expect(!h, "the handle still owns");
    check_array(d, t, address);
    expect(t.read_only() || !d.read_only, "read-only memory became writable");
    auto again = to_dlpack(t);
    expect(again->dl_tensor.byte_offset == 0 && again->dl_tensor.data == t.data(), "another address goes out");
    expect((again->flags & ~(dl::flag_read_only | dl::flag_subbyte_padded)) == 0, "a flag goes out that is not ours");
    expect(((again->flags & dl::flag_subbyte_padded) != 0) == d.padded, "small elements go out with another size");
    t = {};
    expect(deleted == 0, "deleted while an export is out");
    again.reset();
  } else {
    expect(h.get() == &d.managed && deleted == 0 && !t.owner(), "a refused import left something");
    h.reset();
  }
  expect(deleted == (d.managed.deleter ? 1 : 0), "the deleter did not run once");
}

template <class V, class M>
void typed(described<M> d, bool fits, bool writable) {
  handle<M> h(&d.managed);
  failure why;
  std::uint64_t address = 0;
  deleted = 0;
  using T = typename V::element_type;
  auto take = [&]<class E, class... Tags>(const view<T, E, Tags...>&) {
    tensor<T, E, Tags...> t;
    const errc c = try_from_dlpack(h, t, why, d.options);
    const auto where = d.managed.dl_tensor.device;
    const bool there =
        where.device_type == 1 || (where.device_id >= 0 && V::devices.contains(static_cast<device_type>(where.device_type)));
    const bool lies = d.spoken && fits && d.float_type && there && d.lies_well(static_cast<std::int64_t>(V::alignment), address);
    bool good = lies && (!V::row_major || oracle::row_major(d.s)) && (!writable || !d.read_only);
    if (good && writable) {  // only where no elements share memory
      shape s;
      strides st;
      s.rank_ = static_cast<int>(d.s.ndim);
      for (int i = 0; i < s.rank(); ++i) s.d[i] = d.s.shape[i], st.d[i] = static_cast<extent>(oracle::stride(d.s, i));
      good = self_overlap(s, st) == overlap::none;
    }
    expect((c == errc::ok) == good, good ? "a good tensor was refused by its type" : "a bad tensor was accepted by a type");
    if (good) check_array(d, t, address);
    else expect(h.get() == &d.managed && deleted == 0 && !t, "a refused typed import left something");
  };
  take(V());
  h.reset();
  expect(deleted == (d.managed.deleter ? 1 : 0), "the deleter of a typed import did not run once");
}

template <class M>
void all_ways(const std::uint8_t* data, std::size_t size) {
  bytes_in in(data, size);
  const described<M> d(in);
  untyped(d);
  const bool two = d.s.ndim == 2, three = d.s.ndim == 3;
  typed<view<const float, dims<2>>>(d, two, false);
  typed<view<float, dims<2>>>(d, two, true);
  typed<view<const float, dims<3>, layout_right, aligned<16>>>(d, three, false);
  typed<view<float, extents<dyn, 3>, layout_right>>(d, two && d.s.shape[1] == 3, true);
  typed<view<const float, dims<2>, on_device<device_type::cpu, device_type::cuda_host>>>(d, two, false);
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  if (data[0] & 1) all_ways<dl::managed_tensor>(data + 1, size - 1);
  else all_ways<dl::managed_tensor_versioned>(data + 1, size - 1);
  return 0;
}
