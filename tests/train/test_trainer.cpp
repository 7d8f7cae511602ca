// SPDX-License-Identifier: Apache-2.0
// The training loop: what it learns, a resumed run against one that was never stopped (to the bit), Ctrl-C, NaN, plain progress,
// and evaluate.
#include "tenon/train/trainer.hpp"

#include <signal.h>
#include <unistd.h>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "../catch.hpp"
#include "tenon/graph/graph.hpp"
#include "tenon/layers/activation.hpp"
#include "tenon/layers/batch_norm.hpp"
#include "tenon/layers/dropout.hpp"
#include "tenon/layers/linear.hpp"
#include "tenon/train/loss.hpp"
#include "tenon/train/optimizer.hpp"
#include "tenon/train/schedule.hpp"

namespace nn = tenon::layers;
namespace {

constexpr auto net =
    tenon::network({2}, nn::linear{.out = 16}, nn::batch_norm{}, nn::tanh{}, nn::dropout{.rate = 0.1f}, nn::linear{.out = 2});
using model = tenon::model<net>;

struct circle {  // inside or outside
  std::vector<float> x;
  std::vector<int> labels;
  explicit circle(int n = 103) {
    std::uint32_t s = 1;
    for (int i = 0; i < n; ++i) {
      float v[2];
      for (float& c : v) c = float((s = s * 1664525u + 1013904223u) >> 8) * 0x1p-23f - 1;
      x.insert(x.end(), {v[0], v[1]});
      labels.push_back(v[0] * v[0] + v[1] * v[1] < 0.5f);
    }
  }
  tenon::batches<> batches(std::uint64_t seed = 1) const {
    return tenon::batches{tenon::view(x, {labels.size(), 2}), labels, {.batch = 10, .seed = seed}};
  }
};
std::vector<float> values(const model& m) {
  std::vector<float> all;
  for (const auto& p : m.parameters()) all.insert(all.end(), p.value.view().begin(), p.value.view().end());
  for (const auto& p : m.states()) all.insert(all.end(), p.value.view().begin(), p.value.view().end());
  for (const auto& p : m.slots()) {
    const auto v = p.value.as<const float>();
    all.insert(all.end(), v.view().begin(), v.view().end());
  }
  return all;
}
struct temporary {
  std::string path = "trainer_test." + std::to_string(::getpid());
  ~temporary() { std::remove(path.c_str()); }
};
template <class F>
tenon::failure refused(const F& f) {
  try {
    f();
  } catch (const tenon::error& e) { return e.details(); }
  return {};
}
constexpr tenon::one_cycle rate{.max = 0.03, .steps = 5 * 11};
const tenon::cross_entropy loss;
const tenon::adamw rule;

/// A rate that presses Ctrl-C at one step.
struct pressing {
  std::int64_t at;
  double operator()(std::int64_t step) const {
    if (step == at) raise(SIGINT);
    return rate(step);
  }
};

}  // namespace

TEST_CASE("a trainer does what the loop written out does") {
  const circle set;
  auto a = set.batches(), b = set.batches();
  model m{{.seed = 2}}, n{{.seed = 2}};
  const auto report = tenon::trainer{.epochs = 5, .progress = nullptr}(m, a, loss, rule, rate);
  tenon::adamw opt = rule;
  int step = 0;
  double last = 0;
  for (int e = 0; e < 5; ++e) {
    last = 0;
    for (const auto& [x, labels] : b) {
      opt.lr = rate(step++);
      auto y = n.forward(x);
      auto [l, dy] = loss(y, labels);
      n.backward(dy);
      n.update(opt);
      last += double(l) * double(labels.numel());
    }
  }
  CHECK(values(m) == values(n));
  CHECK(report.steps == 55);
  CHECK(report.samples == 515);
  CHECK(report.loss == Approx(last / 103).epsilon(1e-12));
  CHECK(!report.interrupted);
}

TEST_CASE("a watch sees every step and every whole epoch, and changes nothing") {
  struct recorder {
    std::vector<double> losses, means;
    std::vector<std::uint64_t> epochs;
    void step(const tenon::epoch_state& s) {
      losses.push_back(s.batch_loss);
      CHECK(s.batch == (losses.size() - 1) % 11 + 1);
    }
    void epoch(const tenon::epoch_state& s) {
      CHECK(losses.size() == 11 * (s.epoch + 1));
      epochs.push_back(s.epoch);
      means.push_back(s.loss);
    }
  } watch;
  const circle set;
  auto a = set.batches(), b = set.batches();
  model m{{.seed = 2}}, n{{.seed = 2}};
  const tenon::trainer train{.epochs = 3, .progress = nullptr};
  const auto report = train(m, a, loss, rule, rate, watch);
  train(n, b, loss, rule, rate);
  CHECK(values(m) == values(n));
  CHECK(watch.losses.size() == 33);
  CHECK(watch.epochs == std::vector<std::uint64_t>{0, 1, 2});
  double sum = 0;
  for (int i = 22; i < 33; ++i) sum += watch.losses[std::size_t(i)] * (i == 32 ? 3 : 10);
  CHECK(watch.means[2] == Approx(sum / 103).epsilon(1e-12));
  CHECK(report.loss == watch.means[2]);
  auto c = set.batches();
  model stopped{{.seed = 2}};
  recorder until;
  CHECK(train(stopped, c, loss, rule, pressing{13}, until).interrupted);
  CHECK(until.losses.size() == 14);  // the step that was under way, too
  CHECK(until.epochs.size() == 1);   // a part of an epoch is none
}

TEST_CASE("it learns") {
  const circle set;
  auto data = set.batches();
  model m{{.seed = 2}};
  const double before = tenon::evaluate(m, data);
  const auto report =
      tenon::trainer{.epochs = 60, .progress = nullptr}(m, data, loss, rule, tenon::cosine{.max = 0.03, .steps = 660});
  CHECK(report.loss < 0.5);
  CHECK(tenon::evaluate(m, data) > std::max(before, 0.9));
}

TEST_CASE("Ctrl-C at any step, then resume: the bits of a run that was never stopped") {
  const circle set;
  const temporary t;
  auto straight = set.batches();
  model whole{{.seed = 2}};
  const auto expected = tenon::trainer{.epochs = 5, .progress = nullptr}(whole, straight, loss, rule, rate);
  for (const std::int64_t stop : {0, 1, 9, 10, 11, 30, 43, 54}) {
    auto data = set.batches();
    model m{{.seed = 2}};
    const tenon::trainer first{.epochs = 5, .checkpoint = t.path, .progress = nullptr};
    const auto cut = first(m, data, loss, rule, pressing{stop});
    CHECK(cut.interrupted);
    CHECK(cut.steps == std::uint64_t(stop) + 1);
    auto again = set.batches();
    model other{{.seed = 77}};
    const auto rest =
        tenon::trainer{.epochs = 5, .checkpoint = t.path, .resume = true, .progress = nullptr}(other, again, loss, rule, rate);
    CHECK(rest.steps == 54 - std::uint64_t(stop));
    CHECK(values(other) == values(whole));
    CHECK(other.counters() == whole.counters());
    CHECK(rest.loss == expected.loss);
  }
}

TEST_CASE("a finished run resumes with more epochs, and with none left it does nothing") {
  const circle set;
  const temporary t;
  auto a = set.batches(), b = set.batches(), c = set.batches();
  model m{{.seed = 2}}, n{{.seed = 3}}, o{{.seed = 4}};
  tenon::trainer{.epochs = 2, .checkpoint = t.path, .progress = nullptr}(m, a, loss, rule, rate);
  const tenon::trainer more{.epochs = 5, .checkpoint = t.path, .resume = true, .progress = nullptr};
  more(n, b, loss, rule, rate);
  tenon::trainer{.epochs = 5, .progress = nullptr}(m, a, loss, rule, rate);
  CHECK(values(m) == values(n));
  CHECK(more(o, c, loss, rule, rate).steps == 0);
  CHECK(values(o) == values(n));
}

TEST_CASE("Ctrl-C is the process's own again afterwards; ignored, it stays so") {
  static int seen;
  seen = 0;
  struct sigaction mine{};
  mine.sa_handler = [](int) { ++seen; };
  sigaction(SIGINT, &mine, nullptr);
  const circle set;
  auto data = set.batches();
  model m{{.seed = 2}};
  CHECK(tenon::trainer{.progress = nullptr}(m, data, loss, rule, pressing{4}).interrupted);
  CHECK(seen == 0);
  raise(SIGINT);
  CHECK(seen == 1);
  signal(SIGINT, SIG_IGN);
  data.seek({});
  CHECK(!tenon::trainer{.progress = nullptr}(m, data, loss, rule, pressing{4}).interrupted);
  signal(SIGINT, SIG_DFL);
}

TEST_CASE("a NaN loss names where it began, and the parameters are those before the step") {
  const circle set;
  auto data = set.batches();
  model m{{.seed = 2}};
  std::vector<float> before;
  int step = 0;
  const auto poison = [&](const tenon::tensor<float>& y, const auto& labels) {
    auto r = loss(y, labels);
    if (++step == 3) {
      before = values(m);
      r.loss.v = std::nan("");
    }
    return r;
  };
  auto f = refused([&] { tenon::trainer{.progress = nullptr}(m, data, poison, rule, rate); });
  CHECK(f.code == tenon::errc::not_finite);
  CHECK(std::string(f.argument) == "loss");
  CHECK(values(m) == before);

  m.parameters()[4].value.data()[0] = NAN;
  f = refused([&] { tenon::trainer{.progress = nullptr}(m, data, loss, rule, rate); });
  CHECK(f.code == tenon::errc::not_finite);
  CHECK(std::string(f.argument).find("4.weight") != std::string::npos);
}

TEST_CASE("an input that is not finite is named too") {
  circle set;
  set.x[20] = NAN;
  auto data = set.batches();
  model m{{.seed = 2}};
  const auto f = refused([&] { tenon::trainer{.progress = nullptr}(m, data, loss, rule, rate); });
  CHECK(f.code == tenon::errc::not_finite);
  CHECK(std::string(f.argument).find("input") != std::string::npos);
}

TEST_CASE("another rule, other data or another seed is not what the check-point goes on from") {
  const circle set, larger(104);
  const temporary t;
  auto a = set.batches(), other_seed = set.batches(9), other_size = larger.batches();
  model m{{.seed = 2}};
  tenon::trainer{.checkpoint = t.path, .progress = nullptr}(m, a, loss, rule, rate);
  const auto before = values(m);
  const tenon::trainer go{.epochs = 2, .checkpoint = t.path, .resume = true, .progress = nullptr};
  CHECK(refused([&] { go(m, a, loss, tenon::sgd{}, rate); }).code == tenon::errc::name);
  const auto f = refused([&] { go(m, other_seed, loss, rule, rate); });
  CHECK(f.code == tenon::errc::value);
  CHECK(std::string(f.argument) == "seed of the batches");
  CHECK((f.got == 9 && f.expected == 1));
  CHECK(refused([&] { go(m, other_size, loss, rule, rate); }).code == tenon::errc::value);
  const tenon::trainer nowhere{.epochs = 2, .checkpoint = "no such file", .resume = true, .progress = nullptr};
  CHECK(refused([&] { nowhere(m, a, loss, rule, rate); }).code == tenon::errc::file);
  CHECK(values(m) == before);
}

TEST_CASE("away from a terminal, progress is one plain line an epoch") {
  const circle set;
  auto data = set.batches();
  model m{{.seed = 2}};
  std::FILE* f = std::tmpfile();
  tenon::trainer{.epochs = 3, .progress = f}(m, data, loss, rule);
  std::rewind(f);
  char line[256];
  int lines = 0;
  while (std::fgets(line, sizeof line, f)) {
    ++lines;
    CHECK(std::string(line).starts_with("epoch " + std::to_string(lines) + "/3: loss "));
    CHECK(std::string(line).find_first_of("\r\033") == std::string::npos);
  }
  std::fclose(f);
  CHECK(lines == 3);
}

TEST_CASE("evaluate counts right answers over ragged batches, for model and graph, and keeps the position") {
  const circle set;
  auto data = set.batches();
  model m{{.seed = 2}};
  tenon::graph g{net, {.seed = 2}};
  tenon::batches<>::item item;
  data.next(item);
  const double accuracy = tenon::evaluate(m, data);
  CHECK(data.position() == tenon::batch_position{0, 1});
  CHECK(accuracy == tenon::evaluate(g, data));
  int right = 0;
  for (std::size_t i = 0; i < set.labels.size(); ++i) {
    const auto y = m(tenon::view<const float>(set.x.data() + 2 * i, {1, 2}));
    right += (y[1] > y[0] ? 1 : 0) == set.labels[i];
  }
  CHECK(accuracy == right / 103.0);
  for (auto& p : m.parameters()) p.value.data()[0] = NAN;
  CHECK(tenon::evaluate(m, data) == 0);
}
