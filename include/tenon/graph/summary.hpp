// SPDX-License-Identifier: Apache-2.0
// An architecture as a table: what each node gives, and how many parameters it has. Binds nothing, allocates text only.
#pragma once
#include <string>
#include "tenon/core/text.hpp"
#include "tenon/core/utf8.hpp"
#include "tenon/graph/planner.hpp"
namespace tenon {
namespace detail {
/// Lines up by characters, not bytes: names may be of any alphabet.
[[gnu::noinline]] inline void pad(std::string& s, std::size_t to) {
  if (const std::size_t n = utf8_length(s); n < to) s.append(to - n, ' ');
}
/// The first node that has the parameters of node i, which is tied to it; −1: they are its own, or none.
[[gnu::noinline]] inline int shares_with(const plan& p, int i) {
  if (p.nodes[i].out.p.n > 0)
    for (int k = 0; k < i; ++k)
      if (p.nodes[k].out.p.n > 0 && p.nodes[k].p[0] == p.nodes[i].p[0]) return k;
  return -1;
}
[[gnu::noinline]] inline std::string table_of(const plan& p, const list<int, max_inputs>& out, const std::string& trouble) {
  std::string rows[3];  // three columns, newline after each cell
  auto cell = [](std::string& to, std::string_view s) {
    for (const char c : s) to += static_cast<unsigned char>(c) < ' ' ? ' ' : c;  // a name may hold a line end
    to += '\n';
  };
  auto row = [&](std::string_view a, const std::string& b, std::string_view c) {
    cell(rows[0], a);
    cell(rows[1], b);
    cell(rows[2], c);
  };
  row("layer", "output", "parameters");
  for (int v = 0; v < p.in.n; ++v) row(p.at(v).name.empty() ? "input" : std::string_view(p.at(v).name.text), text(p.at(v).s), "");
  extent total = 0;
  for (const array_info& a : p.parameters) total += a.shape.numel();
  for (int i = 0; i < p.nodes.size(); ++i) {
    const node& n = p.nodes[i];
    std::string shapes, count;
    for (int k = 0; k < n.y.size(); ++k) shapes += concat(k ? ", " : "", text(p.at(n.y[k]).s));
    extent own = 0;
    for (int k = 0; k < n.out.p.n; ++k) own += n.out.p[k].numel();
    if (own) count = shares_with(p, i) >= 0 ? concat("tied to ", p.text(p.parameters[n.p[0]].name)) : std::to_string(own);
    row(p.text(n.path), shapes, count);
  }
  std::size_t width[2]{};
  for (int c = 0; c < 2; ++c)
    for (std::size_t at = 0; at < rows[c].size();) {
      const std::size_t end = rows[c].find('\n', at);
      if (const std::size_t n = utf8_length(std::string_view(rows[c]).substr(at, end - at)); n > width[c]) width[c] = n;
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
  if (!trouble.empty()) s += concat(". Does not bind: ", trouble);
  else if (out.n > 1) s += concat(", ", std::to_string(out.n), " outputs");
  return s + "\n";
}
using plan_text = std::string (*)(const plan&, const list<int, max_inputs>& out, const std::string& trouble);

/// What `write` makes of a network's nodes; `trouble` says why it does not bind, or nothing.
template <class Net>
[[gnu::noinline]] std::string describe_plan(const Net& from, plan_text write) {
  if constexpr (requires { from.architecture(); }) {
    return describe_plan(from.architecture(), write);
  } else if constexpr (requires { from.bound().planned(); }) {
    const plan& p = from.bound().planned();
    return write(p, p.out, {});
  } else {
    static_assert(requires { from.in; }, "takes a network value, a layer_list, a model or a graph");
    planner p(scalar_widths{});
    // Planning is cold code, and g++ takes whoever calls such for cold too, with all his loops: it must not see this call.
    list<int, max_inputs> (*lower)(const Net&, planner&) = [](const Net& n, planner& to) {
      return n.lower(to, to.add_inputs(n.in));
    };
    __asm__("" : "+r"(lower));
    const auto out = lower(from, p);
    std::string trouble;
    if (p.bad) {
      failure f;
      fail(f, p.bad.code, "network",
           {.argument = p.bad_where.c_str(), .axis = p.bad.axis, .got = p.bad.got, .expected = p.bad.expected});
      trouble = f.message();
    }
    return write(p.view(), out, trouble);
  }
}
}  // namespace detail

/// A network value, layer_list, model or graph as a table of nodes, output shapes and parameters. A network with a fault says which.
template <class Net>
[[gnu::noinline]] std::string summary(const Net& from) {
  return detail::describe_plan(from, detail::table_of);
}
}  // namespace tenon
