// SPDX-License-Identifier: Apache-2.0
// Where there is no CUDA library, or a wrong one: what the search says, and that a device asks for memory before anything else.
#include <cstdlib>
#include "catch.hpp"
#include "support/witness.hpp"
#include "tenon/ops/cuda/device.hpp"
using tenon::errc, tenon::failure;
using tests::failed;

namespace {
const bool set = setenv("TENON_CUDA_LIBRARY", "/nowhere/libtenon_cuda.so.1", 1) == 0;
constexpr auto net = tenon::network({4}, tenon::layers::linear{.out = 2});
tenon_cuda_api other = tenon::cuda::detail::absent;
const tenon_cuda_api* give_other() { return &other; }
const tenon_cuda_api* give_nothing() { return nullptr; }
bool has(const char* text, const char* part) { return std::string(text).find(part) != std::string::npos; }
}  // namespace

TEST_CASE("no library: which file was tried, why not, and how to build one") {
  REQUIRE(set);
  const failure f = failed([] { tenon::model<net, tenon::cuda_device> m; });
  CHECK(f.code == errc::library);
  CHECK(
      f.message().starts_with("[cuda] /nowhere/libtenon_cuda.so.1: cannot open shared object file: No such file or directory: no "
                              "usable library. Build it"));
  CHECK(has(f.remedy, "ninja -C build tenon_cuda;"));
  CHECK(has(f.remedy, "TENON_CUDA_LIBRARY"));
  tenon::storage s;
  failure why;
  CHECK(tenon::cuda_device{}.try_allocate(4, s, why) == errc::library);
  CHECK(!s);
  const tenon_cuda_api* t = nullptr;
  CHECK(tenon::cuda::try_library(t, why) == errc::library);
  CHECK(t == nullptr);
}

TEST_CASE("the calls of no library say so, each of them") {
  const tenon_cuda_api& c = tenon::cuda::detail::absent;
  CHECK(c.size == sizeof(tenon_cuda_api));
  const tenon_cuda_status all[] = {c.device_count(nullptr),
                                   c.device_properties(0, nullptr),
                                   c.allocate(0, 1, nullptr),
                                   c.release(0, nullptr),
                                   c.copy(0, nullptr, nullptr, 0, 1, nullptr),
                                   c.synchronize(0, nullptr),
                                   c.plan(nullptr, nullptr),
                                   c.gemm(nullptr),
                                   c.map(nullptr),
                                   c.sum(nullptr),
                                   c.update(nullptr)};
  for (const tenon_cuda_status s : all) CHECK(s == TENON_CUDA_NO_LIBRARY);
  CHECK(c.last_error() != nullptr);
}

TEST_CASE("a file that is no library of ours, and libraries of other versions, are refused and nothing changes") {
  failure f;
  CHECK(tenon::cuda::try_use_library("libm.so.6", f) == errc::library);
  CHECK(f.message().starts_with("[cuda] libm.so.6: it has no tenon_cuda_abi: no usable library. Build it"));
  CHECK(tenon::cuda::try_use_library("nowhere.so", f) == errc::library);
  CHECK(tenon::cuda::try_use_library(give_nothing, f) == errc::library);
  other.abi = 2u << 16;
  CHECK(tenon::cuda::try_use_library(give_other, f) == errc::version);
  CHECK(f.message() ==
        "[cuda] the library that is linked: version: got 2, expected 1. Build the library and the program from one version of "
        "Tenon.");
  other.abi = tenon::cuda::detail::absent.abi;
  other.size -= 8;
  CHECK(tenon::cuda::try_use_library(give_other, f) == errc::library);
  CHECK(has(f.message().c_str(), "a table of at least"));
  CHECK(failed([] { tenon::cuda::use_library("nowhere.so"); }).code == errc::library);
  CHECK(failed([] { tenon::cuda_device{}.synchronize(); }).code == errc::library);
  other.size += 8;
  other.abi += 1;  // a later minor
  CHECK(tenon::cuda::try_use_library(give_other, f) == errc::ok);
  const tenon_cuda_api* t = nullptr;
  CHECK(tenon::cuda::try_library(t, f) == errc::ok);
  CHECK(t == &other);
}

TEST_CASE("an error keeps its own text, whatever fails after it and however long the file's name is") {
  failure first, second;
  CHECK(tenon::cuda::try_use_library("first.so", first) == errc::library);
  const std::string before = first.message();
  const std::string deep = "/nowhere/" + std::string(300, 'd') + "/libtenon_cuda_of_mine.so";
  CHECK(tenon::cuda::try_use_library(deep.c_str(), second) == errc::library);
  CHECK(first.message() == before);
  CHECK(has(before.c_str(), "first.so: cannot open"));
  CHECK(has(second.argument, "/libtenon_cuda_of_mine.so: cannot open shared object file"));
  CHECK(std::string(second.remedy) == tenon::cuda::detail::how_to_build);
  CHECK(has(tenon::cuda::detail::absent.last_error(), "no CUDA library"));
}

TEST_CASE("a library's version is asked for before anything else of it is touched") {
  using tenon::cuda::detail::take_table;
  static std::uint32_t version;
  static int tables;
  version = 2u << 16, tables = 0;
  const auto find = [](const char* symbol) {
    if (std::string(symbol) == "tenon_cuda_abi") return reinterpret_cast<void*>(+[]() -> std::uint32_t { return version; });
    return reinterpret_cast<void*>(+[]() -> const tenon_cuda_api* { return ++tables, &tenon::cuda::detail::absent; });
  };
  const tenon_cuda_api* t = nullptr;
  failure f;
  CHECK(take_table(find, "later.so", t, f) == errc::version);
  CHECK(f.message() ==
        "[cuda] later.so: version: got 2, expected 1. Build the library and the program from one version of Tenon.");
  CHECK(tables == 0);
  CHECK(t == nullptr);
  version = tenon::cuda::detail::absent.abi;
  CHECK(take_table(find, "ours.so", t, f) == errc::ok);
  CHECK(tables == 1);
  CHECK(t == &tenon::cuda::detail::absent);
  CHECK(std::string(tenon::cuda::detail::usual_name.text) == "libtenon_cuda.so." + std::to_string(TENON_CUDA_ABI_MAJOR));
}

TEST_CASE("advice: only a device that answers nothing more asks for a new process") {
  using tenon::cuda::detail::advice_for;
  for (const int sticky : {700, 702, 710, 714, 715, 716, 717, 718, 719}) CHECK(has(advice_for(sticky), "start anew"));
  for (const int status : {0, 1, 2, 98, 100, 209, 222, 400, 701, 713, 720, 999}) CHECK(!has(advice_for(status), "start anew"));
  for (const int image : {209, 222}) CHECK(has(advice_for(image), "compute capability 8.0 or later, see -Dgpu_arch"));
  CHECK(has(advice_for(400), "stream"));
  CHECK(has(advice_for(1), "another device"));
}

TEST_CASE("every status has a code of ours") {
  using tenon::cuda::detail::code_of;
  CHECK(code_of(0) == errc::ok);
  CHECK(code_of(2) == errc::no_memory);
  for (const int none : {3, 35, 46, 100, 101, 802, 803, 804}) CHECK(code_of(none) == errc::no_device);
  for (const int image : {98, 200, 209, 218, 221, 222, 223}) CHECK(code_of(image) == errc::library);
  for (const int fault : {1, 400, 700, 719, 999}) CHECK(code_of(fault) == errc::device_fault);
  CHECK(code_of(TENON_CUDA_STRIDE) == errc::not_dense);
  CHECK(code_of(TENON_CUDA_STRUCT) == errc::version);
}
