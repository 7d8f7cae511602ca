// SPDX-License-Identifier: Apache-2.0
// Errors: numbers and words that never change, the exact text, and long arguments cut.
#include <tenon/core/error.hpp>
#include <tenon/core/shape.hpp>

#include <string>

#include "catch.hpp"

using tenon::errc;
using tenon::failure;

namespace {
failure made(errc code, tenon::detail::failure_text t, const char* op = "op") {
  failure f;
  CHECK(tenon::detail::fail(f, code, op, t) == code);
  return f;
}
}  // namespace

TEST_CASE("the numbers and words of errc are stable") {
  const struct {
    errc code;
    int number;
    const char* word;
  } all[] = {{errc::ok, 0, "ok"},
             {errc::dtype, 1, "dtype"},
             {errc::rank, 2, "rank"},
             {errc::extent, 3, "extent"},
             {errc::negative_extent, 4, "negative extent"},
             {errc::overflow, 5, "overflow"},
             {errc::null_data, 6, "null data"},
             {errc::null_shape, 7, "null shape"},
             {errc::read_only, 8, "read-only memory"},
             {errc::device, 9, "device"},
             {errc::not_dense, 10, "not dense"},
             {errc::alignment, 11, "alignment"},
             {errc::version, 12, "version"},
             {errc::null_handle, 13, "null handle"},
             {errc::null_strides, 14, "null strides"},
             {errc::copy, 15, "a copy"},
             {errc::missing_size, 20, "a size left out"},
             {errc::kind, 21, "kind"},
             {errc::arity, 22, "number of inputs"},
             {errc::too_small, 23, "extent too small"},
             {errc::value, 24, "value out of range"},
             {errc::name, 25, "name"},
             {errc::empty_batch, 30, "empty batch"},
             {errc::stale, 31, "stale"},
             {errc::label, 32, "label out of range"},
             {errc::not_finite, 33, "not finite"},
             {errc::no_memory, 34, "out of memory"},
             {errc::index, 35, "index out of range"},
             {errc::no_forward, 36, "no forward"},
             {errc::foreign, 37, "a foreign exception"},
             {errc::file, 40, "file"},
             {errc::truncated, 41, "truncated"},
             {errc::corrupt, 42, "corrupt"},
             {errc::limit, 43, "limit"},
             {errc::interrupted, 44, "interrupted"},
             {errc::library, 50, "no usable library"},
             {errc::no_device, 51, "no device"},
             {errc::device_fault, 52, "device fault"}};
  int words = 0;
  for (const auto& e : all) {
    CHECK(static_cast<int>(e.code) == e.number);
    CHECK(std::string(tenon::word(e.code)) == e.word);
  }
  for (int n = 0; n < 1000; ++n) words += std::string(tenon::word(static_cast<errc>(n))) != "unknown";
  CHECK(words == static_cast<int>(std::size(all)));  // a new code gets a line here
}

TEST_CASE("the exact text of an error") {
  CHECK(made(errc::extent, {.argument = "x", .axis = 1, .got = 128, .expected = 64}).message() ==
        "[op] x: extent, axis 1: got 128, expected 64.");
  CHECK(made(errc::rank, {.got = 9, .expected = 8, .relation = "0 to ", .remedy = "Do this."}).message() ==
        "[op] rank: got 9, expected 0 to 8. Do this.");
  CHECK(made(errc::dtype, {.argument = "t", .got = tenon::float64.packed(), .expected = tenon::float32.packed()}).message() ==
        "[op] t: dtype: got float64, expected float32.");
  CHECK(made(errc::device, {.got = tenon::device{tenon::device_type::cuda, 1}.packed(), .expected = tenon::device{}.packed()})
            .message() == "[op] device: got cuda:1, expected cpu:0.");
  CHECK(made(errc::kind, {.got = 0, .expected = 2}).message() == "[op] kind: got scalar, expected index.");
  CHECK(made(errc::read_only, {.argument = "w", .remedy = "Ask for const."}).message() ==
        "[op] w: read-only memory. Ask for const.");
  CHECK(made(errc::file, {.argument = "a.gz", .got = 2}).message() == "[op] a.gz: file: No such file or directory.");
  CHECK(made(errc::file, {.argument = "a.gz"}).message() == "[op] a.gz: file.");
  CHECK(made(errc::corrupt, {.argument = "a.gz"}).message() == "[op] a.gz: corrupt.");
  CHECK(made(errc::stale, {.got = 7, .expected = 8}).message() == "[op] stale: got 7, expected 8.");
  CHECK(made(errc::negative_extent, {.argument = "shape", .axis = 0, .got = -3, .relation = "at least "}).message() ==
        "[op] shape: negative extent, axis 0: got -3, expected at least 0.");
  CHECK(made(errc::limit, {.got = INT64_MAX, .expected = INT64_MIN}).message() ==
        "[op] limit: got 9223372036854775807, expected -9223372036854775808.");
  static constexpr failure none{};  // a literal type
  CHECK_FALSE(none);
  CHECK(failure{}.message() == "ok");
  CHECK_FALSE(failure{});
}

TEST_CASE("an error carries every field, and its text") {
  try {
    tenon::detail::raise(errc::extent, "forward", {.argument = "x", .axis = 2, .got = 5, .expected = 6, .relation = "at least "});
  } catch (const std::runtime_error& caught) {
    const auto& e = dynamic_cast<const tenon::error&>(caught);
    CHECK(e.code() == errc::extent);
    CHECK(std::string(e.operation()) == "forward");
    CHECK(std::string(e.argument()) == "x");
    CHECK(e.axis() == 2);
    CHECK(e.got() == 5);
    CHECK(e.expected() == 6);
    CHECK(e.details().message() == e.what());
    CHECK(std::string(e.what()) == "[forward] x: extent, axis 2: got 5, expected at least 6.");
    STATIC_CHECK(std::is_nothrow_copy_constructible_v<tenon::error>);
  }
}

TEST_CASE("a long argument is cut, ends in … and never in half a character") {
  const std::string fits(95, 'a'), ellipsis = "…";
  CHECK(made(errc::name, {.argument = fits}).argument == fits);
  CHECK(made(errc::name, {.argument = std::string(96, 'a')}).argument == std::string(92, 'a') + ellipsis);
  CHECK(made(errc::name, {.argument = std::string(5000, 'b')}).argument == std::string(92, 'b') + ellipsis);
  std::string wide;  // "é" is two bytes: byte 91 begins one, byte 92 ends it
  wide = std::string(91, 'a');
  for (int i = 0; i < 10; ++i) wide += "é";
  CHECK(made(errc::name, {.argument = wide}).argument == std::string(91, 'a') + ellipsis);
  std::string four;
  for (int i = 0; i < 30; ++i) four += "\xF0\x9F\x98\x80";
  CHECK(made(errc::name, {.argument = four}).argument == four.substr(0, 92) + ellipsis);
  CHECK(made(errc::name, {.argument = "x" + four}).argument == "x" + four.substr(0, 88) + ellipsis);
  // text without a final zero goes by way of a copy, which says the same
  CHECK(made(errc::name, {.argument = tenon::detail::text_copy("x" + four).text}).argument ==
        "x" + four.substr(0, 88) + ellipsis);
  CHECK(made(errc::name, {.argument = tenon::detail::text_copy(std::string_view("a.b").substr(0, 1)).text}).argument ==
        std::string("a"));
}

TEST_CASE("names of dtypes and devices") {
  using tenon::dtype;
  using tenon::dtype_code;
  CHECK(name(tenon::float32) == "float32");
  CHECK(name(tenon::bfloat16_dtype) == "bfloat16");
  CHECK(name(tenon::boolean) == "bool");
  CHECK(name(dtype{dtype_code::bool_, 1, 1}) == "bool1");
  CHECK(name(dtype{dtype_code::uint_, 8, 4}) == "uint8x4");
  CHECK(name(dtype{dtype_code::complex, 64, 1}) == "complex64");
  CHECK(name(dtype{dtype_code::f8_e4m3fn, 8, 1}) == "float8_e4m3fn");
  CHECK(name(dtype{dtype_code::f6_e2m3fn, 6, 1}) == "float6_e2m3fn");
  CHECK(name(dtype{dtype_code::f4_e2m1fn, 4, 2}) == "float4_e2m1fn_x2");
  CHECK(name(dtype{static_cast<dtype_code>(99), 8, 1}) == "code 99, 8 bits");
  CHECK(name(dtype{dtype_code::opaque, 64, 1}) == "opaque64");
  for (const dtype d : {tenon::float32, tenon::int64, dtype{dtype_code::f4_e2m1fn, 4, 65535}})
    CHECK(dtype::unpacked(d.packed()) == d);
  CHECK(name(tenon::device{}) == "cpu:0");
  CHECK(name(tenon::device{tenon::device_type::rocm, 7}) == "rocm:7");
  CHECK(name(tenon::device{static_cast<tenon::device_type>(99), -1}) == "device type 99:-1");
  const tenon::device far{static_cast<tenon::device_type>(-3), -4};
  CHECK(tenon::device::unpacked(far.packed()) == far);
}
