// SPDX-License-Identifier: Apache-2.0
// What the compiler can check of tensor/: layouts of the ABI, and who may be copied, moved, converted and made from a temporary.
#include <tenon/tensor/export.hpp>
#include <tenon/tensor/import.hpp>

#include <array>
#include <memory>
#include <span>
#include <type_traits>
#include <vector>

#include "catch.hpp"

struct far {
  static constexpr tenon::device_type type = tenon::device_type::ext;
};
namespace {
using namespace tenon;
using floats = std::vector<float>;

// A1: the layout of DLPack, field by field
static_assert(std::is_trivial_v<dl::tensor> && std::is_standard_layout_v<dl::managed_tensor> &&
              std::is_standard_layout_v<dl::managed_tensor_versioned>);
static_assert(sizeof(dl::tensor) == 48 && sizeof(dl::managed_tensor) == 64 && sizeof(dl::managed_tensor_versioned) == 80);
static_assert(offsetof(dl::managed_tensor, dl_tensor) == 0 && offsetof(dl::managed_tensor, manager_ctx) == 48 &&
              offsetof(dl::managed_tensor, deleter) == 56);
static_assert(offsetof(dl::managed_tensor_versioned, version) == 0 && offsetof(dl::managed_tensor_versioned, manager_ctx) == 8 &&
              offsetof(dl::managed_tensor_versioned, deleter) == 16 && offsetof(dl::managed_tensor_versioned, flags) == 24 &&
              offsetof(dl::managed_tensor_versioned, dl_tensor) == 32);
static_assert(offsetof(dl::tensor, byte_offset) == 40 && dl::flag_read_only == 1 && dl::flag_is_copied == 2 &&
              dl::flag_subbyte_padded == 4);
static_assert(dl::spoken.major == 1 && dl::spoken.minor == 3);

// A4: the generations are never taken for one another
static_assert(managed_struct<dl::managed_tensor> && !versioned_struct<dl::managed_tensor> &&
              versioned_struct<dl::managed_tensor_versioned>);
static_assert(!managed_struct<dl::tensor> && !managed_struct<int>);
static_assert(!std::is_convertible_v<handle<dl::managed_tensor>, handle<dl::managed_tensor_versioned>>);

// an owner is moved, never copied, and is no larger than its pointer
static_assert(sizeof(handle<>) == sizeof(void*) && !std::is_copy_constructible_v<handle<>> &&
              !std::is_copy_assignable_v<handle<>>);
static_assert(std::is_nothrow_move_constructible_v<handle<>> && std::is_nothrow_move_assignable_v<handle<>>);
static_assert(!std::is_convertible_v<dl::managed_tensor_versioned*, handle<>>);
static_assert(sizeof(storage) == sizeof(void*) && std::is_nothrow_copy_constructible_v<storage> &&
              std::is_nothrow_move_constructible_v<storage>);
static_assert(std::is_nothrow_copy_constructible_v<tensor<float>> && std::is_nothrow_move_constructible_v<tensor<>>);

// views are values that borrow; const is added, never taken away; a device is not crossed
static_assert(std::is_trivially_copyable_v<view<float>> && std::is_trivially_copyable_v<strided_view<float>> &&
              std::is_trivially_copyable_v<array_ref>);
static_assert(std::is_convertible_v<view<float>, view<const float>> && !std::is_constructible_v<view<float>, view<const float>>);
static_assert(std::is_convertible_v<view<float>, strided_view<float>> &&
              !std::is_constructible_v<view<float>, strided_view<float>>);
static_assert(!std::is_constructible_v<view<float>, view<float, far>> &&
              !std::is_constructible_v<view<const double>, view<const float>>);
static_assert(std::is_convertible_v<tensor<float>, tensor<const float>> &&
              !std::is_constructible_v<tensor<float>, tensor<const float>>);
static_assert(std::is_convertible_v<tensor<float>, tensor<>> && !std::is_constructible_v<tensor<float>, tensor<>>);
static_assert(std::is_convertible_v<tensor<float>, view<const float>>);

// temporaries that own cannot be viewed, spans can
static_assert(std::is_constructible_v<view<float>, floats&, shape> && !std::is_constructible_v<view<float>, floats, shape>);
static_assert(std::is_constructible_v<view<const float>, const floats&, shape> &&
              !std::is_constructible_v<view<const float>, const floats, shape>);
static_assert(!std::is_constructible_v<view<float>, const floats&, shape> &&
              std::is_constructible_v<view<const float>, floats&, shape>);
static_assert(!std::is_constructible_v<view<float>, std::vector<double>&, shape>);
static_assert(std::is_constructible_v<view<float>, std::span<float>, shape> &&
              std::is_constructible_v<view<const float>, std::span<float>, shape>);
static_assert(!std::is_constructible_v<view<float>, std::span<const float>, shape>);

struct pooled {  // says what its elements are, and owns them
  using element_type = float;
  using allocator_type = std::allocator<float>;
};
static_assert(detail::spanlike<std::span<float>> && !detail::spanlike<std::array<float, 3>> && !detail::spanlike<floats> &&
              !detail::spanlike<pooled>);
static_assert(outlives_call<std::span<float>> && outlives_call<std::array<float, 3>&> && !outlives_call<std::array<float, 3>>);

// what may stand behind a view's extents
static_assert(detail::is_layout<layout_right> && detail::is_layout<layout_left> && detail::is_layout<layout_strided> &&
              !detail::is_layout<extents<2>>);
static_assert(detail::alignment_of_tag<aligned<16>> == 16 && detail::alignment_of_tag<layout_right> == 0 &&
              detail::view_tags<>::alignment == 1 && detail::alignment_of_tag<int> == 0 && detail::devices_of_tag<int>.empty());

// every door has a twin that does not throw
template <class T>
concept doors = requires(handle<>& h, tensor<T>& t, failure& f) {
  requires noexcept(try_from_dlpack(h, t, f));
  requires noexcept(try_to_dlpack(t, h, f));
};
static_assert(doors<float> && doors<const float> && doors<void>);
}  // namespace

TEST_CASE("the facts of tensor hold, or this would not compile") { SUCCEED(); }
