// SPDX-License-Identifier: Apache-2.0
// Check-points: everything comes back, and whatever is wrong with a file is refused before the model changes: every truncation,
// every flipped bit, other networks.
#include "tenon/train/checkpoint.hpp"

#include <unistd.h>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "../catch.hpp"
#include "tenon/graph/graph.hpp"
#include "tenon/layers/activation.hpp"
#include "tenon/layers/batch_norm.hpp"
#include "tenon/layers/conv2d.hpp"
#include "tenon/layers/dropout.hpp"
#include "tenon/layers/linear.hpp"
#include "tenon/train/loss.hpp"
#include "tenon/train/optimizer.hpp"

namespace nn = tenon::layers;
namespace {

constexpr auto small =
    tenon::network({3}, nn::linear{.out = 4}, nn::batch_norm{}, nn::relu{}, nn::dropout{}, nn::linear{.out = 2});
constexpr auto wider =
    tenon::network({3}, nn::linear{.out = 5}, nn::batch_norm{}, nn::relu{}, nn::dropout{}, nn::linear{.out = 2});
constexpr auto shorter = tenon::network({3}, nn::linear{.out = 4}, nn::batch_norm{}, nn::relu{});
constexpr auto longer = tenon::network({3}, nn::linear{.out = 4}, nn::batch_norm{}, nn::relu{}, nn::dropout{},
                                       nn::linear{.out = 2}, nn::linear{.out = 2});
constexpr auto named =
    tenon::network({3}, nn::linear{.out = 4}, nn::relu{}, nn::batch_norm{}, nn::dropout{}, nn::linear{.out = 2});
constexpr auto conv = tenon::network({1, 2, 2}, nn::conv2d{.out = 4, .kernel = 2});

struct temporary {
  std::string path = "checkpoint_test." + std::to_string(::getpid());
  ~temporary() { std::remove(path.c_str()); }
  std::vector<unsigned char> read() const {
    std::vector<unsigned char> all(1 << 20);
    std::FILE* f = std::fopen(path.c_str(), "rb");
    REQUIRE(f);
    all.resize(std::fread(all.data(), 1, all.size(), f));
    std::fclose(f);
    return all;
  }
  void write(const unsigned char* data, std::size_t n) const {
    std::FILE* f = std::fopen(path.c_str(), "wb");
    REQUIRE(f);
    REQUIRE(std::fwrite(data, 1, n, f) == n);
    std::fclose(f);
  }
  void write(std::vector<unsigned char> all, bool sum) const {
    if (sum) {
      const std::uint32_t crc = tenon::io::crc32(all.data(), all.size() - 4);
      for (std::size_t i = 0; i < 4; ++i) all[all.size() - 4 + i] = static_cast<unsigned char>(crc >> 8 * i);
    }
    write(all.data(), all.size());
  }
};

template <class M>
void train(M& m, int steps, int from = 0) {
  using T = float;
  for (int s = from; s < from + steps; ++s) {
    std::vector<T> x(15);
    for (std::size_t i = 0; i < 15; ++i) x[i] = T(int(i * 7 + std::size_t(s) * 5) % 11 - 5);
    const tenon::view xv(x, {5, 3});
    auto y = m.forward(xv);
    auto [l, dy] = tenon::cross_entropy{}(y, std::vector<int>{0, 1, 1, 0, 1});
    m.backward(dy);
    m.update(tenon::adamw{.lr = 0.01});
  }
}
/// Everything of a model that a check-point holds.
template <class M>
std::uint32_t hash(const M& m) {
  std::uint32_t h = 0;
  const auto add = [&](const auto& list) {
    for (const auto& p : list) {
      const auto a = p.value.describe();
      h = tenon::io::crc32(a.data, static_cast<std::size_t>(a.shape.numel() * a.dtype.bytes()), h);
    }
  };
  add(m.parameters());
  add(m.states());
  add(m.slots());
  const auto c = m.counters();
  h = tenon::io::crc32(&c, sizeof c, h);
  return tenon::io::crc32(m.rule().data(), m.rule().size(), h);
}
template <class M>
tenon::failure refused(const temporary& t, M& m) {
  try {
    tenon::load_checkpoint(t.path, m);
  } catch (const tenon::error& e) { return e.details(); }
  return {};
}

}  // namespace

TEST_CASE("everything comes back, and the continuation gives the same bits") {
  const temporary t;
  tenon::model<small> a{{.seed = 5}}, b{{.seed = 6}};
  train(a, 3);
  tenon::checkpoint_note note;
  note.words[0] = 42;
  note.words[7] = ~std::uint64_t{0};
  tenon::save_checkpoint(t.path, a, note);
  const auto got = tenon::load_checkpoint(t.path, b);
  CHECK(std::string(got.rule) == "adamw");
  CHECK((got.words[0] == 42 && got.words[7] == ~std::uint64_t{0}));
  CHECK(hash(a) == hash(b));
  CHECK(b.counters().seed == 5);
  CHECK(b.counters().steps == 3);
  train(a, 3, 3);
  train(b, 3, 3);
  CHECK(hash(a) == hash(b));
}

TEST_CASE("a model and a graph read each other's; a model without slots has none in the file") {
  const temporary t;
  tenon::model<small> a{{.seed = 5}};
  tenon::graph g{small, {.seed = 9}};
  tenon::save_checkpoint(t.path, a);
  tenon::load_checkpoint(t.path, g);
  CHECK(hash(a) == hash(g));
  CHECK(g.slot_count() == 0);
  train(g, 2);
  tenon::save_checkpoint(t.path, g);
  tenon::load_checkpoint(t.path, a);
  CHECK(hash(a) == hash(g));
}

TEST_CASE("every truncation is refused by its name, and bytes behind the end too") {
  const temporary t;
  tenon::model<small> a{{.seed = 5}}, b{{.seed = 6}};
  train(a, 1);
  train(b, 2);
  tenon::save_checkpoint(t.path, a);
  const auto whole = t.read();
  const auto before = hash(b);
  bool all = true;
  for (std::size_t n = 0; n < whole.size(); ++n) {
    t.write(whole.data(), n);
    all = all && refused(t, b).code == tenon::errc::truncated && hash(b) == before;
  }
  CHECK(all);
  auto more = whole;
  more.push_back(0);
  t.write(more.data(), more.size());
  CHECK(refused(t, b).code == tenon::errc::corrupt);
  CHECK(hash(b) == before);
}

TEST_CASE("every flipped bit is refused") {
  const temporary t;
  tenon::model<small> a{{.seed = 5}}, b{{.seed = 6}};
  train(a, 1);
  train(b, 2);
  tenon::save_checkpoint(t.path, a);
  auto bytes = t.read();
  const auto before = hash(b);
  std::set<tenon::errc> codes;
  bool all = true;
  for (std::size_t bit = 0; bit < bytes.size() * 8; bit += bit < 150 * 8 ? 1 : 5) {
    bytes[bit / 8] ^= static_cast<unsigned char>(1u << bit % 8);
    t.write(bytes.data(), bytes.size());
    const auto f = refused(t, b);
    codes.insert(f.code);
    all = all && f && hash(b) == before;
    bytes[bit / 8] ^= static_cast<unsigned char>(1u << bit % 8);
  }
  CHECK(all);
  CHECK(codes == std::set<tenon::errc>{tenon::errc::corrupt, tenon::errc::version, tenon::errc::truncated});
}

TEST_CASE("with a right check sum too, whatever does not fit the model is refused") {
  const temporary t;
  tenon::model<small> a{{.seed = 5}}, b{{.seed = 6}};
  train(a, 1);
  tenon::save_checkpoint(t.path, a);
  const auto whole = t.read();
  const auto before = hash(b);
  std::set<tenon::errc> codes;
  bool all = true;
  for (std::size_t at = 0; at < 180; ++at) {       // the head, and that of the first array
    if (at >= 24 && at < 144) continue;            // counters, rule and words may be anything
    for (const unsigned v : {0x00u, 0x01u, 0x7fu, 0x80u, 0xffu}) {
      auto bytes = whole;
      if (bytes[at] == v) continue;
      bytes[at] = static_cast<unsigned char>(v);
      t.write(bytes, true);
      const auto f = refused(t, b);
      codes.insert(f.code);
      all = all && f && hash(b) == before;
    }
  }
  CHECK(all);
  for (const auto c : {tenon::errc::version, tenon::errc::limit, tenon::errc::name, tenon::errc::dtype, tenon::errc::extent})
    CHECK(codes.count(c) == 1);
}

TEST_CASE("other networks, dtypes and files are refused by name") {
  const temporary t;
  tenon::model<small> a{{.seed = 5}};
  train(a, 1);
  tenon::save_checkpoint(t.path, a);
  tenon::model<wider> w;
  const auto f = refused(t, w);
  CHECK(f.code == tenon::errc::extent);
  CHECK(std::string(f.argument) == "0.weight");
  CHECK((f.axis == 0 && f.got == 4 && f.expected == 5));
  tenon::model<shorter> s;
  CHECK(refused(t, s).code == tenon::errc::name);
  tenon::model<longer> l;
  CHECK(refused(t, l).code == tenon::errc::name);
  tenon::model<named> n;
  CHECK(refused(t, n).code == tenon::errc::name);
  tenon::model<conv> c;
  CHECK(refused(t, c).code == tenon::errc::rank);
  tenon::graph d{small, {.dtype = tenon::float64}};
  CHECK(refused(t, d).code == tenon::errc::dtype);
  const unsigned char text[] =
      "this is some other file, long enough to be a check-point as far as its length goes, and then some more "
      "of it, because the head of one is longer than one would think it is ...............";
  t.write(text, sizeof text);
  CHECK(refused(t, a).code == tenon::errc::corrupt);
  std::remove(t.path.c_str());
  CHECK(refused(t, a).code == tenon::errc::file);
}

TEST_CASE("a save that fails leaves the earlier file; a note can be refused") {
  const temporary t;
  tenon::model<small> a{{.seed = 5}}, b{{.seed = 6}};
  tenon::save_checkpoint(t.path, a);
  CHECK_THROWS_AS(tenon::save_checkpoint("no/such/folder/file", a), tenon::error);
  const auto before = hash(b);
  CHECK_THROWS_AS(tenon::load_checkpoint(t.path, b, [](const tenon::checkpoint_note&) { throw 1; }), int);
  CHECK(hash(b) == before);
}
