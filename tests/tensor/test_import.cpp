// SPDX-License-Identifier: Apache-2.0
// The door in. Names carry the rules of the DLPack conformance list; each refusal has its code, and leaves everything as it was.
#include <tenon/tensor/export.hpp>
#include <tenon/tensor/import.hpp>
#include <tenon/tensor/overlap.hpp>

#include <cstring>
#include <utility>

#include "catch.hpp"
#include "producer.hpp"

using tenon::errc;
using tenon::from_dlpack;
using tenon::tensor;

namespace {
struct float_pair {
  float x, y;
};
}  // namespace
template <>
struct tenon::dtype_of<float_pair> {
  static constexpr dtype value{dtype_code::float_, 32, 2};
};

TEMPLATE_TEST_CASE("H1 a typed import runs the deleter exactly once, when the last copy goes", "", versioned, legacy) {
  TestType p({1, 2, 3, 4, 5, 6}, {2, 3});
  {
    tensor<const float> kept;
    {
      auto h = p.give();
      auto t = from_dlpack<const float>(std::move(h));
      CHECK_FALSE(h);
      CHECK(t.data() == p.values.data());
      CHECK(t.shape() == tenon::shape{2, 3});
      CHECK(t.dense());
      CHECK(t(1, 2) == 6);
      kept = t;
    }
    CHECK(p.deleted == 0);
    CHECK(kept[5] == 6);
  }
  CHECK(p.deleted == 1);
}

TEST_CASE("H1 an untyped import knows dtype, shape, strides and device at run time") {
  versioned p({1, 2, 3, 4, 5, 6}, {3, 2}, {1, 3});
  {
    auto t = from_dlpack(p.give());
    CHECK(t.dtype() == tenon::float32);
    CHECK(t.device() == tenon::device{});
    CHECK(t.strides()[1] == 3);
    CHECK_FALSE(t.dense());
    CHECK_FALSE(t.read_only());
    auto f = t.as<float>();
    CHECK(f(2, 1) == 6);
    CHECK(f[1] == 4);
    tensor<double> wrong;
    tenon::failure why;
    CHECK(t.try_as(wrong, why) == errc::dtype);
  }
  CHECK(p.deleted == 1);
}

TEST_CASE("H1 moved, assigned and swapped handles still delete once") {
  versioned p({1}, {1}), q({2}, {1});
  {
    auto a = p.give();
    auto b = std::move(a);
    CHECK_FALSE(a);
    b = q.give();  // lets go of p
    CHECK(p.deleted == 1);
    auto& self = b;
    b = std::move(self);
    CHECK(b);
    CHECK(q.deleted == 0);
  }
  CHECK(q.deleted == 1);
  CHECK(p.deleted == 1);
}

TEST_CASE("H1 a handle that was reset owns nothing any more") {
  versioned p({1}, {1});
  {
    auto h = p.give();
    h.reset();
    CHECK_FALSE(h);
    CHECK(p.deleted == 1);
    h.reset();
  }
  CHECK(p.deleted == 1);
}

TEST_CASE("H2 a NULL deleter is legal and skipped") {
  versioned p({1, 2}, {2});
  p.managed.deleter = nullptr;
  { CHECK(from_dlpack<float>(p.give())[1] == 2); }
  CHECK(p.deleted == 0);
}

TEST_CASE("H5 a refused import leaves the handle owning; it then deletes once") {
  versioned p({1, 2}, {-2});
  {
    auto h = p.give();
    CHECK_THROWS_AS(from_dlpack<float>(std::move(h)), tenon::error);
    CHECK(h);
    CHECK(p.deleted == 0);
  }
  CHECK(p.deleted == 1);
}

TEST_CASE("an empty handle is refused") {
  tensor<float> t;
  tenon::failure why;
  tenon::handle<> none;
  CHECK(tenon::try_from_dlpack(none, t, why) == errc::null_handle);
}

TEST_CASE("B2 another major version: nothing but the deleter is looked at") {
  versioned p({1}, {1});
  p.managed.version.major = 2;
  p.dl().ndim = -5;  // would be another error
  const auto why = p.refused<float>();
  CHECK(why.code == errc::version);
  CHECK(why.got == 2);
  CHECK(why.expected == 1);
}

TEST_CASE("B3 a higher minor version, B6 unknown flags: accepted, and not exported again") {
  versioned p({1}, {1}, {1});
  p.managed.version.minor = 99;
  p.managed.flags = 0xfff0;
  auto t = from_dlpack<float>(p.give());
  CHECK(tenon::to_dlpack(t)->flags == 0);
}

TEST_CASE("B5 NULL strides: row-major; from DLPack 1.2 an error where strict") {
  for (std::uint32_t minor : {0u, 1u, 2u, 3u}) {
    versioned p({1, 2, 3, 4, 5, 6}, {2, 3});
    p.managed.version.minor = minor;
    CHECK(from_dlpack<float>(p.give()).dense());
    p.deleted = 0;
    p.shape = {2, 3};
    p.values = {1, 2, 3, 4, 5, 6};
    p.dl().data = p.values.data();
    p.dl().shape = p.shape.data();
    if (minor < 2) CHECK(from_dlpack<float>(p.give(), {.strict = true})(1, 2) == 6);
    else CHECK(p.refused<float>({.strict = true}).code == errc::null_strides);
  }
}

TEST_CASE("C3 read-only memory is refused where writable is asked for, with a remedy") {
  versioned p({1, 2}, {2});
  p.managed.flags = tenon::dl::flag_read_only;
  const auto why = p.refused<float>();
  CHECK(why.code == errc::read_only);
  CHECK(std::string(why.remedy) == "Import it as from_dlpack<const T>.");
  auto t = from_dlpack(p.give());
  CHECK(t.read_only());
  CHECK_THROWS_AS(t.as<float>(), tenon::error);
  CHECK(t.as<const float>()[1] == 2);
}

TEST_CASE("C4 an imported read-only tensor stays read-only when exported again") {
  versioned p({1, 2}, {2});
  p.managed.flags = tenon::dl::flag_read_only;
  auto t = from_dlpack(p.give());
  CHECK(tenon::to_dlpack(t)->flags == tenon::dl::flag_read_only);
  CHECK(tenon::to_dlpack(t.as<const float>())->flags == tenon::dl::flag_read_only);
}

TEST_CASE("C9 a legacy tensor is read-only unless the caller says it may be written") {
  legacy p({1, 2}, {2});
  const auto why = p.refused<float>();
  CHECK(why.code == errc::read_only);
  CHECK(std::string(why.remedy) == "Import it as from_dlpack<const T>, or pass {.assume_writable = true}.");
  {
    auto t = from_dlpack<float>(p.give(), {.assume_writable = true});
    t[0] = 7;
    CHECK_FALSE(t.read_only());
    CHECK(p.values[0] == 7);
  }
  CHECK(p.deleted == 1);
}

TEST_CASE("D1 the first element is at data + byte_offset, in every generation and rank") {
  versioned a({1, 2, 3, 4}, {2});
  a.dl().byte_offset = 8;
  CHECK(from_dlpack<float>(a.give())[0] == 3);
  legacy b({1, 2, 3, 4}, {3});
  b.dl().byte_offset = 4;
  CHECK(from_dlpack<const float>(b.give())[0] == 2);
  versioned scalar({1, 2, 3, 4}, {});
  scalar.dl().byte_offset = 12;
  CHECK(from_dlpack(scalar.give()).as<float>()[0] == 4);
}

TEST_CASE("D4 a misaligned first element is refused for a typed import, and by as<T>() after an untyped one") {
  versioned p({1, 2, 3}, {2});
  p.dl().byte_offset = 2;
  const auto why = p.refused<float>();
  CHECK(why.code == errc::alignment);
  CHECK(why.got == 2);
  auto t = from_dlpack(p.give());
  tensor<const float> f;
  tenon::failure late;
  CHECK(t.try_as(f, late) == errc::alignment);
}

TEST_CASE("D4 a copy at the door mends misalignment and read-only memory, and is counted") {
  versioned p({0, 0, 0}, {2});
  const float two[2] = {5, 6};
  std::memcpy(reinterpret_cast<char*>(p.values.data()) + 2, two, sizeof two);
  p.dl().byte_offset = 2;
  p.managed.flags = tenon::dl::flag_read_only;
  const auto before = tenon::bytes_moved().copied;
  auto t = from_dlpack<float>(p.give(), {.copies = tenon::copy_policy::always});
  CHECK(p.deleted == 1);
  CHECK(tenon::bytes_moved().copied - before == 8);
  CHECK(t[0] == 5);
  CHECK(t[1] == 6);
  CHECK_FALSE(t.read_only());
}

TEST_CASE("sharing copies nothing") {
  versioned p({1, 2, 3}, {3});
  const auto before = tenon::bytes_moved();
  auto t = from_dlpack<float>(p.give());
  auto h = tenon::to_dlpack(t);
  CHECK(h->dl_tensor.data == p.values.data());
  CHECK(tenon::bytes_moved().copied == before.copied);
  CHECK(tenon::bytes_moved().packed == before.packed);
}

TEST_CASE("D7 size zero imports with and without data, and its deleter runs") {
  for (const bool null : {true, false}) {
    versioned p({1}, {3, 0, 2}, {7, -9, INT64_MAX});
    p.dl().byte_offset = ~std::uint64_t{0};  // never added to anything
    if (null) p.dl().data = nullptr;
    {
      auto t = from_dlpack<float>(p.give());
      CHECK(t.numel() == 0);
      CHECK(t.dense());
      CHECK(t.data() == nullptr);
      CHECK(t.shape() == tenon::shape{3, 0, 2});
    }
    CHECK(p.deleted == 1);
  }
}

TEST_CASE("D8 elements without data are refused") {
  versioned p({1}, {1});
  p.dl().data = nullptr;
  CHECK(p.refused<float>().code == errc::null_data);
  versioned scalar({1}, {});
  scalar.dl().data = nullptr;
  CHECK(scalar.refused<float>().code == errc::null_data);
}

TEST_CASE("E2 rank 0: one element, shape and strides are not looked at") {
  versioned p({42}, {});
  p.dl().shape = reinterpret_cast<std::int64_t*>(std::uintptr_t{8});
  p.dl().strides = reinterpret_cast<std::int64_t*>(std::uintptr_t{16});
  auto t = from_dlpack<float>(p.give());
  CHECK(t.rank() == 0);
  CHECK(t.numel() == 1);
  CHECK(t[0] == 42);
}

TEST_CASE("E3 strides count elements; E12 column-major and padded rows are honoured") {
  versioned columns({1, 2, 3, 4, 5, 6}, {2, 3}, {1, 2});
  auto t = from_dlpack<float>(columns.give());
  CHECK_FALSE(t.dense());
  CHECK(t(0, 1) == 3);
  CHECK(t(1, 2) == 6);
  CHECK(t[1] == 3);  // row-major order of the elements
  CHECK_THROWS_AS(t.view(), tenon::error);
  versioned padded({1, 2, 0, 3, 4, 0}, {2, 2}, {3, 1});
  auto u = from_dlpack<float>(padded.give());
  CHECK_FALSE(u.dense());
  CHECK(u(1, 0) == 3);
}

TEST_CASE("E5 negative strides are legal, element 0 is still at data + byte_offset") {
  versioned p({1, 2, 3}, {3}, {-1});
  p.dl().byte_offset = 8;
  auto t = from_dlpack<float>(p.give());
  CHECK(t[0] == 3);
  CHECK(t[2] == 1);
  CHECK_FALSE(t.dense());
}

TEST_CASE("E6 stride 0 can be read, and not written") {
  versioned p({5, 6}, {3, 2}, {0, 1});
  const auto why = p.refused<float>();
  CHECK(why.code == errc::read_only);
  CHECK(std::string(why.argument) == "a tensor whose elements share memory (broadcast, or sliding windows)");
  auto t = from_dlpack(p.give());
  CHECK(t.read_only());
  CHECK(t.as<const float>()(2, 1) == 6);
  versioned alone({5, 6}, {1, 2}, {0, 1});  // one element shares with nobody
  CHECK(from_dlpack<float>(alone.give())(0, 1) == 6);
}

TEST_CASE("E7 strides of axes of one element say nothing") {
  for (const std::uint64_t known : {0, 12}) {  // the second takes a closer look
    versioned p({1, 2, 3}, {1, 3, 1}, {INT64_MIN, 1, INT64_MAX});
    auto t = from_dlpack<float>(p.give(), {.known_bytes = known});
    CHECK(t.dense());
    CHECK(t.view()[2] == 3);
    CHECK(t.strides() == tenon::strides{{3, 1, 1}});  // nor do they travel on to the next consumer
    versioned q({1, 2, 3}, {1, 3, 1}, {77, 1, 99});
    CHECK(from_dlpack<float>(q.give(), {.known_bytes = known}).strides() == tenon::strides{{3, 1, 1}});
  }
}

TEST_CASE("E9 rank, extents, sizes, strides and addresses that do not fit") {
  const std::int64_t huge = std::int64_t{1} << 62;
  SECTION("rank") {
    for (const int rank : {-1, 9, 1 << 30}) {
      versioned p({1}, {1});
      p.dl().ndim = rank;
      CHECK(p.refused<float>().code == errc::rank);
      CHECK(p.refused<void>().got == rank);
    }
  }
  SECTION("no shape") {
    versioned p({1}, {1});
    p.dl().shape = nullptr;
    CHECK(p.refused<float>().code == errc::null_shape);
  }
  SECTION("a negative extent, beside an empty axis too") {
    versioned p({1}, {2, 0, -3});
    const auto why = p.refused<float>();
    CHECK(why.code == errc::negative_extent);
    CHECK(why.axis == 2);
    CHECK(why.got == -3);
  }
  SECTION("elements") {
    versioned p({1}, {std::int64_t{1} << 32, std::int64_t{1} << 32});
    CHECK(p.refused<float>().code == errc::overflow);
    CHECK(p.refused<float>().axis == 1);
  }
  SECTION("bytes, where the elements fit") { CHECK(versioned({1}, {huge}).refused<float>().code == errc::overflow); }
  SECTION("huge extents beside an empty axis are fine") {
    versioned p({1}, {huge, huge, 0});
    CHECK(from_dlpack<float>(p.give()).numel() == 0);
  }
  SECTION("strides") {
    for (const std::int64_t stride : {huge, -huge, INT64_MAX, INT64_MIN})
      CHECK(versioned({1, 2}, {2}, {stride}).refused<float>().code == errc::overflow);
    CHECK(versioned({1, 2, 3, 4}, {2, 2}, {huge / 4, huge / 4}).refused<float>().code == errc::overflow);
  }
  SECTION("below address 0") {
    CHECK(versioned({1, 2}, {2}, {-(std::int64_t{1} << 60)}).refused<float>().code == errc::overflow);
  }
  SECTION("byte_offset") {
    for (const std::uint64_t offset : {std::uint64_t{1} << 63, ~std::uint64_t{0}, std::uint64_t{INT64_MAX}}) {
      versioned p({1, 2}, {2});
      p.dl().byte_offset = offset;
      CHECK(p.refused<void>().code == errc::overflow);
    }
  }
}

TEST_CASE("F1 bool is code 6 of 8 bits") {
  versioned p({1}, {4});
  p.dl().dtype = {6, 8, 1};
  CHECK(from_dlpack<bool>(p.give()).numel() == 4);
  p.dl().dtype = {6, 1, 8};
  CHECK(p.give().release() == &p.managed);
  p.deleted = 0;
  p.shape = {4};
  CHECK(p.refused<bool>().code == errc::dtype);
  CHECK(p.refused<void>().code == errc::dtype);
}

TEST_CASE("F2 code, bits and lanes must all match; F3 lanes") {
  versioned p({1, 2}, {2});
  CHECK(p.refused<double>().code == errc::dtype);
  CHECK(p.refused<int>().code == errc::dtype);
  p.dl().dtype = {2, 32, 2};
  CHECK(p.refused<float>().code == errc::dtype);
  CHECK(p.refused<float>().message() == "[from_dlpack] dtype: dtype: got float32x2, expected float32.");
}

TEST_CASE("F3 vector lanes come in as a type of that many numbers, and as nothing else") {
  versioned p({1, 2, 3, 4}, {2}, {1});
  p.dl().dtype = {2, 32, 2};
  CHECK(from_dlpack<const float_pair>(p.give())[1].y == 4);
  p.deleted = 0;
  CHECK(p.refused<void>().message() ==
        "[from_dlpack] dtype: dtype: got float32x2, expected one that DLPack 1.3 knows, such as float32. "
        "Import vectors as from_dlpack<T>, with tenon::dtype_of<T>.");
}

TEST_CASE("B3 F4 untyped imports take the types that DLPack 1.3 knows, and no others") {
  int known = 0;
  for (int code = 0; code < 256; ++code)
    for (int bits = 0; bits < 256; ++bits)
      for (const std::uint16_t lanes : {std::uint16_t{0}, std::uint16_t{1}, std::uint16_t{2}, std::uint16_t{4}}) {
        const tenon::dtype d{static_cast<tenon::dtype_code>(code), static_cast<std::uint8_t>(bits), lanes};
        versioned p({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, {1});
        p.dl().dtype = {static_cast<std::uint8_t>(code), static_cast<std::uint8_t>(bits), lanes};
        auto h = p.give();
        tensor<> t;
        tenon::failure why;
        const errc c = tenon::try_from_dlpack(h, t, why);
        const bool fits = d.known() && (lanes == 1 || bits < 8);
        if ((c == errc::ok) != fits || (c != errc::ok && c != errc::dtype))
          FAIL("code " << code << " bits " << bits << " lanes " << lanes);
        known += c == errc::ok;
      }
  // int, uint: 4 widths; float, complex: 3; bfloat, bool: 1; eight fp8; fp4 and the two fp6 with 1, 2 and 4 lanes
  CHECK(known == 4 + 4 + 3 + 3 + 1 + 1 + 8 + 3 * 3);
}

TEST_CASE("C7 C8 sub-byte elements one a byte: known at run time as such, and exported as such") {
  for (const std::uint8_t code : {std::uint8_t{15}, std::uint8_t{16}, std::uint8_t{17}}) {
    const std::uint8_t bits = code == 17 ? 4 : 6;
    versioned p({1, 2}, {2, 2}, {4, 1});  // elements 2 and 3 are bytes 4 and 5
    p.dl().dtype = {code, bits, 1};
    p.managed.flags = tenon::dl::flag_subbyte_padded;
    auto t = from_dlpack(p.give());
    CHECK(t.describe().padded);
    CHECK(t.describe().bits_each() == 8);
    CHECK(t.owner().bytes() == 4);
    CHECK_FALSE(t.dense());
    CHECK(tenon::address_range_of(t).last - tenon::address_range_of(t).first == 6);
    CHECK(tenon::to_dlpack(t)->flags == tenon::dl::flag_subbyte_padded);
    tenon::failure why;
    tenon::handle<tenon::dl::managed_tensor> old;
    CHECK(tenon::try_to_dlpack(t, old, why) == errc::dtype);
    CHECK(std::string(why.remedy) == "Export it versioned.");
    const auto copied = tenon::copy(t);
    CHECK(copied.describe().padded);
    CHECK(copied.dense());
    const auto *from = reinterpret_cast<const unsigned char*>(p.values.data()), *to = static_cast<unsigned char*>(copied.data());
    for (int i = 0; i < 4; ++i) CHECK(to[i] == from[i / 2 * 4 + i % 2]);
  }
  versioned lanes({1}, {4});
  lanes.dl().dtype = {17, 4, 2};
  lanes.managed.flags = tenon::dl::flag_subbyte_padded;
  CHECK(lanes.refused<void>().message() ==
        "[from_dlpack] dtype of small elements that have a byte each: dtype: got float4_e2m1fn_x2, expected one of whole bytes, "
        "such "
        "as float32.");
  versioned whole({1}, {1});  // the flag says nothing of whole bytes
  whole.managed.flags = tenon::dl::flag_subbyte_padded;
  CHECK_FALSE(from_dlpack(whole.give()).describe().padded);
}

TEST_CASE("D10 F4 F5 packed elements: dense ones alone, and as many bytes as the bits take") {
  for (const std::int64_t n : {1, 2, 3, 4, 5, 15, 16}) {
    versioned p(std::vector<float>(8, 1.0f), {n});
    p.dl().dtype = {17, 4, 1};
    p.dl().byte_offset = 3;
    {
      auto t = from_dlpack(p.give(), {.known_bytes = static_cast<std::uint64_t>(3 + (n + 1) / 2)});
      CHECK(t.dtype() == tenon::dtype{tenon::dtype_code::f4_e2m1fn, 4, 1});
      CHECK(t.data() == reinterpret_cast<char*>(p.values.data()) + 3);
      CHECK(t.owner().bytes() == static_cast<std::size_t>((n + 1) / 2));
      CHECK(tenon::to_dlpack(t)->flags == 0);
      CHECK(tenon::to_dlpack(t)->dl_tensor.byte_offset == 0);
      CHECK(tenon::copy(t).owner().bytes() == t.owner().bytes());
    }
    p.deleted = 0;
    p.shape = {n};
    const auto why = p.refused<void>({.known_bytes = static_cast<std::uint64_t>(3 + (n + 1) / 2 - 1)});
    CHECK(why.code == errc::overflow);
    CHECK(why.got == 3 + (n + 1) / 2);
  }
  versioned six({1, 2, 3}, {3, 3});
  six.dl().dtype = {15, 6, 1};
  CHECK(from_dlpack(six.give()).owner().bytes() == 7);  // 54 bits
  versioned strided({1, 2, 3}, {2, 3}, {4, 1});
  strided.dl().dtype = {17, 4, 1};
  for (const auto policy : {tenon::copy_policy::never, tenon::copy_policy::if_needed, tenon::copy_policy::always})
    CHECK(strided.refused<void>({.copies = policy}).code == errc::not_dense);
  versioned huge({1}, {std::int64_t{1} << 61});
  huge.dl().dtype = {17, 4, 1};
  CHECK(huge.refused<void>().code == errc::overflow);  // 2^63 bits
  versioned high({1}, {std::int64_t{1} << 60});
  high.dl().dtype = {17, 4, 1};
  CHECK(high.refused<void>({.known_bytes = std::uint64_t{1} << 59}).code == errc::ok);
  versioned typed({1}, {4});
  typed.dl().dtype = {17, 4, 1};
  CHECK(typed.refused<std::uint8_t>().code == errc::dtype);
  versioned none({1}, {3, 0}, {7, 9});
  none.dl().dtype = {16, 6, 1};
  CHECK(from_dlpack(none.give()).owner().bytes() == 0);
}

TEST_CASE("F6 two fp4 in a byte are an element of whole bytes, with any strides") {
  versioned p({1, 2}, {2, 2}, {3, 1});
  p.dl().dtype = {17, 4, 2};
  const auto t = from_dlpack(p.give());
  CHECK(t.dtype().bytes() == 1);
  CHECK(t.owner().bytes() == 4);
  CHECK_FALSE(t.dense());
}

TEST_CASE("G3 memory that is not the host's is refused by a host import, before it is looked at") {
  for (const int type : {0, 2, 10, 99, -1}) {
    versioned p({1}, {1});
    p.dl().device = {type, 1};
    const auto why = p.refused<float>();
    CHECK(why.code == errc::device);
    CHECK(why.got == tenon::device{static_cast<tenon::device_type>(type), 1}.packed());
  }
  versioned p({1}, {1});
  p.dl().device = {2, 3};
  CHECK(p.refused<void>().message() == "[from_dlpack] device: device: got cuda:3, expected cpu:0.");
}

namespace {
struct elsewhere {  // a device of one's own
  static constexpr tenon::device_type type = tenon::device_type::ext;
};
}  // namespace
TEST_CASE("G3 a device of one's own imports its memory and nothing else, and cannot copy at the door") {
  versioned p({1}, {1});
  p.dl().device = {12, 0};
  auto h = p.give();
  tensor<float, elsewhere> t;
  tenon::failure why;
  CHECK(tenon::try_from_dlpack(h, t, why, {.copies = tenon::copy_policy::always}) == errc::device);
  CHECK(tenon::try_from_dlpack(h, t, why) == errc::ok);
  CHECK(tenon::to_dlpack(t)->dl_tensor.device.device_type == 12);
  versioned host({1}, {1});
  auto g = host.give();
  CHECK(tenon::try_from_dlpack(g, t, why) == errc::device);
}

TEST_CASE("B5 E2 strict or not, rank 0 needs no strides; the highest rank passes on either way in") {
  versioned scalar({42}, {});
  scalar.managed.version.minor = 3;
  CHECK(from_dlpack<float>(scalar.give(), {.strict = true})[0] == 42);
  for (const std::uint64_t known : {0, 12}) {
    versioned deep({1, 2, 3}, {1, 1, 1, 1, 1, 1, 1, 3}, {3, 3, 3, 3, 3, 3, 3, 1});
    CHECK(from_dlpack<float>(deep.give(), {.known_bytes = known})[2] == 3);
  }
}

TEST_CASE("an import by another name says that name") {
  versioned p({1, 2}, {2});
  auto h = p.give();
  tensor<double> t;
  tenon::failure why;
  CHECK(tenon::detail::import_owned("from_elsewhere", tenon::detail::read_managed(p.managed), h, t, why, {}) == errc::dtype);
  CHECK(std::string(why.operation) == "from_elsewhere");
  CHECK(h);
}
