// SPDX-License-Identifier: Apache-2.0
// Curves as a picture: panels side by side over one x axis, an SVG document in all. Knows no model; allocates text and a few numbers
// a pixel: a million points make no larger file than a thousand.
//
//   auto s = tenon::io::chart({{.title = "loss", .curves = {{.y = losses, .smooth = 100}}}}, {.title = "A run", .x = "step"});
//   tenon::io::write_file("run.svg", s.data(), s.size());
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>
#include "tenon/io/svg.hpp"
namespace tenon::io {
/// y over x, or over 1, 2, 3 … where x is empty. A value that is not finite, or beyond ±1e150, is a gap.
struct curve {
  std::string name{};  // said at the end of the line, with the last value
  std::vector<double> x{}, y{};
  double smooth = 0;  // above 1: the mean over about so many values is drawn, and they themselves faintly behind
  bool dots = false;  // a dot at each value
};
/// Curves of one scale.
struct chart_panel {
  std::string title{};
  std::string unit{};  // behind each number of the y axis: "%", " ms"
  std::vector<curve> curves{};
};
struct chart_options {
  std::string title{}, note{};  // above, and in smaller letters below it
  std::string x = "";  // what the x axis is
  double width = 860, height = 380;
};

namespace detail {
inline bool drawable(double v) { return v >= -1e150 && v <= 1e150; }
struct point {
  double x = 0, y = 0;
  bool there() const { return drawable(x) && drawable(y); }
};
/// From and to, both multiples of a step of 1, 2 or 5 · 10ⁿ.
struct scale {
  double from = 0, to = 1, step = 0.2;
  scale() = default;
  scale(double low, double high, int most) {
    const double size = std::max(std::fabs(low), std::fabs(high));
    constexpr double tiny = 1e-300;  // so that a tenth of a step is still a normal number
    if (!(high - low > std::max(1e-9 * size, tiny))) {  // one value, or values that differ by rounding alone
      const double around = size > 0 ? std::max(size / 10, tiny) : 1;
      low -= around;
      high += around;
    }
    const double least = (high - low) / most, power = std::pow(10, std::floor(std::log10(least))), f = least / power;
    step = power * (f <= 1 ? 1 : f <= 2 ? 2 : f <= 5 ? 5 : 10);
    from = std::floor(low / step + 1e-6) * step;
    to = std::ceil(high / step - 1e-6) * step;
  }
  double part(double v) const { return (v - from) / (to - from); }
  int count() const { return static_cast<int>(std::lround((to - from) / step)); }
};
[[gnu::noinline]] inline std::string short_number(double v, int digits) {
  char text[40];
  return {text, std::to_chars(text, text + sizeof text, v, std::chars_format::general, digits).ptr};
}
/// A number of an axis whose neighbours are a step away.
[[gnu::noinline]] inline std::string tick_text(double v, double step) {
  if (std::fabs(v) < step / 2) return "0";
  if (std::fabs(v) >= 1e6 || step < 1e-5)
    return short_number(v, std::max(4, static_cast<int>(std::ceil(std::log10(std::fabs(v) / step))) + 1));
  return fixed_text(v, std::max(0, static_cast<int>(-std::floor(std::log10(step) + 1e-9))));
}
[[gnu::noinline]] inline std::vector<point> points_of(const curve& c) {
  std::vector<point> all;
  for (std::size_t i = 0; i < c.y.size() && (c.x.empty() || i < c.x.size()); ++i)
    all.push_back({c.x.empty() ? static_cast<double>(i + 1) : c.x[i], c.y[i]});
  return all;
}
/// Means that forget: of about the last n values, of all of them where there are fewer. Gaps stay gaps.
[[gnu::noinline]] inline std::vector<point> smoothed(std::vector<point> all, double n) {
  double mean = 0, weight = 0;
  for (point& p : all) {
    if (!p.there()) continue;
    weight += (1 - weight) / n;
    mean += (p.y - mean) / n / weight;
    p.y = mean;
  }
  return all;
}
/// A line through points in pixels, and the dots on it: all, or only where a point between gaps has no line. Of many points that
/// share a pixel column only the lowest and the highest count, and a gap between them is none that one sees.
struct thin_line {
  std::string path;
  std::vector<point> dots;
  [[gnu::noinline]] thin_line(const std::vector<point>& all, bool every_dot) {
    bool down = false;
    const auto go = [&](point p) {
      down ? svg::line_to(path, p.x, p.y) : svg::move_to(path, p.x, p.y);
      down = true;
      if (every_dot) dots.push_back(p);
    };
    for (std::size_t i = 0; i < all.size();) {
      if (!all[i].there()) {
        down = false;
        ++i;
        continue;
      }
      std::size_t end = i, low = i, high = i;
      for (std::size_t k = i; k < all.size(); ++k) {
        if (!all[k].there()) continue;
        if (std::floor(all[k].x) != std::floor(all[i].x)) break;
        if (all[k].y < all[low].y) low = k;
        if (all[k].y > all[high].y) high = k;
        end = k + 1;
      }
      const bool joined = down || low != high || (end < all.size() && all[end].there());
      if (!joined && !every_dot) dots.push_back(all[i]);
      go(all[std::min(low, high)]);
      if (low != high) go(all[std::max(low, high)]);
      i = end;
    }
  }
};
/// What is drawn of a curve: the values, the smoothed ones where they are wanted, and where those end.
struct drawn_curve {
  std::vector<point> raw, main;
  point last{};
  bool any = false;
  explicit drawn_curve(const curve& c) : raw(points_of(c)), main(c.smooth > 1 ? smoothed(raw, c.smooth) : raw) {
    for (const point& p : main)
      if (p.there()) last = p, any = true;
  }
};
/// Covers all of a line, and all of the faint values behind it but the hundredth part at either end.
struct extremes {
  double low = HUGE_VAL, high = -HUGE_VAL;
  void cover(double v) {
    low = std::min(low, v);
    high = std::max(high, v);
  }
  void cover_most(std::vector<double> v) {
    if (v.empty()) return;
    std::sort(v.begin(), v.end());
    const std::size_t out = v.size() / 100;
    cover(v[out]);
    cover(v[v.size() - 1 - out]);
  }
  scale over(int most) const { return low <= high ? scale(low, high, most) : scale(); }
};
/// Pixels that bold words take at most: a guess, for the reader's font is not known.
inline double width_of(std::string_view words) { return 8.4 * static_cast<double>(tenon::detail::utf8_length(words)); }

class chart_writer {
  static constexpr double head = 92, foot = 52;
  const chart_options& o_;
  svg out_;
  scale x_;

  static std::string shortened(std::string_view name) {
    char text[24];
    tenon::detail::copy_text(text, sizeof text, name);
    return text;
  }
  static std::string label_of(const chart_panel& p, const curve& c, const drawn_curve& d) {
    return concat(shortened(c.name), c.name.empty() ? "" : " ", short_number(d.last.y, 4), p.unit);
  }
  /// The rectangle of a panel, words at its sides included.
  void panel(const chart_panel& p, const std::vector<drawn_curve>& all, double at, double width) {
    extremes e;
    double words = 12;
    for (std::size_t i = 0; i < all.size(); ++i) {
      for (const point& q : all[i].main)
        if (q.there()) e.cover(q.y);
      std::vector<double> behind;
      if (p.curves[i].smooth > 1)
        for (const point& q : all[i].raw)
          if (q.there()) behind.push_back(q.y);
      e.cover_most(std::move(behind));
      if (all[i].any) words = std::max(words, width_of(label_of(p, p.curves[i], all[i])) + 8);
    }
    const scale y = e.over(6);
    double numbers = 36;
    for (int k = 0; k <= y.count(); ++k) numbers = std::max(numbers, width_of(tick_text(y.from + k * y.step, y.step) + p.unit));
    const double x0 = at + 16 + numbers, w = std::max(20.0, width - numbers - words - 28), y0 = head,
                 h = std::max(20.0, o_.height - head - foot);
    const bool any = e.low <= e.high;
    const auto px = [&](double v) { return x_.part(v) * w; };
    const auto py = [&](double v) { return (1 - y.part(v)) * h; };
    out_.text(x0, y0 - 14, p.title, "strong");
    for (int k = 0; k <= (any ? y.count() : 0); ++k) {
      const double v = y.from + k * y.step;
      out_.line(x0, y0 + py(v), x0 + w, y0 + py(v), k ? "grid" : "axis");
      if (any) out_.text(x0 - 8, y0 + py(v) + 4, tick_text(v, y.step) + p.unit, "end muted small");
    }
    for (int k = 0; k <= x_.count(); ++k) {
      const double v = x_.from + k * x_.step;
      out_.line(x0 + px(v), y0 + h, x0 + px(v), y0 + h + 4, "axis");
      out_.text(x0 + px(v), y0 + h + 18, tick_text(v, x_.step), "middle muted small");
    }
    out_.text(x0 + w / 2, y0 + h + 38, o_.x, "middle muted");
    if (!any) out_.text(x0 + w / 2, y0 + h / 2, "no values", "middle muted");
    std::vector<std::pair<double, std::size_t>> ends;
    for (const bool faint : {true, false}) {
      const double more = faint ? 0 : 6;  // a spike is cut off at the edge; a line along the edge keeps its width
      out_.open(x0 - more, y0 - more, w + 2 * more, h + 2 * more);
      for (std::size_t i = 0; i < all.size(); ++i) {
        const std::string number = std::to_string(i % 4);
        if (faint && p.curves[i].smooth <= 1) continue;
        std::vector<point> at_pixel = faint ? all[i].raw : all[i].main;
        for (point& q : at_pixel)
          if (q.there()) q = {px(q.x) + more, std::min(std::max(py(q.y), -1e4), 1e4) + more};
        const thin_line line(at_pixel, p.curves[i].dots);
        if (!faint)
          for (const point& q : line.dots) out_.dot(q.x, q.y, 3.5, concat("fill", number));
        out_.path(line.path, concat(faint ? "faint line" : "curve line", number));
        if (!faint && all[i].any) ends.push_back({py(all[i].last.y), i});
      }
      out_.close();
    }
    // Words at the ends of lines give way to each other, downwards, then all of them up into the plot.
    std::sort(ends.begin(), ends.end());
    for (std::size_t k = 1; k < ends.size(); ++k) ends[k].first = std::max(ends[k].first, ends[k - 1].first + 16);
    double lowest = h;
    for (std::size_t k = ends.size(); k-- > 0; lowest = ends[k].first - 16) ends[k].first = std::min(ends[k].first, lowest);
    for (const auto& [down, i] : ends)
      out_.text(x0 + px(all[i].last.x) + 8, y0 + down + 4, label_of(p, p.curves[i], all[i]),
                concat("strong fill", std::to_string(i % 4)));
  }

 public:
  chart_writer(const chart_options& o, const std::vector<chart_panel>& panels)
      : o_(o), out_(o.width, o.height, o.title.empty() ? "chart" : o.title) {
    std::vector<std::vector<drawn_curve>> all;
    extremes e;
    for (const chart_panel& p : panels) {
      all.emplace_back();
      for (const curve& c : p.curves) {
        all.back().emplace_back(c);
        for (const point& q : all.back().back().raw)
          if (q.there()) e.cover(q.x);
      }
    }
    x_ = e.over(6);
    out_.text(20, 32, o.title, "title");
    out_.text(20, 53, o.note, "muted");
    const double each = (o.width - 12) / static_cast<double>(std::max<std::size_t>(panels.size(), 1));
    for (std::size_t i = 0; i < panels.size(); ++i) panel(panels[i], all[i], 4 + each * static_cast<double>(i), each);
  }
  std::string str() const { return out_.str(); }
};
}  // namespace detail

/// The panels as one SVG document. No value and no name makes it fail: what cannot be drawn is left out.
inline std::string chart(const std::vector<chart_panel>& panels, const chart_options& o = {}) {
  return detail::chart_writer(o, panels).str();
}
}  // namespace tenon::io
