// SPDX-License-Identifier: Apache-2.0
// The kit against layers known to be wrong, and against their healthy twins.
#include <sys/wait.h>
#include "../catch.hpp"
#include "tenon/check/check_layer.hpp"
#include "wrong_layers.hpp"

using tenon::check_layer, tenon::check_report;
using wrong::disease;

namespace {
const tenon::inputs two{tenon::slot{{tenon::dyn, 4}}, tenon::slot{{tenon::dyn, 4}}};

/// The report must say that it is wrong, in these words.
void rejects(const check_report& r, const char* words) {
  INFO(r.text);
  CHECK_FALSE(r);
  CHECK(r.text.find(words) != std::string::npos);
  CHECK(r.text.find("seed 1") != std::string::npos);
}
struct forgets {
  static constexpr auto name = "forgets";
  constexpr tenon::spec infer(tenon::inputs x) const { return tenon::spec{x[0].with(1, tenon::dyn)}; }
  void forward(auto&) const {}
  void backward(auto&) const {}
};
struct third {
  static constexpr auto name = "third";
  constexpr tenon::spec infer(tenon::inputs x) const { return tenon::spec{x[0]}.reads(tenon::keep::nothing); }
  void forward(auto& pass) const {
    for (tenon::extent i = 0; i < pass.y().numel(); ++i) pass.y()[i] = pass.x()[i] / 3;
  }
  void backward(auto& pass) const {
    if (auto dx = pass.dx())
      for (tenon::extent i = 0; i < dx.numel(); ++i)
        dx[i] = pass.dy()[i] * static_cast<wrong::scalar_of<decltype(pass)>>(1.0 / 3);
  }
};
struct careless {
  static constexpr auto name = "careless";
  constexpr tenon::spec infer(tenon::inputs x) const { return tenon::spec{x[0]}.saves("twice", x[0]); }
  void forward(auto& pass) const {
    auto s = pass.saved(0);
    for (tenon::extent i = 0; i < s.numel() || i == 0; ++i) s[i] = pass.x()[i] + pass.x()[i];
  }
  void backward(auto&) const {}
};
void accepts(const check_report& r) {
  INFO(r.text);
  CHECK(r);
  CHECK(r.failures == 0);
}
}  // namespace

TEST_CASE("healthy layers are accepted") {
  for (std::uint64_t seed : {1u, 2u, 3u}) {
    const tenon::check_options o{.seed = seed};
    accepts(check_layer(wrong::affine<disease::none>{}, {4}, o));
    accepts(check_layer(wrong::conv<disease::none>{}, {5}, o));
    accepts(check_layer(wrong::norm<disease::none>{}, {3}, o));
    accepts(check_layer(wrong::softmax<disease::none>{}, {5}, o));
    accepts(check_layer(wrong::drop<disease::none>{}, {9}, o));
    accepts(check_layer(wrong::product<disease::none>{}, two, o));
    accepts(check_layer(wrong::square<disease::none>{}, {2, 3}, o));
    accepts(check_layer(wrong::leaky<disease::none>{}, {7}, o));
  }
}

TEST_CASE("wrong derivatives are rejected") {
  rejects(check_layer(wrong::affine<disease::wrong_sign>{}, {4}), "FAIL  dx(0) is the derivative");
  rejects(check_layer(wrong::affine<disease::factor_two>{}, {4}), "FAIL  dx(0) is the derivative");
  rejects(check_layer(wrong::affine<disease::transposed_weight>{}, {4}), "FAIL  dx(0) is the derivative");
  rejects(check_layer(wrong::affine<disease::no_bias_gradient>{}, {4}), "FAIL  dp(1) 'bias' is the derivative");
  rejects(check_layer(wrong::affine<disease::half_batch>{}, {4}), "FAIL  dp(0) 'weight' is the derivative");
  rejects(check_layer(wrong::conv<disease::border_forward>{}, {5}), "is the derivative");
  rejects(check_layer(wrong::conv<disease::border_dx>{}, {5}), "the worst at [");
  rejects(check_layer(wrong::conv<disease::border_dw>{}, {5}), "FAIL  dp(0) 'taps' is the derivative");
  rejects(check_layer(wrong::norm<disease::no_mean_term>{}, {3}), "FAIL  dx(0) is the derivative");
  rejects(check_layer(wrong::norm<disease::no_variance_term>{}, {3}), "FAIL  dx(0) is the derivative");
  rejects(check_layer(wrong::norm<disease::wrong_saved>{}, {3}), "FAIL  dx(0) is the derivative");
  rejects(check_layer(wrong::softmax<disease::diagonal>{}, {5}), "FAIL  dx(0) is the derivative");
  rejects(check_layer(wrong::drop<disease::ignores_mask>{}, {9}), "FAIL  dx(0) is the derivative");
  rejects(check_layer(wrong::drop<disease::other_mask>{}, {9}), "FAIL  dx(0) is the derivative");
  rejects(check_layer(wrong::product<disease::swapped_inputs>{}, two), "FAIL  dx(0) is the derivative");
  rejects(check_layer(wrong::product<disease::forgets_second>{}, two), "dx(1)");
  rejects(check_layer(wrong::leaky<disease::fixed_gap>{}, {7}), "FAIL  dp(0) 'scale' is the derivative");
}

TEST_CASE("broken contracts are rejected") {
  rejects(check_layer(wrong::affine<disease::stores_dp>{}, {4}), "dp(0) 'weight'[0, 0] is stored: dp +=, not dp =");
  rejects(check_layer(wrong::affine<disease::stale_dp>{}, {4}), "is not the old value plus the gradient");
  rejects(check_layer(wrong::affine<disease::adds_to_dx>{}, {4}), "FAIL  dx is stored");
  rejects(check_layer(wrong::conv<disease::reads_outside>{}, {5}), "FAIL  y is stored and reads only what was written");
  rejects(check_layer(wrong::norm<disease::writes_state>{}, {3}), "forward changes state(0)");
  rejects(check_layer(wrong::norm<disease::commit_twice>{}, {3}), "commit changes saved(1)");
  rejects(check_layer(wrong::softmax<disease::not_over_x>{}, {5}), "drop .overwrites()");
  rejects(check_layer(wrong::square<disease::other_in_inference>{}, {4}), "FAIL  inference gives what training gives");
  rejects(check_layer(wrong::square<disease::adds_to_y>{}, {4}), "FAIL  y is stored");
  rejects(check_layer(wrong::square<disease::dirty_scratch>{}, {4}), "FAIL  y is stored");
  rejects(check_layer(wrong::square<disease::writes_x>{}, {4}), "forward changes x(0)");
  rejects(check_layer(wrong::square<disease::beyond_y>{}, {4}), "forward writes byte 1 after y(0)");
  rejects(check_layer(wrong::square<disease::before_dx>{}, {4}), "before dx(0)");
  rejects(check_layer(wrong::square<disease::not_alias>{}, {4}), "drop .aliases()");
  rejects(check_layer(wrong::square<disease::float_only>{}, {4}), "FAIL  float agrees with long double");
  rejects(check_layer(wrong::square<disease::overflows_float>{}, {4}), "FAIL  float results are finite");
  rejects(check_layer(wrong::leaky<disease::needs_both>{}, {7}), "FAIL  each gradient may be missing");
}

TEST_CASE("a refusal to infer, and an axis left unknown, are told") {
  rejects(check_layer(wrong::affine<disease::none>{}, {4, 4}), "FAIL  infer: rank");
  rejects(check_layer(forgets{}, {4}), "leaves an axis unknown");
}

TEST_CASE("constants that are rounded differently in forward and backward are no error") {
  const check_report r = check_layer(third{}, {4});
  accepts(r);
  CHECK(r.text.find("but for rounding of constants") != std::string::npos);
  CHECK(r.worst > 0);
}

TEST_CASE("the same seed gives the same report, another one other numbers") {
  const auto one = check_layer(wrong::conv<disease::border_dx>{}, {5}),
             again = check_layer(wrong::conv<disease::border_dx>{}, {5});
  CHECK(one.text == again.text);
  CHECK(one.text != check_layer(wrong::conv<disease::border_dx>{}, {5}, {.seed = 9}).text);
}

TEST_CASE("a body that does not ask whether a view is empty is named before the program stops") {
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
  SUCCEED("the sanitizer speaks first");
  return;
#endif
#endif
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    signal(SIGSEGV, SIG_DFL);  // not Catch's
    dup2(ends[1], STDERR_FILENO);
    static_cast<void>(check_layer(careless{}, {4}));
    _exit(0);
  }
  close(ends[1]);
  std::string said;
  for (char buffer[512]; const ssize_t n = read(ends[0], buffer, sizeof buffer);)
    said.append(buffer, static_cast<std::size_t>(n));
  close(ends[0]);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status));
  CHECK(said.find("[check_layer] careless: a body uses a view that is empty") == 0);
}
