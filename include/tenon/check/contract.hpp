// SPDX-License-Identifier: Apache-2.0
// What the layer protocol asks of the bodies, whatever they compute: y = and dx = store, dp += adds, nothing else is written,
// nothing unwritten or outside is read, what nobody wants may be missing. In the prime field equality is exact, also for layers
// that leave it: there exp is some other function, and sums still have no rounding.
#pragma once
#include <string>
#include "tenon/check/report.hpp"
#include "tenon/check/stand.hpp"
namespace tenon::detail {
/// "dp(1) 'bias'"
[[gnu::noinline]] inline std::string name_of(const target& t, tensor_id id) {
  const std::string n = concat(id.parameter ? "dp(" : "dx(", std::to_string(id.i), ")");
  return id.parameter ? concat(n, " '", t.out.p[id.i].name, "'") : n;
}
/// "[2, 0, 1]" of the k-th element.
[[gnu::noinline]] inline std::string place_in(const shape& s, std::size_t k) {
  std::string r;
  auto rest = static_cast<extent>(k);
  for (int i = s.rank(); i-- > 0;) {
    const extent e = s[i] > 0 ? s[i] : 1;
    r = concat(std::to_string(rest % e), i + 1 < s.rank() ? ", " : "", r);
    rest /= e;
  }
  return concat("[", r, "]");
}

template <class T>
class contract {
  stand<T>& s_;
  findings& found_;
  dice& dice_;
  const char* const in_;

  struct result {
    std::vector<T> y[max_outputs], dx[max_inputs], dp[max_parameters];
    const std::vector<T>& of(tensor_id id) const { return id.parameter ? dp[id.i] : dx[id.i]; }
  };
  static constexpr bool is_exact = std::same_as<T, dual_gf61>;
  static bool same(const T& a, const T& b) { return a == b || (a != a && b != b); }
  /// First element that differs, or the size. Where sums may be ordered otherwise, rounding is no difference.
  static std::size_t differs(const std::vector<T>& a, const std::vector<T>& b, bool rounding) {
    double scale = 1;
    if constexpr (!is_exact)
      for (const T& e : b) scale = scale < static_cast<double>(e < 0 ? -e : e) ? static_cast<double>(e < 0 ? -e : e) : scale;
    for (std::size_t i = 0; i < a.size(); ++i) {
      if (same(a[i], b[i])) continue;
      if constexpr (!is_exact)
        if (const double d = static_cast<double>(a[i]) - static_cast<double>(b[i]); rounding && d * d <= scale * scale * 0x1p-32)
          continue;
      return i;
    }
    return a.size();
  }
  void expect_same(const std::vector<T>& a, const std::vector<T>& b, const shape& s, const std::string& what,
                   const std::string& tensor, const char* else_, bool rounding = false) {
    const std::size_t at = differs(a, b, rounding);
    found_.say(at == a.size(), what, at == a.size() ? std::string() : concat(tensor, place_in(s, at), " ", else_, in_));
  }
  void expect_walls(const char* during) {
    std::string trouble;
    s_.each([&](walled& w, const char* name, int i) {
      const extent b = w.breach();
      if (b == 0 || !trouble.empty()) return;
      const std::string array = i < 0 ? name : concat(name, "(", std::to_string(i), ")");
      trouble = concat(during, " writes byte ", std::to_string(b < 0 ? -b : b), b < 0 ? " before " : " after ", array, in_);
    });
    found_.say(trouble.empty(), "writes stay inside their arrays", trouble);
  }
  /// Bytes of arrays that a body must leave alone.
  struct snapshot {
    walled* array;
    const char* name;
    int i;
    std::vector<std::byte> bytes;
  };
  template <class... Group>
  std::vector<snapshot> freeze(const Group&... names) {
    std::vector<snapshot> r;
    s_.each([&](walled& w, const char* name, int i) {
      if (w && ((std::string_view(name) == names) || ...)) r.push_back({&w, name, i, {w.data(), w.data() + w.size()}});
    });
    return r;
  }
  void expect_frozen(const std::vector<snapshot>& all, const char* during) {
    for (const snapshot& s : all) {
      const bool equal = s.bytes.empty() || std::memcmp(s.bytes.data(), s.array->data(), s.bytes.size()) == 0;
      found_.say(equal, "what is read stays as it is",
                 equal ? std::string() : concat(during, " changes ", s.name, "(", std::to_string(s.i), ")", in_));
    }
  }
  void take_gradients(result& r) {
    for (int i = 0; i < max_inputs; ++i) r.dx[i] = s_.copy(s_.dx[i]);
    for (int i = 0; i < max_parameters; ++i) r.dp[i] = s_.copy(s_.dp[i]);
  }
  void forward_once(result& r, std::byte paint) {
    s_.paint(paint);
    s_.spoil(dice_);
    const auto inputs = freeze("x", "p", "state", "dy", "dx", "dp");
    s_.forward();
    expect_walls("forward");
    expect_frozen(inputs, "forward");
    for (int i = 0; i < max_outputs; ++i) r.y[i] = s_.copy(s_.y[i]);
  }
  void backward_once(result& r) {
    const auto inputs = freeze("x", "p", "state", "dy", "y", "saved");
    s_.backward();
    expect_walls("backward");
    expect_frozen(inputs, "backward");
    take_gradients(r);
  }

  void check_gradients_stored(const result& one, const result& two) {
    for (int i = 0; i < s_.t.in.size(); ++i)
      expect_same(one.dx[i], two.dx[i], s_.shape_of(s_.t.in[i]), "dx is stored and reads only what was written",
                  concat("dx(", std::to_string(i), ")"),
                  "depends on what was there before, or on memory that is not the layer's: dx =, not dx +=");
  }
  /// `from` is what dp held before a backward that gave `with`; `alone` is the gradient.
  void check_accumulates(const std::vector<T> (&from)[max_parameters], const result& with, const result& alone) {
    for (int i = 0; i < s_.t.out.p.size(); ++i) {
      std::vector<T> sum = alone.dp[i];
      for (std::size_t k = 0; k < sum.size(); ++k) sum[k] += from[i][k];
      const bool stored = differs(with.dp[i], sum, true) < sum.size() && differs(with.dp[i], alone.dp[i], true) == sum.size();
      expect_same(with.dp[i], sum, s_.t.out.p[i], "dp adds to what was there", name_of(s_.t, {true, i}),
                  stored ? "is stored: dp +=, not dp =" : "is not the old value plus the gradient", true);
    }
  }
  void check_wanted(const result& all) {
    auto with_only = [&](const char* which, auto&& wants) {
      s_.spoil(dice_);
      s_.forward();
      s_.clear_dp();
      s_.backward(wants);
      expect_walls("backward");
      result r;
      take_gradients(r);
      each_gradient(s_.t, [&](tensor_id id) {
        if (wants(id))
          expect_same(r.of(id), all.of(id), s_.shape_of(id.parameter ? s_.t.out.p[id.i] : s_.t.in[id.i]),
                      "each gradient may be missing", name_of(s_.t, id), which, true);
      });
    };
    with_only("", [](tensor_id) { return false; });
    each_gradient(s_.t, [&](tensor_id only) {
      with_only("is another when it alone is wanted",
                [=](tensor_id id) { return id.parameter == only.parameter && id.i == only.i; });
      with_only("is another when one is not wanted",
                [=](tensor_id id) { return id.parameter != only.parameter || id.i != only.i; });
    });
  }
  void check_inference(const result& training) {
    s_.spoil(dice_);
    const random_key old = s_.key;
    s_.key.forward += 1;  // other draws: does it use them?
    s_.forward();
    bool draws = false;
    for (int i = 0; i < s_.t.out.y.size(); ++i) draws |= differs(s_.copy(s_.y[i]), training.y[i], false) < training.y[i].size();
    s_.key = old;
    s_.spoil(dice_);
    const auto inputs = freeze("x", "p", "state", "saved");
    s_.forward(false);
    expect_walls("forward in inference");
    expect_frozen(inputs, "forward in inference");
    if (draws || s_.t.out.states.size() > 0) return;
    for (int i = 0; i < s_.t.out.y.size(); ++i)
      expect_same(s_.copy(s_.y[i]), training.y[i], s_.shape_of(s_.t.out.y[i]), "inference gives what training gives",
                  concat("y(", std::to_string(i), ")"),
                  "is another in inference, with no state and no random number to explain it");
  }
  void check_shared(const result& r) {
    if (const int a = s_.t.out.alias; a >= 0 && a < s_.t.in.size())
      expect_same(r.y[0], s_.copy(s_.x[a]), s_.shape_of(s_.t.out.y[0]), "y has the elements of the x that it aliases", "y(0)",
                  "is not that of x: drop .aliases()");
    const int o = s_.t.out.over;
    if (o < 0 || o >= s_.t.in.size() || s_.t.in[o].what != kind::scalar || s_.x[o].size() != s_.y[0].size()) return;
    const std::vector<T> x = s_.copy(s_.x[o]);
    frame f = s_.call(true);
    f.y[0] = f.x[o];
    s_.calls.forward(s_.t.layer, f);
    expect_same(s_.copy(s_.x[o]), r.y[0], s_.shape_of(s_.t.out.y[0]), "y may be written over x", "y(0)",
                "is another where it has the memory of x: drop .overwrites()");
    s_.put(s_.x[o], x);
  }
  void check_commit() {
    if (!s_.calls.commit) return;
    s_.spoil(dice_);
    s_.forward();
    std::vector<T> old[max_states], folded[max_states];
    for (int i = 0; i < max_states; ++i) old[i] = s_.copy(s_.state[i]);
    const auto others = freeze("x", "y", "p", "dy", "dx", "dp", "saved");
    s_.commit();
    expect_walls("commit");
    expect_frozen(others, "commit");
    for (int i = 0; i < max_states; ++i) folded[i] = s_.copy(s_.state[i]), s_.put(s_.state[i], old[i]);
    s_.commit();
    for (int i = 0; i < s_.t.out.states.size(); ++i)
      expect_same(s_.copy(s_.state[i]), folded[i], s_.t.out.states[i], "commit is a function of state and saved",
                  concat("state(", std::to_string(i), ")"), "is another the second time");
    for (int i = 0; i < max_states; ++i) s_.put(s_.state[i], old[i]);
  }

 public:
  contract(stand<T>& s, findings& f, dice& d)
      : s_(s), found_(f), dice_(d), in_(is_exact ? ", in the prime field" : ", in float") {}

  /// Everything; the arrays keep x, p, dy and state, and dp and dx the gradients.
  void check() {
    result one, two, again;
    std::vector<T> from[max_parameters];
    for (int i = 0; i < max_parameters; ++i) {
      s_.draw(s_.dp[i], dice_);
      from[i] = s_.copy(s_.dp[i]);
    }
    forward_once(one, std::byte{0x3D});
    backward_once(one);
    s_.clear_dp();
    forward_once(two, std::byte{0x41});
    backward_once(two);
    for (int i = 0; i < s_.t.out.y.size(); ++i)
      expect_same(one.y[i], two.y[i], s_.shape_of(s_.t.out.y[i]), "y is stored and reads only what was written",
                  concat("y(", std::to_string(i), ")"),
                  "depends on what was there before, or on memory that is not the layer's: y =, not y +=");
    check_gradients_stored(one, two);
    check_accumulates(from, one, two);
    backward_once(again);  // the same forward: dx again, dp twice
    check_gradients_stored(again, two);
    check_accumulates(two.dp, again, two);
    check_wanted(two);
    check_inference(two);
    check_shared(two);
    check_commit();
    s_.spoil(dice_);
    s_.forward();
    s_.clear_dp();
    s_.backward();
  }
};
}  // namespace tenon::detail
