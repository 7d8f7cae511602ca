// SPDX-License-Identifier: Apache-2.0
// PyTorch's weights, data and recipe give PyTorch's losses: 30 steps of the main job, and 30 at its highest rate, where a wrong
// epsilon or a forgotten decay would show. Reads Fashion-MNIST; without the data set it says so and checks nothing.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "../catch.hpp"
#include "support/torch_init.hpp"
#include "tenon/graph/model.hpp"
#include "tenon/io/read_idx.hpp"
#include "tenon/layers/activation.hpp"
#include "tenon/layers/conv2d.hpp"
#include "tenon/layers/linear.hpp"
#include "tenon/layers/pool2d.hpp"
#include "tenon/layers/reshape.hpp"
#include "tenon/train/batches.hpp"
#include "tenon/train/loss.hpp"
#include "tenon/train/optimizer.hpp"

namespace nn = tenon::layers;
namespace {
constexpr auto lenet =
    tenon::network({1, 28, 28}, nn::conv2d{.out = 6, .kernel = 5, .padding = 2}, nn::relu{}, nn::max_pool2d{.kernel = 2},
                   nn::conv2d{.out = 16, .kernel = 5}, nn::relu{}, nn::max_pool2d{.kernel = 2}, nn::flatten{},
                   nn::linear{.out = 120}, nn::relu{}, nn::linear{.out = 84}, nn::relu{}, nn::linear{.out = 10});

struct run {
  std::vector<double> rates, losses;
  std::map<std::string, double> squares;  // of each parameter at the end
};
std::map<std::string, run> golden() {
  const char* folder = std::getenv("TENON_DATA");
  REQUIRE(folder);
  std::FILE* f = std::fopen((std::string(folder) + "/torch_lenet_30_steps.txt").c_str(), "r");
  REQUIRE(f);
  std::map<std::string, run> runs;
  char line[256], name[64];
  double rate = 0, loss = 0;
  while (std::fgets(line, sizeof line, f))
    for (const std::string word : {"step", "fast"}) {
      if (std::sscanf(line, (word + " %*d %lf %lf").c_str(), &rate, &loss) == 2) {
        runs[word].rates.push_back(rate);
        runs[word].losses.push_back(loss);
      }
      if (std::sscanf(line, (word + "_after %63s %lf").c_str(), name, &loss) == 2) runs[word].squares[name] = loss;
    }
  std::fclose(f);
  return runs;
}
}  // namespace

TEST_CASE("30 steps from PyTorch's weights have PyTorch's losses") {
  const std::string data = "/usr/share/datasets/fashion-mnist/train-";
  if (std::FILE* f = std::fopen((data + "images-idx3-ubyte.gz").c_str(), "rb")) {
    std::fclose(f);
  } else {
    WARN("no data set: install the Debian package dataset-fashion-mnist");
    return;
  }
  const auto images = tenon::io::read_idx((data + "images-idx3-ubyte.gz").c_str()),
             labels = tenon::io::read_idx((data + "labels-idx1-ubyte.gz").c_str());
  auto runs = golden();
  for (const char* word : {"step", "fast"}) {
    const run& torch = runs[word];
    REQUIRE(torch.losses.size() == 30);
    tenon::batches batches{images, labels, {.batch = 32, .shuffle = false, .sample = {1, 28, 28}}};
    decltype(batches)::item item;
    tenon::model<lenet> net{{.device = {.threads = 2}}};
    auto parameters = net.parameters();
    tenon_test::fill_like_torch(parameters, 1);
    const tenon::cross_entropy loss;
    tenon::adamw rule{.weight_decay = 0.01};
    double worst = 0;
    for (std::size_t i = 0; i < 30; ++i) {
      REQUIRE(batches.next(item));
      auto y = net.forward(item.x);
      auto [l, dy] = loss(y, item.labels);
      net.backward(dy);
      rule.lr = torch.rates[i];
      net.update(rule);
      worst = std::fmax(worst, std::fabs(double(l) - torch.losses[i]));
    }
    INFO(word);
    CHECK(worst < 1e-5);
    CHECK(torch.squares.size() == parameters.size());
    for (const auto& p : parameters) {
      double sum = 0;
      for (const float w : p.value.view()) sum += double(w) * double(w);
      REQUIRE(torch.squares.count(p.name) == 1);
      INFO(p.name);
      CHECK(sum == Approx(torch.squares.at(p.name)).epsilon(1e-4));
    }
  }
}
