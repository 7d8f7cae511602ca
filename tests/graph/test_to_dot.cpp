// SPDX-License-Identifier: Apache-2.0
// An architecture as text: the drawing for Graphviz and the table, of every combinator, and with names that would break either.
#include <string>
#include <tenon/graph/by_name.hpp>
#include <tenon/graph/to_dot.hpp>
#include <tenon/tenon.hpp>
#include "../catch.hpp"
#include "support/witness.hpp"
namespace nn = tenon::layers;

namespace {
constexpr auto skip = tenon::network({4}, nn::residual{nn::linear{.out = 4}}, nn::relu{});
std::size_t times(const std::string& s, std::string_view what) {
  std::size_t n = 0;
  for (std::size_t at = 0; (at = s.find(what, at)) != s.npos; at += what.size()) ++n;
  return n;
}
bool has(const std::string& s, std::string_view what) { return times(s, what) > 0; }
}  // namespace

TEST_CASE("a residual as a drawing, word for word") {
  CHECK(tenon::to_dot(skip) == R"(digraph network {
  bgcolor="white";
  node [shape=box, style="rounded,filled", fillcolor="#f6f8fa", color="#57606a", fontname="Helvetica", fontsize=11];
  edge [color="#57606a", fontname="Helvetica", fontsize=9];
  in0 [label="input\n[batch, 4]", shape=ellipse, fillcolor="#ffffff"];
  n0 [label="0.0.linear\n[batch, 4]\n20 parameters", fillcolor="#ddf4ff", color="#0969da"];
  in0 -> n0;
  n1 [label="0.add\n[batch, 4]"];
  in0 -> n1;
  n0 -> n1;
  n2 [label="1.relu\n[batch, 4]"];
  n1 -> n2;
  out0 [label="output", shape=ellipse, fillcolor="#ffffff"];
  n2 -> out0;
}
)");
}
TEST_CASE("every binder of an architecture is drawn and listed alike") {
  const tenon::model<skip> known;
  const tenon::graph dynamic{skip};
  tenon::layer_list by_name({4});
  by_name.add("linear", {{"out", 4}}).add("relu");
  CHECK(tenon::to_dot(known) == tenon::to_dot(skip));
  CHECK(tenon::to_dot(dynamic) == tenon::to_dot(skip));
  CHECK(tenon::summary(known) == tenon::summary(skip));
  CHECK(tenon::summary(dynamic) == tenon::summary(skip));
  CHECK(tenon::to_dot(by_name) == tenon::to_dot(tenon::graph{by_name}));
  CHECK(has(tenon::to_dot(by_name), "n0 [label=\"0.linear\\n[batch, 4]\\n20 parameters\""));
}
TEST_CASE("branches, ties and splits are drawn as they are") {
  const std::string s = tenon::to_dot(tests::everything);
  CHECK(times(s, "style=dashed") == 1);  // between the twins, the later of which has nothing of its own
  CHECK(has(s, "  n12 -> n13 [label=\" tied\", style=dashed, dir=none, constraint=false];\n"));
  CHECK(has(s, "n12 [label=\"5.twin.conv2d\\n[batch, 4, 6, 6]\\n28 parameters\""));
  CHECK(has(s, "n13 [label=\"5.twin.conv2d\\n[batch, 4, 6, 6]\\nthe same parameters\""));
  CHECK((has(s, "  n11 -> n12;\n") && has(s, "  n11 -> n13;\n") && has(s, "  n12 -> n14;\n") && has(s, "  n13 -> n14;\n")));
  CHECK((has(s, "  n15 -> n16 [label=\" y(0) \"];\n") && has(s, "  n15 -> n16 [label=\" y(1) \"];\n")));
  CHECK(has(s, "  n8 -> n9;\n"));  // a sum does not say which is which
  CHECK(has(tenon::summary(tests::everything),
            "\n5.twin.conv2d        [batch, 4, 6, 6]                    tied to 5.twin.weight\n"));
}
TEST_CASE("several inputs and outputs: which is which") {
  constexpr auto cell = tenon::network(tenon::input{{tenon::dyn, 8}, "x"}, tenon::input{{tenon::dyn, 16}, "h"},
                                       tenon::input{{tenon::dyn, 16}, "c"}, nn::lstm_cell{.out = 16});
  const std::string s = tenon::to_dot(cell);
  CHECK((has(s, "in1 [label=\"h\\n[batch, 16]\"") && has(s, "  in1 -> n0 [label=\" x(1) \"];\n")));
  CHECK((has(s, "out1 [label=\"output 1\"") && has(s, "  n0 -> out1 [label=\" y(1) \"];\n")));
  constexpr auto two = tenon::network({6}, nn::split{.first = 2}, nn::branch{nn::add{}, nn::add{}});
  CHECK(has(tenon::to_dot(two), "does not bind"));  // 2 and 4
  CHECK(tenon::summary(cell) ==
        "layer        output                    parameters\n"
        "x            [batch, 8]\nh            [batch, 16]\nc            [batch, 16]\n"
        "0.lstm_cell  [batch, 16], [batch, 16]  1664\n1664 parameters, 2 outputs\n");
}
TEST_CASE("no name breaks the drawing or the table") {
  tenon::layer_list net({4});
  net.add("relu", {}, "\"<b>&\\N\"\n}")
      .add("tanh", {},
           "Gr\xC3\xB6\xC3\x9F"
           "e")
      .add("relu", {}, "\xff\x01\xC3");
  const std::string s = tenon::to_dot(net);
  CHECK(has(s, R"(n0 [label="\"<b>&amp;\\N\"\n}.relu\n[batch, 4]"];)"));
  CHECK(has(s,
            "label=\"Gr\xC3\xB6\xC3\x9F"
            "e.tanh\\n"));
  CHECK(has(s, "label=\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD.relu\\n"));
  CHECK(times(s, "\n") == 14);  // a line each: five of the frame, input, output, three nodes, four edges
  const std::string table = tenon::summary(net);
  CHECK(has(table,
            "\nGr\xC3\xB6\xC3\x9F"
            "e.tanh       [batch, 4]\n"));  // lined up by characters
  CHECK(has(table, "\n\"<b>&\\N\" }.relu  [batch, 4]\n"));
  CHECK(times(table, "\n") == 6);
}
TEST_CASE("a fault is drawn behind what came before it") {
  tenon::layer_list net({4});
  net.add("linear", {{"out", 3}}).add("conv2d", {{"out", 3}, {"kernel", 3}}).add("relu");
  const std::string s = tenon::to_dot(net);
  CHECK(has(s, "0.linear"));
  CHECK(has(s, "fault [label=\"does not bind\\n[network] 1.conv2d: rank: got 2, expected 4.\""));
  CHECK(!has(s, "output"));
  CHECK(has(tenon::summary(net), "15 parameters. Does not bind: [network] 1.conv2d: rank: got 2, expected 4.\n"));
}
TEST_CASE("characters of UTF-8 text, and what is none") {
  using tenon::detail::utf8_bytes, tenon::detail::utf8_length;
  CHECK((utf8_bytes("a") == 1 && utf8_bytes("\xC3\xB6") == 2 && utf8_bytes("\xE2\x86\x92") == 3 &&
         utf8_bytes("\xF0\x9F\x98\x80") == 4));
  for (const char* broken : {"", "\x80", "\xC3", "\xC3z", "\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80", "\xF0\x80\x80\x80",
                             "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xE2\x86"})
    CHECK(utf8_bytes(broken) == 0);
  CHECK(utf8_length("Gr\xC3\xB6\xFF") == 4);
}
