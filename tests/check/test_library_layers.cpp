// SPDX-License-Identifier: Apache-2.0
// Every layer of the library through the kit, over random shapes, strides, paddings, dilations and groups.
#include "../catch.hpp"
#include "tenon/check/check_layer.hpp"
#include "tenon/layers/layers.hpp"

using namespace tenon;
namespace nn = tenon::layers;

namespace {
constexpr int sweeps = TENON_LONG ? 20 : 1;

void right(const check_report& r) {
  INFO(r.text);
  CHECK(r);
  CHECK(r.text.find("but for rounding") == std::string::npos);
}
/// As `right`, and by exact derivatives alone.
void exactly(const check_report& r) {
  right(r);
  INFO(r.text);
  CHECK(r.text.find("to ulps") == std::string::npos);
}
/// Small numbers for a case; `at` is where it stands in a sweep.
struct pick {
  detail::dice d;
  explicit pick(int at) : d(17, static_cast<std::uint64_t>(at)) {}
  int operator()(int low, int high) { return low + static_cast<int>(d.below(high - low + 1)); }
};
slot of(const shape& s, kind k = kind::scalar) { return {s, k}; }
}  // namespace

TEST_CASE("linear and shape layers are exact") {
  exactly(check_layer(nn::linear{.out = 3}, {5}));
  exactly(check_layer(nn::linear{.out = 4, .bias = false}, {7}));
  exactly(check_layer(nn::linear{.out = 1}, {2, 3, 1}));
  exactly(check_layer(nn::linear{.out = 40}, {70}, {.shapes = 3, .points = 1}));  // more than one tile of the float kernel
  exactly(check_layer(nn::flatten{}, {2, 3, 4}));
  exactly(check_layer(nn::flatten{.first_axis = 2}, {2, 3, 4}));
  exactly(check_layer(nn::add{}, inputs{of({dyn, 5, 2}), of({dyn, 5, 2})}));
  exactly(check_layer(nn::split{.first = 2}, {5}));
  exactly(check_layer(nn::split{.first = 1, .axis = -2}, {3, 4}));
  exactly(check_layer(nn::split{.first = 3, .axis = 2}, {2, 4, 3}));
}

TEST_CASE("convolution is exact whatever its window") {
  for (int k = 0; k < 60 * sweeps; ++k) {
    pick p(k);
    const int groups = p(1, 3);
    const nn::conv2d l{.out = groups * p(1, 3),
                       .kernel = {p(1, 3), p(1, 4)},
                       .stride = {p(1, 3), p(1, 3)},
                       .padding = {p(0, 3), p(0, 3)},
                       .dilation = {p(1, 2), p(1, 3)},
                       .groups = groups,
                       .bias = p(0, 3) > 0};
    const shape sample{groups * p(1, 3), p(1, 8), p(1, 9)};
    const shape batched{dyn, sample[0], sample[1], sample[2]};
    if (l.infer(inputs{slot{batched}}).bad()) continue;
    INFO("case " << k << ": out " << l.out.v << " kernel " << l.kernel.h << "x" << l.kernel.w << " stride " << l.stride.h << "x"
                 << l.stride.w << " padding " << l.padding.h << "x" << l.padding.w << " dilation " << l.dilation.h << "x"
                 << l.dilation.w << " groups " << l.groups.v);
    exactly(check_layer(l, sample, {.seed = static_cast<std::uint64_t>(k) + 1, .shapes = 3, .points = 1}));
  }
}

TEST_CASE("pooling") {
  for (int k = 0; k < 30 * sweeps; ++k) {
    pick p(k);
    const size2 kernel{p(1, 4), p(1, 4)}, stride{p(0, 3), p(0, 3)}, padding{p(0, 2), p(0, 2)};
    const shape sample{p(1, 3), p(1, 8), p(1, 9)};
    const inputs x{slot{shape{dyn, sample[0], sample[1], sample[2]}}};
    const check_options o{.seed = static_cast<std::uint64_t>(k) + 1, .shapes = 4, .points = 1};
    INFO("case " << k << ": kernel " << kernel.h << "x" << kernel.w << " stride " << stride.h << "x" << stride.w << " padding "
                 << padding.h << "x" << padding.w);
    const nn::avg_pool2d mean{.kernel = kernel, .stride = stride, .padding = padding};
    const nn::max_pool2d most{.kernel = kernel, .stride = stride, .padding = padding};
    if (!mean.infer(x).bad()) exactly(check_layer(mean, sample, o));
    if (!most.infer(x).bad()) right(check_layer(most, sample, o));
  }
}

TEST_CASE("windows that have kernels of their own, and images wider than a vector") {
  const check_options few{.shapes = 3, .points = 1};
  for (const shape& s : {shape{2, 2, 2}, shape{2, 9, 37}, shape{3, 6, 16}, shape{1, 4, 70}}) {
    right(check_layer(nn::max_pool2d{.kernel = 2}, s, few));
    exactly(check_layer(nn::avg_pool2d{.kernel = 2}, s, few));
  }
  right(check_layer(nn::max_pool2d{.kernel = 3, .stride = 2, .padding = 1}, {2, 7, 33}, few));
  exactly(check_layer(nn::conv2d{.out = 6, .kernel = 5, .padding = 2}, {1, 14, 14}, few));
  exactly(check_layer(nn::conv2d{.out = 17, .kernel = 3}, {5, 6, 9}, few));
  exactly(check_layer(nn::conv2d{.out = 9, .kernel = 1}, {8, 5, 7}, few));
  exactly(check_layer(nn::conv2d{.out = 8, .kernel = 3, .padding = 1, .groups = 8}, {8, 5, 7}, few));
}

TEST_CASE("activations and softmax") {
  for (const shape& s : {shape{1}, shape{17}, shape{3, 5}, shape{2, 3, 4}}) {
    right(check_layer(nn::relu{}, s));
    right(check_layer(nn::tanh{}, s));
    right(check_layer(nn::sigmoid{}, s));
    right(check_layer(nn::tanh{}, s, {.shapes = 2, .low = -6, .high = 6}));
    right(check_layer(nn::softmax{}, s));
    right(check_layer(nn::softmax{.axis = 1}, s, {.shapes = 4, .low = -20, .high = 20}));
  }
}

TEST_CASE("batch normalisation") {
  for (const shape& s : {shape{1}, shape{4}, shape{3, 5}, shape{2, 3, 4}}) {
    right(check_layer(nn::batch_norm{}, s));
    right(check_layer(nn::batch_norm{.momentum = 1, .epsilon = 0.5}, s));
  }
}

TEST_CASE("dropout") {
  exactly(check_layer(nn::dropout{}, {33}));
  exactly(check_layer(nn::dropout{.rate = 0.1f}, {4, 7}));
  exactly(check_layer(nn::dropout{.rate = 0}, {5}));
}

TEST_CASE("embedding") {
  exactly(check_layer(nn::embedding{.rows = 4, .out = 3}, inputs{of({dyn, 6}, kind::index)}));
  exactly(check_layer(nn::embedding{.rows = 1, .out = 5}, inputs{of({dyn}, kind::index)}));
  exactly(check_layer(nn::embedding{.rows = 9, .out = 1}, inputs{of({dyn, 2, 3}, kind::index)}));
}

TEST_CASE("the LSTM cell") {
  right(check_layer(nn::lstm_cell{.out = 3}, inputs{of({dyn, 4}), of({dyn, 3}), of({dyn, 3})}));
  right(check_layer(nn::lstm_cell{.out = 1}, inputs{of({dyn, 1}), of({dyn, 1}), of({dyn, 1})}));
  right(check_layer(nn::lstm_cell{.out = 17}, inputs{of({dyn, 5}), of({dyn, 17}), of({dyn, 17})}, {.shapes = 3, .points = 1}));
}
