// SPDX-License-Identifier: Apache-2.0
// What crossing the doors costs, all checks on: a DLTensor as a typed view, an import that owns and lets go, an export and its deleter, in
// ranks 2 and 4, against ATen and tvm-ffi. Importing takes a struct whose deleter only counts; each must have run once, else exit status 1.
#include <tenon/tenon.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include "harness.hpp"
#include "peers/bridge_peer.h"

namespace {
using namespace tenon;
using versioned = dl::managed_tensor_versioned;
using legacy = dl::managed_tensor;

std::vector<float> data(64 * 784, 1.0f);
std::int64_t shape_of[3][4] = {{}, {64, 784}, {64, 1, 28, 28}}, strides_of[3][4] = {{}, {784, 1}, {784, 784, 28, 1}};
long deleted;

template <class M, int Rank>
M producer() {
  M m{};
  m.dl_tensor = {data.data(), {1, 0}, Rank, {2, 32, 1}, shape_of[Rank / 2], strides_of[Rank / 2], 0};
  if constexpr (requires { m.version; }) m.version = dl::spoken;
  m.deleter = [](M*) { ++deleted; };
  return m;
}
void expect(long n, const char* what) {
  if (deleted == n) return;
  std::fprintf(stderr, "bench_bridge: %ld deleters ran for %ld %s\n", deleted, n, what);
  std::exit(1);
}

template <int Rank, class... Promises>
void view_of(long n) {
  auto m = producer<versioned, Rank>();
  for (; n > 0; --n) {
    bench::keep(m);
    bench::keep(view_as<view<const float, dims<Rank>, Promises...>>(m.dl_tensor));
  }
}
void container(long n) {
  for (; n > 0; --n) {
    bench::keep(data);
    bench::keep(tenon::view(data, {64, 1, 28, 28}));
  }
}
/// Owned by its type: no heap block.
template <class M, int Rank>
void import_of(long n) {
  auto m = producer<M, Rank>();
  deleted = 0;
  for (long i = 0; i < n; ++i) {
    bench::keep(m);
    bench::keep(from_dlpack<const float, dims<Rank>>(own(&m)));
  }
  expect(n, "imports");
}
/// Counted, so that copies share: a heap block.
template <class M>
void import_shared(long n) {
  auto m = producer<M, 4>();
  deleted = 0;
  for (long i = 0; i < n; ++i) {
    bench::keep(m);
    bench::keep(from_dlpack<const float>(own(&m)));
  }
  expect(n, "imports");
}
template <class M, int Rank>
void export_of(long n) {
  auto from = producer<versioned, Rank>();
  const auto t = from_dlpack<float>(own(&from));
  for (; n > 0; --n) {
    auto* m = to_dlpack<M>(t).release();
    bench::keep(m);
    m->deleter(m);
  }
}

struct crossing {
  const char* name;
  void (*run)(long);
  bridge_case same;
  int rank;
};
const crossing crossings[] = {{"view_r2", view_of<2>, bridge_view, 2},
                              {"view_r4", view_of<4>, bridge_view, 4},
                              {"view_right_r2", view_of<2, layout_right>, bridge_view, 2},
                              {"import_r2", import_of<versioned, 2>, bridge_import_versioned, 2},
                              {"import_r4", import_of<versioned, 4>, bridge_import_versioned, 4},
                              {"import_legacy_r2", import_of<legacy, 2>, bridge_import_legacy, 2},
                              {"import_shared_r4", import_shared<versioned>, bridge_import_versioned, 4},
                              {"export_r2", export_of<versioned, 2>, bridge_export_versioned, 2},
                              {"export_r4", export_of<versioned, 4>, bridge_export_versioned, 4},
                              {"export_legacy_r2", export_of<legacy, 2>, bridge_export_legacy, 2},
                              {"container_r4", container, bridge_container, 4}};

}  // namespace

int main(int argc, char** argv) {
  const auto o = bench::parse(argc, argv);
  bench::report out("bench_bridge", o);
  const bench::peer_library peers[] = {bench::peer_library("torch_bridge.so"), bench::peer_library("tvm_ffi_bridge.so")};
  for (const auto& c : crossings) {
    if (!o.wants(c.name)) continue;
    std::vector<bench::contestant> all{{"tenon", c.run}};
    for (const auto& peer : peers) {
      if (!peer) continue;
      const char* name = peer.get<decltype(bridge_name)>("bridge_name")(c.same);
      if (!name) continue;
      const auto same = c.same;
      const auto rank = c.rank;
      auto* const open = peer.get<decltype(bridge_open)>("bridge_open");
      auto* const run = peer.get<decltype(bridge_run)>("bridge_run");
      all.push_back({name, [=](long n) {
                       open(data.data(), shape_of[rank / 2], rank);
                       run(same, n);
                     }});
    }
    out.add(c.name, bench::race(all, o));
  }
}
