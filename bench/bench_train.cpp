// SPDX-License-Identifier: Apache-2.0
// One training step (forward, mean cross entropy, backward, plain SGD) of three networks against libtorch, from the same
// weights on the same batch. Before anything is timed, the losses after 30 steps must agree to 1e-4, else the exit status is 1.
#include <tenon/tenon.hpp>

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "harness.hpp"
#include "peers/train_peer.h"

namespace nn = tenon::layers;

namespace {

constexpr auto lenet =
    tenon::network({1, 28, 28}, nn::conv2d{.out = 6, .kernel = 5, .padding = 2}, nn::relu{}, nn::max_pool2d{.kernel = 2},
                   nn::conv2d{.out = 16, .kernel = 5}, nn::relu{}, nn::max_pool2d{.kernel = 2}, nn::flatten{},
                   nn::linear{.out = 120}, nn::relu{}, nn::linear{.out = 84}, nn::relu{}, nn::linear{.out = 10});
constexpr peer_layer lenet_peer[] = {{peer_conv, 1, 6, 5, 2},      {peer_relu, 0, 0, 0, 0},       {peer_pool, 0, 0, 2, 0},
                                     {peer_conv, 6, 16, 5, 0},     {peer_relu, 0, 0, 0, 0},       {peer_pool, 0, 0, 2, 0},
                                     {peer_flatten, 0, 0, 0, 0},   {peer_linear, 400, 120, 0, 0}, {peer_relu, 0, 0, 0, 0},
                                     {peer_linear, 120, 84, 0, 0}, {peer_relu, 0, 0, 0, 0},       {peer_linear, 84, 10, 0, 0}};

constexpr auto mnist_cnn =
    tenon::network({1, 28, 28}, nn::conv2d{.out = 4, .kernel = 3}, nn::relu{}, nn::conv2d{.out = 4, .kernel = 3}, nn::relu{},
                   nn::max_pool2d{.kernel = 2}, nn::flatten{}, nn::linear{.out = 128}, nn::relu{}, nn::linear{.out = 10});
constexpr peer_layer mnist_cnn_peer[] = {{peer_conv, 1, 4, 3, 0},       {peer_relu, 0, 0, 0, 0}, {peer_conv, 4, 4, 3, 0},
                                         {peer_relu, 0, 0, 0, 0},       {peer_pool, 0, 0, 2, 0}, {peer_flatten, 0, 0, 0, 0},
                                         {peer_linear, 576, 128, 0, 0}, {peer_relu, 0, 0, 0, 0}, {peer_linear, 128, 10, 0, 0}};

constexpr auto mlp =
    tenon::network({784}, nn::linear{.out = 512}, nn::relu{}, nn::linear{.out = 512}, nn::relu{}, nn::linear{.out = 10});
constexpr peer_layer mlp_peer[] = {{peer_linear, 784, 512, 0, 0},
                                   {peer_relu, 0, 0, 0, 0},
                                   {peer_linear, 512, 512, 0, 0},
                                   {peer_relu, 0, 0, 0, 0},
                                   {peer_linear, 512, 10, 0, 0}};

constexpr int check_steps = 30;
constexpr float check_lr = 0.05f, timed_lr = 1e-4f, tolerance = 1e-4f;

/// The functions of a peer library, or none.
struct train_peer {
  bench::peer_library library{"torch_train.so"};
  decltype(peer_setting)* setting = nullptr;
  decltype(peer_create)* create = nullptr;
  decltype(peer_steps)* steps = nullptr;
  decltype(peer_destroy)* destroy = nullptr;
  int settings = 0;
  std::string name;

  explicit train_peer(int threads) {
    if (!library) return;
    setting = library.get<decltype(peer_setting)>("peer_setting");
    create = library.get<decltype(peer_create)>("peer_create");
    steps = library.get<decltype(peer_steps)>("peer_steps");
    destroy = library.get<decltype(peer_destroy)>("peer_destroy");
    settings = library.get<decltype(peer_settings)>("peer_settings")();
    name = library.get<decltype(peer_name)>("peer_name")();
    library.get<decltype(peer_threads)>("peer_threads")(threads);
  }
};

/// One setting of the peer on one case; ends the model with itself.
struct rival {
  const train_peer* peer;
  void* model;
  std::string name;
  rival(const train_peer& p, void* m, std::string n) : peer(&p), model(m), name(std::move(n)) {}
  rival(rival&& o) noexcept : peer(o.peer), model(std::exchange(o.model, nullptr)), name(std::move(o.name)) {}
  ~rival() {
    if (model) peer->destroy(model);
  }
  bench::contestant contestant() const {
    return {name, [p = peer, m = model](long n) { p->steps(m, timed_lr, n); }};
  }
};

/// Class A, and the fastest of class B by a short race.
std::vector<rival> choose(std::vector<rival> all, bench::options o) {
  if (all.size() <= 2) return all;
  std::vector<bench::contestant> b;
  for (std::size_t i = 1; i < all.size(); ++i) b.push_back(all[i].contestant());
  o.seconds = 0.1;
  const auto trial = bench::race(b, o);
  std::size_t best = 0;
  for (std::size_t i = 1; i < trial.size(); ++i)
    if (trial[i].ns.median < trial[best].ns.median) best = i;
  std::vector<rival> chosen;
  chosen.push_back(std::move(all[0]));
  chosen.push_back(std::move(all[best + 1]));
  return chosen;
}

/// False where a peer's loss differs from ours.
template <auto net_value, std::size_t layers>
bool run_case(const std::string& name, int batch, const peer_layer (&same)[layers], const train_peer& peer, bench::report& out,
              const bench::options& o) {
  std::mt19937 random(1);
  const auto count = std::size_t(batch);
  std::vector<float> x(count * 784);
  std::vector<int> labels(count);
  for (auto& v : x) v = float(random() >> 8) * 0x1p-24f;
  for (auto& v : labels) v = int(random() % 10);

  tenon::model<net_value> net{{.seed = 1, .device = {.threads = o.threads}}};
  tenon::cross_entropy loss;
  const auto input = same[0].kind == peer_conv ? tenon::view(x, {batch, 1, 28, 28}) : tenon::view(x, {batch, 784});
  auto step = [&](float lr) {
    auto y = net.forward(input);
    auto [l, dy] = loss(y, labels);
    net.backward(dy);
    net.update(tenon::sgd{.lr = lr});
    return float(l);
  };

  std::vector<float> weights;
  for (auto&& p : net.parameters()) weights.insert(weights.end(), p.value.data(), p.value.data() + p.value.numel());
  float ours = 0;
  for (int i = 0; i < check_steps; ++i) ours = step(check_lr);

  bool good = true;
  std::vector<rival> rivals;
  for (int s = 0; s < peer.settings; ++s) {
    void* model = peer.create(s, same, int(layers), batch, weights.data(), x.data(), labels.data());
    if (!model) continue;
    rivals.emplace_back(peer, model, peer.name + (s ? " B: " : " A: ") + peer.setting(s));
    const float theirs = peer.steps(model, check_lr, check_steps);
    if (std::fabs(ours - theirs) <= tolerance) continue;
    std::fprintf(stderr, "bench_train %s: loss after %d steps is %.7g, %s has %.7g\n", name.c_str(), check_steps, double(ours),
                 rivals.back().name.c_str(), double(theirs));
    good = false;
  }
  rivals = choose(std::move(rivals), o);

  std::vector<bench::contestant> all{{"tenon", [&](long n) {
                                        while (n-- > 0) step(timed_lr);
                                      }}};
  for (auto& r : rivals) all.push_back(r.contestant());
  out.add(name, bench::race(all, o));
  return good;
}

}  // namespace

int main(int argc, char** argv) {
  const auto o = bench::parse(argc, argv);
  bench::report out("bench_train", o);
  const train_peer peer(o.threads);
  bool good = true;
  for (int batch : {1, 10, 64, 256}) {
    auto named = [&](const char* net) { return std::string(net) + " b" + std::to_string(batch); };
    if (auto n = named("lenet"); o.wants(n)) good &= run_case<lenet>(n, batch, lenet_peer, peer, out, o);
    if (auto n = named("mnist_cnn"); o.wants(n)) good &= run_case<mnist_cnn>(n, batch, mnist_cnn_peer, peer, out, o);
    if (auto n = named("mlp"); o.wants(n)) good &= run_case<mlp>(n, batch, mlp_peer, peer, out, o);
  }
  return good ? 0 : 1;
}
