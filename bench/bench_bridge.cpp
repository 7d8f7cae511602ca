// SPDX-License-Identifier: Apache-2.0
// What crossing the doors costs: a view of a container, DLPack in and out in both generations, [64, 1, 28, 28] floats on the
// CPU, against ATen. Importing takes a struct whose deleter only counts; each deleter must have run once, else the exit status is 1.
#include <tenon/tenon.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include "harness.hpp"
#include "peers/bridge_peer.h"

namespace {

std::vector<float> data(64 * 784, 1.0f);
std::int64_t shape[] = {64, 1, 28, 28}, strides[] = {784, 784, 28, 1};
long deleted;

template <class Managed>
Managed producer() {
  Managed m{};
  m.dl_tensor = {data.data(), {1, 0}, 4, {2, 32, 1}, shape, strides, 0};
  if constexpr (requires { m.version; }) m.version = tenon::dl::spoken;
  m.deleter = [](Managed*) { ++deleted; };
  return m;
}

void view(long n) {
  for (; n > 0; --n) {
    bench::keep(data);
    bench::keep(tenon::view(data, {64, 1, 28, 28}));
  }
}

template <class Managed>
void import_as(long n) {
  auto m = producer<Managed>();
  deleted = 0;
  for (long i = 0; i < n; ++i) {
    bench::keep(m);
    bench::keep(tenon::from_dlpack<const float>(tenon::own(&m)));
  }
  if (deleted == n) return;
  std::fprintf(stderr, "bench_bridge: %ld deleters ran for %ld imports\n", deleted, n);
  std::exit(1);
}

template <class Managed>
void export_as(long n) {
  auto own = producer<tenon::dl::managed_tensor>();
  const auto t = tenon::from_dlpack<float>(tenon::own(&own), {.assume_writable = true});
  for (; n > 0; --n) {
    auto* m = tenon::to_dlpack<Managed>(t).release();
    bench::keep(m);
    m->deleter(m);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const auto o = bench::parse(argc, argv);
  bench::report out("bench_bridge", o);
  const bench::peer_library peer("torch_bridge.so");
  if (peer) peer.get<decltype(bridge_open)>("bridge_open")(data.data(), shape, 4);
  auto* peer_run = peer ? peer.get<decltype(bridge_run)>("bridge_run") : nullptr;

  using tenon::dl::managed_tensor;
  using tenon::dl::managed_tensor_versioned;
  struct {
    const char* name;
    void (*run)(long);
    bridge_case same;
  } const cases[] = {{"view", view, bridge_view},
                     {"import versioned", import_as<managed_tensor_versioned>, bridge_import_versioned},
                     {"import legacy", import_as<managed_tensor>, bridge_import_legacy},
                     {"export versioned", export_as<managed_tensor_versioned>, bridge_export_versioned},
                     {"export legacy", export_as<managed_tensor>, bridge_export_legacy}};
  for (auto& c : cases) {
    if (!o.wants(c.name)) continue;
    std::vector<bench::contestant> all{{"tenon", c.run}};
    if (peer) all.push_back({peer.get<decltype(bridge_name)>("bridge_name")(c.same), [=](long n) { peer_run(c.same, n); }});
    out.add(c.name, bench::race(all, o));
  }
}
