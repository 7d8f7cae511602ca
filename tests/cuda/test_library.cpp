// SPDX-License-Identifier: Apache-2.0
// Where there is no CUDA library, or a wrong one: what the search says, and that a device asks for memory before anything else.
#include <cstdlib>
#include "catch.hpp"
#include "support/witness.hpp"
#include "tenon/ops/cuda/device.hpp"
using tenon::errc, tenon::failure;
using tests::failed;

namespace {
const bool set = setenv("TENON_CUDA_LIBRARY", "/nowhere/libtenon_cuda.so.0", 1) == 0;
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
  CHECK(f.message().starts_with("[cuda] /nowhere/libtenon_cuda.so.0: no usable library. Tried /nowhere/libtenon_cuda.so.0: "));
  CHECK(has(f.remedy, "No such file or directory"));
  CHECK(has(f.remedy, "ninja -C build cuda_kernels/libtenon_cuda.so"));
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
  CHECK(has(f.remedy, "it has no tenon_cuda_functions"));
  CHECK(tenon::cuda::try_use_library("nowhere.so", f) == errc::library);
  CHECK(tenon::cuda::try_use_library(give_nothing, f) == errc::library);
  other.abi = 2u << 16;
  CHECK(tenon::cuda::try_use_library(give_other, f) == errc::version);
  CHECK(f.message() ==
        "[cuda] the library that is linked: version: got 2, expected 1. Build the library and the program from one version of "
        "Tenon.");
  other.abi = tenon::cuda::detail::absent.abi;
  other.size -= 8;
  CHECK(tenon::cuda::try_use_library(give_other, f) == errc::version);
  CHECK(failed([] { tenon::cuda::use_library("nowhere.so"); }).code == errc::library);
  CHECK(failed([] { tenon::cuda_device{}.synchronize(); }).code == errc::library);
  other.size += 8;
  other.abi += 1;  // a later minor
  CHECK(tenon::cuda::try_use_library(give_other, f) == errc::ok);
  const tenon_cuda_api* t = nullptr;
  CHECK(tenon::cuda::try_library(t, f) == errc::ok);
  CHECK(t == &other);
}

TEST_CASE("every status has a code of ours") {
  using tenon::cuda::detail::code_of;
  CHECK(code_of(0) == errc::ok);
  CHECK(code_of(2) == errc::no_memory);
  for (const int none : {3, 35, 46, 100, 101, 802, 803, 804}) CHECK(code_of(none) == errc::no_device);
  for (const int fault : {1, 209, 700, 719, 999}) CHECK(code_of(fault) == errc::device_fault);
  CHECK(code_of(TENON_CUDA_STRIDE) == errc::not_dense);
  CHECK(code_of(TENON_CUDA_STRUCT) == errc::version);
}
