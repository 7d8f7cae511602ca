// SPDX-License-Identifier: Apache-2.0
// What the frameworks' doors share: a tensor of any type whose adapter describes it at run time, and what must hold before a
// framework gets one of ours. Reads shapes and strides, never elements.
#pragma once
#include <cstdint>
#include <exception>
#include <string_view>
#include <type_traits>
#include <utility>
#include "tenon/tensor/import.hpp"
#include "tenon/tensor/view_as.hpp"
namespace tenon::detail {
/// Shares what `x` holds, which moves into the tensor; on an error it is untouched. Errors: those of its adapter and of from_dlpack.
template <class T, class Device, class X>
[[nodiscard]] errc try_share(const char* operation, X& x, tensor<T, Device>& to, failure& why, const import_options& o) noexcept {
  array_ref a;
  if (const errc c = adapter<X>::try_describe(x, a, why); c != errc::ok) {
    why.operation = operation;
    return c;
  }
  return import_owned(operation, read_array(a), x, to, why, o);
}
/// `axes` as the rank of `a`. Errors: rank.
template <class I>
[[nodiscard]] errc set_rank(const char* operation, I axes, array_ref& a, failure& why) noexcept {
  const auto rank = static_cast<std::int64_t>(axes);
  if (rank < 0 || rank > max_rank)
    return fail(why, errc::rank, operation, {.argument = "ndim", .got = rank, .expected = max_rank, .relation = "0 to "});
  a.shape.rank_ = static_cast<int>(rank);
  return errc::ok;
}
/// What every framework asks of an array of ours: memory, and, where it cannot say read-only, memory that it may write.
/// Errors: null_data, read_only.
[[nodiscard]] inline errc check_leaving(const char* operation, const array_ref& a, bool may_write, failure& why) noexcept {
  if (!a.data && a.shape.numel() != 0)
    return fail(why, errc::null_data, operation, {.argument = "this tensor", .remedy = "It was never filled, or moved from."});
  if (may_write && a.read_only)
    return fail(why, errc::read_only, operation,
                {.argument = "a read-only tensor, which this framework could write to",
                 .remedy = "Pass tenon::copy(t), or {.assume_unwritten = true} if nobody will."});
  return errc::ok;
}
/// Errors: not_dense, for the first axis whose stride is negative.
[[nodiscard]] inline errc check_forward_strides(const char* operation, const array_ref& a, failure& why) noexcept {
  for (int i = 0; i < a.shape.rank(); ++i)
    if (a.strides.d[i] < 0 && a.shape.d[i] > 1)
      return fail(why, errc::not_dense, operation,
                  {.argument = "a tensor with a negative stride", .axis = i, .remedy = "Pass tenon::copy(t)."});
  return errc::ok;
}
#if TENON_EXCEPTIONS
/// For a `catch (...)`: the first line of what the framework says in the exception that is being handled. Errors: foreign.
[[nodiscard]] inline errc foreign_failure(const char* operation, failure& why) noexcept {
  try {
    throw;
  } catch (const std::exception& e) {
    const std::string_view said = e.what();
    return fail(why, errc::foreign, operation, {.argument = text_copy(said.substr(0, said.find('\n'))).text});
  } catch (...) { return fail(why, errc::foreign, operation, {.argument = "something that is no std::exception"}); }
}
#endif
}  // namespace tenon::detail
namespace tenon {
/// How a tensor is given to a framework whose own type cannot say read-only.
struct leaving_options {
  bool assume_unwritten = false;  // nobody will write to what is given: a read-only tensor may go
};
}  // namespace tenon
