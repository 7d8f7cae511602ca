// SPDX-License-Identifier: Apache-2.0
// The main job: LeNet on Fashion-MNIST. Ctrl-C stops it after the current step and keeps a check-point, from which the same
// command with --resume goes on to the same bits. Prints progress, draws the training where --pictures says so, then prints
//
//   test accuracy: 0.9xxx
//   images/s: N
//   parameters crc32: xxxxxxxx
//   bytes copied at the doors: 0
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <tenon/io/crc32.hpp>
#include <tenon/io/read_idx.hpp>
#include <tenon/tenon.hpp>
#include <tenon/train/trainer.hpp>
#include "pictures.hpp"

namespace nn = tenon::layers;

constexpr auto lenet =
    tenon::network({1, 28, 28}, nn::conv2d{.out = 6, .kernel = 5, .padding = 2}, nn::relu{}, nn::max_pool2d{.kernel = 2},
                   nn::conv2d{.out = 16, .kernel = 5}, nn::relu{}, nn::max_pool2d{.kernel = 2}, nn::flatten{},
                   nn::linear{.out = 120}, nn::relu{}, nn::linear{.out = 84}, nn::relu{}, nn::linear{.out = 10});

constexpr const char* help = R"(05_train [options]: trains LeNet on Fashion-MNIST
  --data DIR         the idx.gz files (default: /usr/share/datasets/fashion-mnist)
  --epochs N         in all (default: 5)
  --threads N        of the processor (default: 1)
  --seed N           of weights and order (default: 1)
  --limit N          only the first N training images
  --checkpoint FILE  written after each epoch and at Ctrl-C (default: fashion_mnist.checkpoint, removed at the end)
  --resume           go on from that file
  --pictures DIR     curves.svg and predictions.svg are written there (examples/run: build/pictures)
  --no-pictures      none, and no evaluation after each epoch
)";

constexpr const char* classes[] = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                                   "Sandal",      "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};

struct settings {
  std::string data = "/usr/share/datasets/fashion-mnist", checkpoint = "fashion_mnist.checkpoint", pictures;
  int epochs = 5, threads = 1, seed = 1, limit = 0;
  bool resume = false, keep = false;
};

[[noreturn]] void stop(const std::string& why, int code) {
  std::fprintf(stderr, "%s\n", why.c_str());
  std::exit(code);
}

settings parse(int argc, char** argv) {
  settings s;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    const auto text = [&] { return i + 1 < argc ? std::string(argv[++i]) : (stop(name + " needs a value; see --help", 2), ""); };
    const auto number = [&](int least) {
      const std::string t = text();
      char* end = nullptr;
      const long v = std::strtol(t.c_str(), &end, 10);
      if (t.empty() || *end || v < least || v > 1'000'000'000)
        stop(name + ": '" + t + "' is not a number of at least " + std::to_string(least), 2);
      return static_cast<int>(v);
    };
    if (name == "--data") s.data = text();
    else if (name == "--epochs") s.epochs = number(0);
    else if (name == "--threads") s.threads = number(1);
    else if (name == "--seed") s.seed = number(0);
    else if (name == "--limit") s.limit = number(1);
    else if (name == "--checkpoint") s.checkpoint = text(), s.keep = true;
    else if (name == "--resume") s.resume = true;
    else if (name == "--pictures") s.pictures = text();
    else if (name == "--no-pictures") s.pictures.clear();
    else if (name == "--help") {
      std::fputs(help, stdout);
      std::exit(0);
    } else stop("unknown option " + name + "; see --help", 2);
  }
  return s;
}

int run(const settings& s) {
  const auto load = [&](const char* name) {
    return tenon::io::read_idx((s.data + "/" + name).c_str(),
                               {.file = {.remedy = "Install the Debian package dataset-fashion-mnist, or say --data DIR."}});
  };
  const tenon::batch_options options{.seed = static_cast<std::uint64_t>(s.seed), .sample = {1, 28, 28}, .limit = s.limit};
  tenon::batches train_set{load("train-images-idx3-ubyte.gz"), load("train-labels-idx1-ubyte.gz"), options};
  const auto test_images = load("t10k-images-idx3-ubyte.gz");
  tenon::batches test_set{
      test_images, load("t10k-labels-idx1-ubyte.gz"), {.batch = 100, .shuffle = false, .sample = {1, 28, 28}}};

  tenon::model<lenet> net{{.seed = options.seed, .device = {.threads = s.threads}}};
  const tenon::trainer train{.epochs = static_cast<std::uint64_t>(s.epochs), .checkpoint = s.checkpoint, .resume = s.resume};
  const tenon::one_cycle rate{.max = 3e-3, .steps = s.epochs * train_set.count()};
  pictures::recorder pictures{net, test_set, s.pictures, "LeNet on Fashion-MNIST"};
  const auto report = train(net, train_set, tenon::cross_entropy{}, tenon::adamw{.weight_decay = 0.01}, rate, pictures);
  if (report.interrupted) {
    pictures.write_curves("interrupted");
    stop("interrupted: the same command with --resume goes on from " + s.checkpoint, 130);
  }

  const double accuracy = tenon::evaluate(net, test_set);
  pictures.write_all(accuracy, static_cast<const unsigned char*>(test_images.data()), 28, 28, classes, options.seed);
  std::uint32_t crc = 0;
  for (const auto& p : net.parameters())
    crc = tenon::io::crc32(p.value.data(), static_cast<std::size_t>(p.value.numel()) * sizeof(float), crc);
  std::printf("test accuracy: %.4f\nimages/s: %.0f\nparameters crc32: %08x\nbytes copied at the doors: %llu\n", accuracy,
              report.samples_per_second(), crc, static_cast<unsigned long long>(tenon::bytes_moved().copied));
  if (!s.keep) std::remove(s.checkpoint.c_str());
  return 0;
}

int main(int argc, char** argv) {
  try {
    return run(parse(argc, argv));
  } catch (const tenon::error& e) { stop(e.what(), 1); }
}
