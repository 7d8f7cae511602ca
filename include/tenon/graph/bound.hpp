// SPDX-License-Identifier: Apache-2.0
// Binding at run time: an architecture that the compiler does not know, or too long a one for it to plan. Owns the plan and a copy
// of each layer, so that it outlives the value it was made from.
#pragma once
#include <cstring>
#include <new>
#include "tenon/graph/planner.hpp"
#include "tenon/graph/program.hpp"
#if TENON_EXCEPTIONS
namespace tenon {
/// A program of its own plan. Errors at bind: whatever a layer's infer finds, names used twice, tied layers that differ, sizes that
/// do not fit.
class bound_program : public program {
  // the layers' bytes, each apart, so that their addresses stay
  class layer_bytes {
    detail::growing<void*> all_;

   public:
    layer_bytes() = default;
    layer_bytes(const layer_bytes&) = delete;
    ~layer_bytes() {
      for (void* p : all_) ::operator delete(p);
    }
    const void* copy(const void* layer, std::size_t bytes) {
      all_.add(nullptr);
      all_[all_.size() - 1] = ::operator new(bytes);
      return std::memcpy(all_[all_.size() - 1], layer, bytes);
    }
  };
  detail::planner planner_;
  detail::growing<bound_layer> bound_;
  layer_bytes bytes_;

  [[gnu::cold]] list<int, max_inputs> append(const call_table& c, const char* name, const void* layer, std::size_t bytes,
                                             const spec& s, const list<int, max_inputs>& x, const char* tie) {
    bound_.add({bytes_.copy(layer, bytes), &c});
    return planner_.append(name, s, x, tie);
  }
  [[gnu::cold]] void finish(const list<int, max_inputs>& y) {
    planner_.finish(y);
    if (const fault& f = planner_.bad)
      detail::raise(f.code, "network",
                    {.argument = planner_.bad_where.c_str(), .axis = f.axis, .got = f.got, .expected = f.expected});
    refer_to(planner_.view(), bound_.begin());
  }

 public:
  // -- a builder: what lower() needs, with the types of the precision and the device --
  template <class P, class D>
  struct binder {
    using value = int;
    bound_program& self;
    [[gnu::cold, gnu::noinline]] void enter(int i, const char* name) { self.planner_.enter(i, name); }
    [[gnu::cold, gnu::noinline]] void leave() { self.planner_.leave(); }
    template <class L>
    [[gnu::cold, gnu::noinline]] list<int, max_inputs> add(const L& l, const list<int, max_inputs>& x,
                                                           const char* tie = nullptr) {
      spec s = detail::infer_checked(l, self.planner_.shapes_of(x));
      if (!self.planner_.bad && !s.bad() && reads_is_constant<L> && s.read != reads_of<L>)
        detail::raise(errc::value, "network",
                      {.argument = L::name,
                       .got = static_cast<extent>(s.read),
                       .expected = static_cast<extent>(reads_of<L>),
                       .remedy = "What a layer reads may not depend on its fields or input."});
      s.read = reads_of<L>;
      return self.append(detail::calls<L, P, D>, L::name, &l, sizeof(L), s, x, tie);
    }
  };
  template <class Net, class P, class D>
  [[gnu::cold]] bound_program(const Net& from, std::type_identity<P>, std::type_identity<D>)
      : program({}, detail::arrays_of<precision_of<P>, D>, nullptr), planner_(detail::arrays_of<precision_of<P>, D>.width) {
    binder<P, D> b{*this};
    auto y = from.lower(b, planner_.add_inputs(from.in));
    if constexpr (!requires { requires Net::plain; })
      if (!planner_.bad)
        for (int i = 0; i < y.size(); ++i)
          if (planner_.needs_copy(y, i)) y[i] = detail::copied_output(b, y[i], i);
    finish(y);
  }
  /// On the heap, for program_ref.
  template <class Net, class P, class D>
  static program_ref make(const Net& from) {
    auto* own = new bound_program(from, std::type_identity<P>{}, std::type_identity<D>{});
    own->destroy_ = [](const program* q) { delete static_cast<const bound_program*>(q); };
    return program_ref(own);
  }
};
}  // namespace tenon
#endif
