// SPDX-License-Identifier: Apache-2.0
// What a plan must hold on any network: nothing alive is overwritten, nothing is larger than the sum of its parts, a run over it
// gives the bits of a run without any sharing, and the compiler plans as the run-time does.
#include <algorithm>
#include "../catch.hpp"
#include "support/random_network.hpp"
using namespace tests;
using tenon::extent, tenon::view;
namespace detail = tenon::detail;

namespace {
struct placed {
  int value, born, dies;
  std::size_t at, end;
};
/// Written at `born`, read until `dies`, of all the values that have one storage. Worked out anew, from the nodes alone.
void life(const detail::plan& p, int root, int& born, int& dies) {
  born = p.nodes.size();
  dies = -1;
  for (int i = 0; i < p.nodes.size(); ++i) {
    const auto& n = p.nodes[i];
    for (const int v : n.y)
      if (p.at(v).root == root) born = std::min(born, i), dies = std::max(dies, i);
    for (const int v : n.x)
      if (p.at(v).root == root) dies = std::max(dies, i);
  }
}
void gradient_life(const detail::plan& p, int root, int& first, int& last) {
  first = -1;  // in the order of nodes: written first by the last reader, read last by the first writer
  last = p.nodes.size();
  for (int i = 0; i < p.nodes.size(); ++i) {
    const auto& n = p.nodes[i];
    for (const int v : n.x)
      if (p.at(v).grad_root == root) first = std::max(first, i);
    for (const int v : n.y)
      if (p.at(v).grad_root == root) last = std::min(last, i), first = std::max(first, i);
  }
  for (const int v : p.out)
    if (p.at(v).grad_root == root) first = p.nodes.size();
}
bool disjoint(const std::vector<placed>& all) {
  for (const placed& a : all)
    for (const placed& b : all)
      if (a.value < b.value && a.born <= b.dies && b.born <= a.dies && a.at < b.end && b.at < a.end) return false;
  return true;
}
void expect_disjoint(const detail::plan& p, extent batch) {
  std::vector<placed> scratch, inference, gradients, saved;
  std::size_t sum = 0, gradient_sum = 0, widest = 0;
  for (int v = 0; v < p.values.size(); ++v) {
    const auto& q = p.at(v);
    const std::size_t need = static_cast<std::size_t>(detail::with_batch(q.s, batch).numel()) * 4,
                      line = detail::line(need) + 64 * static_cast<std::size_t>(batch);
    widest = std::max(widest, line);
    if (q.producer < 0) continue;
    if (q.root == v && q.out_memory < 0) {
      int born = 0, dies = 0;
      life(p, v, born, dies);
      sum += line;
      (q.kept ? saved : scratch)
          .push_back({v, q.kept ? 0 : born, q.kept ? p.nodes.size() : dies, (q.kept ? q.saved : q.scratch.at).at(batch), 0});
      auto& last = (q.kept ? saved : scratch).back();
      last.end = last.at + need;
      inference.push_back({v, born, dies, q.inference.at.at(batch), q.inference.at.at(batch) + need});
    }
    if (q.grad_root == v && !(q.out >= 0 && q.consumers == 0)) {
      int first = 0, last = 0;
      gradient_life(p, v, first, last);
      gradient_sum += line;
      gradients.push_back({v, -first, -last, q.grad.at.at(batch), q.grad.at.at(batch) + need});
    }
  }
  for (int i = 0; i < p.nodes.size(); ++i)
    for (int k = 0; k < p.nodes[i].out.saved.size(); ++k) {
      const std::size_t at = p.nodes[i].saved[k].at(batch);
      saved.push_back({1000 + 8 * i + k, 0, 1, at,
                       at + static_cast<std::size_t>(detail::with_batch(p.nodes[i].out.saved[k], batch).numel()) * 4});
    }
  std::size_t temporaries = 0;
  for (const auto& n : p.nodes)
    for (int k = 0; k < n.x.size(); ++k)
      if (n.sum[k]) temporaries = std::max(temporaries, p.sum_at[k].at(batch));
  CHECK(disjoint(scratch));
  CHECK(disjoint(inference));
  CHECK(disjoint(saved));
  CHECK(disjoint(gradients));
  for (const placed& g : gradients) CHECK((temporaries == 0 || g.end <= p.sum_at[0].at(batch)));
  CHECK(p.inference.at(batch) <= sum);
  CHECK(p.scratch.at(batch) <= std::max(sum, gradient_sum + tenon::max_inputs * widest));
  for (const auto* list : {&scratch, &gradients})
    for (const placed& v : *list) CHECK(v.end <= p.scratch.at(batch));
  for (const placed& v : inference) CHECK(v.end <= p.inference.at(batch));
  for (const placed& v : saved) CHECK(v.end <= p.saved.at(batch));
}
std::vector<float> floats(const tenon::tensor<>& t) {
  const auto* p = static_cast<const float*>(t.data());
  return {p, p + t.numel()};
}
}  // namespace

TEST_CASE("random networks: nothing alive shares memory, and a run gives the bits of one that shares nothing") {
  const int rounds = TENON_LONG ? 3000 : 300;
  for (int round = 0; round < rounds; ++round) {
    const random_network net(static_cast<std::uint64_t>(round), 1 + round % 17);
    INFO("network " << round);
    tenon::graph g{net, {.seed = 5}};
    for (const extent batch : {1, 2, 7, 100}) expect_disjoint(g.bound().planned(), batch);
    const auto& plan = g.bound().planned();
    for (const extent batch : {3, 2}) {
      plain_run r(g.bound(), batch);
      const auto ps = g.parameters(), ss = g.states();
      for (std::size_t i = 0; i < ps.size(); ++i) r.p[i] = floats(ps[i].value);
      for (std::size_t i = 0; i < ss.size(); ++i) r.state[i] = floats(ss[i].value);
      std::vector<std::vector<float>> x, dy, dx;
      for (int i = 0; i < plan.in.size(); ++i) {
        x.push_back(wave(batch * 6, static_cast<std::uint64_t>(round + i)));
        dx.emplace_back(x.back().size(), 1e20f);
        r.value[static_cast<std::size_t>(i)] = x.back();
      }
      for (int k = 0; k < plan.out.size(); ++k)
        dy.push_back(wave(plan.output(k, batch).numel(), static_cast<std::uint64_t>(round + 7 * k)));
      r.key = {5, g.counters().forwards + 1, 0};
      tenon::tape t{g};
      auto all = [&](auto&& f) {  // initializer lists of the right length
        return plan.in.size() == 1 ? f({view(x[0], {batch, 6})}) : f({view(x[0], {batch, 6}), view(x[1], {batch, 6})});
      };
      r.forward(false);
      const auto inferred = all([&](std::initializer_list<tenon::input_arg> in) { return g.all(in); });
      for (int k = 0; k < plan.out.size(); ++k) REQUIRE(floats(inferred[k]) == r.value[static_cast<std::size_t>(plan.out[k])]);
      r.forward(true);
      r.commit();
      const auto y = all([&](std::initializer_list<tenon::input_arg> in) { return g.forward_all(in, t); });
      for (int k = 0; k < plan.out.size(); ++k) REQUIRE(floats(y[k]) == r.value[static_cast<std::size_t>(plan.out[k])]);
      for (std::size_t i = 0; i < ss.size(); ++i) REQUIRE(floats(ss[i].value) == r.state[i]);
      r.backward(dy);
      std::vector<tenon::input_arg> d;
      for (std::size_t k = 0; k < dy.size(); ++k) d.emplace_back(view(dy[k], plan.output(static_cast<int>(k), batch)));
      const bool first = round % 3 != 0, second = round % 5 != 0;  // which dx is wanted
      const tenon::input_arg none, d0 = first ? tenon::input_arg(view(dx[0], {batch, 6})) : none;
      const tenon::input_arg d1 = second && dx.size() > 1 ? tenon::input_arg(view(dx[1], {batch, 6})) : none;
      g.clear_gradients();
      switch (d.size()) {
        case 1: g.backward_all({d[0]}, t, {d0, d1}); break;
        case 2: g.backward_all({d[0], d[1]}, t, {d0, d1}); break;
        case 3: g.backward_all({d[0], d[1], d[2]}, t, {d0, d1}); break;
        default: g.backward_all({d[0], d[1], d[2], d[3]}, t, {d0, d1});
      }
      for (std::size_t i = 0; i < ps.size(); ++i) REQUIRE(floats(ps[i].grad) == r.dp[i]);
      for (std::size_t i = 0; i < dx.size(); ++i)
        if (i == 0 ? first : second) REQUIRE(dx[i] == r.gradient[i]);
        else REQUIRE(dx[i] == std::vector<float>(dx[i].size(), 1e20f));
    }
  }
}
TEST_CASE("a chain of layers needs the memory of two values, not of all") {
  static constexpr auto chain =
      tenon::network({64}, nn::dropout{}, nn::dropout{}, nn::dropout{}, nn::dropout{}, nn::dropout{}, nn::dropout{});
  tenon::model<chain> m;
  const auto& p = m.bound().planned();
  CHECK(p.saved.at(10) == 0);
  CHECK(p.inference.at(10) <= 2 * 64 * 4 * 10);
  CHECK(p.scratch.at(10) <= 2 * 64 * 4 * 10);
}
TEST_CASE("what is kept is what backward reads, and no more") {
  static constexpr auto net =
      tenon::network({64}, nn::linear{.out = 64}, nn::dropout{}, nn::relu{}, nn::linear{.out = 64}, nn::dropout{});
  tenon::model<net> m;
  CHECK(m.bound().planned().saved.at(3) == 3 * 64 * 4);  // relu's y, which the second linear reads, too
  CHECK(!m.bound().output_is_kept(0));
  static constexpr auto kept = tenon::network({64}, nn::relu{});
  tenon::model<kept> k;
  CHECK(k.bound().output_is_kept(0));
  const std::vector<float> x(64, 1.0f);
  CHECK(k.forward(view(x, {1, 64})).read_only());
  CHECK(!k(view(x, {1, 64})).read_only());
  CHECK(!m.forward(view(x, {1, 64})).read_only());
}
TEST_CASE("the compiler plans as the run-time does") {
  auto compare = [](const detail::plan& a, const detail::plan& b) {
    auto equal = [](const detail::room& p, const detail::room& q) {
      return p.at == q.at && p.unit == q.unit && p.born == q.born && p.dies == q.dies;
    };
    CHECK((a.saved == b.saved && a.scratch == b.scratch && a.inference == b.inference));
    CHECK(a.work_per_thread == b.work_per_thread);
    CHECK(a.batch_limit == b.batch_limit);
    REQUIRE((a.nodes.size() == b.nodes.size() && a.values.size() == b.values.size()));
    for (int i = 0; i < tenon::max_inputs; ++i) CHECK((a.sum_at[i] == b.sum_at[i] && a.takes_strides[i] == b.takes_strides[i]));
    for (int v = 0; v < a.values.size(); ++v) {
      const auto &p = a.at(v), &q = b.at(v);
      CHECK((p.root == q.root && p.grad_root == q.grad_root && p.kept == q.kept && p.saved == q.saved && p.reach == q.reach));
      CHECK((equal(p.scratch, q.scratch) && equal(p.inference, q.inference) && equal(p.grad, q.grad)));
    }
    for (int i = 0; i < a.nodes.size(); ++i) {
      const auto &p = a.nodes[i], &q = b.nodes[i];
      CHECK((p.alias == q.alias && p.alias_back == q.alias_back));
      CHECK(std::string(a.text(p.path)) == b.text(q.path));
      for (int k = 0; k < tenon::max_inputs; ++k) CHECK((p.sum[k] == q.sum[k] && p.saved[k] == q.saved[k]));
      for (int k = 0; k < tenon::max_parameters; ++k) CHECK((p.clears[k] == q.clears[k] && p.p[k] == q.p[k]));
    }
    REQUIRE((a.parameters.size() == b.parameters.size() && a.states.size() == b.states.size()));
    for (int i = 0; i < a.parameters.size(); ++i) {
      CHECK(std::string(a.text(a.parameters[i].name)) == b.text(b.parameters[i].name));
      CHECK((a.parameters[i].cast == b.parameters[i].cast && a.parameters[i].cast_inference == b.parameters[i].cast_inference));
    }
  };
  using half = tenon::precision<tenon::bfloat16>;
  compare(tenon::model<everything>{}.bound().planned(), tenon::graph{everything}.bound().planned());
  compare(tenon::model<everything, tenon::cpu, half>{}.bound().planned(),
          tenon::graph{everything, {.dtype = tenon::bfloat16_dtype}}.bound().planned());
  compare(tenon::compiled_plan<whole, tenon::precision_of<double>>::plan,
          tenon::graph{whole, {.dtype = tenon::float64}}.bound().planned());
}
