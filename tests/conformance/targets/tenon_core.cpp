// SPDX-License-Identifier: Apache-2.0
// The C++ core behind target.h's functions. -DELEMENT=void: the element type is known at run time; -DELEMENT='const float': by the
// compiler. An object is a tensor on the heap; nothing is copied.
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>
#include "target.h"
#include "tenon/tensor/export.hpp"
#include "tenon/tensor/import.hpp"
#include "tenon/tensor/numbers.hpp"
#include "tenon/tensor/packed.hpp"

namespace {
using object = tenon::tensor<ELEMENT>;

int refuse(const tenon::failure& why, char* said, unsigned long room) {
  if (said && room) {
    std::strncpy(said, why.message().c_str(), room - 1);
    said[room - 1] = 0;
  }
  return static_cast<int>(why.code);
}
template <class M>
int take(void* managed, void** out, char* said, unsigned long room) {
  auto h = tenon::own(static_cast<M*>(managed));
  object t;
  tenon::failure why;
  if (tenon::try_from_dlpack(h, t, why) != tenon::errc::ok) {
    static_cast<void>(h.release());  // the caller's still
    return refuse(why, said, room);
  }
  *out = new object(std::move(t));
  return 0;
}
template <class M>
int share(const object& t, void** managed, char* said, unsigned long room) {
  tenon::handle<M> h;
  tenon::failure why;
  if (tenon::try_to_dlpack<M>(t, h, why) != tenon::errc::ok) return refuse(why, said, room);
  *managed = h.release();
  return 0;
}
}  // namespace

#pragma GCC visibility push(default)
extern "C" {
int target_import(int versioned, void* managed, void** out, char* said, unsigned long room) {
  return versioned ? take<tenon::dl::managed_tensor_versioned>(managed, out, said, room)
                   : take<tenon::dl::managed_tensor>(managed, out, said, room);
}
int target_read(void* x, double* sum, int* read_only) {
  const tenon::tensor<> whole = *static_cast<object*>(x);
  *read_only = whole.read_only();
  if (!sum) return 0;
  tenon::tensor<> t = whole;
  tenon::failure why;
  if (const auto width = static_cast<std::uintptr_t>(whole.dtype().bytes());
      width && reinterpret_cast<std::uintptr_t>(whole.data()) % width && tenon::try_copy(whole, t, why) != tenon::errc::ok)
    return 1;
  const tenon::array_ref& a = t.describe();
  tenon::packed<const tenon::float4_e2m1fn> small;
  if (tenon::try_as_packed(t, small, why) == tenon::errc::ok) {
    *sum = 0;
    for (tenon::extent i = 0; i < small.numel(); ++i) *sum += static_cast<double>(small[i]);
    return 0;
  }
  const bool real = tenon::detail::is_real(a.dtype);
  if (!real && !tenon::detail::is_integer(a.dtype)) return 1;
  const tenon::detail::numbers at(a);
  *sum = 0;
  for (tenon::extent i = 0; i < t.numel(); ++i) *sum += real ? at.real(i) : static_cast<double>(at.integer(i));
  return 0;
}
void target_release(void* x) { delete static_cast<object*>(x); }
int target_export(void* x, int versioned, void** managed, char* said, unsigned long room) {
  const auto& t = *static_cast<object*>(x);
  return versioned ? share<tenon::dl::managed_tensor_versioned>(t, managed, said, room)
                   : share<tenon::dl::managed_tensor>(t, managed, said, room);
}
const char* target_name() { return std::is_void_v<ELEMENT> ? "Tenon, tensor<>" : "Tenon, tensor<const float>"; }
}
#pragma GCC visibility pop
