// SPDX-License-Identifier: Apache-2.0
// A drawing word for word, text that would break XML, numbers that are none, and windows left open.
#include <limits>
#include <tenon/io/svg.hpp>
#include "../catch.hpp"
using tenon::io::svg;

namespace {
std::string body(const svg& s) {  // what follows the background
  const std::string all = s.str();
  return all.substr(all.find("/>\n") + 3);
}
}  // namespace

TEST_CASE("every shape, word for word") {
  svg s(100, 50.25, "a title");
  const std::string all = s.str();
  CHECK(
      all.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"tenon\" role=\"img\" width=\"100\" height=\"50.2\" "
                      "viewBox=\"0 0 100 50.2\">\n<title>a title</title>\n<style>.tenon{"));
  CHECK(all.find("prefers-color-scheme:dark") != all.npos);
  std::string d;
  svg::move_to(d, 1, 2);
  svg::line_to(d, 3.04, -4.06);
  const unsigned char pixel[] = {7};
  s.rect(1, 2, 3, 4, "grid")
      .line(0, 1, 2, 3, "axis")
      .dot(1, 2, 3, "fill0")
      .path(d, "line0")
      .path("", "line1")
      .text(5, 6, "word", "end")
      .image(0, 0, 9, 9, pixel, 1, 1);
  CHECK(body(s) ==
        "<rect class=\"grid\" x=\"1\" y=\"2\" width=\"3\" height=\"4\"/>\n"
        "<line class=\"axis\" x1=\"0\" y1=\"1\" x2=\"2\" y2=\"3\"/>\n"
        "<circle class=\"fill0\" cx=\"1\" cy=\"2\" r=\"3\"/>\n"
        "<path class=\"line0\" d=\"M1 2L3 -4.1\"/>\n"
        "<text class=\"end\" x=\"5\" y=\"6\">word</text>\n"
        "<image x=\"0\" y=\"0\" width=\"9\" height=\"9\" preserveAspectRatio=\"none\" href=\"data:image/png;base64," +
            tenon::io::base64(tenon::io::grey_png(pixel, 1, 1)) + "\"/>\n</svg>\n");
}
TEST_CASE("no text breaks the document") {
  using tenon::io::detail::xml_text;
  CHECK(xml_text("a<b> & \"c\"'d'") == "a&lt;b&gt; &amp; &quot;c&quot;'d'");
  CHECK(xml_text("two\nlines\tand\r") == "two lines and ");
  CHECK(xml_text("Gr\xC3\xB6\xC3\x9F\x65") == "Gr\xC3\xB6\xC3\x9F\x65");
  const std::string mark = "\xEF\xBF\xBD";
  CHECK(xml_text(std::string_view("\0\x01\x1b", 3)) == mark + mark + mark);
  CHECK(xml_text("\xff\xC3(\xED\xA0\x80") == mark + mark + "(" + mark + mark + mark);
  CHECK(xml_text("\xEF\xBF\xBE") == mark);  // a character that XML has not
  svg s(10, 10, "</title>&");
  CHECK(s.str().find("<title>&lt;/title&gt;&amp;</title>") != std::string::npos);
}
TEST_CASE("numbers: short, and always numbers") {
  using tenon::io::detail::coordinate, tenon::io::detail::fixed_text;
  CHECK((coordinate(1) == "1" && coordinate(1.25) == "1.2" && coordinate(-0.01) == "0" && coordinate(100) == "100"));
  CHECK((coordinate(1e300) == "100000" && coordinate(-1e300) == "-100000"));
  CHECK(coordinate(std::numeric_limits<double>::quiet_NaN()) == "0");
  CHECK(coordinate(std::numeric_limits<double>::infinity()) == "100000");
  CHECK(coordinate(-std::numeric_limits<double>::infinity()) == "-100000");
  CHECK(fixed_text(1e300, 2).size() == 301);
}
TEST_CASE("windows: what is open is closed, and no more") {
  svg s(10, 10, "t");
  s.open(1, 2, 3, 4).open(0, 0, 1, 1).close();
  CHECK(body(s) ==
        "<svg x=\"1\" y=\"2\" width=\"3\" height=\"4\" overflow=\"hidden\">\n"
        "<svg x=\"0\" y=\"0\" width=\"1\" height=\"1\" overflow=\"hidden\">\n</svg>\n</svg>\n</svg>\n");
  s.close().close().close();
  CHECK(body(s).ends_with("</svg>\n</svg>\n</svg>\n"));
  CHECK(!body(s).ends_with("</svg>\n</svg>\n</svg>\n</svg>\n"));
}
