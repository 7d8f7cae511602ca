// SPDX-License-Identifier: Apache-2.0
// The door in: element types and devices (rules F, C7, C8, D10 and G). Each refusal has its code, and leaves everything as it was.
#include <tenon/tensor/export.hpp>
#include <tenon/tensor/import.hpp>
#include <tenon/tensor/overlap.hpp>
#include <tenon/tensor/typed_tensor.hpp>

#include <string>
#include <vector>

#include "catch.hpp"
#include "producer.hpp"

using tenon::errc;
using tenon::from_dlpack;
using tenon::tensor;

namespace {
struct float_pair {
  float x, y;
};
struct fp4_pair {
  std::uint8_t both;
};
struct odd {  // says twelve bits, and has eight
  std::uint8_t low;
};
}  // namespace
template <>
struct tenon::dtype_of<fp4_pair> {
  static constexpr dtype value{dtype_code::f4_e2m1fn, 4, 2};
};
template <>
struct tenon::dtype_of<odd> {
  static constexpr dtype value{dtype_code::uint_, 4, 3};
};
template <>
struct tenon::dtype_of<float_pair> {
  static constexpr dtype value{dtype_code::float_, 32, 2};
};

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
  for (const std::uint8_t bits : {std::uint8_t{8}, std::uint8_t{16}})  // the flag says nothing of whole bytes
    for (const std::uint64_t known : {0, 4}) {  // the second takes a closer look
      versioned whole({1}, {1});
      whole.dl().dtype = {1, bits, 1};
      whole.managed.flags = tenon::dl::flag_subbyte_padded;
      CHECK_FALSE(from_dlpack(whole.give(), {.known_bytes = known}).describe().padded);
    }
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

TEST_CASE("G3 what the host cannot read is not copied at the door: the first cause is told") {
  using anywhere = tenon::on_device<tenon::device_type::cpu, tenon::device_type::cuda>;
  for (const int device : {1, 2}) {
    versioned p({1, 2, 3}, {2});
    p.dl().device = {device, 0};
    p.dl().byte_offset = 2;
    auto h = p.give();
    tensor<const float, tenon::dims<1>, anywhere> t;
    tenon::failure why;
    const errc c = tenon::try_from_dlpack(h, t, why, {.copies = tenon::copy_policy::if_needed});
    CHECK(c == (device == 1 ? errc::ok : errc::alignment));
    CHECK(p.deleted == (device == 1 ? 1 : 0));
  }
}

TEST_CASE("F6 C8 a type of small numbers comes in where it has whole bytes of its own, and never with a byte for each number") {
  versioned p({1, 2}, {2, 2}, {3, 1});
  p.dl().dtype = {17, 4, 2};
  CHECK(from_dlpack<fp4_pair>(p.give()).shape() == tenon::shape{2, 2});
  versioned padded({1}, {2});
  padded.dl().dtype = {17, 4, 2};
  padded.managed.flags = tenon::dl::flag_subbyte_padded;
  const auto why = padded.refused<fp4_pair>();
  CHECK(why.code == errc::dtype);
  CHECK(std::string(why.argument) == "dtype of small elements that have a byte each");
  CHECK(std::string(why.remedy) == "Import it without a type: tenon::from_dlpack(…), then tenon::as_packed(t).");
  versioned shared({1}, {2});
  shared.dl().dtype = {1, 4, 3};
  const auto other = shared.refused<odd>();
  CHECK(other.code == errc::dtype);
  CHECK(std::string(other.argument) == "dtype of elements that share bytes");
}

TEST_CASE("an array that is described already is read as it is, flags and all") {
  tenon::array_ref a;
  float x[6]{};
  a.data = x;
  a.dtype = {tenon::dtype_code::f4_e2m1fn, 4, 1};
  a.device = {tenon::device_type::cuda, 3};
  a.shape = {2, 3};
  a.strides = {{3, 1}};
  for (const bool read_only : {false, true})
    for (const bool padded : {false, true}) {
      a.read_only = read_only;
      a.padded = padded;
      const tenon::detail::import_source t = tenon::detail::read_array(a);
      CHECK(t.flags == (read_only ? tenon::dl::flag_read_only : 0) + (padded ? tenon::dl::flag_subbyte_padded : 0));
      CHECK(t.data == x);
      CHECK(t.device.device_type == 2);
      CHECK(t.device.device_id == 3);
      CHECK(t.ndim == 2);
      CHECK((t.dtype.code == 17 && t.dtype.bits == 4 && t.dtype.lanes == 1));
      CHECK(t.shape[1] == 3);
      CHECK(t.strides[0] == 3);
      CHECK(t.byte_offset == 0);
      CHECK(t.versioned);
      CHECK(t.may_omit_strides);
    }
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
