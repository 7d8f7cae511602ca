// SPDX-License-Identifier: Apache-2.0
// An architecture as a drawing: text for Graphviz. Binds nothing, allocates text only.
//
//   std::ofstream("net.dot") << tenon::to_dot(lenet);        // then: dot -Tsvg net.dot > net.svg
#pragma once
#include <string>
#include <string_view>
#include "tenon/core/utf8.hpp"
#include "tenon/graph/summary.hpp"
namespace tenon {
namespace detail {
/// What stands between the quotes of a label. A label knows backslashes and HTML's entities; what is no text becomes U+FFFD.
[[gnu::noinline]] inline std::string dot_text(std::string_view s) {
  std::string r;
  while (!s.empty()) {
    const std::size_t n = utf8_bytes(s);
    const auto c = static_cast<unsigned char>(s[0]);
    if (c == '"' || c == '\\') r += concat("\\", s.substr(0, 1));
    else if (c == '&') r += "&amp;";
    else if (c == '\n') r += "\\n";
    else if (n == 0 || c < ' ' || c == 0x7f) r += "\xEF\xBF\xBD";
    else r += s.substr(0, n);
    s.remove_prefix(n ? n : 1);
  }
  return r;
}
/// The name of value v's node; where the node has several outputs, `y` says which.
inline std::string dot_source(const plan& p, int v, std::string& y) {
  const int from = p.at(v).producer;
  if (from < 0) return concat("in", std::to_string(v));
  const auto& all = p.nodes[from].y;
  for (int k = 0; k < all.size() && all.size() > 1; ++k)
    if (all[k] == v) y = concat("y(", std::to_string(k), ")");
  return concat("n", std::to_string(from));
}
[[gnu::noinline]] inline std::string dot_edge(const plan& p, int v, std::string_view to, std::string_view x) {
  std::string y;
  const std::string from = dot_source(p, v, y);
  const std::string_view arrow = !y.empty() && !x.empty() ? " \xE2\x86\x92 " : "";
  const std::string label = y.empty() && x.empty() ? "" : concat(" [label=\" ", y, arrow, x, " \"]");
  return concat("  ", from, " -> ", to, label, ";\n");
}
[[gnu::noinline]] inline std::string dot_of(const plan& p, const list<int, max_inputs>& out, const std::string& trouble) {
  std::string s =
      "digraph network {\n"
      "  bgcolor=\"white\";\n"
      "  node [shape=box, style=\"rounded,filled\", fillcolor=\"#f6f8fa\", color=\"#57606a\", fontname=\"Helvetica\", "
      "fontsize=11];\n"
      "  edge [color=\"#57606a\", fontname=\"Helvetica\", fontsize=9];\n";
  auto node = [&](std::string_view id, std::string_view label, std::string_view more = "") {
    s += concat("  ", id, " [label=\"", label, "\"", more, "];\n");
  };
  constexpr std::string_view door = ", shape=ellipse, fillcolor=\"#ffffff\"",
                             weighty = ", fillcolor=\"#ddf4ff\", color=\"#0969da\"";
  for (int v = 0; v < p.in.n; ++v)
    node(concat("in", std::to_string(v)),
         concat(p.at(v).name.empty() ? "input" : dot_text(p.at(v).name.text), "\\n", dot_text(text(p.at(v).s))), door);
  for (int i = 0; i < p.nodes.size(); ++i) {
    const detail::node& n = p.nodes[i];
    const std::string id = concat("n", std::to_string(i));
    const int first = shares_with(p, i);
    const std::string_view path = p.text(n.path);
    std::string label = dot_text(path);
    for (int k = 0; k < n.y.size(); ++k) label += concat(k ? ", " : "\\n", dot_text(text(p.at(n.y[k]).s)));
    extent own = 0;
    for (int k = 0; k < n.out.p.n; ++k) own += n.out.p[k].numel();
    if (own) label += concat("\\n", first < 0 ? std::to_string(own) : "the same", own == 1 ? " parameter" : " parameters");
    node(id, label, own ? weighty : "");
    // Which x an edge goes to matters, but not where the two are added.
    const bool order = n.x.size() > 1 && path.substr(path.rfind('.') + 1) != layers::add::name;
    for (int k = 0; k < n.x.size(); ++k)
      s += dot_edge(p, n.x[k], id, order ? concat("x(", std::to_string(k), ")") : std::string());
    if (first >= 0)
      s += concat("  n", std::to_string(first), " -> ", id, " [label=\" tied\", style=dashed, dir=none, constraint=false];\n");
  }
  if (trouble.empty())
    for (int k = 0; k < out.n; ++k) {
      const std::string id = concat("out", std::to_string(k)), number = out.n > 1 ? concat(" ", std::to_string(k)) : "";
      node(id, concat("output", number), door);
      s += dot_edge(p, out[k], id, "");
    }
  else
    node("fault", concat("does not bind\\n", dot_text(trouble)),
         ", shape=note, style=filled, fillcolor=\"#ffebe9\", color=\"#cf222e\"");
  return s + "}\n";
}
}  // namespace detail

/// A network value, layer_list, model or graph as Graphviz text: a node a layer with its name, output shapes and parameters, an
/// edge for each value that is read, a dashed line between tied layers. A network with a fault is drawn as far as it goes.
template <class Net>
std::string to_dot(const Net& net) {
  return detail::describe_plan(net, detail::dot_of);
}
}  // namespace tenon
