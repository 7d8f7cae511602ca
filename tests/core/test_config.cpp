// SPDX-License-Identifier: Apache-2.0
// The version has one source of truth a language: the macros, and the constant made of them.
#include <tenon/core/config.hpp>

#include "catch.hpp"

TEST_CASE("the version constant is the version macros") {
  CHECK(tenon::library_version.major == TENON_VERSION_MAJOR);
  CHECK(tenon::library_version.minor == TENON_VERSION_MINOR);
  CHECK(tenon::library_version.patch == TENON_VERSION_PATCH);
}

TEST_CASE("exceptions are on in the tests") { STATIC_REQUIRE(tenon::exceptions_enabled); }
