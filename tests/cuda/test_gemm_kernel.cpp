// SPDX-License-Identifier: Apache-2.0
// The kernel of the product, the very source that nvcc compiles, on the emulator: exact on integers for every tile, layout, edge,
// alignment and split; and the emulator itself, which must see what it is there to see.
#include "catch.hpp"
#include "cuda/emulator.hpp"
using namespace tenon_cuda;

namespace {
std::uint64_t seed = 1;
int pick(int n) { return static_cast<int>((seed = seed * 6364136223846793005u + 1442695040888963407u) >> 33) % n; }

/// Floats somewhere in memory with nothing readable around them, `off` floats behind a 16-byte boundary.
struct array {
  std::vector<float> room;
  float* p;
  std::size_t n;
  array(std::size_t count, int off, bool writable, float value) : room(count + 12, value), n(count) {
    const auto at = reinterpret_cast<std::uintptr_t>(room.data());
    p = room.data() + (16 - at % 16) % 16 / 4 + off;
    emulator::map(p, 4 * n, writable);
  }
  array(const array&) = delete;
  ~array() { emulator::unmap(p); }
};
constexpr float poison = std::numeric_limits<float>::quiet_NaN();

struct product_case {
  tile_kind tile = tile_kind::t32;
  layout a = layout::along_k, b = layout::along_k;
  int m = 1, n = 1, k = 1, splits = 1;
  int pad_a = 0, pad_b = 0, pad_c = 0, off = 0;
  bool bias = false, accumulate = false, wide = true;
};
/// Runs it on integers; the first element that is not exact, or −1.
long first_wrong(const product_case& c) {
  const auto rows = [](layout l, int extent, int k, int pad) {
    return std::pair{l == layout::along_k ? extent : k, (l == layout::along_k ? k : extent) + pad};
  };
  const auto size = [](std::pair<int, int> s, int pad) {  // the last row has no padding behind it
    return static_cast<std::size_t>(s.first) * static_cast<std::size_t>(s.second) - static_cast<std::size_t>(s.first ? pad : 0);
  };
  const auto sa = rows(c.a, c.m, c.k, c.pad_a), sb = rows(c.b, c.n, c.k, c.pad_b);
  array a(size(sa, c.pad_a), c.off, false, poison), b(size(sb, c.pad_b), c.off, false, poison);
  array out(static_cast<std::size_t>(c.m) * static_cast<std::size_t>(c.n + c.pad_c) - static_cast<std::size_t>(c.pad_c), c.off,
            true, poison);
  array bias(static_cast<std::size_t>(c.n), 1, false, poison);
  array partial(
      c.splits > 1 ? static_cast<std::size_t>(c.m) * static_cast<std::size_t>(c.n) * static_cast<std::size_t>(c.splits) : 0, 0,
      true, poison);
  const auto at = [](layout l, int ld, int i, int kk) {
    return l == layout::along_k ? static_cast<std::size_t>(i) * static_cast<std::size_t>(ld) + static_cast<std::size_t>(kk)
                                : static_cast<std::size_t>(kk) * static_cast<std::size_t>(ld) + static_cast<std::size_t>(i);
  };
  for (int i = 0; i < c.m; ++i)
    for (int kk = 0; kk < c.k; ++kk) a.p[at(c.a, sa.second, i, kk)] = static_cast<float>(pick(15) - 7);
  for (int j = 0; j < c.n; ++j) {
    for (int kk = 0; kk < c.k; ++kk) b.p[at(c.b, sb.second, j, kk)] = static_cast<float>(pick(15) - 7);
    bias.p[j] = static_cast<float>(pick(100) - 50);
  }
  std::vector<float> want(out.n, poison);
  for (int i = 0; i < c.m; ++i)
    for (int j = 0; j < c.n; ++j) {
      const auto e = static_cast<std::size_t>(i) * static_cast<std::size_t>(c.n + c.pad_c) + static_cast<std::size_t>(j);
      if (c.accumulate) out.p[e] = static_cast<float>(pick(100));
      float sum = (c.bias ? bias.p[j] : 0.0f) + (c.accumulate ? out.p[e] : 0.0f);
      for (int kk = 0; kk < c.k; ++kk) sum += a.p[at(c.a, sa.second, i, kk)] * b.p[at(c.b, sb.second, j, kk)];
      want[e] = sum;
    }
  gemm_launch l{c.tile, c.a, c.b, {}};
  gemm_problem& p = l.problem;
  const auto can = [&](const float* q, int ld) { return c.wide && reinterpret_cast<std::uintptr_t>(q) % 16 == 0 && ld % 4 == 0; };
  p.a = {a.p, sa.second, c.m, c.a == layout::across && c.m % 4 == 0 && can(a.p, sa.second)};
  p.b = {b.p, sb.second, c.n, c.b == layout::across && c.n % 4 == 0 && can(b.p, sb.second)};
  p.c = out.p, p.c_row = c.n + c.pad_c;
  p.bias = c.bias ? bias.p : nullptr;
  p.partial = c.splits > 1 ? partial.p : nullptr;
  p.m = c.m, p.n = c.n, p.k = c.k;
  p.splits = c.splits;
  p.k_chunk = ((c.k + depth - 1) / depth + c.splits - 1) / c.splits * depth;
  const int side = c.tile == tile_kind::t128 ? 128 : c.tile == tile_kind::t64 ? 64 : 32;
  p.tiles_m = (c.m + side - 1) / side, p.tiles_n = (c.n + side - 1) / side;
  p.accumulate = c.accumulate;
  p.c_vectors = c.splits > 1 ? c.n % 4 == 0 : can(out.p, c.n + c.pad_c);
  emulator::gemm(l);
  if (c.splits > 1) emulator::reduce(p);
  for (std::size_t e = 0; e < out.n; ++e)
    if (std::memcmp(&out.p[e], &want[e], 4) != 0 && !(out.p[e] == want[e])) return static_cast<long>(e);
  return -1;
}
product_case with(tile_kind t, int layouts) {
  product_case c;
  c.tile = t;
  c.a = layouts & 1 ? layout::across : layout::along_k;
  c.b = layouts & 2 ? layout::across : layout::along_k;
  return c;
}
constexpr tile_kind tiles[] = {tile_kind::t128, tile_kind::t64, tile_kind::t64x32, tile_kind::t32};

template <class F>
std::string said(const F& f, int threads = 32, std::size_t floats = 64) {
  try {
    emulator::grid(1, 1, threads, floats, f);
  } catch (const emulator::fault& e) { return e.what(); }
  return "";
}
struct none {};
}  // namespace

TEST_CASE("products are exact on integers, whatever the tile, the layouts and the edges") {
  for (const tile_kind t : tiles)
    for (int layouts = 0; layouts < 4; ++layouts) {
      product_case whole = with(t, layouts);  // whole tiles, all by 16 bytes
      whole.m = t == tile_kind::t128 ? 128 : 64, whole.n = 128, whole.k = 48;
      CHECK(first_wrong(whole) == -1);
      for (int round = 0; round < (TENON_LONG ? 60 : 5); ++round) {
        product_case c = with(t, layouts);
        c.m = 1 + pick(t == tile_kind::t128 ? 150 : 80), c.n = 1 + pick(t == tile_kind::t128 ? 150 : 80), c.k = pick(70);
        c.pad_a = pick(2) * pick(9), c.pad_b = pick(2) * pick(9), c.pad_c = pick(2) * pick(9);
        if (pick(2))
          c.pad_a = (4 - (c.a == layout::along_k ? c.k : c.m) % 4) % 4,
          c.pad_b = (4 - (c.b == layout::along_k ? c.k : c.n) % 4) % 4;
        c.off = pick(2) * pick(4);
        c.bias = pick(2), c.accumulate = pick(2), c.wide = pick(4) > 0;
        INFO("tile " << static_cast<int>(t) << " layouts " << layouts << " m " << c.m << " n " << c.n << " k " << c.k << " pads "
                     << c.pad_a << " " << c.pad_b << " " << c.pad_c << " off " << c.off);
        CHECK(first_wrong(c) == -1);
      }
    }
}

TEST_CASE("k in parts gives the same integers") {
  for (const tile_kind t : tiles)
    for (int layouts = 0; layouts < 4; ++layouts) {
      product_case c = with(t, layouts);
      c.m = 33, c.n = 36 + layouts, c.k = 100;
      c.splits = 2 + pick(3);
      c.bias = layouts & 1, c.accumulate = layouts & 2, c.pad_c = layouts;
      CHECK(first_wrong(c) == -1);
    }
}

TEST_CASE("with k = 0 there is the bias, what was there, or 0") {
  for (int how = 0; how < 4; ++how) {
    product_case c = with(tile_kind::t64, how);
    c.m = 5, c.n = 7, c.k = 0;
    c.bias = how & 1, c.accumulate = how & 2;
    CHECK(first_wrong(c) == -1);
  }
}

TEST_CASE("NaN and infinity get through, zero times infinity too") {
  const float inf = std::numeric_limits<float>::infinity();
  array a(20, 0, false, 0), b(20, 0, false, 0), c(1, 0, true, 0);
  gemm_launch l{tile_kind::t32, layout::along_k, layout::along_k, {}};
  gemm_problem& p = l.problem;
  p.a = {a.p, 20, 1, false}, p.b = {b.p, 20, 1, false};
  p.c = c.p, p.c_row = 1, p.m = p.n = 1, p.k = 20, p.k_chunk = 32, p.tiles_m = p.tiles_n = 1;
  for (const float bad : {poison, inf}) {
    a.p[17] = bad;
    b.p[17] = 0;
    emulator::gemm(l);
    CHECK(c.p[0] != c.p[0]);
    b.p[17] = 1;
    emulator::gemm(l);
    CHECK((bad != bad ? c.p[0] != c.p[0] : c.p[0] == inf));
  }
}

TEST_CASE("the same bits, in whatever order the threads run") {
  std::vector<float> first;
  for (int round = 0; round < 3; ++round) {
    seed = 9;
    emulator::order = static_cast<unsigned>(round) * 77 + 1;
    array a(40 * 50, 0, false, 0), b(40 * 50, 0, false, 0), c(40 * 40, 0, true, poison), part(40 * 40 * 2, 0, true, poison);
    for (std::size_t i = 0; i < a.n; ++i)
      a.p[i] = static_cast<float>(pick(1000)) / 997, b.p[i] = static_cast<float>(pick(1000)) / 991;
    gemm_launch l{tile_kind::t32, layout::along_k, layout::across, {}};
    gemm_problem& p = l.problem;
    p.a = {a.p, 50, 40, false}, p.b = {b.p, 40, 40, true};
    p.c = c.p, p.c_row = 40, p.partial = part.p;
    p.m = p.n = 40, p.k = 50, p.k_chunk = 32, p.splits = 2, p.tiles_m = p.tiles_n = 2;
    emulator::gemm(l);
    emulator::reduce(p);
    const std::vector<float> got(c.p, c.p + c.n);
    if (round == 0) first = got;
    CHECK(got == first);
  }
}

TEST_CASE("every tile of a grid is computed once") {
  for (const auto& [m, n] : {std::pair{1, 1}, {1, 9}, {9, 1}, {8, 3}, {17, 5}, {23, 31}}) {
    std::vector<int> seen(static_cast<std::size_t>(m * n));
    for (int b = 0; b < m * n; ++b) {
      const tile_index t = tile_of(b, m, n);
      REQUIRE((t.m >= 0 && t.m < m && t.n >= 0 && t.n < n));
      ++seen[static_cast<std::size_t>(t.m * n + t.n)];
    }
    CHECK(seen == std::vector<int>(seen.size(), 1));
  }
}

TEST_CASE("the emulator sees races, unfinished copies, bad addresses and what nobody wrote") {
  using emulator::machine;
  array in(8, 0, false, 1), odd(8, 1, false, 1), five(5, 0, false, 1);
  const auto phases = [](const auto& first, bool sync, const auto& second) {
    return [=](machine& hw) {
      machine::registers<none> r;
      hw.each(r, [&](auto& t, none&) { first(t); });
      if (sync) hw.sync();
      hw.each(r, [&](auto& t, none&) { second(t); });
    };
  };
  const auto put = [](auto& t) { t.put(t.id(), 1); };
  const auto next = [](auto& t) { (void)t.shared((t.id() + 1) % 32); };
  const auto idle = [](auto&) {};
  const auto copy = [&](auto& t) { t.id() == 0 ? t.copy16(0, in.p, true) : void(); };
  const auto wait = [](auto& t) { t.commit(), t.template wait<0>(); };
  const auto get = [](auto& t) { t.id() == 0 ? void(t.shared(0)) : void(); };
  CHECK(said(phases(put, true, next)) == "");
  CHECK(said(phases(put, false, next)) == "shared memory: read without a barrier");
  CHECK(said(phases([&](auto& t) { put(t), (void)t.shared(t.id()); }, false, [](auto& t) { t.put((t.id() + 1) % 32, 2); })) ==
        "shared memory: two threads write one word");
  CHECK(said([&](machine& hw) {
          machine::registers<none> r;
          hw.each(r, [&](auto& t, none&) { put(t); });
          hw.sync();
          hw.each(r, [&](auto& t, none&) { next(t); });
          hw.each(r, [&](auto& t, none&) { put(t); });
        }) == "shared memory: written while another thread reads it");
  CHECK(said(phases(copy, true, [&](auto& t) { wait(t), get(t); })) == "");
  CHECK(said(phases(copy, true, get)) == "shared memory: read before its copy was waited for");
  CHECK(said(phases(copy, true, idle)) == "a block ends with copies under way");
  CHECK(said(phases(idle, true, get)) == "shared memory: read before anybody wrote it");
  CHECK(said(phases([](auto& t) { t.put(t.id() + 40, 1); }, true, idle)) == "shared memory: out of bounds");
  CHECK(said(phases([&](auto& t) { t.id() == 0 ? t.copy16(0, in.p + 5, true) : void(); }, true, idle)) ==
        "global memory: misaligned");
  for (const bool some : {true, false})
    CHECK(said(phases([&](auto& t) { t.id() == 0 ? t.copy16(0, in.p + 8, some) : void(); }, true, idle)) ==
          "global memory: out of bounds");
  CHECK(said(phases([&](auto& t) { t.id() == 0 ? t.copy16(0, five.p + 4, true) : void(); }, true, idle)) ==
        "global memory: out of bounds");
  CHECK(said(phases([&](auto& t) { (void)t.load(in.p + 8); }, true, idle)) == "global memory: out of bounds");
  CHECK(said(phases([&](auto& t) { t.store(in.p, 1); }, true, idle)) == "global memory: a write to an input");
  CHECK(said(phases([&](auto& t) { t.id() == 0 ? t.copy16(0, odd.p, true) : void(); }, true, idle)) ==
        "global memory: misaligned");
}
