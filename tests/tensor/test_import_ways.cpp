// SPDX-License-Identifier: Apache-2.0
// The two ways in: which arrays and options the quick check takes, one change at a time, and every word of what the closer look refuses.
#include <tenon/tensor/import.hpp>
#include <tenon/tensor/typed_tensor.hpp>

#include <string>

#include "catch.hpp"
#include "producer.hpp"

using namespace tenon;

namespace {
/// A good array of two rows of three, and what is asked of it; a test changes one thing.
struct example {
  std::int64_t shape[max_rank]{2, 3}, strides[max_rank]{3, 1};
  detail::import_source t{reinterpret_cast<void*>(0x1000), {1, 0}, 2, {2, 32, 1}, shape, strides, 0, 0, true, true};
  detail::import_request want;
  import_options o;
  array_ref a;
  failure why;

  bool quick() { return detail::comes_plainly(t, want, o, a); }
  /// What the closer look says: nothing, or the message. It leaves `a` alone where it refuses.
  std::string closely() {
    array_ref out;
    out.data = this;
    if (detail::check_import(t, want, o, out, why) != errc::ok) return out.data == this ? why.message() : "out was touched";
    a = out;
    return "";
  }
  bool refused_at(errc code, int axis, std::int64_t got, std::int64_t expected) {
    return !closely().empty() && why.code == code && why.axis == axis && why.got == got && why.expected == expected;
  }
};
template <class Change>
bool taken(const Change& change) {
  example e;
  change(e);
  return e.quick();
}
template <class Change>
std::string said(const Change& change) {
  example e;
  change(e);
  CHECK_FALSE(e.quick());  // what is refused never comes quickly
  return e.closely();
}
}  // namespace

TEST_CASE("what nobody set asks for nothing, and says that nothing happened") {
  constexpr import_report r;
  static_assert(!r.copied && r.reason == copy_reason::none && r.bytes == 0 && !r.producer_copied);
  constexpr import_options o;
  static_assert(!o.assume_writable && o.copies == copy_policy::never && !o.strict && o.alignment == 1 && o.known_bytes == 0 &&
                !o.report);
  constexpr detail::import_request w;
  static_assert(w.any_dtype && w.alignment == 1 && !w.writable && w.rank == -1 && !w.extents && !w.row_major && !w.column_major);
  constexpr detail::layout_source l;
  static_assert(!l.data && l.byte_offset == 0 && !l.shape && !l.strides && l.alignment == 1 && l.known_bytes == 0);
  import_report report{true, copy_reason::layout, 5, true};
  versioned p({1, 2}, {2});
  const auto t = from_dlpack<float>(p.give(), {.report = &report});
  CHECK_FALSE(report.copied);
  CHECK(report.reason == copy_reason::none);
  CHECK(report.bytes == 0);
  CHECK_FALSE(report.producer_copied);
}

TEST_CASE("the quick way takes what needs no closer look, and nothing else") {
  CHECK(taken([](example&) {}));
  for (const int rank : {0, 1, max_rank})
    CHECK(taken([&](example& e) {
      for (int i = 0; i < max_rank; ++i) e.shape[i] = 1;
      e.t.ndim = rank;
    }));
  for (const int rank : {-1, max_rank + 1}) CHECK_FALSE(taken([&](example& e) { e.t.ndim = rank; }));
  for (const int rank : {0, 2}) CHECK_FALSE(taken([&](example& e) { e.want.rank = rank; }));
  CHECK_FALSE(taken([](example& e) { e.t.dtype = {17, 4, 1}; }));
  CHECK_FALSE(taken([](example& e) { e.t.dtype = {17, 4, 2}; }));
  CHECK_FALSE(taken([](example& e) { e.t.dtype = {2, 32, 2}; }));
  CHECK_FALSE(taken([](example& e) { e.t.dtype = {2, 24, 1}; }));
  for (const std::uint16_t lanes : {std::uint16_t{1}, std::uint16_t{2}})
    CHECK(taken([&](example& e) {
      e.t.dtype = {2, 32, lanes};
      e.want.any_dtype = false;
      e.want.dtype = {dtype_code::float_, 32, lanes};
    }));
  CHECK_FALSE(taken([](example& e) { e.want.any_dtype = false, e.want.dtype = float64; }));
  CHECK_FALSE(taken([](example& e) {
    e.t.dtype = {2, 24, 1};
    e.want.any_dtype = false;
    e.want.dtype = float32;
  }));
  CHECK_FALSE(taken([](example& e) { e.t.device = {2, 0}; }));
  CHECK(taken([](example& e) { e.t.device = {2, 7}, e.want.devices = device_type::cuda; }));
  CHECK_FALSE(taken([](example& e) { e.t.device = {4, 0}, e.want.devices = device_type::opencl; }));
  CHECK_FALSE(taken([](example& e) { e.t.device.device_id = -1; }));
  CHECK(taken([](example& e) { e.t.device.device_id = 1; }));
}

TEST_CASE("the quick way and the right to write") {
  CHECK(taken([](example& e) { e.want.writable = true; }));
  CHECK(taken([](example& e) { e.t.flags = dl::flag_read_only; }));
  CHECK_FALSE(taken([](example& e) { e.t.flags = dl::flag_read_only, e.want.writable = true; }));
  CHECK(taken([](example& e) { e.t.flags = ~dl::flag_read_only, e.want.writable = true; }));
  CHECK(taken([](example& e) { e.t.versioned = false; }));
  CHECK_FALSE(taken([](example& e) { e.t.versioned = false, e.want.writable = true; }));
  CHECK(taken([](example& e) { e.t.versioned = false, e.want.writable = e.o.assume_writable = true; }));
  for (const bool unversioned : {false, true})
    for (const bool set : {false, true}) {
      example e;
      e.t.versioned = !unversioned;
      e.o.assume_writable = unversioned && set;
      e.t.flags = !unversioned && set ? dl::flag_read_only : 0;
      CHECK(e.quick());
      CHECK(e.a.read_only == (unversioned != set));
      CHECK(e.closely().empty());
      CHECK(e.a.read_only == (unversioned != set));
    }
}

TEST_CASE("options that ask for more take a closer look") {
  CHECK(taken([](example& e) { e.o.copies = copy_policy::if_needed; }));
  CHECK_FALSE(taken([](example& e) { e.o.copies = copy_policy::always; }));
  CHECK_FALSE(taken([](example& e) { e.o.strict = true; }));
  for (const std::size_t least : {0u, 1u}) CHECK(taken([&](example& e) { e.o.alignment = least; }));
  CHECK_FALSE(taken([](example& e) { e.o.alignment = 2; }));
  CHECK_FALSE(taken([](example& e) { e.o.known_bytes = 24; }));
  import_report report;
  CHECK_FALSE(taken([&](example& e) { e.o.report = &report; }));
  CHECK(taken([](example& e) { e.want.alignment = 4096; }));
  CHECK_FALSE(taken([](example& e) { e.want.alignment = 8192; }));
}

TEST_CASE("alignments are powers of two up to 2^30") {
  versioned p({1, 2}, {2});
  for (const std::size_t wrong : {std::size_t{3}, std::size_t{6}, std::size_t{1} << 31, ~std::size_t{0}}) {
    const failure why = p.refused<float>({.alignment = wrong});
    CHECK(why.code == errc::value);
    CHECK(why.got == static_cast<std::int64_t>(wrong));
    CHECK(why.expected == 1 << 30);
    CHECK(std::string(why.argument) == "alignment: a power of two");
  }
  CHECK(p.refused<float>({.alignment = std::size_t{1} << 30}).code == errc::alignment);
  CHECK(p.refused<float>({.alignment = 4}).code == errc::ok);
  p.deleted = 0;
  versioned q({1, 2}, {2});
  CHECK(q.refused<float>({.strict = true, .alignment = 0}).code == errc::ok);  // asks for nothing
}

TEST_CASE("both ways describe the same array") {
  for (const bool close : {false, true}) {
    example e;
    e.t.dtype = {1, 16, 1};
    e.t.device = {2, 5};
    e.t.byte_offset = 6;
    e.strides[0] = 4;
    e.want.devices = device_type::cuda;
    if (close) CHECK(e.closely().empty());
    else CHECK(e.quick());
    CHECK(e.a.data == reinterpret_cast<void*>(0x1006));
    CHECK(e.a.dtype == dtype{dtype_code::uint_, 16, 1});
    CHECK(e.a.device == device{device_type::cuda, 5});
    CHECK(e.a.shape == shape{2, 3});
    CHECK(e.a.strides[0] == 4);
    CHECK(e.a.strides[1] == 1);
    CHECK_FALSE(e.a.read_only);
    CHECK_FALSE(e.a.padded);
  }
}

TEST_CASE("every refusal of a struct's fields, word for word") {
  CHECK(said([](example& e) { e.want.rank = 3; }) == "[from_dlpack] ndim: rank: got 2, expected 3.");
  CHECK(said([](example& e) { e.want.rank = 0; }) == "[from_dlpack] ndim: rank: got 2, expected 0.");
  for (const int rank : {-1, 9})
    CHECK(said([&](example& e) { e.t.ndim = rank; }) ==
          "[from_dlpack] ndim: rank: got " + std::to_string(rank) + ", expected 0 to 8.");
  CHECK(said([](example& e) { e.want.any_dtype = false, e.want.dtype = float64; }) ==
        "[from_dlpack] dtype: dtype: got float32, expected float64.");
  CHECK(said([](example& e) { e.t.dtype = {2, 24, 1}; }).find("one that DLPack 1.3 knows, such as float32.") !=
        std::string::npos);
  CHECK(said([](example& e) { e.t.device = {2, 3}; }) == "[from_dlpack] device: device: got cuda:3, expected cpu:0.");
  CHECK(said([](example& e) { e.t.device = {2, -1}, e.want.devices = device_type::cuda; }) ==
        "[from_dlpack] device: device: got cuda:-1, expected cuda:0.");
  CHECK(said([](example& e) { e.t.device = {4, 0}, e.want.devices = device_type::opencl, e.t.byte_offset = 12; }) ==
        "[from_dlpack] byte_offset, where data is a handle and no address: value out of range: got 12, expected 0.");
  CHECK(said([](example& e) { e.t.flags = 1, e.want.writable = true; }) ==
        "[from_dlpack] the producer's tensor: read-only memory. Import it as from_dlpack<const T>.");
  CHECK(said([](example& e) { e.t.versioned = false, e.want.writable = true; }) ==
        "[from_dlpack] a legacy tensor, which cannot say that it may be written: read-only memory. Import it as "
        "from_dlpack<const T>, "
        "or pass {.assume_writable = true}.");
  CHECK(said([](example& e) { e.t.shape = nullptr; }) == "[from_dlpack] shape: null shape.");
  CHECK(said([](example& e) { e.t.strides = nullptr, e.o.strict = true, e.t.may_omit_strides = false; }) ==
        "[from_dlpack] strides: null strides. DLPack 1.2 asks for them.");
  CHECK(said([](example& e) { e.strides[0] = 0, e.want.writable = true; }) ==
        "[from_dlpack] a tensor whose elements share memory (broadcast, or sliding windows): read-only memory. Import it as "
        "from_dlpack<const T>.");
}

TEST_CASE("handles in place of addresses are taken as they are, without an offset") {
  example e;
  e.t.device = {4, 0};
  e.want.devices = device_type::opencl;
  CHECK(e.closely().empty());
  CHECK(e.a.data == reinterpret_cast<void*>(0x1000));
  example offset;
  offset.t.byte_offset = 12;
  CHECK(offset.closely().empty());
}

TEST_CASE("NULL strides are refused only where all of rank, version and strictness say so") {
  for (const bool none : {false, true})
    for (const bool old : {false, true})
      for (const bool strict : {false, true})
        for (const int rank : {0, 2}) {
          example e;
          if (none) e.t.strides = nullptr;
          e.t.may_omit_strides = old;
          e.o.strict = strict;
          e.t.ndim = rank;
          CHECK(e.closely().empty() == !(none && !old && strict && rank > 0));
        }
}

TEST_CASE("E9 D6 every refusal of a layout, with the axis and the numbers") {
  const std::int64_t huge = std::int64_t{1} << 62;
  example e;
  e.shape[1] = -4;
  CHECK(e.refused_at(errc::negative_extent, 1, -4, 0));
  CHECK(e.why.message() == "[from_dlpack] shape: negative extent, axis 1: got -4, expected at least 0.");
  example bytes;
  bytes.shape[0] = huge;
  CHECK(bytes.refused_at(errc::overflow, 0, huge, INT64_MAX));
  CHECK(std::string(bytes.why.argument) == "bytes of the shape");
  example null;
  null.t.data = nullptr;
  CHECK(null.closely() == "[from_dlpack] data: null data.");
  example offset;
  offset.t.byte_offset = std::uint64_t{1} << 63;
  CHECK(offset.refused_at(errc::overflow, -1, INT64_MIN, INT64_MAX));
  CHECK(std::string(offset.why.argument) == "byte_offset");
  offset.t.byte_offset = INT64_MAX;
  CHECK(offset.refused_at(errc::overflow, -1, 0, 0));
  CHECK(std::string(offset.why.argument) == "addresses reached by the strides");
  example known;
  known.t.byte_offset = 4;
  known.o.known_bytes = 27;
  CHECK(known.refused_at(errc::overflow, -1, 28, 27));
  CHECK(std::string(known.why.argument) == "bytes of the memory that is there");
  known.o.known_bytes = 28;
  CHECK(known.closely().empty());
  example before;
  before.strides[0] = -3;
  before.t.byte_offset = 8;
  before.o.known_bytes = 100;
  CHECK(before.refused_at(errc::overflow, -1, 4, 0));
  CHECK(std::string(before.why.argument) == "bytes before the memory that is there");
  before.t.byte_offset = 12;
  CHECK(before.closely().empty());
  example skewed;
  skewed.want.alignment = 8;
  skewed.t.byte_offset = 12;
  CHECK(skewed.refused_at(errc::alignment, -1, 4, 0));
  skewed.o.alignment = 4;  // the larger of both counts
  CHECK(skewed.refused_at(errc::alignment, -1, 4, 0));
  skewed.want.alignment = 2;
  CHECK(skewed.closely().empty());
  skewed.o.alignment = 16;
  CHECK(skewed.refused_at(errc::alignment, -1, 12, 0));
}

TEST_CASE("promises: the first axis with a gap, and what it should be") {
  const extent extents[]{dyn, 4};
  example e;
  e.want.rank = 2;
  e.want.extents = extents;
  CHECK(e.refused_at(errc::extent, 1, 3, 4));
  e.shape[1] = 4;
  e.strides[0] = 5;
  CHECK(e.closely().empty());
  e.want.row_major = true;
  CHECK(e.refused_at(errc::not_dense, 0, 5, 4));
  CHECK(std::string(e.why.argument) == "strides of a row-major array");
  e.strides[0] = 4;
  CHECK(e.closely().empty());
  e.want.row_major = false;
  e.want.column_major = true;
  CHECK(e.refused_at(errc::not_dense, 0, 4, 1));
  CHECK(std::string(e.why.argument) == "strides of a column-major array");
  e.strides[0] = 1;
  e.strides[1] = 3;
  CHECK(e.refused_at(errc::not_dense, 1, 3, 2));
  e.strides[1] = 2;
  CHECK(e.closely().empty());
  example deep;  // axes of one element are passed over, those behind count what lies between
  deep.t.ndim = 4;
  deep.want.row_major = true;
  const std::int64_t shape[]{2, 1, 3, 2}, strides[]{6, 99, 2, 1};
  for (int i = 0; i < 4; ++i) deep.shape[i] = shape[i], deep.strides[i] = strides[i];
  CHECK(deep.closely().empty());
  deep.strides[0] = 7;
  CHECK(deep.refused_at(errc::not_dense, 0, 7, 6));
}
