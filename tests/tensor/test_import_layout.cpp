// SPDX-License-Identifier: Apache-2.0
// The door in: addresses, extents, sizes and strides (rules D and E). Each refusal has its code, and leaves everything as it was.
#include <tenon/tensor/import.hpp>

#include <cstring>
#include <string>

#include "catch.hpp"
#include "producer.hpp"

using tenon::errc;
using tenon::from_dlpack;
using tenon::tensor;

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

TEST_CASE("D7 a copy of an empty array has no address either, however it is aligned") {
  versioned p({1}, {3, 0});
  tenon::import_report report;
  const auto t = from_dlpack<float>(p.give(), {.copies = tenon::copy_policy::always, .alignment = 4096, .report = &report});
  CHECK(t.data() == nullptr);
  CHECK(t.shape() == tenon::shape{3, 0});
  CHECK(report.copied);
  CHECK(report.bytes == 0);
  CHECK(p.deleted == 1);
}

TEST_CASE("E2 a copy of a scalar has its value") {
  versioned p({42}, {});
  const auto t = from_dlpack<float>(p.give(), {.copies = tenon::copy_policy::always});
  CHECK(p.deleted == 1);
  CHECK(t[0] == 42);
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

TEST_CASE("B5 E2 strict or not, rank 0 needs no strides; the highest rank passes on either way in") {
  versioned scalar({42}, {});
  scalar.managed.version.minor = 3;
  CHECK(from_dlpack<float>(scalar.give(), {.strict = true})[0] == 42);
  for (const std::uint64_t known : {0, 12}) {
    versioned deep({1, 2, 3}, {1, 1, 1, 1, 1, 1, 1, 3}, {3, 3, 3, 3, 3, 3, 3, 1});
    CHECK(from_dlpack<float>(deep.give(), {.known_bytes = known})[2] == 3);
  }
}
