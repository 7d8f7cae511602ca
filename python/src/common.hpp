// SPDX-License-Identifier: Apache-2.0
// What the files of the extension share: errors as Python exceptions, the DLPack door both ways, and when to let go of the GIL.
#pragma once
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <optional>
#include <string>

#include "tenon/interop/python.hpp"

namespace nb = nanobind;

namespace pytenon {
// -- errors.cpp --
void bind_errors(nb::module_& m);
/// The Python exception of a failure.
[[noreturn]] void raise(const tenon::failure& why);
[[noreturn]] void raise(const tenon::python::refusal& why);
/// Sets it without throwing.
void set_exception(const tenon::python::refusal& why);
/// The same, for what only Python has words for.
[[noreturn]] void raise_said(tenon::errc code, const char* operation, const std::string& argument, const std::string& got,
                             const std::string& expected, const char* remedy = "");
inline void check(tenon::errc code, const tenon::failure& why) {
  if (code != tenon::errc::ok) [[unlikely]]
    raise(why);
}
/// str(x)
std::string str_of(nb::handle x);
std::string type_text_of(nb::handle x);

// -- door.cpp --
void bind_tensor(nb::module_& m);
/// Whatever speaks DLPack, without a copy. `operation` and `argument` are what an error says.
tenon::tensor<> take(nb::handle x, const char* operation, const char* argument);
/// A producer's fast path checks none of this: values that wait for a sign, and tensors without memory.
void refuse_lazy_values(nb::handle x, const char* operation, const char* argument);
/// Whether a tensor of torch, or of a subclass, is itself where its values are.
bool has_memory(nb::handle x);

// -- layers.cpp, network.cpp, train.cpp, block.cpp --
void bind_layers(nb::module_& m);
void bind_network(nb::module_& m);
void bind_training(nb::module_& m);
void bind_block(nb::module_& m);

/// Lets other Python threads run meanwhile, where the work is worth the two switches.
class while_working {
  std::optional<nb::gil_scoped_release> released_;

 public:
  explicit while_working(bool large) {
    if (large) released_.emplace();
  }
};
inline constexpr std::size_t large_bytes = std::size_t{1} << 16;
}  // namespace pytenon
