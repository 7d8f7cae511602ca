// SPDX-License-Identifier: Apache-2.0
// What the main job draws: curves.svg, loss and accuracy over the training, and predictions.svg, a sheet of test images with what
// the network takes them for. Draws no random number of the training's, and leaves the model as it is.
#pragma once
#include <sys/stat.h>
#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <span>
#include <string>
#include <tenon/io/chart.hpp>
#include <tenon/io/file.hpp>
#include <tenon/train/trainer.hpp>
#include <vector>

namespace pictures {
struct prediction {
  std::size_t sample;
  int label, said;
  double probability;  // of what it said
  bool right() const { return label == said; }
};

/// What the network takes each sample for; its outputs are logits, the data in their order.
template <class Model>
std::vector<prediction> predict(const Model& net, tenon::batches<>& data) {
  std::vector<prediction> all;
  data.seek({});
  for (const auto& [x, labels] : data) {
    const auto y = net(x);
    const tenon::extent classes = y.shape()[1];
    for (tenon::extent i = 0; i < labels.numel(); ++i) {
      const float* row = y.data() + i * classes;
      const float* top = std::max_element(row, row + classes);
      double sum = 0;
      for (tenon::extent k = 0; k < classes; ++k) sum += std::exp(static_cast<double>(row[k] - *top));
      all.push_back({all.size(), labels[i], static_cast<int>(top - row), 1 / sum});
    }
  }
  data.seek({});
  return all;
}

/// A number as people write it: 61,706.
inline std::string grouped(std::size_t n) {
  std::string s = std::to_string(n);
  for (std::size_t at = s.size(); at > 3; at -= 3) s.insert(at - 3, ",");
  return s;
}
inline std::string percent(double part, int decimals) {
  char text[32];
  std::snprintf(text, sizeof text, "%.*f%%", decimals, 100 * part);
  return text;
}

/// A file of labels may hold numbers that are no class.
inline std::string name_of(int label, std::span<const char* const> names) {
  return label >= 0 && static_cast<std::size_t>(label) < names.size() ? names[static_cast<std::size_t>(label)]
                                                                      : "class " + std::to_string(label);
}

/// A sheet: half of it the most confident mistakes, half of it drawn at random (by `seed`) from all. `images` are rows × columns
/// bytes each, `names` those of the classes.
inline std::string sheet(const std::string& title, const std::vector<prediction>& all, const unsigned char* images,
                         std::size_t rows, std::size_t columns, std::span<const char* const> names, std::uint64_t seed) {
  constexpr std::size_t across = 8, half = 4 * across;
  std::vector<prediction> wrong, any = all;
  for (const prediction& p : all)
    if (!p.right()) wrong.push_back(p);
  const std::size_t mistakes = wrong.size();
  std::sort(wrong.begin(), wrong.end(), [](const auto& a, const auto& b) {
    return a.probability != b.probability ? a.probability > b.probability : a.sample < b.sample;
  });
  wrong.resize(std::min(half, wrong.size()));
  const tenon::random_key key{seed, 0, 0x51C7u};  // a "layer" that no network has
  const std::size_t drawn = std::min(half, any.size());
  for (std::size_t i = 0; i < drawn; ++i) std::swap(any[i], any[i + ((key.bits(i) * (any.size() - i)) >> 32)]);
  any.resize(drawn);

  constexpr double cell = 108, side = 76, high = 122, edge = 24, head = 84, gap = 40;
  const auto lines = [&](std::size_t n) { return static_cast<double>((n + across - 1) / across); };
  const double second = head + lines(wrong.size()) * high + gap;
  tenon::io::svg out(2 * edge + across * cell - 10, second + lines(drawn) * high + 8, title);
  out.text(edge, 34, title, "title");
  out.text(
      edge, 55,
      "Below each image: what the network says, and how sure it is. A mistake has a thick frame, a cross and the true label.",
      "muted");
  const auto block = [&](const std::vector<prediction>& some, const std::string& heading, double y0) {
    out.text(edge, y0, heading, "strong");
    for (std::size_t i = 0; i < some.size(); ++i) {
      const prediction& p = some[i];
      const double x = edge + static_cast<double>(i % across) * cell, y = y0 + 14 + static_cast<double>(i / across) * high;
      out.image(x, y, side, side, images + p.sample * rows * columns, rows, columns);
      out.rect(x, y, side, side, p.right() ? "good" : "bad");
      const std::string sure = p.probability >= 0.995 && p.probability < 1 ? ">99%" : percent(p.probability, 0);
      out.text(x, y + side + 16, name_of(p.said, names) + " " + sure, p.right() ? "small" : "small bad");
      if (p.right()) continue;
      out.text(x, y + side + 30, "is: " + name_of(p.label, names), "small");
      out.dot(x + side, y, 9, "back");
      out.line(x + side - 4, y - 4, x + side + 4, y + 4, "bad");
      out.line(x + side - 4, y + 4, x + side + 4, y - 4, "bad");
    }
  };
  block(wrong, mistakes ? "The " + grouped(wrong.size()) + " most confident mistakes, of " + grouped(mistakes) : "No mistakes",
        head);
  block(any, grouped(drawn) + " of all images, drawn at random", second);
  return out.str();
}

/// Watches a training (tenon::trainer calls step and epoch), then writes both pictures into `folder`; "": does nothing at all.
template <class Model>
class recorder {
  const Model& net_;
  tenon::batches<>& test_;
  std::string folder_, title_;
  tenon::io::curve loss_, accuracy_{.dots = true};

  bool write(const char* name, const std::string& svg) const {
    tenon::failure why;
    if (tenon::io::try_write_file((folder_ + "/" + name).c_str(), svg.data(), svg.size(), why) == tenon::errc::ok) return true;
    std::fprintf(stderr, "pictures: %s\n", why.message().c_str());
    return false;
  }

 public:
  /// Says so at once where the folder cannot be made, and then draws nothing.
  recorder(const Model& net, tenon::batches<>& test, std::string folder, std::string title)
      : net_(net), test_(test), folder_(std::move(folder)), title_(std::move(title)) {
    struct stat is{};
    if (folder_.empty() || ::mkdir(folder_.c_str(), 0777) == 0) return;
    const int why = errno;
    if (::stat(folder_.c_str(), &is) == 0 && S_ISDIR(is.st_mode)) return;
    std::fprintf(stderr, "pictures: %s is no folder and cannot be made one (errno %d): the training goes on without pictures\n",
                 folder_.c_str(), why);
    folder_.clear();
  }
  void step(const tenon::epoch_state& s) {
    if (folder_.empty()) return;
    loss_.x.push_back(static_cast<double>(s.epoch) + static_cast<double>(s.batch) / static_cast<double>(s.batches));
    loss_.y.push_back(s.batch_loss);
  }
  void epoch(const tenon::epoch_state& s) {
    if (folder_.empty()) return;
    accuracy_.x.push_back(static_cast<double>(s.epoch + 1));
    accuracy_.y.push_back(100 * tenon::evaluate(net_, test_));
  }
  /// The curves of what was trained until now, and where they are.
  bool write_curves(const std::string& result) const {
    if (folder_.empty()) return false;
    tenon::io::curve loss = loss_;
    loss.smooth = std::clamp(std::floor(static_cast<double>(loss.y.size()) / 40), 1.0, 200.0);
    const std::string note = grouped(loss.y.size()) + " steps. Left: the loss of each step, faintly, and its mean over about " +
                             grouped(static_cast<std::size_t>(loss.smooth)) + ".";
    return write("curves.svg", tenon::io::chart({{.title = "Training loss", .curves = {loss}},
                                                 {.title = "Accuracy on the test set", .unit = "%", .curves = {accuracy_}}},
                                                {.title = title_ + ": " + result, .note = note, .x = "epoch"}));
  }
  /// Both pictures, and a line that says where they are.
  void write_all(double accuracy, const unsigned char* images, std::size_t rows, std::size_t columns,
                 std::span<const char* const> names, std::uint64_t seed) const {
    if (folder_.empty()) return;
    const std::string result =
        percent(accuracy, 2) + " of " + grouped(static_cast<std::size_t>(test_.samples())) + " test images right";
    if (write_curves(result) &&
        write("predictions.svg", sheet(title_ + ": " + result, predict(net_, test_), images, rows, columns, names, seed)))
      std::printf("pictures: %s/curves.svg and predictions.svg\n", folder_.c_str());
  }
};
}  // namespace pictures
