// SPDX-License-Identifier: Apache-2.0
// The door in: whose memory it is, which versions and flags, who may write. Names carry the rules of the DLPack conformance list; each
// refusal has its code, and leaves everything as it was.
#include <tenon/tensor/export.hpp>
#include <tenon/tensor/import.hpp>

#include <string>
#include <utility>

#include "catch.hpp"
#include "producer.hpp"

using tenon::errc;
using tenon::from_dlpack;
using tenon::tensor;

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

TEST_CASE("sharing copies nothing") {
  versioned p({1, 2, 3}, {3});
  const auto before = tenon::bytes_moved();
  auto t = from_dlpack<float>(p.give());
  auto h = tenon::to_dlpack(t);
  CHECK(h->dl_tensor.data == p.values.data());
  CHECK(tenon::bytes_moved().copied == before.copied);
  CHECK(tenon::bytes_moved().packed == before.packed);
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
