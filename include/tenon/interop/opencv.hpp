// SPDX-License-Identifier: Apache-2.0
// cv::Mat at the doors, both ways, without a copy; several channels are one more axis, the last:
//   cv::Mat picture = cv::imread("cat.png");                                           // CV_8UC3
//   auto x = tenon::from_opencv<const std::uint8_t>(picture);                          // [h, w, 3], keeps the Mat's memory alive
//   auto v = tenon::view_as<tenon::view<std::uint8_t, tenon::extents<tenon::dyn, tenon::dyn, 3>>>(picture);   // borrows
//   cv::Mat m = tenon::to_opencv(y, {.channels = true});                               // keeps y's memory alive
// A part of a Mat (a region, rows, columns) has strides, and comes and goes as that.
#pragma once
#include <opencv2/core/mat.hpp>
#include "tenon/interop/described.hpp"
namespace tenon {
namespace detail {
/// One table for both ways: the depths that OpenCV has, from CV_8U on.
constexpr bool dtype_from_opencv(int depth, dtype& d) noexcept {
  switch (depth) {
    case CV_8U: return d = {dtype_code::uint_, 8, 1}, true;
    case CV_8S: return d = {dtype_code::int_, 8, 1}, true;
    case CV_16U: return d = {dtype_code::uint_, 16, 1}, true;
    case CV_16S: return d = {dtype_code::int_, 16, 1}, true;
    case CV_32S: return d = {dtype_code::int_, 32, 1}, true;
    case CV_32F: return d = {dtype_code::float_, 32, 1}, true;
    case CV_64F: return d = {dtype_code::float_, 64, 1}, true;
    case CV_16F: return d = {dtype_code::float_, 16, 1}, true;
    default: return false;
  }
}
/// Lets a Mat own memory of ours: it lives in the Mat's UMatData, and goes when the last Mat lets go of that.
class opencv_owner : public cv::MatAllocator {
 public:
  // A Mat that is created anew with another size asks the allocator that it had.
  cv::UMatData* allocate(int n, const int* sizes, int type, void* data, std::size_t* steps, cv::AccessFlag access,
                         cv::UMatUsageFlags usage) const override {
    return cv::Mat::getStdAllocator()->allocate(n, sizes, type, data, steps, access, usage);
  }
  bool allocate(cv::UMatData* u, cv::AccessFlag access, cv::UMatUsageFlags usage) const override {
    return cv::Mat::getStdAllocator()->allocate(u, access, usage);
  }
  void deallocate(cv::UMatData* u) const override {
    if (!u || u->refcount != 0) return;
    storage::attach(u->userdata).reset();
    u->userdata = nullptr;
    u->flags = cv::UMatData::USER_ALLOCATED;
    delete u;
  }
  static opencv_owner* only() {
    static opencv_owner one;
    return &one;
  }
};
}  // namespace detail

/// Errors: rank, dtype, alignment (a step that is no multiple of the element).
template <>
struct adapter<cv::Mat> {
  static errc try_describe(const cv::Mat& m, array_ref& a, failure& why) noexcept {
    constexpr const char* op = "view_as";
    const int channels = m.channels();
    if (const errc c = detail::set_rank(op, m.dims + (channels > 1), a, why); c != errc::ok) return c;
    if (!detail::dtype_from_opencv(m.depth(), a.dtype))
      return detail::fail(why, errc::dtype, op, {.argument = "a depth that DLPack has no name for"});
    const auto width = static_cast<std::size_t>(a.dtype.bytes());
    for (int i = 0; i < m.dims; ++i) {
      a.shape.d[i] = m.size[i];
      if (m.size[i] > 1 && m.step[i] % width != 0)
        return detail::fail(why, errc::alignment, op,
                            {.argument = "step in bytes, modulo that of an element",
                             .axis = i,
                             .got = static_cast<std::int64_t>(m.step[i] % width),
                             .expected = 0,
                             .remedy = "Pass m.clone()."});
      a.strides.d[i] = static_cast<extent>(m.step[i] / width);
    }
    if (channels > 1) {
      a.shape.d[m.dims] = channels;
      a.strides.d[m.dims] = 1;
    }
    a.read_only = false;
    a.data = m.data;
    return errc::ok;
  }
};

/// Shares the Mat's memory and keeps it alive. Errors: null_handle (a Mat that owns nothing, made over somebody's memory), those of its
/// adapter (above), and those of from_dlpack that can arise.
template <class T = void>
[[nodiscard]] errc try_from_opencv(cv::Mat m, tensor<T>& to, failure& why, const import_options& o = {}) noexcept {
  if (m.data && !m.u && o.copies != copy_policy::always)
    return detail::fail(
        why, errc::null_handle, "from_opencv",
        {.argument = "a cv::Mat that does not own its memory", .remedy = "Take a view with view_as, or pass m.clone()."});
  return detail::try_share("from_opencv", m, to, why, o);
}
struct opencv_options {
  bool channels = false;  // the last axis becomes the Mat's channels
  bool assume_unwritten = false;  // as in leaving_options
};
/// Shares a tensor's memory and keeps it alive. A tensor of one axis is a column, one of none is 1 × 1.
/// Errors: null_data, read_only, device, dtype, not_dense (a negative stride, gaps between elements of the last axis, axes that overlap or are not in order), extent (above
/// INT_MAX, or more channels than CV_CN_MAX), rank, foreign; `to` is then untouched.
template <class T>
[[nodiscard]] errc try_to_opencv(const tensor<T>& t, cv::Mat& to, failure& why, const opencv_options& o = {}) noexcept {
  constexpr const char* op = "to_opencv";
  const array_ref a = t.describe();
  if (const errc c = detail::check_leaving(op, a, !o.assume_unwritten, why); c != errc::ok) return c;
  if (const errc c = detail::check_forward_strides(op, a, why); c != errc::ok) return c;
  int depth = 0;
  for (dtype d; depth < CV_DEPTH_MAX && !(detail::dtype_from_opencv(depth, d) && d == a.dtype);) ++depth;
  if (depth == CV_DEPTH_MAX)
    return detail::fail(why, errc::dtype, op,
                        {.argument = "this tensor",
                         .got = a.dtype.packed(),
                         .expected = float32.packed(),
                         .relation = "one that OpenCV has, such as "});
  int axes = a.shape.rank();
  if (o.channels && axes == 0)
    return detail::fail(why, errc::rank, op, {.argument = "a tensor without an axis for channels", .got = 0, .expected = 1});
  for (int i = 0; i < axes; ++i) {
    const extent most = o.channels && i == axes - 1 ? CV_CN_MAX : INT_MAX;
    if (a.shape.d[i] > most || (o.channels && i == axes - 1 && a.shape.d[i] < 1))
      return detail::fail(why, errc::extent, op,
                          {.argument = "shape", .axis = i, .got = a.shape.d[i], .expected = most, .relation = "at most "});
  }
  if (axes && a.data && a.shape.d[axes - 1] > 1 && a.strides.d[axes - 1] != 1 && (axes > 1 || o.channels))
    return detail::fail(
        why, errc::not_dense, op,
        {.argument = "gaps between elements of the last axis", .axis = axes - 1, .remedy = "Pass tenon::copy(t)."});
  const int channels = o.channels ? static_cast<int>(a.shape.d[--axes]) : 1;
  const auto width = static_cast<std::size_t>(a.dtype.bytes()), each = width * static_cast<std::size_t>(channels);
  int sizes[max_rank + 2]{1, 1};
  std::size_t steps[max_rank + 2]{each, each};
  for (int i = 0; i < axes; ++i) {
    sizes[i] = static_cast<int>(a.shape.d[i]);
    steps[i] = static_cast<std::size_t>(a.strides.d[i]) * width;
  }
  if (axes && channels > 1 && sizes[axes - 1] > 1 && steps[axes - 1] != each)
    return detail::fail(why, errc::not_dense, op,
                        {.argument = "gaps between pixels", .axis = axes - 1, .remedy = "Pass tenon::copy(t)."});
  const int dims = axes < 2 ? 2 : axes;  // a vector is a column
  std::size_t taken = each;  // OpenCV takes steps that are too short for a Mat without gaps, and reads past the memory
  for (int i = dims - 1; a.data && i >= 0; --i) {
    if (sizes[i] < 2) continue;
    if (steps[i] < taken)
      return detail::fail(why, errc::not_dense, op,
                          {.argument = "axes that overlap, or are not in the order of their strides",
                           .axis = i,
                           .got = static_cast<std::int64_t>(steps[i]),
                           .expected = static_cast<std::int64_t>(taken),
                           .relation = "at least ",
                           .remedy = "Pass tenon::copy(t)."});
    taken = steps[i] * static_cast<std::size_t>(sizes[i]);
  }
  try {
    cv::Mat m(dims, sizes, CV_MAKETYPE(depth, channels), a.data, steps);
    if (a.data) {
      auto* u = new cv::UMatData(detail::opencv_owner::only());
      u->data = u->origdata = static_cast<unsigned char*>(a.data);
      u->size = t.owner().bytes();
      u->refcount = 1;
      storage keeps = t.owner();
      u->userdata = keeps.detach();
      m.u = u;
      m.allocator = detail::opencv_owner::only();
    }
    to = m;
    return errc::ok;
  } catch (...) { return detail::foreign_failure(op, why); }
}
/// As try_from_opencv, throwing tenon::error.
template <class T = void>
[[nodiscard]] tensor<T> from_opencv(const cv::Mat& m, const import_options& o = {}) {
  tensor<T> x;
  failure f;
  detail::check(try_from_opencv(m, x, f, o), f);
  return x;
}
/// As try_to_opencv, throwing tenon::error.
template <class T>
[[nodiscard]] cv::Mat to_opencv(const tensor<T>& t, const opencv_options& o = {}) {
  cv::Mat m;
  failure f;
  detail::check(try_to_opencv(t, m, f, o), f);
  return m;
}
}  // namespace tenon
