// SPDX-License-Identifier: Apache-2.0
// What the compiler can check of core/: sizes, copies, and what may be a template argument.
#include <tenon/core/device.hpp>
#include <tenon/core/dtype.hpp>
#include <tenon/core/error.hpp>
#include <tenon/core/float16.hpp>
#include <tenon/core/precision.hpp>
#include <tenon/core/shape.hpp>

#include <type_traits>

#include "catch.hpp"

namespace {
using namespace tenon;
template <auto Value>
inline constexpr bool structural = true;
template <class T>
inline constexpr bool plain = std::is_trivially_copyable_v<T> && std::is_standard_layout_v<T>;

static_assert(structural<shape{dyn, 1, 28, 28}> && structural<strides{}> && structural<fault{}> && structural<size{}> &&
              structural<size2{}>);
static_assert(structural<dtype{}> && structural<device{}> && structural<bfloat16{}>);
static_assert(plain<shape> && plain<strides> && plain<fault> && plain<dtype> && plain<device> && plain<bfloat16> &&
              plain<failure>);

static_assert(sizeof(dtype) == 4 && alignof(dtype) == 2);  // DLPack's DLDataType
static_assert(sizeof(device) == 8 && alignof(device) == 4);
static_assert(sizeof(bfloat16) == 2 && alignof(bfloat16) == 2);
static_assert(sizeof(size) == 8 && sizeof(size2) == 16);
static_assert(sizeof(shape) <= 104 && sizeof(strides) == 8 * max_rank);
static_assert(sizeof(errc) == 2);
static_assert(std::is_nothrow_copy_constructible_v<error> && std::is_base_of_v<std::runtime_error, error>);

static_assert(dtype_of<float>::value == float32 && dtype_of<int>::value == int32 && dtype_of<long long>::value == int64);
static_assert(dtype_of<long>::value == int64 || sizeof(long) == 4);
static_assert(dtype_of<bool>::value == boolean && dtype_of<unsigned char>::value == uint8 &&
              dtype_of<bfloat16>::value.bits == 16);
static_assert(element<const float> && element<bfloat16> && !element<void*> && !element<float*> && !element<shape>);
static_assert(float32.bytes() == 4 && dtype{dtype_code::f4_e2m1fn, 4, 2}.bytes() == 1);
static_assert(float32.known() && boolean.known() && !dtype{dtype_code::opaque, 64, 1}.known() &&
              !dtype{dtype_code::float_, 32, 0}.known());

static_assert(std::is_same_v<precision_of<float>, precision<float>> && std::is_same_v<precision_of<double>::accumulate, double>);
static_assert(std::is_same_v<precision<bfloat16>::compute, float> && std::is_same_v<precision<bfloat16>::master, float>);
static_assert(!std::is_convertible_v<failure, bool> && std::is_constructible_v<bool, failure>);
static_assert(exceptions_enabled);
}  // namespace

TEST_CASE("the facts of core hold, or this would not compile") { SUCCEED(); }
