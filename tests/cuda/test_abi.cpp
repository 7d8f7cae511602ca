// SPDX-License-Identifier: Apache-2.0
// The host side of the CUDA library over an imitated runtime: what it refuses and how, products through strides, and every runtime
// call failing once: a status and a text, nothing leaked, nothing written, the thread's own device current again.
#include <functional>
#include "catch.hpp"
#include "cuda/imitation.hpp"

namespace {
template <class Args>
Args sized() {
  Args a{};
  a.size = sizeof a;
  return a;
}
/// Memory of device 0.
struct buffer {
  float* p = nullptr;
  explicit buffer(std::size_t n, float value = 0) {
    void* at = nullptr;
    REQUIRE(tenon_cuda_allocate(0, n * 4, &at) == 0);
    p = static_cast<float*>(at);
    for (std::size_t i = 0; i < n; ++i) p[i] = value;
  }
  buffer(const buffer&) = delete;
  ~buffer() {
    imitation::start();
    CHECK(tenon_cuda_release(0, p) == 0);
  }
};
constexpr std::size_t room = 4096;
struct operands {
  buffer a{room, 1}, b{room, 2}, c{room, 7}, bias{room, 3}, work{room * 16, 0};
  tenon_cuda_gemm_args args = sized<tenon_cuda_gemm_args>();
  operands() {
    args.m = 7, args.n = 6, args.k = 512;
    args.a = a.p, args.a_row = 512, args.a_column = 1;
    args.b = b.p, args.b_row = 6, args.b_column = 1;
    args.c = c.p, args.c_row = 6;
  }
};
std::string text() { return tenon_cuda_last_error(); }
}  // namespace

TEST_CASE("every runtime call fails once: a status, nothing written, nothing leaked") {
  operands o;
  o.args.workspace = o.work.p, o.args.workspace_bytes = room * 16 * 4;
  auto map = sized<tenon_cuda_map_args>();
  map.kind = TENON_CUDA_ADD, map.n = 300, map.y = o.c.p, map.a = o.a.p, map.b = o.b.p;
  auto sum = sized<tenon_cuda_sum_args>();
  sum.outer = 20, sum.length = 40, sum.inner = 1, sum.y = o.c.p, sum.x = o.a.p;
  auto update = sized<tenon_cuda_update_args>();
  update.kind = TENON_CUDA_ADAM, update.n = 100, update.w = o.c.p, update.g = o.a.p, update.first = o.c.p + 200,
  update.second = o.c.p + 400;
  update.root = update.epsilon = 1;
  int32_t count = -5;
  auto info = sized<tenon_cuda_device_info>();
  auto plan = sized<tenon_cuda_gemm_plan>();
  void* fresh = nullptr;
  std::vector<float> host(64, 4);
  struct call {
    const char* name;
    std::function<tenon_cuda_status(int)> run;
    int least;  // runtime calls that it makes at the least
  };
  const call all[] = {
      {"count", [&](int) { return tenon_cuda_device_count(&count); }, 1},
      {"properties", [&](int d) { return tenon_cuda_device_properties(d, &info); }, 2},
      {"allocate", [&](int d) { return tenon_cuda_allocate(d, 100, &fresh); }, 2},
      {"copy", [&](int d) { return tenon_cuda_copy(d, o.c.p, host.data(), 256, TENON_CUDA_TO_DEVICE, nullptr); }, 2},
      {"synchronize", [&](int d) { return tenon_cuda_synchronize(d, nullptr); }, 2},
      {"plan", [&](int d) { return o.args.device = d, tenon_cuda_plan(&o.args, &plan); }, 1},
      {"gemm", [&](int d) { return o.args.device = d, tenon_cuda_gemm(&o.args); }, 4},
      {"map", [&](int d) { return map.device = d, tenon_cuda_map(&map); }, 2},
      {"sum", [&](int d) { return sum.device = d, tenon_cuda_sum(&sum); }, 2},
      {"update", [&](int d) { return update.device = d, tenon_cuda_update(&update); }, 2},
  };
  REQUIRE(tenon_cuda_plan(&o.args, &plan) == 0);
  REQUIRE(plan.splits > 1);  // so that a product has two launches
  for (const call& c : all)
    for (int device = 0; device < imitation::devices; ++device) {
      INFO(c.name << " on device " << device);
      const std::vector<float> before(o.c.p, o.c.p + room);
      const auto live = imitation::live;
      for (int n = 0;; ++n) {
        REQUIRE(n < 20);
        imitation::start(n);
        const tenon_cuda_status s = c.run(device);
        const bool written = std::vector<float>(o.c.p, o.c.p + room) != before;
        if (s == 0) {
          CHECK(n == imitation::calls);
          CHECK(n >= c.least);
          break;
        }
        CHECK(s == imitation::broken);
        CHECK(text().find("CUDA error 999, cudaErrorBroken") != std::string::npos);
        CHECK(imitation::live == live);
        CHECK(fresh == nullptr);
        CHECK(count == -5);
        CHECK(plan.splits > 1);
        const bool back = text().find("back") != std::string::npos;  // the one case that abi.h names
        CHECK(written == (back && imitation::launches > 0));
        CHECK((imitation::current == 0 || back));
        imitation::current = 0;
        if (written) std::copy(before.begin(), before.end(), o.c.p);
      }
      imitation::start();
      if (fresh) CHECK(tenon_cuda_release(device, fresh) == 0);
      fresh = nullptr, count = -5;
      std::copy(before.begin(), before.end(), o.c.p);
    }
  CHECK(imitation::fault == "");
}

TEST_CASE("what a product refuses, before anything is launched") {
  operands o;
  struct bad {
    tenon_cuda_status status;
    const char* says;
    std::function<void(tenon_cuda_gemm_args&)> make;
  };
  const bad all[] = {
      {TENON_CUDA_STRUCT, "size of the arguments", [](auto& g) { g.size -= 1; }},
      {TENON_CUDA_STRUCT, "size of the arguments", [](auto& g) { g.size = 4097; }},
      {TENON_CUDA_DEVICE, "device: got -1", [](auto& g) { g.device = -1; }},
      {101, "cudaSetDevice: CUDA error 101", [](auto& g) { g.device = 2; }},
      {TENON_CUDA_VALUE, "flags: got 2", [](auto& g) { g.flags = 2; }},
      {TENON_CUDA_EXTENT, "m: got -1", [](auto& g) { g.m = -1; }},
      {TENON_CUDA_EXTENT, "n: got 4294967296", [](auto& g) { g.n = std::int64_t{1} << 32; }},
      {TENON_CUDA_EXTENT, "k: got", [](auto& g) { g.k = INT64_MAX; }},
      {TENON_CUDA_NULL, "a is", [](auto& g) { g.a = nullptr; }},
      {TENON_CUDA_NULL, "b is", [](auto& g) { g.b = nullptr; }},
      {TENON_CUDA_NULL, "c is", [](auto& g) { g.c = nullptr; }},
      {TENON_CUDA_ALIGNMENT, "address of a",
       [](auto& g) { g.a = reinterpret_cast<const float*>(reinterpret_cast<std::uintptr_t>(g.a) + 2); }},
      {TENON_CUDA_ALIGNMENT, "address of workspace", [](auto& g) { g.workspace = g.c + 1; }},
      {TENON_CUDA_STRIDE, "strides of a: got 512 and 2", [](auto& g) { g.a_column = 2; }},
      {TENON_CUDA_STRIDE, "strides of b", [](auto& g) { g.b_row = -1; }},
      {TENON_CUDA_STRIDE, "c_row: got 5, expected at least n, 6", [](auto& g) { g.c_row = 5; }},
      {TENON_CUDA_OVERFLOW, "a: [7, 512]", [](auto& g) { g.a_row = INT64_MAX / 4; }},
      {TENON_CUDA_OVERFLOW, "c: [7, 6]", [](auto& g) { g.c_row = INT64_MAX; }},
      {TENON_CUDA_OVERFLOW, "tiles of c", [](auto& g) { g.m = g.n = g.c_row = 1000000000, g.k = 0; }},
  };
  for (const bad& b : all) {
    INFO(b.says);
    tenon_cuda_gemm_args g = o.args;
    b.make(g);
    imitation::start();
    CHECK(tenon_cuda_gemm(&g) == b.status);
    CHECK(text().find(b.says) != std::string::npos);
    CHECK(imitation::launches == 0);
    CHECK(imitation::current == 0);
  }
  CHECK(tenon_cuda_gemm(nullptr) == TENON_CUDA_NULL);
  for (const auto& empty : {&tenon_cuda_gemm_args::m, &tenon_cuda_gemm_args::n}) {
    tenon_cuda_gemm_args g = o.args;
    g.*empty = 0;
    g.a = g.b = nullptr, g.c = nullptr;
    CHECK(tenon_cuda_gemm(&g) == 0);
  }
}

namespace {
// A struct that a later minor version made longer, as a library of that version knows it.
struct later_sum : tenon_cuda_sum_args {
  std::int64_t added;
};
struct later_plan : tenon_cuda_gemm_plan {
  std::int64_t added;
};
}  // namespace

TEST_CASE("a struct that grows serves earlier callers and later ones") {
  buffer x(64, 2), y(64);
  // An earlier caller: what it does not have is zero, and what lies behind it is not read.
  alignas(later_sum) unsigned char memory[tenon_cuda::largest_struct];
  std::memset(memory, 0xee, sizeof memory);
  auto* const earlier = new (memory) tenon_cuda_sum_args(sized<tenon_cuda_sum_args>());
  earlier->length = 3;
  later_sum taken;
  CHECK(tenon_cuda::take(reinterpret_cast<const later_sum*>(memory), taken, tenon_cuda::first_size<tenon_cuda_sum_args>) == 0);
  CHECK(taken.length == 3);
  CHECK(taken.added == 0);
  // A later caller: what this library does not know must be zero.
  later_sum s;
  s.size = sizeof s, s.added = 0;
  s.device = 0, s.stream = nullptr;
  s.outer = 4, s.length = 2, s.inner = 1, s.y = y.p, s.x = x.p;
  CHECK(tenon_cuda_sum(&s) == 0);
  CHECK(y.p[1] == 8);
  s.added = 1;
  CHECK(tenon_cuda_sum(&s) == TENON_CUDA_STRUCT);
  CHECK(text() == "byte 64 of the arguments: got 1, expected 0: this library knows 64");
  CHECK(y.p[1] == 8);
  // A result for an earlier caller: no byte behind its struct is written.
  alignas(later_plan) unsigned char out[sizeof(later_plan)];
  std::memset(out, 0xee, sizeof out);
  auto* const plan = new (out) tenon_cuda_gemm_plan(sized<tenon_cuda_gemm_plan>());
  later_plan full;
  full.size = sizeof full, full.tile_m = 9, full.tile_n = 8, full.splits = 7, full.vectors = 6, full.workspace_bytes = 5;
  tenon_cuda::give(reinterpret_cast<later_plan*>(out), full);
  CHECK(plan->tile_m == 9);
  CHECK(plan->workspace_bytes == 5);
  CHECK(plan->size == sizeof(tenon_cuda_gemm_plan));
  for (std::size_t i = sizeof(tenon_cuda_gemm_plan); i < sizeof out; ++i) CHECK(out[i] == 0xee);
  // And for a later one: its size stays, so that it knows how much of it is filled in by whom.
  struct {
    tenon_cuda_device_info info;
    std::int64_t added;
  } later{sized<tenon_cuda_device_info>(), 7};
  later.info.size = sizeof later;
  CHECK(tenon_cuda_device_properties(0, &later.info) == 0);
  CHECK(later.info.major == 9);
  CHECK(later.info.size == sizeof later);
  CHECK(later.added == 7);
}

TEST_CASE("what the others refuse") {
  buffer x(64);
  auto m = sized<tenon_cuda_map_args>();
  m.n = 4, m.y = x.p, m.kind = TENON_CUDA_ADD, m.a = x.p;
  CHECK(tenon_cuda_map(&m) == TENON_CUDA_NULL);
  CHECK(text() == "b is a null pointer");
  m.kind = 99;
  CHECK(tenon_cuda_map(&m) == TENON_CUDA_VALUE);
  m.kind = TENON_CUDA_FILL, m.n = -1;
  CHECK(tenon_cuda_map(&m) == TENON_CUDA_EXTENT);
  auto s = sized<tenon_cuda_sum_args>();
  s.outer = s.length = s.inner = 1ll << 30, s.x = s.y = x.p;
  CHECK(tenon_cuda_sum(&s) == TENON_CUDA_OVERFLOW);
  s.outer = -1;
  CHECK(tenon_cuda_sum(&s) == TENON_CUDA_EXTENT);
  auto u = sized<tenon_cuda_update_args>();
  u.kind = 2;
  CHECK(tenon_cuda_update(&u) == TENON_CUDA_VALUE);
  u.kind = TENON_CUDA_ADAM, u.n = 1, u.w = x.p, u.g = x.p, u.first = x.p;
  CHECK(tenon_cuda_update(&u) == TENON_CUDA_NULL);
  void* p = &x;
  CHECK(tenon_cuda_allocate(0, UINT64_MAX, &p) == TENON_CUDA_OVERFLOW);
  CHECK(tenon_cuda_allocate(0, std::uint64_t{1} << 40, &p) == 2);
  CHECK(p == &x);
  CHECK(tenon_cuda_copy(0, x.p, x.p, 4, 9, nullptr) == TENON_CUDA_VALUE);
  CHECK(tenon_cuda_copy(0, nullptr, x.p, 4, 1, nullptr) == TENON_CUDA_NULL);
  auto info = sized<tenon_cuda_device_info>();
  CHECK(tenon_cuda_device_properties(2, &info) == TENON_CUDA_DEVICE);
  info.size = 8;
  CHECK(tenon_cuda_device_properties(0, &info) == TENON_CUDA_STRUCT);
  imitation::present = 0;
  int32_t n = 0;
  CHECK(tenon_cuda_device_count(&n) == 100);
  CHECK(tenon_cuda_allocate(0, 4, &p) == 35);
  CHECK(text() == "cudaGetDevice: CUDA error 35, cudaErrorInsufficientDriver");
  imitation::present = imitation::devices;
}

TEST_CASE("any transposition is a pair of strides, with and without parts of k") {
  operands o;
  for (int how = 0; how < 16; ++how) {
    tenon_cuda_gemm_args g = o.args;
    const int m = 7, n = 6, k = 512;
    for (std::size_t i = 0; i < room; ++i)
      o.a.p[i] = static_cast<float>(i * 7 % 11) - 5, o.b.p[i] = static_cast<float>(i * 5 % 13) - 6;
    for (std::size_t i = 0; i < room; ++i) o.c.p[i] = static_cast<float>(i % 3);
    if (how & 1) g.a_row = 1, g.a_column = m + 1;
    if (how & 2) g.b_row = 1, g.b_column = k;
    if (how & 4) g.workspace = o.work.p, g.workspace_bytes = room * 16 * 4;
    if (how & 8) g.flags = TENON_CUDA_ACCUMULATE, g.bias = o.bias.p;
    g.c_row = n + 1;
    const std::vector<float> old(o.c.p, o.c.p + room);
    imitation::start();
    REQUIRE(tenon_cuda_gemm(&g) == 0);
    CHECK(imitation::launches == (how & 4 ? 2 : 1));
    bool right = true;
    for (int i = 0; i < m; ++i)
      for (int j = 0; j < n; ++j) {
        float sum = how & 8 ? 3 + old[static_cast<std::size_t>(i * (n + 1) + j)] : 0;
        for (int p = 0; p < k; ++p) sum += o.a.p[i * g.a_row + p * g.a_column] * o.b.p[p * g.b_row + j * g.b_column];
        right &= o.c.p[i * (n + 1) + j] == sum;
      }
    for (int i = 0; i < m; ++i) right &= o.c.p[i * (n + 1) + n] == old[static_cast<std::size_t>(i * (n + 1) + n)];
    INFO(how);
    CHECK(right);
  }
  CHECK(imitation::fault == "");
}

TEST_CASE("rows that are no multiple of 16 bytes are read to their end and no further") {
  for (const int extent : {5, 6, 7, 8}) {
    constexpr int k = 9, row = 8;
    const auto floats = static_cast<std::size_t>((k - 1) * row + extent);  // nothing is behind the last row
    buffer a(floats), b(floats), c(64);
    for (std::size_t i = 0; i < floats; ++i) a.p[i] = b.p[i] = static_cast<float>(i % 5);
    auto g = sized<tenon_cuda_gemm_args>();
    g.m = g.n = extent, g.k = k;
    g.a = a.p, g.a_row = 1, g.a_column = row;
    g.b = b.p, g.b_row = row, g.b_column = 1;
    g.c = c.p, g.c_row = extent;
    auto plan = sized<tenon_cuda_gemm_plan>();
    REQUIRE(tenon_cuda_plan(&g, &plan) == 0);
    CHECK(plan.vectors == (extent == 8 ? 3 : 0));
    REQUIRE(tenon_cuda_gemm(&g) == 0);
    bool right = true;
    for (int i = 0; i < extent; ++i)
      for (int j = 0; j < extent; ++j) {
        float sum = 0;
        for (int p = 0; p < k; ++p) sum += a.p[p * row + i] * b.p[p * row + j];
        right &= c.p[i * extent + j] == sum;
      }
    CHECK(right);
  }
  CHECK(imitation::fault == "");
}

TEST_CASE("the small kernels give what abi.h says") {
  buffer y(1000), a(1000), b(1000);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (int i = 0; i < 1000; ++i) a.p[i] = static_cast<float>(i - 500) / 100, b.p[i] = static_cast<float>(i % 7 - 3);
  a.p[3] = nan, b.p[4] = nan;
  auto m = sized<tenon_cuda_map_args>();
  m.n = 1000, m.y = y.p, m.a = a.p, m.b = b.p, m.value = 4;
  const auto same = [](float p, float q) { return p == q || (p != p && q != q); };
  for (int kind = 0; kind <= TENON_CUDA_SIGMOID_DX; ++kind) {
    m.kind = kind;
    REQUIRE(tenon_cuda_map(&m) == 0);
    bool right = true;
    for (int i = 0; i < 1000; ++i) {
      const float p = a.p[i], q = b.p[i];
      const float want[] = {4,
                            p + q,
                            p < 0 ? 0 : p,
                            q > 0 || q != q ? p : 0,
                            std::tanh(p),
                            p * (1 - q * q),
                            1 / (1 + std::exp(-p)),
                            p * q * (1 - q)};
      right &= same(y.p[i], want[kind]);
    }
    INFO(kind);
    CHECK(right);
  }
  for (const auto& [outer, length, inner] : {std::tuple{100, 10, 1}, {3, 33, 5}, {1, 1, 1000}, {1000, 1, 1}, {2, 70, 7}}) {
    for (int i = 0; i < 1000; ++i) a.p[i] = static_cast<float>(i % 17), y.p[i] = 1;
    auto s = sized<tenon_cuda_sum_args>();
    s.outer = outer, s.length = length, s.inner = inner, s.y = y.p, s.x = a.p;
    REQUIRE(tenon_cuda_sum(&s) == 0);
    for (int c = 0; c < length; ++c) {
      float sum = 1;
      for (int o = 0; o < outer; ++o)
        for (int i = 0; i < inner; ++i) sum += a.p[(o * length + c) * inner + i];
      CHECK(y.p[c] == sum);
    }
    CHECK(y.p[length] == 1);
  }
  CHECK(imitation::fault == "");
}

TEST_CASE("the table is the functions, and says which version it is") {
  const tenon_cuda_api* t = tenon_cuda_functions();
  CHECK(t->size == sizeof(tenon_cuda_api));
  CHECK(t->abi == tenon_cuda_abi());
  CHECK(t->abi >> 16 == TENON_CUDA_ABI_MAJOR);
  CHECK(t->gemm == tenon_cuda_gemm);
  CHECK(t->update == tenon_cuda_update);
  CHECK(imitation::live.empty());
}
