// SPDX-License-Identifier: Apache-2.0
// An architecture as a table: what each node gives, and how many parameters it has. Binds nothing, allocates text only.
#pragma once
#include <string>
#include "tenon/core/text.hpp"
#include "tenon/graph/planner.hpp"
namespace tenon {
namespace detail {
[[gnu::noinline]] inline void pad(std::string& s, std::size_t to) {
  if (s.size() < to) s.append(to - s.size(), ' ');
}
[[gnu::noinline]] inline std::string table_of(const planner& p, const list<int, max_inputs>& out) {
  std::string rows[3];  // three columns, newline after each cell
  auto row = [&](std::string_view a, const std::string& b, std::string_view c) {
    rows[0] += concat(a, "\n");
    rows[1] += concat(b, "\n");
    rows[2] += concat(c, "\n");
  };
  row("layer", "output", "parameters");
  for (int v = 0; v < p.in.n; ++v) row(p.at(v).name.empty() ? "input" : std::string_view(p.at(v).name.text), text(p.at(v).s), "");
  std::string tied;
  extent total = 0;
  for (const array_info& a : p.parameters) total += a.shape.numel();
  int owned = 0;  // parameters are numbered in order: a node whose first is below is tied to an earlier one
  for (const node& n : p.nodes) {
    std::string shapes, count;
    for (int i = 0; i < n.y.size(); ++i) shapes += concat(i ? ", " : "", text(p.at(n.y[i]).s));
    extent own = 0;
    const bool shares = n.out.p.n > 0 && n.p[0] < owned;
    for (int i = 0; i < n.out.p.n; ++i) own += n.out.p[i].numel();
    if (!shares) owned += n.out.p.n;
    if (own) count = shares ? concat("tied to ", p.text(p.parameters[n.p[0]].name)) : std::to_string(own);
    row(p.text(n.path), shapes, count);
  }
  std::size_t width[2]{};
  for (int c = 0; c < 2; ++c)
    for (std::size_t at = 0; at < rows[c].size();) {
      const std::size_t end = rows[c].find('\n', at);
      if (end - at > width[c]) width[c] = end - at;
      at = end + 1;
    }
  std::string s;
  std::size_t at[3]{};
  while (at[0] < rows[0].size()) {
    std::string line;
    for (int c = 0; c < 3; ++c) {
      const std::size_t end = rows[c].find('\n', at[c]);
      line.append(rows[c], at[c], end - at[c]);
      at[c] = end + 1;
      if (c == 0) pad(line, width[0] + 2);
      if (c == 1) pad(line, width[0] + width[1] + 4);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    s += line + "\n";
  }
  s += concat(std::to_string(total), " parameters");
  if (p.bad) {
    failure f;
    fail(f, p.bad.code, "network", {.argument = p.bad_where, .axis = p.bad.axis, .got = p.bad.got, .expected = p.bad.expected});
    s += concat(". Does not bind: ", f.message());
  } else if (out.n > 1) {
    s += concat(", ", std::to_string(out.n), " outputs");
  }
  return s + "\n";
}
}  // namespace detail

/// A network value (or a layer_list) as a table of nodes, output shapes and parameters. A network with a fault says which.
template <class Net>
[[gnu::noinline]] std::string summary(const Net& from) {
  if constexpr (requires { from.architecture(); }) {
    return summary(from.architecture());
  } else {
    static_assert(requires { from.in; }, "[summary] takes a network value, a layer_list or a model");
    detail::planner p(detail::scalar_widths{});
    // Planning is cold code, and g++ takes whoever calls such for cold too, with all his loops: it must not see this call.
    list<int, max_inputs> (*lower)(const Net&, detail::planner&) = [](const Net& n, detail::planner& to) {
      return n.lower(to, to.add_inputs(n.in));
    };
    __asm__("" : "+r"(lower));
    const auto out = lower(from, p);
    return detail::table_of(p, out);
  }
}
}  // namespace tenon
