// SPDX-License-Identifier: Apache-2.0
// An architecture written at run time: layers by name, sizes as numbers. What Python and file formats build a graph from.
//
//   tenon::layer_list net({784});
//   net.add("linear", {{"out", hidden}}).add("relu").add("linear", {{"out", 10}});
//   tenon::graph g{net};
#pragma once
#include <cstring>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>
#include "tenon/graph/graph.hpp"
#include "tenon/layers/layers.hpp"
#if TENON_EXCEPTIONS
namespace tenon {
/// One field of a layer: {"out", 10}, {"kernel", 5, 3} or {"bias", false}. Numbers are exact up to 2⁵³.
struct attribute {
  std::string_view name;
  double first = 0, second = 0;
  int count = 1;
  template <class A>
    requires std::is_arithmetic_v<A>
  attribute(std::string_view n, A a) : name(n), first(static_cast<double>(a)) {}
  template <class A, class B>
    requires(std::is_arithmetic_v<A> && std::is_arithmetic_v<B>)
  attribute(std::string_view n, A a, B b) : name(n), first(static_cast<double>(a)), second(static_cast<double>(b)), count(2) {}
};

/// What one field of a layer holds, as others may show or write it.
struct field_value {
  enum class form { size, pair, flag, real } what = form::size;
  double first = 0, second = 0;
};

namespace detail {
template <class P>
using host_binder = bound_program::binder<P, cpu>;
using value_list = list<int, max_inputs>;
/// A type of layer by its name: how to make one, set its fields, and lower it with each builder there is.
struct named_layer {
  const char* name;
  std::size_t size;
  void (*make)(void* bytes);
  bool (*set)(void* bytes, const attribute& a);  // false: no such field. Throws where the value does not suit
  void (*fields)(const void* bytes, void* self, void (*visit)(void* self, const char* name, const field_value& v));
  value_list (*to_plan)(const void*, planner&, const value_list&);
  value_list (*to_float)(const void*, host_binder<float>&, const value_list&);
  value_list (*to_double)(const void*, host_binder<double>&, const value_list&);
  value_list (*to_bfloat16)(const void*, host_binder<precision<bfloat16>>&, const value_list&);
};

[[gnu::noinline]] inline extent whole(const char* layer, const attribute& a, double v) {
  if (!(v <= 9007199254740992.0 && v >= -9007199254740992.0) || v != static_cast<double>(static_cast<extent>(v)))
    raise(errc::value, layer, {.argument = concat(a.name, " = ", std::to_string(v)), .remedy = "Sizes are whole numbers."});
  return static_cast<extent>(v);
}
[[gnu::noinline]] inline void expect_values(const char* layer, const attribute& a, int most) {
  if (a.count > most)
    raise(errc::arity, layer, {.argument = text_copy(a.name).text, .got = a.count, .expected = most, .relation = "at most "});
}
inline void assign(const char* layer, size& field, const attribute& a) {
  expect_values(layer, a, 1);
  field = whole(layer, a, a.first);
}
inline void assign(const char* layer, size2& field, const attribute& a) {
  expect_values(layer, a, 2);
  field = a.count == 2 ? size2(whole(layer, a, a.first), whole(layer, a, a.second)) : size2(whole(layer, a, a.first));
}
inline void assign(const char* layer, bool& field, const attribute& a) {
  expect_values(layer, a, 1);
  if (a.first != 0 && a.first != 1)
    raise(errc::value, layer,
          {.argument = text_copy(a.name).text, .got = static_cast<extent>(a.first), .expected = 1, .relation = "0 or "});
  field = a.first != 0;
}
template <class F>
  requires std::is_arithmetic_v<F>
void assign(const char* layer, F& field, const attribute& a) {
  expect_values(layer, a, 1);
  if constexpr (std::is_integral_v<F>) field = static_cast<F>(whole(layer, a, a.first));
  else field = static_cast<F>(a.first);
}

template <class L>
[[gnu::noinline]] bool set_field(void* bytes, const attribute& a) {
  bool found = false;
  if constexpr (has_fields<L>)
    L::fields(*static_cast<L*>(bytes), [&](const char* name, auto& field) {
      if (a.name != name) return;
      assign(L::name, field, a);
      found = true;
    });
  return found;
}
inline field_value value_of(const size& f) { return {field_value::form::size, static_cast<double>(f.v), 0}; }
inline field_value value_of(const size2& f) {
  return {field_value::form::pair, static_cast<double>(f.h), static_cast<double>(f.w)};
}
inline field_value value_of(const bool& f) { return {field_value::form::flag, f ? 1.0 : 0.0, 0}; }
template <class F>
  requires std::is_arithmetic_v<F>
field_value value_of(const F& f) {
  return {std::is_integral_v<F> ? field_value::form::size : field_value::form::real, static_cast<double>(f), 0};
}
template <class L>
[[gnu::noinline]] void visit_fields(const void* bytes, void* self, void (*visit)(void*, const char*, const field_value&)) {
  if constexpr (has_fields<L>)
    L::fields(*static_cast<const L*>(bytes), [&](const char* name, const auto& field) { visit(self, name, value_of(field)); });
}
template <class L, class B>
value_list lower_one(const void* bytes, B& b, const value_list& x) {
  return b.add(*static_cast<const L*>(bytes), x);
}
template <class L>
inline constexpr named_layer named_layer_of{L::name,
                                            sizeof(L),
                                            [](void* bytes) { new (bytes) L{}; },
                                            set_field<L>,
                                            visit_fields<L>,
                                            lower_one<L, planner>,
                                            lower_one<L, host_binder<float>>,
                                            lower_one<L, host_binder<double>>,
                                            lower_one<L, host_binder<precision<bfloat16>>>};
template <class... L>
struct layer_names {
  static constexpr const named_layer* all[] = {&named_layer_of<L>...};
};
/// Every layer that comes with the library.
using standard_layers = layer_names<layers::linear, layers::conv2d, layers::relu, layers::tanh, layers::sigmoid,
                                    layers::max_pool2d, layers::avg_pool2d, layers::softmax, layers::batch_norm, layers::dropout,
                                    layers::flatten, layers::embedding, layers::add, layers::split, layers::lstm_cell>;
}  // namespace detail

/// Layers in order, chosen at run time. Copyable; binding it copies what is needed.
class layer_list {
  struct item {
    const detail::named_layer* type;
    std::string path;  // empty: its position
    std::vector<std::byte> bytes;
  };
  std::vector<item> items_;

  detail::value_list lower_item(const item& i, detail::planner& b, const detail::value_list& x) const {
    return i.type->to_plan(i.bytes.data(), b, x);
  }
  detail::value_list lower_item(const item& i, detail::host_binder<float>& b, const detail::value_list& x) const {
    return i.type->to_float(i.bytes.data(), b, x);
  }
  detail::value_list lower_item(const item& i, detail::host_binder<double>& b, const detail::value_list& x) const {
    return i.type->to_double(i.bytes.data(), b, x);
  }
  detail::value_list lower_item(const item& i, detail::host_binder<precision<bfloat16>>& b, const detail::value_list& x) const {
    return i.type->to_bfloat16(i.bytes.data(), b, x);
  }

 public:
  list<input, max_inputs> in;

  /// `{1, 28, 28}` is one sample.
  explicit layer_list(std::initializer_list<tenon::size> sample) {
    shape s{dyn};
    for (const extent e : sample) s = s.append(e);
    in.add(input{s});
  }
  template <std::same_as<input>... More>
  explicit layer_list(const input& first, const More&... more) {
    in.add(first);
    (in.add(more), ...);
  }
  /// A layer of the library by its name, with its fields; `path` names its parameters instead of the position.
  /// Errors: name (layer or field unknown), value (not a whole number), arity (too many numbers for a field).
  layer_list& add(std::string_view name, std::initializer_list<attribute> fields = {}, std::string_view path = {}) {
    return add(name, fields.begin(), fields.size(), path);
  }
  [[gnu::noinline]] layer_list& add(std::string_view name, const attribute* fields, std::size_t count,
                                    std::string_view path = {}) {
    for (const detail::named_layer* type : detail::standard_layers::all) {
      if (name != type->name) continue;
      std::vector<std::byte> bytes(type->size);
      type->make(bytes.data());
      for (std::size_t i = 0; i < count; ++i)
        if (!type->set(bytes.data(), fields[i]))
          detail::raise(errc::name, "layer_list.add",
                        {.argument = detail::concat(name, ".", fields[i].name), .remedy = "The layer has no such field."});
      items_.push_back({type, std::string(path), std::move(bytes)});
      return *this;
    }
    detail::raise(errc::name, "layer_list.add",
                  {.argument = detail::text_copy(name).text,
                   .remedy = "No layer has this name; add one of your own as a value: add(my_layer{})."});
  }
  /// A layer of one's own.
  template <class L>
    requires(!std::is_convertible_v<L, std::string_view>)
  layer_list& add(const L& layer, std::string_view path = {}) {
    static_assert(expect_layer<L>());
    std::vector<std::byte> bytes(sizeof(L));
    std::memcpy(bytes.data(), &layer, sizeof(L));
    items_.push_back({&detail::named_layer_of<L>, std::string(path), std::move(bytes)});
    return *this;
  }
  std::size_t size() const { return items_.size(); }
  /// Of layer i: its name in the library, and visit(name, field_value) for each of its fields.
  const char* name(std::size_t i) const { return items_[i].type->name; }
  template <class F>
  void fields(std::size_t i, F&& visit) const {
    items_[i].type->fields(items_[i].bytes.data(), &visit, [](void* self, const char* field, const field_value& v) {
      (*static_cast<std::remove_reference_t<F>*>(self))(field, v);
    });
  }
  auto lower(auto& b, detail::value_list x) const {
    for (std::size_t i = 0; i < items_.size(); ++i) {
      b.enter(static_cast<int>(i), items_[i].path.empty() ? nullptr : items_[i].path.c_str());
      x = lower_item(items_[i], b, x);
      b.leave();
    }
    return x;
  }
};
}  // namespace tenon
#endif
