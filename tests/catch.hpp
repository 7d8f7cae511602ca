// SPDX-License-Identifier: Apache-2.0
// Catch2 3, or 2 where there is no other; every test program is one file, so version 2 may put its main here.
#pragma once
#if __has_include(<catch2/catch_test_macros.hpp>)
#include <catch2/catch_approx.hpp>
#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
using Catch::Approx;
#else
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
#undef CATCH_CONFIG_MAIN
#endif
