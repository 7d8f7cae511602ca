// SPDX-License-Identifier: Apache-2.0
// cv::Mat through interop/opencv.hpp: both ways, kept alive by either side, channels, regions, and what must not pass.
#include <opencv2/core.hpp>
#include <tenon/interop/opencv.hpp>

#include "check.hpp"

namespace {

tenon::failure why;
using bytes = tenon::tensor<std::uint8_t>;

void in() {
  bytes x;
  void* memory = nullptr;
  {
    cv::Mat m(4, 5, CV_8UC3, cv::Scalar(1, 2, 3));
    memory = m.data;
    x = tenon::from_opencv<std::uint8_t>(m);
  }
  CHECK(x.data() == memory && x.shape() == tenon::shape(4, 5, 3) && x.dense() && x(3, 4, 2) == 3);
  cv::Mat m(4, 5, CV_8UC3, cv::Scalar(1, 2, 3));
  const cv::Mat region = m(cv::Rect(1, 2, 2, 2));
  const auto r = tenon::from_opencv<std::uint8_t>(region);
  CHECK(r.data() == region.data && r.shape() == tenon::shape(2, 2, 3) && r.strides()[0] == 15 && !r.dense());
  r(1, 1, 0) = 9;
  CHECK(m.at<cv::Vec3b>(3, 2)[0] == 9);
  using picture = tenon::view<std::uint8_t, tenon::extents<tenon::dyn, tenon::dyn, 3>>;
  CHECK(tenon::view_as<picture>(m)(3, 2, 0) == 9);
  picture to;
  const cv::Mat flat = m.reshape(1);
  CHECK(says(tenon::try_view_as(flat, to, why), why, tenon::errc::rank, "view_as", "got 2, expected 3"));
  const int sizes[]{2, 3, 4};
  cv::Mat cube(3, sizes, CV_64F, cv::Scalar(2));
  CHECK(tenon::from_opencv<const double>(cube).shape() == tenon::shape(2, 3, 4));
  CHECK(tenon::from_opencv(cv::Mat(2, 2, CV_16F)).dtype().bits == 16);
  CHECK(tenon::from_opencv<float>(cv::Mat(0, 3, CV_32F)).numel() == 0);
  // borrowed by OpenCV: nobody to keep alive
  float mine[6]{};
  cv::Mat borrowed(2, 3, CV_32F, mine);
  tenon::tensor<float> none;
  CHECK(says(tenon::try_from_opencv(borrowed, none, why), why, tenon::errc::null_handle, "from_opencv", "does not own"));
  CHECK(tenon::view_as<tenon::view<float, tenon::dims<2>>>(borrowed).data() == mine);
  CHECK(tenon::from_opencv<float>(borrowed, {.copies = tenon::copy_policy::always}).data() != mine);
  cv::Mat odd(2, 1, CV_32F, mine);
  odd.step[0] = 6;
  CHECK(says(tenon::try_from_opencv(odd, none, why, {.copies = tenon::copy_policy::always}), why, tenon::errc::alignment,
             "from_opencv", "axis 0"));
  CHECK(says(tenon::try_from_opencv(m, none, why), why, tenon::errc::dtype, "from_opencv", "got uint8, expected float32"));
}

void out() {
  float values[24];
  for (int i = 0; i < 24; ++i) values[i] = static_cast<float>(i);
  cv::Mat m = tenon::to_opencv(over(values, {4, 6}));
  CHECK(alive == 1 && m.dims == 2 && m.rows == 4 && m.cols == 6 && m.type() == CV_32FC1 && m.at<float>(3, 5) == 23);
  cv::Mat row = m.row(2);
  m.release();
  CHECK(alive == 1 && row.at<float>(0, 1) == 13);
  row += 100;
  CHECK(values[12] == 112 && values[18] == 18);
  row -= 100;
  row.create(9, 9, CV_8U);  // another size: OpenCV's own memory, and ours is let go
  CHECK(alive == 0);
  row = cv::Mat();
  m = tenon::to_opencv(over(values, {2, 4, 3}), {.channels = true});
  CHECK(m.type() == CV_32FC3 && m.rows == 2 && m.cols == 4 && m.at<cv::Vec3f>(1, 3)[2] == 23 && m.isContinuous());
  const auto back = tenon::from_opencv<float>(m);
  m.release();
  CHECK(back.data() == values && back.shape() == tenon::shape(2, 4, 3) && alive == 1);
  m = tenon::to_opencv(over(values, {2, 2, 3}, {{12, 3, 1}}), {.channels = true});
  CHECK(!m.isContinuous() && m.at<cv::Vec3f>(1, 1)[2] == 17);
  m = tenon::to_opencv(over(values, {3}, {{8}}));  // one axis: a column, whatever its stride
  CHECK(m.rows == 3 && m.cols == 1 && m.at<float>(2, 0) == 16);
  m = tenon::to_opencv(over(values, {2, 3, 4}));
  CHECK(m.dims == 3 && m.size[2] == 4 && m.ptr<float>(1, 2)[3] == 23);
  m = tenon::to_opencv(over<float>(nullptr, {0, 3}));
  CHECK(m.empty());
  tenon::tensor<float> scalar = over(values + 5, {1});
  m = tenon::to_opencv(tenon::borrow(tenon::strided_view<float>(values + 5, {}, {}), counted{}));
  CHECK(m.total() == 1 && m.at<float>(0) == 5);
  scalar.reset();

  const auto refuse = [&](const auto& x, tenon::errc code, const char* text, tenon::opencv_options o = {}) {
    const unsigned char* before = m.data;
    CHECK(says(tenon::try_to_opencv(x, m, why, o), why, code, "to_opencv", text) && m.data == before);
  };
  refuse(over<const float>(values, {6}), tenon::errc::read_only, "assume_unwritten");
  refuse(over(values + 5, {6}, {{-1}}), tenon::errc::not_dense, "negative stride");
  refuse(over(values, {2, 3}, {{12, 2}}), tenon::errc::not_dense, "last axis");
  refuse(over<const float>(values, {1000, 4}, {{0, 1}}), tenon::errc::not_dense, "overlap", {.assume_unwritten = true});
  refuse(over(values, {2, 2, 3}, {{12, 4, 1}}), tenon::errc::not_dense, "pixels", {.channels = true});
  refuse(over(values, {1, 600}), tenon::errc::extent, "got 600, expected at most 512", {.channels = true});
  std::int64_t longs[1]{};
  refuse(over(longs, {1}), tenon::errc::dtype, "one that OpenCV has");
  refuse(tenon::tensor<float>(), tenon::errc::null_data, "never filled");
  m.release();
}

}  // namespace

int main() {
  in();
  out();
  CHECK(alive == 0);
  return report();
}
