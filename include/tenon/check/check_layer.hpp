// SPDX-License-Identifier: Apache-2.0
// One line that tells whether a layer is right: `assert(tenon::check_layer(my_layer{}, {8}))`. It runs the bodies alone, on
// random shapes, in three scalars: the prime field (exact), duals (where the layer is no arithmetic of a field) and float.
// Owns all memory it uses.
//
// The bodies must be generic in their scalar, as the library's are: `float s = x[i];` does not compile here ("cannot convert
// const tenon::basic_dual<…> to float", on the layer's own line); write `auto s = x[i]`, or name the type: `typename
// std::remove_reference_t<decltype(pass)>::scalar s`. Constants may be float or double. Functions are found by
// `using std::exp; exp(x[i])`, never by `std::exp(x[i])`. Every gradient is once not wanted, and inference saves nothing: a body
// that does not ask `if (auto dx = pass.dx())`, `if (auto s = pass.saved(0))` writes through a null pointer here, as it would in a
// network, and is named on stderr before the program stops.
#pragma once
#include <string>
#include <vector>
#include "tenon/check/derivative.hpp"
#include "tenon/check/null_access.hpp"
namespace tenon {
namespace detail {
template <int = 0>  // a template so that it costs nobody who only includes it
class layer_check {
  const check_options& o_;
  findings& found_;
  target t_;
  static constexpr auto derived = " is the derivative of forward";

  [[gnu::noinline]] static std::string text_of(const inputs& in, extent batch) {
    std::string r = "x";
    for (const slot& s : in) r += concat(" ", text(s[0] == dyn ? s.with(0, batch) : static_cast<const shape&>(s)));
    return r;
  }
  /// Parameters near their initial values, state near its own, indices below their limits.
  template <class T>
  void draw(point& at, stand<T>& s, dice& d) const {
    auto fill = [&](std::vector<float>& v, const slot& like, float low, float high) {
      v.resize(s.count(like));
      for (float& e : v) e = d.real(low, high);
    };
    for (int i = 0; i < t_.in.size(); ++i) {
      if (t_.in[i].what != kind::index) {
        fill(at.x[i], t_.in[i], o_.low, o_.high);
        continue;
      }
      at.at[i].resize(s.count(t_.in[i]));
      const extent limit = t_.out.index_limit[i];
      for (index& e : at.at[i]) e = d.below(limit > 0 ? limit : 2);
    }
    for (int i = 0; i < t_.out.p.size(); ++i) {
      const initial& from = t_.out.p[i].start;
      const float wide = from.bound + from.deviation > 0.25f ? from.bound + from.deviation : 0.25f;
      fill(at.p[i], t_.out.p[i], from.fill - wide, from.fill + wide);
    }
    for (int i = 0; i < t_.out.states.size(); ++i)
      fill(at.state[i], t_.out.states[i], t_.out.states[i].start.fill, t_.out.states[i].start.fill + 0.25f);
    for (int i = 0; i < t_.out.y.size(); ++i) fill(at.dy[i], t_.out.y[i], -1, 1);
  }

  bool exact_derivatives(extent batch, const point& at, dice& d, std::vector<std::string>& off) {
    stand<dual_gf61> s(t_, t_.exact, batch);
    s.load(at, d);
    gf61::left_field = false;
    contract<dual_gf61>(s, found_, d).check();
    derivative<dual_gf61> g(s, d);
    g.run();
    if (gf61::left_field) return false;
    each_gradient(t_, [&](tensor_id id) {
      if (g.along(id).close(0)) found_.pass(concat(name_of(t_, id), derived, ", exactly"));
      else
        off.push_back(name_of(t_, id));  // the duals decide: a constant may have been rounded differently in forward and backward
    });
    return !gf61::left_field;
  }
  void real_derivatives(derivative<dual>& g, const stand<dual>& s, bool exact, const std::vector<std::string>& off) {
    each_gradient(t_, [&](tensor_id id) {
      const std::string name = name_of(t_, id);
      bool suspect = !exact;
      for (const std::string& o : off) suspect |= o == name;
      if (!suspect) return;
      double worst = 0;
      for (int direction = 0; direction < 2; ++direction)
        if (const double e = g.along(id).error(); e > worst) worst = e;
      if (worst > found_.worst) found_.worst = worst;
      if (worst <= o_.ulps) found_.pass(concat(name, derived, exact ? ", but for rounding of constants" : ", to ulps"));
      else
        found_.fail(concat(name, derived), concat("off by ", number(worst), " eps of the sum of terms, ",
                                                  g.locate(id, s.shape_of(id.parameter ? t_.out.p[id.i] : t_.in[id.i]))));
    });
  }
  /// Float may take other kernels; it must come out finite, and near.
  void compare(const std::string& name, const shape& where, const std::vector<float>& got, const std::vector<dual>& expected,
               bool near) {
    double scale = 0.05;
    for (const dual& e : expected)
      scale = scale < static_cast<double>(e.v)    ? static_cast<double>(e.v)
              : scale < static_cast<double>(-e.v) ? static_cast<double>(-e.v)
                                                  : scale;
    bool finite = true;
    std::size_t off = got.size();
    for (std::size_t i = 0; i < got.size(); ++i) {
      const double a = static_cast<double>(got[i]), b = static_cast<double>(expected[i].v);
      if (!(a - a == 0)) {
        if (finite) off = i;
        finite = false;
      } else if (off == got.size() && near && !((a - b) * (a - b) <= scale * scale * 0x1p-22)) {
        off = i;
      }
    }
    found_.say(finite, "float results are finite",
               finite ? std::string()
                      : concat(name, place_in(where, off),
                               " is not: change low and high of check_options where the layer takes only some numbers"));
    if (finite && near)
      found_.say(off == got.size(), "float agrees with long double",
                 off == got.size() ? std::string()
                                   : concat(name, place_in(where, off), " is ", number(static_cast<double>(got[off])), ", not ",
                                            number(static_cast<double>(expected[off].v))));
  }

 public:
  layer_check(const check_options& o, findings& f, const target& t) : o_(o), found_(f), t_(t) {}

  /// Whether infer gave something that can be run.
  bool usable() {
    std::string trouble;
    if (const fault b = t_.out.bad())
      trouble = concat(word(b.code), ", axis ", std::to_string(b.axis), ": got ", std::to_string(b.got), ", expected ",
                       std::to_string(b.expected));
    if (trouble.empty() && t_.out.read != t_.reads)
      trouble = "what backward reads depends on the fields or the input: .reads() may not";
    auto known = [&](const auto& slots, const char* what, int first) {
      for (const auto& s : slots)
        for (int i = first; i < s.rank(); ++i)
          if (s[i] < 0 && trouble.empty()) trouble = concat(what, " ", text(s), " leaves an axis unknown though x is known");
    };
    known(t_.out.y, "y", 1);
    known(t_.out.p, "a parameter", 0);
    known(t_.out.states, "a state", 0);
    known(t_.out.saved, "saved", 1);
    found_.say(trouble.empty(), "infer", trouble);
    return trouble.empty();
  }
  void check(extent batch, std::uint64_t stream) {
    found_.where = concat(text_of(t_.in, batch), ", seed ", std::to_string(o_.seed));
    for (int k = 0; k < o_.points; ++k) {
      dice d(o_.seed, stream << 8 | static_cast<std::uint64_t>(k));
      stand<dual> s(t_, t_.real, batch);
      derivative<dual> g(s, d);
      point at, best;
      long double widest = -1;
      for (int tries = 0; tries < 8 && widest < 0x1p-16L; ++tries) {  // away from ties, where there is no derivative
        draw(at, s, d);
        s.load(at, d);
        smallest_gap = std::numeric_limits<long double>::max();
        g.run();
        if (smallest_gap > widest) widest = smallest_gap, best = at;
      }
      s.load(best, d);
      g.run();
      std::vector<std::string> off;
      const bool exact = o_.exact && exact_derivatives(batch, best, d, off);
      real_derivatives(g, s, exact, off);
      s.forward();

      stand<float> f(t_, t_.fast, batch);
      f.load(best, d);
      contract<float>(f, found_, d).check();
      const bool near = widest >= 0x1p-16L;
      for (int i = 0; i < t_.out.y.size(); ++i)
        compare(concat("y(", std::to_string(i), ")"), s.shape_of(t_.out.y[i]), f.copy(f.y[i]), s.copy(s.y[i]), near);
      each_gradient(t_, [&](tensor_id id) {
        compare(name_of(t_, id), s.shape_of(id.parameter ? t_.out.p[id.i] : t_.in[id.i]), f.copy(f.gradient(id)),
                id.parameter ? g.dp(id.i) : g.dx(id.i), near);
      });
    }
  }
};

/// Some extent becomes another wherever it stands, so that inputs which had to agree still do.
inline inputs varied(const inputs& x, dice& d) {
  extent known[max_inputs * max_rank];
  int n = 0;
  for (const slot& s : x)
    for (int i = 0; i < s.rank(); ++i)
      if (s[i] > 0) known[n++] = s[i];
  if (n == 0) return x;
  const extent old = known[d.below(n)], change = d.below(2) ? 1 + d.below(3) : -1 - d.below(2),
               fresh = old + change > 0 ? old + change : 1;
  inputs r = x;
  for (int k = 0; k < r.size(); ++k)
    for (int i = 0; i < r[k].rank(); ++i)
      if (r[k].d[i] == old) r[k].d[i] = fresh;
  return r;
}

template <int = 0>
[[gnu::noinline]] check_report run_check(target t, spec (*infer)(const void*, const inputs&), const inputs& x,
                                         const check_options& o) {
  const null_access explained(t.name);
  findings found;
  dice shapes(o.seed, 0);
  constexpr extent batches[] = {3, 1, 5, 4};
  found.where = concat("seed ", std::to_string(o.seed));
  for (int k = 0; k < o.shapes; ++k) {
    t.in = x;
    for (int tries = 0; k >= 2 && tries < 16; ++tries) {
      const inputs other = varied(t.in, shapes);
      if (!infer(t.layer, other).bad()) t.in = other;
      if (tries >= k % 2 && !(t.in[0] == x[0])) break;
    }
    t.out = infer(t.layer, t.in);
    layer_check<> c(o, found, t);
    if (!c.usable()) break;
    c.check(batches[k % 4], static_cast<std::uint64_t>(k) + 1);
  }
  return found.report(concat("[check_layer] ", t.name), o.seed);
}
}  // namespace detail

/// Checks a layer on inputs as infer sees them: `inputs{slot{{dyn, 4}}, slot{{dyn}, kind::index}}`, the batch in front.
/// Never throws but for memory; what is wrong is in the report.
template <class L>
check_report check_layer(const L& layer, const inputs& x, const check_options& options = {}) {
  static_assert(expect_layer<L>());
  const detail::target t{&layer,
                         L::name,
                         reads_of<L>,
                         has_commit<L>,
                         detail::bodies_of<L, dual>,
                         detail::bodies_of<L, dual_gf61>,
                         detail::bodies_of<L, float>,
                         {},
                         {}};
  return detail::run_check(
      t, [](const void* l, const inputs& in) -> spec { return static_cast<const L*>(l)->infer(in); }, x, options);
}
/// The same for one input, given as one sample: `check_layer(swish{}, {8})`. Small shapes are enough: extents vary around them.
template <class L>
check_report check_layer(const L& layer, const shape& sample, const check_options& options = {}) {
  shape batched;
  batched.rank_ = sample.rank() + 1;
  batched.d[0] = dyn;
  for (int i = 0; i < sample.rank() && i + 1 < max_rank; ++i) batched.d[i + 1] = sample[i];
  return check_layer(layer, inputs{slot{batched}}, options);
}
}  // namespace tenon
