// SPDX-License-Identifier: Apache-2.0
// A drawing as SVG text, shape by shape: one file that needs no other, and reads on a light page and on a dark one, for it brings
// its own background in the colours that the reader prefers. Knows no model; allocates text only; no locale, no streams.
#pragma once
#include <charconv>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>
#include "tenon/core/text.hpp"
#include "tenon/core/utf8.hpp"
#include "tenon/io/png.hpp"
namespace tenon::io {
namespace detail {
using tenon::detail::concat;
/// Text inside an element or an attribute. What XML cannot hold becomes U+FFFD.
[[gnu::noinline]] inline std::string xml_text(std::string_view s) {
  std::string r;
  while (!s.empty()) {
    const std::size_t n = tenon::detail::utf8_bytes(s);
    const auto c = static_cast<unsigned char>(s[0]);
    if (c == '&') r += "&amp;";
    else if (c == '<') r += "&lt;";
    else if (c == '>') r += "&gt;";
    else if (c == '"') r += "&quot;";
    else if (c == '\t' || c == '\n' || c == '\r') r += ' ';
    else if (n == 0 || c < ' ' || s.starts_with("\xEF\xBF\xBE") || s.starts_with("\xEF\xBF\xBF")) r += "\xEF\xBF\xBD";
    else r += s.substr(0, n);
    s.remove_prefix(n ? n : 1);
  }
  return r;
}
/// At most `decimals` of them, and no zeros at the end.
[[gnu::noinline]] inline std::string fixed_text(double v, int decimals) {
  char digits[400];
  const auto end = std::to_chars(digits, digits + sizeof digits, v, std::chars_format::fixed, decimals).ptr;
  std::string_view s(digits, static_cast<std::size_t>(end - digits));
  if (s.find('.') != s.npos) {
    while (s.back() == '0') s.remove_suffix(1);
    if (s.back() == '.') s.remove_suffix(1);
  }
  return std::string(s == "-0" ? "0" : s);
}
/// A coordinate. What lies far outside stays far outside, and what is no number is 0.
[[gnu::noinline]] inline std::string coordinate(double v) {
  return fixed_text(std::isfinite(v) ? v < -1e5 ? -1e5 : v > 1e5 ? 1e5 : v : v > 0 ? 1e5 : v < 0 ? -1e5 : 0, 1);
}
}  // namespace detail

/// The colours that `class` means: text is "muted", "strong", "middle" (centred) or "end" (right-aligned); strokes are "grid" and
/// "axis"; "line0" … "line3" differ in colour and in dashes, "faint" lines are behind; "fill0" … "fill3" are areas and words of the
/// same colours; "good" and "bad" mark what is so.
inline constexpr std::string_view svg_style =
    ".tenon{font-family:system-ui,-apple-system,'Segoe UI','Helvetica Neue',Arial,sans-serif;font-size:13px}"
    ".tenon .back{fill:#fff;stroke:#d0d7de}.tenon text{fill:#1f2328}.tenon .muted{fill:#59636e}.tenon .strong{font-weight:600}"
    ".tenon .title{font-size:17px;font-weight:600}.tenon .small{font-size:11.5px}"
    ".tenon .middle{text-anchor:middle}.tenon .end{text-anchor:end}.tenon path,.tenon line{fill:none;stroke-linejoin:round}"
    ".tenon .grid{stroke:#e6eaef}.tenon .axis{stroke:#8c959f}.tenon .faint{stroke-opacity:.3;stroke-width:1}"
    ".tenon .line0{stroke:#0969da}.tenon .line1{stroke:#bc4c00}.tenon .line2{stroke:#1a7f37}.tenon .line3{stroke:#8250df}"
    ".tenon .fill0{fill:#0969da}.tenon .fill1{fill:#bc4c00}.tenon .fill2{fill:#1a7f37}.tenon .fill3{fill:#8250df}"
    ".tenon .curve{stroke-width:2}.tenon .curve.line1{stroke-dasharray:7 3}.tenon .curve.line2{stroke-dasharray:2 3}"
    ".tenon .curve.line3{stroke-dasharray:9 3 2 3}.tenon .good{fill:#1a7f37}.tenon .bad{fill:#cf222e}"
    ".tenon path.bad,.tenon line.bad{stroke:#cf222e;stroke-width:2.5;fill:none}.tenon "
    "rect.bad{fill:none;stroke:#cf222e;stroke-width:3}"
    ".tenon rect.good{fill:none;stroke:#d0d7de}.tenon image{image-rendering:pixelated}"
    "@media(prefers-color-scheme:dark){"
    ".tenon .back{fill:#0d1117;stroke:#30363d}.tenon text{fill:#e6edf3}.tenon .muted{fill:#9198a1}"
    ".tenon .grid{stroke:#21262d}.tenon .axis{stroke:#6e7681}.tenon .faint{stroke-opacity:.4}"
    ".tenon .line0{stroke:#58a6ff}.tenon .line1{stroke:#f0883e}.tenon .line2{stroke:#3fb950}.tenon .line3{stroke:#bc8cff}"
    ".tenon .fill0{fill:#58a6ff}.tenon .fill1{fill:#f0883e}.tenon .fill2{fill:#3fb950}.tenon .fill3{fill:#bc8cff}"
    ".tenon .good{fill:#3fb950}.tenon .bad{fill:#ff7b72}.tenon path.bad,.tenon line.bad,.tenon rect.bad{stroke:#ff7b72;fill:none}"
    ".tenon rect.good{fill:none;stroke:#30363d}}";

/// A drawing of width × height pixels. Text may hold anything; `klass` is one or more classes of svg_style.
class svg {
  std::string body_;
  int open_ = 0;

  template <class... S>
  svg& add(const S&... s) {
    body_ += detail::concat(s...);
    return *this;
  }
  static std::string at(double v) { return detail::coordinate(v); }

 public:
  /// `title` is what a screen reader says, and a pointer shows.
  svg(double width, double height, std::string_view title) {
    const std::string w = at(width), h = at(height);
    add("<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"tenon\" role=\"img\" width=\"", w, "\" height=\"", h,
        "\" viewBox=\"0 0 ", w, " ", h, "\">\n<title>", detail::xml_text(title), "</title>\n<style>", svg_style, "</style>\n");
    rect(0.5, 0.5, width - 1, height - 1, "back", 8);
  }
  svg& rect(double x, double y, double width, double height, std::string_view klass, double round = 0) {
    return add("<rect class=\"", klass, "\" x=\"", at(x), "\" y=\"", at(y), "\" width=\"", at(width), "\" height=\"", at(height),
               round > 0 ? detail::concat("\" rx=\"", at(round)) : std::string(), "\"/>\n");
  }
  svg& line(double x1, double y1, double x2, double y2, std::string_view klass) {
    return add("<line class=\"", klass, "\" x1=\"", at(x1), "\" y1=\"", at(y1), "\" x2=\"", at(x2), "\" y2=\"", at(y2), "\"/>\n");
  }
  svg& dot(double x, double y, double radius, std::string_view klass) {
    return add("<circle class=\"", klass, "\" cx=\"", at(x), "\" cy=\"", at(y), "\" r=\"", at(radius), "\"/>\n");
  }
  /// `d` is what move_to and line_to made. An empty one draws nothing.
  svg& path(std::string_view d, std::string_view klass) {
    return d.empty() ? *this : add("<path class=\"", klass, "\" d=\"", d, "\"/>\n");
  }
  svg& text(double x, double y, std::string_view words, std::string_view klass = "") {
    return add("<text class=\"", klass, "\" x=\"", at(x), "\" y=\"", at(y), "\">", detail::xml_text(words), "</text>\n");
  }
  /// A picture of rows × columns bytes, 0 black and 255 white, in a square pixel each, scaled to the rectangle.
  svg& image(double x, double y, double width, double height, const unsigned char* grey, std::size_t rows, std::size_t columns) {
    return add("<image x=\"", at(x), "\" y=\"", at(y), "\" width=\"", at(width), "\" height=\"", at(height),
               "\" preserveAspectRatio=\"none\" href=\"data:image/png;base64,", base64(grey_png(grey, rows, columns)), "\"/>\n");
  }
  /// What follows, until close(), has the corner (x, y) as its origin, and is cut off outside the rectangle.
  svg& open(double x, double y, double width, double height) {
    ++open_;
    return add("<svg x=\"", at(x), "\" y=\"", at(y), "\" width=\"", at(width), "\" height=\"", at(height),
               "\" overflow=\"hidden\">\n");
  }
  svg& close() {
    if (open_ == 0) return *this;
    --open_;
    return add("</svg>\n");
  }
  /// The whole document; what is still open is closed.
  std::string str() const {
    std::string s = body_;
    for (int i = 0; i <= open_; ++i) s += "</svg>\n";
    return s;
  }

  static void move_to(std::string& d, double x, double y) { d += detail::concat("M", at(x), " ", at(y)); }
  static void line_to(std::string& d, double x, double y) { d += detail::concat("L", at(x), " ", at(y)); }
};
}  // namespace tenon::io
