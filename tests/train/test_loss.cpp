// SPDX-License-Identifier: Apache-2.0
// Losses against PyTorch 2.13 in double, against central differences, and at the edges: what they refuse, what memory they take.
#include "tenon/train/loss.hpp"

#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <thread>
#include <vector>

#include "../catch.hpp"

namespace {

template <class T>
tenon::tensor<T> make(std::vector<double> values, const tenon::shape& s) {
  std::vector<T> v;
  for (const double x : values) v.push_back(static_cast<T>(x));
  return tenon::copy(tenon::view(v, s));
}
template <class F>
tenon::failure refused(const F& f) {
  try {
    f();
  } catch (const tenon::error& e) { return e.details(); }
  return {};
}
double at(const tenon::tensor<>& t, std::int64_t i) { return tenon::detail::numbers(t.describe()).real(i); }

const std::vector<double> logits{1.5, -0.25, 3.0, 0.125, -2.0, 0.5, 0.5, 7.0, 0.0, 0.0, 0.0, -1.0};
const std::vector<double> shares{.1, .2, .3, .4, 0, .5, .5, 0, 1, 0, 0, 0};
const std::vector<int> labels{2, 1, 3};
const tenon::cross_entropy loss;

// torch.nn.functional.cross_entropy and mse_loss of the above, float64
constexpr double torch_labels = 2.9979224276895855, torch_shares = 3.3145890943562524, torch_mse = 5.3773437500000005;
const std::vector<double> torch_labels_dy{0.0564177827980752,   0.00980394059755222, -0.0804863727944928,  0.0142646493988653,
                                          4.10082337723544e-05, -0.332833750773062,  0.000499582560270824, 0.332293159979019,
                                          0.0989742474918849,   0.0989742474918849,  0.0989742474918849,   -0.296922742475655};
const std::vector<double> torch_shares_dy{0.0230844494647419,   -0.0568627260691144, 0.152846960538841,  -0.119068683934468,
                                          4.10082337723544e-05, -0.166167084106396,  -0.166167084106396, 0.332293159979019,
                                          -0.234359085841448,   0.0989742474918849,  0.0989742474918849, 0.0364105908576786};
const std::vector<double> torch_mse_dy{0.233333333333333,  -0.075, 0.45, -0.0458333333333333,
                                       -0.333333333333333, 0,      0,    1.16666666666667,
                                       -0.166666666666667, 0,      0,    -0.166666666666667};

template <class T>
constexpr double tolerance = std::is_same_v<T, double>  ? 1e-14
                             : std::is_same_v<T, float> ? 3e-7
                                                        : 4e-3;

template <class T, class Loss, class Target>
void compare(const Loss& l, const Target& t, double value, const std::vector<double>& gradient) {
  const auto y = make<T>(logits, {3, 4});
  const tenon::tensor<> any = y;
  const auto [v, dy] = l(y, t);
  const auto [any_v, any_dy] = l(any, t);
  CHECK(double(v) == Approx(value).epsilon(tolerance<T>));
  CHECK(double(v) == double(any_v));
  CHECK(double(v) == double(l.value(y, t)));
  CHECK(double(v) == double(l.value(any, t)));
  CHECK(any_dy.dtype() == tenon::dtype_of<T>::value);
  for (std::int64_t i = 0; i < 12; ++i) {
    CHECK(at(dy, i) == Approx(gradient[std::size_t(i)]).epsilon(tolerance<T>).margin(1e-14));
    CHECK(at(dy, i) == at(any_dy, i));
  }
}

}  // namespace

TEMPLATE_TEST_CASE("losses are PyTorch's, in every storage type", "", float, double, tenon::bfloat16) {
  compare<TestType>(loss, labels, torch_labels, torch_labels_dy);
  compare<TestType>(loss, make<double>(shares, {3, 4}), torch_shares, torch_shares_dy);
  compare<TestType>(tenon::mse{}, make<double>(shares, {3, 4}), torch_mse, torch_mse_dy);
}

namespace elsewhere {
struct labels : std::vector<int> {
  using vector::vector;
};
[[maybe_unused]] std::string describe(const labels&) { return "not ours"; }
}  // namespace elsewhere
TEST_CASE("targets whose namespace has a describe() of its own are taken") {
  const tenon::tensor<float> y({2, 3});
  CHECK(static_cast<float>(loss(y, elsewhere::labels{0, 2}).loss) == static_cast<float>(loss(y, std::vector<int>{0, 2}).loss));
}
TEST_CASE("targets of any type and stride mean the same") {
  const auto y = make<double>(logits, {3, 4});
  const double l = double(loss.value(y, labels));
  const std::vector<std::int64_t> wide{2, 1, 3};
  const std::vector<std::uint8_t> narrow{2, 1, 3};
  std::vector<std::int16_t> every_other{2, 9, 1, 9, 3, 9};
  CHECK(double(loss.value(y, wide)) == l);
  CHECK(double(loss.value(y, std::span(narrow))) == l);
  CHECK(double(loss.value(y, tenon::view(labels, {3, 1}))) == l);
  CHECK(double(loss.value(y, tenon::strided_view<std::int16_t>(every_other.data(), {3}, {{2}}))) == l);
  CHECK(double(loss.value(y, tenon::tensor<>(tenon::copy(narrow)))) == l);
  CHECK(double(loss.value(y, std::vector<std::uint32_t>{2, 1, 3})) == l);
  CHECK(double(loss.value(y, std::vector<std::int8_t>{2, 1, 3})) == l);
  CHECK(double(loss.value(y, std::vector<std::uint16_t>{2, 1, 3})) == l);
  std::vector<double> columns(12);
  for (std::size_t i = 0; i < 12; ++i) columns[i % 4 * 3 + i / 4] = shares[i];
  const tenon::strided_view<double> transposed(columns.data(), {3, 4}, {{1, 3}});
  CHECK(double(loss.value(y, transposed)) == double(loss.value(y, make<double>(shares, {3, 4}))));
  CHECK(double(loss.value(make<double>(logits, {1, 3, 4}), labels)) == l);
}

TEST_CASE("gradients are central differences") {
  std::vector<double> v = logits;
  const auto target = make<double>(shares, {3, 4});
  const auto check = [&](const auto& l, const auto& t) {
    const auto [value, dy] = l(make<double>(v, {3, 4}), t);
    for (std::size_t i = 0; i < v.size(); ++i) {
      const double keep = v[i], h = 1e-5;
      v[i] = keep + h;
      const double up = double(l.value(make<double>(v, {3, 4}), t));
      v[i] = keep - h;
      const double down = double(l.value(make<double>(v, {3, 4}), t));
      v[i] = keep;
      CHECK(dy.data()[i] == Approx((up - down) / (2 * h)).margin(1e-9));
    }
  };
  check(loss, labels);
  check(loss, target);
  check(tenon::mse{}, target);
}

TEST_CASE("cross_entropy neither overflows nor loses a small loss") {
  const auto far = make<float>({1000, -1000, -1000, 1000}, {2, 2});
  const auto [l, dy] = loss(far, std::vector<int>{0, 0});
  CHECK(float(l) == 1000.0f);
  CHECK(dy[0] == 0.0f);
  CHECK(dy[2] == -0.5f);
  CHECK(dy[3] == 0.5f);
  const auto sure = make<float>({50, 0}, {1, 2});
  const auto [small, d] = loss(sure, std::vector<int>{0});
  CHECK(double(small) == Approx(std::exp(-50.0)).epsilon(1e-6));
  CHECK(double(d[0]) == Approx(-std::exp(-50.0)).epsilon(1e-6));
  CHECK(double(loss.value(make<float>({3}, {1, 1}), std::vector<int>{0})) == 0);
}

TEST_CASE("NaN and infinite logits give a NaN") {
  constexpr float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  for (const float bad : {nan, inf})
    for (std::size_t where = 0; where < 4; ++where)
      for (const int label : {0, 1}) {
        std::vector<float> v{1, 2, 3, 4};
        v[where] = bad;
        CHECK(std::isnan(double(loss(tenon::copy(tenon::view(v, {2, 2})), std::vector<int>{label, label}).loss)));
      }
  CHECK(std::isnan(double(loss.value(make<float>({-HUGE_VAL, -HUGE_VAL}, {1, 2}), std::vector<int>{0}))));
  CHECK(std::isinf(double(loss.value(make<float>({-HUGE_VAL, 1}, {1, 2}), std::vector<int>{0}))));
}

TEST_CASE("what losses refuse, and that nothing was written before") {
  const auto y = make<float>(logits, {3, 4});
  const auto [value, dy] = loss(y, labels);
  const std::vector<float> before(dy.data(), dy.data() + 12);
  const auto f = [&](const auto& t) { return refused([&] { (void)loss(y, t); }); };
  CHECK(f(std::vector<int>{1, 2}).code == tenon::errc::extent);
  CHECK(f(std::vector<int>{1, 2, 3, 0}).got == 4);
  const auto high = f(std::vector<int>{0, 4, 0});
  CHECK(high.code == tenon::errc::label);
  CHECK(std::string(high.argument) == "labels[1]");
  CHECK(high.got == 4);
  CHECK(high.expected == 4);
  CHECK(f(std::vector<int>{0, 3, -1}).got == -1);
  CHECK(f(std::vector<std::uint64_t>{~std::uint64_t{0}, 0, 0}).code == tenon::errc::label);
  CHECK(f(make<float>(shares, {12})).code == tenon::errc::rank);
  CHECK(f(make<float>(shares, {4, 3})).axis == 0);
  CHECK(f(tenon::view<const int>(nullptr, {3})).code == tenon::errc::null_data);
  CHECK(refused([&] { (void)loss(make<float>(logits, {12}), labels); }).code == tenon::errc::rank);
  CHECK(refused([&] {
          (void)loss(tenon::tensor<float>(tenon::storage::allocate(0), tenon::view<float>(nullptr, {0, 4})), std::vector<int>{});
        }).code == tenon::errc::empty_batch);
  CHECK(refused([&] {
          (void)loss(tenon::tensor<float>(tenon::storage::allocate(0), tenon::view<float>(nullptr, {2, 0})),
                     std::vector<int>{0, 0});
        }).code == tenon::errc::too_small);
  CHECK(refused([&] { (void)loss(tenon::tensor<>(tenon::copy(labels)), labels); }).code == tenon::errc::rank);
  CHECK(refused([&] { (void)loss(tenon::tensor<>(tenon::copy(tenon::view(labels, {1, 3}))), std::vector<int>{0}); }).code ==
        tenon::errc::dtype);
  CHECK(refused([&] { (void)tenon::mse{}(y, make<float>(logits, {4, 3})); }).code == tenon::errc::extent);
  CHECK(refused([&] { (void)tenon::mse{}(y, tenon::view(labels, {3})); }).code == tenon::errc::dtype);
  CHECK(std::equal(before.begin(), before.end(), dy.data()));
}

TEST_CASE("dy carries the stamp of y, and its memory is used again unless it is held") {
  std::vector<float> v(12, 1.0f);
  const auto whole = tenon::copy(tenon::view(v, {3, 4}));
  const tenon::tensor<float> y(whole.owner(), whole.view(), false, 77);
  tenon::cross_entropy l;
  const auto start = tenon::bytes_moved().fresh_slots;
  const float* first = nullptr;
  {
    const auto r = l(y, labels);
    CHECK(r.dy.stamp() == 77);
    CHECK(!r.dy.read_only());
    first = r.dy.data();
  }
  CHECK(l(make<float>({1, 2, 3, 4}, {1, 4}), std::vector<int>{0}).dy.data() == first);  // a smaller batch
  const auto held = l(y, labels).dy;
  CHECK(held.data() == first);
  CHECK(tenon::bytes_moved().fresh_slots == start);
  const float kept = held[0];
  const auto other = l(y, std::vector<int>{0, 0, 0}).dy;
  CHECK(other.data() != first);
  CHECK(held[0] == kept);
  CHECK(tenon::bytes_moved().fresh_slots == start + 1);
  const tenon::cross_entropy copy = l;  // a copy has memory of its own
  const auto third = copy(y, labels).dy;
  CHECK((third.data() != other.data() && third.data() != held.data()));
}

TEST_CASE("one loss object serves two threads") {
  const tenon::cross_entropy l;
  int wrong[2]{};
  const auto work = [&](int id) {
    const auto y = make<double>(logits, {3, 4});
    const std::vector<int> mine{id, id, id};
    const double expected = double(tenon::cross_entropy{}.value(y, mine));
    for (int i = 0; i < 2000; ++i) {
      const auto [v, dy] = l(y, mine);
      double sum = 0;
      for (std::int64_t k = 0; k < 12; ++k) sum += k % 4 == id ? 0 : dy[k] * 3;  // Σ of the others = −Σ of the label's
      for (std::int64_t k = id; k < 12; k += 4) sum += dy[k] * 3;
      wrong[id] += double(v) != expected || std::fabs(sum) > 1e-12;
    }
  };
  std::thread second(work, 1);
  work(0);
  second.join();
  CHECK(wrong[0] == 0);
  CHECK(wrong[1] == 0);
}
