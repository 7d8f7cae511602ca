// SPDX-License-Identifier: Apache-2.0
// Axes, lines and their thinning, smoothing, words that give way to each other; and that nothing makes it fail: no value, one, NaN,
// infinities, huge ones, any name.
#include <limits>
#include <string>
#include <tenon/io/chart.hpp>
#include <vector>
#include "../catch.hpp"
using namespace tenon::io;

namespace {
constexpr double no_number = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
std::size_t times(const std::string& s, std::string_view what) {
  std::size_t n = 0;
  for (std::size_t at = 0; (at = s.find(what, at)) != s.npos; at += what.size()) ++n;
  return n;
}
/// A chart of one panel and one curve, less the style; whatever is in it, it is whole.
std::string drawn(curve c, chart_options o = {}) {
  std::string s = chart({{.title = "panel", .curves = {std::move(c)}}}, o);
  s.erase(s.find("<style>"), s.find("</style>") - s.find("<style>"));
  CHECK(times(s, "<svg ") == times(s, "</svg>"));
  CHECK((times(s, "nan") == 0 && times(s, "inf") == 0));
  return s;
}
std::vector<double> places(const std::string& s, const char* name) {  // of the words that end curves
  std::vector<double> all;
  for (std::size_t at = 0; (at = s.find("class=\"strong fill", at)) != s.npos; ++at) {
    const std::size_t from = s.find(name, at) + std::string_view(name).size();
    all.push_back(std::stod(s.substr(from)));
  }
  return all;
}
}  // namespace

TEST_CASE("a line from corner to corner, with ticks of its numbers") {
  const std::string s = drawn({.name = "line", .y = {0, 1, 2}}, {.title = "T", .note = "N", .x = "step"});
  CHECK(times(s, "<path class=\"curve line0\"") == 1);
  for (const char* word : {">0<", ">0.5<", ">1<", ">1.5<", ">2<", ">3<", ">2.5<", ">step<", ">T<", ">N<", ">panel<", ">line 2<"})
    CHECK(times(s, word) >= 1);
  const std::size_t d = s.find(" d=\"M6 ");  // the window is six pixels wider than the plot
  REQUIRE(d != s.npos);
  CHECK(times(s.substr(d, s.find('"', d + 5) - d), "L") == 2);
}
TEST_CASE("scales: steps of 1, 2 or 5, whatever the numbers") {
  using tenon::io::detail::scale, tenon::io::detail::tick_text;
  const auto is = [](const scale& s, double from, double to, double step) {
    CHECK(s.from == Approx(from).margin(1e-12 * step));
    CHECK(s.to == Approx(to).margin(1e-12 * step));
    CHECK(s.step == Approx(step));
    CHECK((s.count() >= 1 && s.count() <= 8));
  };
  is(scale(0, 5, 6), 0, 5, 1);
  is(scale(0.0005, 5, 6), 0, 5, 1);
  is(scale(84.1, 90.4, 6), 84, 92, 2);
  is(scale(-3, 17, 6), -5, 20, 5);
  is(scale(3, 3, 6), 2.7, 3.3, 0.1);
  is(scale(0, 0, 6), -1, 1, 0.5);
  is(scale(-1e150, 1e150, 6), -1e150, 1e150, 5e149);
  is(scale(1e-300, 5e-300, 6), 1e-300, 5e-300, 1e-300);
  CHECK(scale(1, 1 + 1e-15, 6).step > 0.01);
  for (const double least : {5e-324, 1e-310, 2e-300})
    CHECK((scale(least, least, 6).count() > 0 && scale(0, least, 6).count() > 0));
  CHECK(tick_text(12'000'200, 200) == "1.20002e+07");
  CHECK((tick_text(0.30000000000000004, 0.1) == "0.3" && tick_text(1e-18, 0.1) == "0" && tick_text(2e6, 1e6) == "2e+06" &&
         tick_text(1500, 500) == "1500"));
}
TEST_CASE("gaps are gaps, and a value between two of them is a dot") {
  CHECK(times(drawn({.y = {1, 2, no_number, 4, inf, 2, 2.5}}), "<circle") == 1);
  const std::string s = drawn({.y = {1, 2, no_number, 4, 5}});
  CHECK(times(s.substr(s.find("curve line0")), "M") == 2);
  CHECK(times(s, "<circle") == 0);
  CHECK(times(drawn({.y = {1, 2, 3}, .dots = true}), "<circle") == 3);
  CHECK(times(drawn({.y = {3}}), "<circle") == 1);
  CHECK(times(drawn({.name = "n", .y = {1, 1e151, -1e200, no_number}}), ">n 1<") == 1);  // the last there is
}
TEST_CASE("nothing at all says so") {
  for (const auto& y : {std::vector<double>{}, {no_number}, {inf, -inf, no_number}, {1e300}}) {
    CHECK(times(drawn({.y = y}), ">no values<") == 1);
    CHECK(times(drawn({.y = y, .smooth = 10}), ">no values<") == 1);
  }
  CHECK(times(drawn({.x = {no_number, inf}, .y = {1, 2}}), ">no values<") == 1);
  CHECK(times(drawn({.x = {1}, .y = {1, 2, 3}, .dots = true}), "<circle") == 1);  // the shorter of the two counts
  CHECK(chart({}).ends_with("</svg>\n"));
  CHECK(times(drawn({.y = {1, 2}}, {.width = 1, .height = 1}), "<path") == 1);
  CHECK(times(drawn({.y = {-1e150, 1e150}}), "<path") == 1);
}
TEST_CASE("a million points make a small file that keeps the highest and the lowest") {
  curve c{.smooth = 100};
  for (int i = 0; i < 1'000'000; ++i) c.y.push_back(i == 500'001 ? 9 : i == 500'000 ? -9 : i % 2);
  const std::string s = drawn(c);
  CHECK(s.size() < 40'000);
  CHECK(times(s, "faint line0") == 1);
  std::vector<tenon::io::detail::point> all;
  for (int i = 0; i < 10; ++i) all.push_back({3 + i / 10.0, i == 4 ? -2.0 : i == 7 ? 8.0 : 1.0});
  CHECK(tenon::io::detail::thin_line(all, false).path == "M3.4 -2L3.7 8");
  all[5].y = no_number;  // a gap that no pixel shows
  CHECK(tenon::io::detail::thin_line(all, false).path == "M3.4 -2L3.7 8");
  all[7].x = 4.5, all[6].y = all[8].y = all[9].y = no_number;
  const tenon::io::detail::thin_line apart(all, false);
  CHECK((apart.path == "M3 1L3.4 -2M4.5 8" && apart.dots.size() == 1 && apart.dots[0].x == 4.5));
  curve dots{.dots = true}, gaps;
  for (int i = 0; i < 1'000'000; ++i) {
    dots.y.push_back(i % 7);
    gaps.y.push_back(i % 2 ? no_number : i % 7);
  }
  CHECK(drawn(dots).size() < 200'000);
  CHECK(drawn(gaps).size() < 40'000);
}
TEST_CASE("smoothing begins at the first value and forgets") {
  std::vector<tenon::io::detail::point> all;
  for (int i = 0; i < 400; ++i) all.push_back({double(i), i == 1 ? no_number : i < 200 ? 5.0 : 1.0});
  const auto s = tenon::io::detail::smoothed(all, 10);
  CHECK(s[0].y == 5);
  CHECK(s[1].y != s[1].y);
  CHECK(s[199].y == Approx(5));
  CHECK(s[210].y == Approx(1 + 4 * std::pow(0.9, 11)).epsilon(1e-3));
  CHECK(s[399].y == Approx(1).epsilon(1e-6));
}
TEST_CASE("words at the ends of lines give way to each other") {
  const std::string s = chart({{.curves = {{.name = "a", .y = {0, 2}},
                                           {.name = "b <&\">", .y = {3, 2}},
                                           {.name = "c", .y = {0, 2.01}},
                                           {.name = "a name that nobody has room for", .y = {0, 2}},
                                           {.name = "e", .y = {1, 0}},
                                           {.name = "f", .y = {1, 0}}}}});
  const auto y = places(s, " y=\"");
  REQUIRE(y.size() == 6);
  for (std::size_t i = 1; i < 6; ++i) CHECK(y[i] - y[i - 1] >= 15.9);
  CHECK(y[5] <= 380 - 52 + 5);
  CHECK(times(s, ">b &lt;&amp;&quot;&gt; 2<") == 1);
  CHECK(times(s, "a name that nobody has room") == 0);
  CHECK((times(s, "curve line3") == 1 && times(s, "curve line1") == 2));
}
