// SPDX-License-Identifier: Apache-2.0
// Errors: one enum with stable numbers, one record of what was wrong, one exception that carries it, one function that throws.
// A failing call writes the record on its cold path; a passing one touches nothing.
#pragma once
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include "tenon/core/config.hpp"
#include "tenon/core/device.hpp"
#include "tenon/core/dtype.hpp"
#include "tenon/core/text.hpp"
namespace tenon {

/// What went wrong. The numbers are stable: they cross language borders.
enum class errc : std::uint16_t {
  ok = 0,
  dtype = 1,              // element type
  rank = 2,               // number of axes
  extent = 3,             // length of one axis, or a number of elements
  negative_extent = 4,    // a length below zero
  overflow = 5,           // a size or an address that does not fit
  null_data = 6,          // no memory behind a non-empty tensor
  null_shape = 7,         // no shape behind a rank above zero
  read_only = 8,          // read-only memory where writable was asked for
  device = 9,             // memory on another device
  not_dense = 10,         // strides where a dense tensor was asked for
  alignment = 11,         // address not a multiple of the element's alignment
  version = 12,           // major version of a foreign struct or file
  null_handle = 13,       // nothing to import
  null_strides = 14,      // DLPack 1.2 forbids them
  copy = 15,              // a copy where none may be made
  missing_size = 20,      // a layer field that must be given
  kind = 21,              // scalar where an index is expected, or the other way round
  arity = 22,             // number of inputs or outputs
  too_small = 23,         // an extent below the least one
  value = 24,             // a field or argument outside its range
  name = 25,              // no such name, or one too many
  empty_batch = 30,       // no sample
  stale = 31,             // belongs to another forward
  label = 32,             // class number out of range
  not_finite = 33,        // NaN or infinity
  no_memory = 34,         // allocation refused
  index = 35,             // an index input out of range
  no_forward = 36,        // backward without a forward
  foreign = 37,           // an exception of somebody else's
  file = 40,              // cannot be opened, read or written; `got` is errno
  truncated = 41,         // ends too early
  corrupt = 42,           // check sum, magic number or structure
  limit = 43,             // above a limit of the parser
  interrupted = 44,       // stopped by the user
  library = 50,           // a library that is loaded at run time: not there, or not usable
  no_device = 51,         // no such device, or no driver for it; `got` is the runtime's error number, or the device's
  device_fault = 52,      // a device's runtime failed; `got` is its error number
};

namespace detail {
// by number: a switch would be compiled to code in each file that includes this
inline constexpr const char* error_words[] = {
    "ok",
    "dtype",
    "rank",
    "extent",
    "negative extent",
    "overflow",
    "null data",
    "null shape",
    "read-only memory",
    "device",
    "not dense",
    "alignment",
    "version",
    "null handle",
    "null strides",
    "a copy",
    nullptr,
    nullptr,
    nullptr,
    nullptr,
    "a size left out",
    "kind",
    "number of inputs",
    "extent too small",
    "value out of range",
    "name",
    nullptr,
    nullptr,
    nullptr,
    nullptr,
    "empty batch",
    "stale",
    "label out of range",
    "not finite",
    "out of memory",
    "index out of range",
    "no forward",
    "a foreign exception",
    nullptr,
    nullptr,
    "file",
    "truncated",
    "corrupt",
    "limit",
    "interrupted",
    nullptr,
    nullptr,
    nullptr,
    nullptr,
    nullptr,
    "no usable library",
    "no device",
    "device fault",
};
}  // namespace detail
/// The stable word for a code: "extent", "read_only" …
constexpr const char* word(errc c) {
  constexpr std::size_t n = sizeof detail::error_words / sizeof detail::error_words[0];
  const auto i = static_cast<std::size_t>(c);
  return i < n && detail::error_words[i] ? detail::error_words[i] : "unknown";
}

/// What was wrong, in one record that needs no heap. `axis` is −1 where no axis is meant.
struct failure {
  errc code = errc::ok;
  int axis = -1;
  const char* operation = "";      // "forward", "from_dlpack" …
  char argument[96] = "";          // which argument, layer or file; a longer one ends in "…"
  std::int64_t got = 0, expected = 0;
  const char* relation = "";       // "at least ", "at most ", "below ": said before the expected number
  const char* remedy = "";         // one sentence, or nothing

  [[gnu::noinline]] constexpr failure() noexcept {}  // apart, because every call that can fail has one
  explicit operator bool() const noexcept { return code != errc::ok; }
  /// `[operation] argument: what, axis a: got X, expected Y. Remedy.`
  [[gnu::cold]] std::string message() const;
};

namespace detail {
/// Text with a final zero, needed only during the call. One pointer: a size beside it would cost each call that can fail.
struct text_argument {
  const char* text = "";
  constexpr text_argument() = default;
  constexpr text_argument(const char* t) noexcept : text(t) {}
  text_argument(const std::string& t) noexcept : text(t.c_str()) {}
};
/// A copy of text without a final zero, on the stack: a failure allocates nothing.
struct text_copy {
  char text[sizeof failure::argument];
  explicit text_copy(std::string_view t) noexcept { copy_text(text, sizeof text, t); }
};
struct failure_text {
  text_argument argument{};
  int axis = -1;
  std::int64_t got = 0, expected = 0;
  const char* relation = nullptr;  // null: nothing
  const char* remedy = nullptr;
};
/// Fills in `f` and gives back its code: `return fail(f, errc::rank, "forward", {.argument = "x", .got = 3, .expected = 4});`
[[gnu::cold, gnu::noinline]] inline errc fail(failure& f, errc code, const char* operation, failure_text t = {}) noexcept {
  f.code = code;
  f.operation = operation;
  copy_text(f.argument, sizeof f.argument, t.argument.text);
  f.axis = t.axis;
  f.got = t.got;
  f.expected = t.expected;
  f.relation = t.relation ? t.relation : "";
  f.remedy = t.remedy ? t.remedy : "";
  return code;
}
[[gnu::cold, gnu::noinline]] inline void put_number(text_buffer& to, errc code, std::int64_t v) noexcept {
  if (code == errc::dtype) to << dtype::unpacked(v);
  else if (code == errc::device) to << device::unpacked(v);
  else if (code == errc::kind) to << (v == 0 ? "scalar" : v == 1 ? "accumulator" : "index");
  else to << v;
}
/// Codes that say all in their name, without got and expected.
constexpr bool says_all(errc c) {
  switch (c) {
    case errc::null_data:
    case errc::null_shape:
    case errc::null_handle:
    case errc::null_strides:
    case errc::read_only:
    case errc::not_dense:
    case errc::not_finite:
    case errc::no_forward:
    case errc::foreign:
    case errc::name:
    case errc::interrupted: return true;
    default: return false;
  }
}
/// The text of failure::message.
[[gnu::cold, gnu::noinline]] inline text_buffer& operator<<(text_buffer& to, const failure& f) noexcept {
  if (!f) return to << "ok";
  to << "[" << f.operation << "] ";
  if (f.argument[0]) to << f.argument << ": ";
  to << word(f.code);
  if (f.axis >= 0) to << ", axis " << std::int64_t{f.axis};
  if (f.code == errc::file) {  // got is the system's errno
    if (f.got) to << ": " << std::strerror(static_cast<int>(f.got));
  } else if (!says_all(f.code) && (f.got != f.expected || f.relation[0])) {  // two equal numbers say nothing
    to << ": got ";
    put_number(to, f.code, f.got);
    to << ", expected " << f.relation;
    put_number(to, f.code, f.expected);
  }
  to << ".";
  if (f.remedy[0]) to << " " << f.remedy;
  return to;
}
}  // namespace detail

/// Thrown by everything that can fail; each has a `try_` twin that gives back the code instead.
class error : public std::runtime_error {
  failure why_;

  // Where no memory is left for the text, the code's word must do: the exception that arrives is still this one.
  static std::runtime_error with_text(const failure& why) noexcept {
    detail::text_buffer text;
    text << why;
#if TENON_EXCEPTIONS
    try {
      return std::runtime_error(text.c_str());
    } catch (...) { return std::runtime_error(""); }
#else
    return std::runtime_error(text.c_str());
#endif
  }

 public:
  explicit error(const failure& why) noexcept : std::runtime_error(with_text(why)), why_(why) {}
  const char* what() const noexcept override {
    const char* text = std::runtime_error::what();
    return *text ? text : word(why_.code);
  }
  errc code() const noexcept { return why_.code; }
  const char* operation() const noexcept { return why_.operation; }
  const char* argument() const noexcept { return why_.argument; }
  int axis() const noexcept { return why_.axis; }
  std::int64_t got() const noexcept { return why_.got; }
  std::int64_t expected() const noexcept { return why_.expected; }
  const failure& details() const noexcept { return why_; }
};

#if TENON_EXCEPTIONS
namespace detail {
/// The one place that throws.
[[noreturn, gnu::cold, gnu::noinline]] inline void raise(const failure& f) { throw error(f); }
[[noreturn, gnu::cold, gnu::noinline]] inline void raise(errc code, const char* operation, failure_text t = {}) {
  failure f;
  fail(f, code, operation, t);
  raise(f);
}
/// From a twin to what throws.
inline void check(errc code, const failure& f) {
  if (code != errc::ok) [[unlikely]]
    raise(f);
}
}  // namespace detail
#endif

inline std::string failure::message() const {
  detail::text_buffer text;
  return (text << *this).c_str();
}
}  // namespace tenon
