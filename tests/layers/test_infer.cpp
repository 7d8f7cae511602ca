// SPDX-License-Identifier: Apache-2.0
// What the layers say of themselves: shapes, parameters, and a fault for each field that is wrong. All of it in the compiler,
// where overflow or a division by zero would be an error. Touches no memory.
#include <limits>
#include "../catch.hpp"
#include "tenon/layers/layers.hpp"
using namespace tenon;
namespace nn = tenon::layers;

template <class... L>
constexpr bool are_layers = (layer<L> && ...) && (has_fields<L> && ...) && (reads_is_constant<L> && ...);
static_assert(are_layers<nn::linear, nn::conv2d, nn::relu, nn::tanh, nn::sigmoid, nn::avg_pool2d, nn::max_pool2d, nn::softmax>);
static_assert(are_layers<nn::batch_norm, nn::dropout, nn::flatten, nn::embedding, nn::add, nn::split, nn::lstm_cell>);
static_assert(has_commit<nn::batch_norm> && !has_commit<nn::linear>);
static_assert(reads_of<nn::linear> == keep::input && reads_of<nn::conv2d> == keep::input &&
              reads_of<nn::embedding> == keep::input);
static_assert(reads_of<nn::relu> == keep::output && reads_of<nn::tanh> == keep::output && reads_of<nn::softmax> == keep::output);
static_assert(reads_of<nn::max_pool2d> == keep::nothing && reads_of<nn::avg_pool2d> == keep::nothing &&
              reads_of<nn::dropout> == keep::nothing);
static_assert(reads_of<nn::flatten> == keep::nothing && reads_of<nn::add> == keep::nothing &&
              reads_of<nn::split> == keep::nothing);
static_assert(reads_of<nn::batch_norm> == keep::input && reads_of<nn::lstm_cell> == keep::input);

// Infers on one input, or more.
constexpr auto on = [](const auto& l, auto... s) { return l.infer(inputs{slot{s}...}); };
constexpr slot ids(const shape& s) { return {s, kind::index}; }
constexpr shape image{dyn, 3, 8, 10};

// Shapes.
static_assert(on(nn::linear{.out = 4}, shape(dyn, 3)).y[0] == shape(dyn, 4));
static_assert(on(nn::linear{.out = 4}, shape(dyn, 7, 3)).y[0] == shape(dyn, 7, 4));
static_assert(on(nn::linear{.out = 4}, shape(dyn, 3)).p[0] == shape(4, 3));
static_assert(on(nn::linear{.out = 4, .bias = false}, shape(dyn, 3)).p.n == 1);
static_assert(on(nn::linear{.out = 4, .in = 3}, shape(dyn, dyn)).p[0] == shape(4, 3));
static_assert(on(nn::conv2d{.out = 6, .kernel = 3}, image).y[0] == shape(dyn, 6, 6, 8));
static_assert(on(nn::conv2d{.out = 6, .kernel = {3, 2}, .stride = {2, 3}, .padding = {1, 0}, .dilation = {2, 1}}, image).y[0] ==
              shape(dyn, 6, 3, 3));
static_assert(on(nn::conv2d{.out = 6, .kernel = {3, 2}, .groups = 3}, image).p[0] == shape(6, 1, 3, 2));
static_assert(on(nn::max_pool2d{.kernel = 2}, image).y[0] == shape(dyn, 3, 4, 5));
static_assert(on(nn::max_pool2d{.kernel = 3, .stride = 2, .padding = 1}, image).y[0] == shape(dyn, 3, 4, 5));
static_assert(on(nn::max_pool2d{.kernel = 2}, image).saved[0].what == kind::index);
static_assert(on(nn::avg_pool2d{.kernel = {8, 10}}, image).y[0] == shape(dyn, 3, 1, 1));
static_assert(on(nn::flatten{}, image).y[0] == shape(dyn, 240) && on(nn::flatten{}, image).alias == 0);
static_assert(on(nn::flatten{2}, image).y[0] == shape(dyn, 3, 80));
static_assert(on(nn::flatten{}, shape(dyn, dyn, 4)).y[0] == shape(dyn, dyn));
static_assert(on(nn::embedding{.rows = 9, .out = 4}, ids(shape(dyn, 5))).y[0] == slot{shape(dyn, 5, 4)});
static_assert(on(nn::embedding{.rows = 9, .out = 4}, ids(shape(dyn, 5))).index_limit[0] == 9);
static_assert(on(nn::add{}, shape(dyn, 3), shape(dyn, 3)).y[0] == shape(dyn, 3));
static_assert(on(nn::split{.first = 1}, image).y[0] == shape(dyn, 1, 8, 10) &&
              on(nn::split{.first = 1}, image).y[1] == shape(dyn, 2, 8, 10));
static_assert(on(nn::split{.first = 4, .axis = -1}, image).y[1] == shape(dyn, 3, 8, 6));
static_assert(on(nn::batch_norm{}, image).states[1].start.fill == 1 && on(nn::batch_norm{}, image).p[0] == shape(3));
constexpr auto cell = on(nn::lstm_cell{.out = 5}, shape(dyn, 3), shape(dyn, 5), shape(dyn, 5));
static_assert(cell.y.n == 2 && cell.y[1] == shape(dyn, 5) && cell.p[0] == shape(20, 3) && cell.p[1] == shape(20, 5) &&
              cell.saved[0] == shape(dyn, 20));
static_assert(!cell.bad() && cell.p[0].start.bound == uniform_fan_in(5).bound);

// Faults.
constexpr bool fails(const spec& s, errc code, int axis, extent got, extent expected) {
  return s.bad() == fault{code, axis, got, expected};
}
static_assert(fails(on(nn::linear{}, shape(dyn, 3)), errc::missing_size, -1, 0, 1));
static_assert(fails(on(nn::linear{.out = -2}, shape(dyn, 3)), errc::missing_size, -1, -2, 1));
static_assert(fails(on(nn::linear{.out = 2, .in = 4}, shape(dyn, 3)), errc::extent, 1, 3, 4));
static_assert(fails(on(nn::linear{.out = 2, .in = 0}, shape(dyn, 3)), errc::value, -1, 0, 1));
static_assert(fails(on(nn::linear{.out = 2}, shape(dyn)), errc::rank, -1, 1, 2));
static_assert(on(nn::linear{.out = 2}, shape(dyn, dyn)).bad());
static_assert(fails(on(nn::linear{.out = 2}, shape(dyn, 3), shape(dyn, 3)), errc::arity, -1, 2, 1));
static_assert(fails(on(nn::linear{.out = 2}, ids(shape(dyn, 3))), errc::kind, -1, 2, 0));
static_assert(fails(on(nn::conv2d{.kernel = 3}, image), errc::missing_size, -1, 0, 1));
static_assert(fails(on(nn::conv2d{.out = 6}, image), errc::missing_size, -1, 0, 1));
static_assert(fails(on(nn::conv2d{.out = 6, .kernel = 3}, shape(dyn, 3)), errc::rank, -1, 2, 4));
static_assert(fails(on(nn::conv2d{.out = 6, .kernel = {3, 13}, .padding = 1}, image), errc::too_small, 3, 10, 11));
static_assert(fails(on(nn::conv2d{.out = 6, .kernel = {3, 5}, .dilation = {1, 3}}, image), errc::too_small, 3, 10, 13));
static_assert(fails(on(nn::conv2d{.out = 6, .kernel = 3, .stride = 0}, image), errc::value, -1, 0, 1));
static_assert(fails(on(nn::conv2d{.out = 6, .kernel = 3, .padding = -1}, image), errc::value, -1, -1, 0));
static_assert(fails(on(nn::conv2d{.out = 6, .kernel = 3, .dilation = 0}, image), errc::value, -1, 0, 1));
static_assert(fails(on(nn::conv2d{.out = 6, .kernel = 3, .groups = 0}, image), errc::value, -1, 0, 1));
static_assert(fails(on(nn::conv2d{.out = 6, .kernel = 3, .groups = 2}, image), errc::value, -1, 3, 2));
static_assert(fails(on(nn::conv2d{.out = 7, .kernel = 3, .groups = 3}, image), errc::value, -1, 7, 3));
static_assert(fails(on(nn::conv2d{.out = 6, .kernel = 3, .in = 4}, image), errc::extent, 1, 3, 4));
static_assert(fails(on(nn::max_pool2d{}, image), errc::missing_size, -1, 0, 1));
static_assert(fails(on(nn::max_pool2d{.kernel = 9}, image), errc::too_small, 2, 8, 9));
static_assert(fails(on(nn::max_pool2d{.kernel = 3, .padding = 2}, image), errc::value, -1, 2, 1));
static_assert(fails(on(nn::max_pool2d{.kernel = 2}, shape(dyn, 1, 65536, 65536)), errc::limit, 3, 65536, 32767));
static_assert(fails(on(nn::avg_pool2d{.kernel = 2, .stride = -1}, image), errc::value, -1, -1, 1));
static_assert(fails(on(nn::flatten{0}, image), errc::value, -1, 0, 1));
static_assert(fails(on(nn::flatten{4}, image), errc::rank, -1, 4, 5));
static_assert(fails(on(nn::embedding{.rows = 9, .out = 4}, shape(dyn, 5)), errc::kind, -1, 0, 2));
static_assert(fails(on(nn::embedding{.rows = 9}, ids(shape(dyn, 5))), errc::missing_size, -1, 0, 1));
static_assert(fails(on(nn::embedding{.rows = 9, .out = 4}, ids(shape(1, 1, 1, 1, 1, 1, 1, 1))), errc::rank, -1, 9, 8));
static_assert(fails(on(nn::add{}, shape(dyn, 3)), errc::arity, -1, 1, 2));
static_assert(fails(on(nn::add{}, shape(dyn, 3), shape(dyn, 4)), errc::extent, 1, 3, 4));
static_assert(fails(on(nn::add{}, shape(dyn, 3), shape(dyn, 3, 1)), errc::rank, -1, 3, 2));
static_assert(fails(on(nn::split{}, image), errc::missing_size, -1, 0, 1));
static_assert(fails(on(nn::split{.first = 3}, image), errc::too_small, 1, 3, 4));
static_assert(fails(on(nn::split{.first = 1, .axis = 0}, image), errc::value, -1, 0, 1));
static_assert(fails(on(nn::split{.first = 1, .axis = 4}, image), errc::value, -1, 4, 1));
static_assert(fails(on(nn::softmax{-5}, image), errc::value, -1, -5, 1));
static_assert(fails(on(nn::dropout{1.0f}, image), errc::value, -1, 1, 0));
static_assert(fails(on(nn::dropout{-0.5f}, image), errc::value, -1, -1, 0));
static_assert(on(nn::dropout{std::numeric_limits<float>::quiet_NaN()}, image).bad());
static_assert(on(nn::batch_norm{.epsilon = 0}, image).bad() && on(nn::batch_norm{.momentum = 2}, image).bad());
static_assert(fails(on(nn::batch_norm{}, shape(dyn)), errc::rank, -1, 1, 2));
static_assert(fails(on(nn::lstm_cell{.out = 5}, shape(dyn, 3)), errc::arity, -1, 1, 3));
static_assert(fails(on(nn::lstm_cell{.out = 5}, shape(dyn, 3), shape(dyn, 4), shape(dyn, 5)), errc::extent, 1, 4, 5));
static_assert(fails(on(nn::lstm_cell{.out = 5}, shape(dyn, 3), shape(dyn, 5), ids(shape(dyn, 5))), errc::kind, -1, 2, 0));

// The largest and smallest numbers in every field, on inputs of every rank: a fault or not, but no overflow.
constexpr bool survives_extremes() {
  constexpr extent values[] = {INT64_MIN, -1, 0, 1, 2, INT64_MAX};
  const inputs some[] = {inputs{},
                         inputs{slot{shape(dyn, 3, INT64_MAX, 2)}},
                         inputs{slot{shape(INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX)}},
                         inputs{slot{shape(dyn, 0, 0, 0)}},
                         inputs{slot{shape(dyn, dyn, dyn, dyn)}},
                         inputs{slot{shape(0, 3)}, slot{shape(0, INT64_MAX)}, slot{shape(0, INT64_MAX)}},
                         inputs{ids(shape(dyn, 5))}};
  int faults = 0;
  const auto bad = [](const spec& y) { return y.bad() ? 1 : 0; };
  for (const inputs& x : some)
    for (const extent v : values) {
      faults += bad(nn::linear{.out = v}.infer(x));
      faults += bad(nn::linear{.out = 1, .in = v}.infer(x));
      faults += bad(nn::conv2d{.out = v, .kernel = 1}.infer(x));
      faults += bad(nn::conv2d{.out = 2, .kernel = v}.infer(x));
      faults += bad(nn::conv2d{.out = 2, .kernel = 2, .stride = v}.infer(x));
      faults += bad(nn::conv2d{.out = 2, .kernel = 2, .padding = v}.infer(x));
      faults += bad(nn::conv2d{.out = 2, .kernel = 2, .dilation = v}.infer(x));
      faults += bad(nn::conv2d{.out = v, .kernel = 1, .groups = v}.infer(x));
      faults += bad(nn::conv2d{.out = 2, .kernel = v, .padding = v, .dilation = v}.infer(x));
      faults += bad(nn::max_pool2d{.kernel = v}.infer(x));
      faults += bad(nn::max_pool2d{.kernel = 2, .stride = v}.infer(x));
      faults += bad(nn::avg_pool2d{.kernel = v, .stride = v, .padding = v}.infer(x));
      faults += bad(nn::flatten{v}.infer(x));
      faults += bad(nn::embedding{.rows = v, .out = v}.infer(x));
      faults += bad(nn::split{.first = v, .axis = v}.infer(x));
      faults += bad(nn::split{.first = v}.infer(x));
      faults += bad(nn::softmax{v}.infer(x));
      faults += bad(nn::batch_norm{}.infer(x));
      faults += bad(nn::lstm_cell{.out = v}.infer(x));
      faults += bad(nn::lstm_cell{.out = 3, .in = v}.infer(x));
      faults += bad(nn::add{}.infer(x));
    }
  return faults > 0;
}
static_assert(survives_extremes());

TEST_CASE("fields can be visited by name") {
  nn::conv2d l{.out = 6};
  int seen = 0;
  nn::conv2d::fields(l, [&](const char*, auto&) { ++seen; });
  CHECK(seen == 8);
  CHECK(nn::linear{.out = std::size_t{4}}.out == 4);
}
