// SPDX-License-Identifier: Apache-2.0
// The executor of an NVIDIA GPU: memory, transfers, and the fp32 ops that the CUDA library has. Opt-in: tenon.hpp does not include
// it. Compiles and links without CUDA; the library is looked for when memory is first asked for (call.hpp).
//
//   tenon::model<net, tenon::cuda_device> m{{.seed = 1, .device = {.device = 0}}};
//
// Ops are queued on `stream` and do not wait; upload and download do. A layer whose op is not here stops the compiler with the
// overload to add (ops/op.hpp). Optimizers: tenon/train/cuda.hpp.
#pragma once
#include <memory>
#include <mutex>
#include "tenon/ops/cuda/call.hpp"
#include "tenon/ops/executor.hpp"
#include "tenon/ops/gemm.hpp"
#include "tenon/ops/map.hpp"
#include "tenon/ops/reduce.hpp"
#if TENON_EXCEPTIONS
namespace tenon {
namespace cuda::detail {
/// Memory for the parts of products, shared by all copies of an executor. A product writes its parts and then adds them up, in two
/// launches: the lock keeps those of two threads apart, and from there on the order of the one stream does.
struct workspace {
  storage memory;
  int device;
  void* stream;
  std::mutex one{};
};
}  // namespace cuda::detail
/// Device number `device`, stream `stream` (a cudaStream_t; null: the default stream). With a workspace (reserve), products of few
/// tiles are cut along k, too. Copies share it, those in clones and shares of a model as well, and any of their threads may compute
/// at once; it serves the device and stream that it was reserved for, so another stream is a cuda_device with a reserve of its own.
struct cuda_device {
  int device = 0;
  void* stream = nullptr;
  std::shared_ptr<cuda::detail::workspace> workspace{};

  static constexpr tenon::device_type type = tenon::device_type::cuda;
  /// Errors: library, version, no_device, no_memory, overflow, device_fault.
  [[nodiscard]] errc try_allocate(std::size_t bytes, storage& to, failure& why) const noexcept {
    struct owner {
      int device;
      void* p;
      owner(int d, void* memory) noexcept : device(d), p(memory) {}
      owner(owner&& o) noexcept : device(o.device), p(std::exchange(o.p, nullptr)) {}
      ~owner() {
        if (p) (void)cuda::calls().release(device, p);  // an error here has nobody to be told to; the next call will fail, too
      }
    };
    void* p = nullptr;
    const tenon_cuda_status s = cuda::calls().allocate(device, bytes < 1 ? 1 : bytes, &p);  // no arrays without an address
    if (s == 2)
      return detail::fail(why, errc::no_memory, "allocate",
                          {.argument = "bytes on the device", .got = 0, .expected = static_cast<std::int64_t>(bytes)});
    if (s != TENON_CUDA_OK) return cuda::detail::fail_status(s, "cuda", why);
    return storage::try_adopt(owner(device, p), p, bytes, to, why, device);
  }
  /// Both wait until all that is queued on the stream is done. Errors: as try_allocate.
  void upload(void* to, const void* host, std::size_t bytes) const { move(to, host, bytes, TENON_CUDA_TO_DEVICE); }
  void download(void* host, const void* from, std::size_t bytes) const { move(host, from, bytes, TENON_CUDA_TO_HOST); }
  /// Waits until all that is queued on the stream is done. Errors: as try_allocate.
  void synchronize() const { check(cuda::calls().synchronize(device, stream), "synchronize"); }
  /// Memory for the parts of products that are cut along k; 8 MiB serve a training step of most networks. After `device` and `stream`
  /// are set. Errors: as try_allocate; value: cudaStreamPerThread, which is another stream in each thread.
  void reserve(std::size_t bytes) {
    if (reinterpret_cast<std::uintptr_t>(stream) == 2)
      detail::raise(errc::value, "cuda",
                    {.argument = "stream: a workspace cannot serve cudaStreamPerThread",
                     .remedy = "It is another stream in each thread: give a stream of your own."});
    failure f;
    storage memory;
    detail::check(try_allocate(bytes, memory, f), f);
    workspace.reset(new cuda::detail::workspace{std::move(memory), device, stream});
  }

  /// Throws what a status says.
  static void check(tenon_cuda_status s, const char* op) {
    if (s == TENON_CUDA_OK) [[likely]]
      return;
    failure f;
    cuda::detail::fail_status(s, op, f);
    detail::raise(f);
  }

 private:
  void move(void* to, const void* from, std::size_t bytes, int direction) const {
    if (bytes == 0) return;
    check(cuda::calls().copy(device, to, from, bytes, direction, stream), "cuda");
    synchronize();
  }
};
static_assert(executor<cuda_device>);

namespace cuda {
using execution = tenon::execution<cuda_device, float>;
using array = view<float, cuda_device>;
using constant = view<const float, cuda_device>;

namespace detail {
/// Sizes, device and stream filled in.
template <class Args>
Args arguments(const execution& ex) noexcept {
  Args a{};
  a.size = sizeof a;
  a.device = ex.device.device;
  a.stream = ex.device.stream;
  return a;
}
struct strided {
  const float* p;
  extent row, column;
};
/// c[m, n] = a·b (+ bias) (+ c), c dense; the larger of the executor's workspace and the planned scratch serves. Errors: as
/// cuda_device::try_allocate; value: the workspace is another stream's.
inline void product(const execution& ex, extent m, extent n, extent k, const strided& a, const strided& b, float* c,
                    const float* bias, bool accumulate) {
  auto g = arguments<tenon_cuda_gemm_args>(ex);
  g.flags = accumulate ? TENON_CUDA_ACCUMULATE : 0;
  g.m = m, g.n = n, g.k = k;
  g.a = a.p, g.a_row = a.row, g.a_column = a.column;
  g.b = b.p, g.b_row = b.row, g.b_column = b.column;
  g.c = c, g.c_row = n;
  g.bias = bias;
  workspace* const own = ex.device.workspace.get();
  if (!own || own->memory.bytes() <= ex.per_thread) {
    g.workspace = ex.scratch;  // of this call alone
    g.workspace_bytes = g.workspace ? ex.per_thread : 0;
    return cuda_device::check(calls().gemm(&g), "cuda");
  }
  if (own->device != g.device || own->stream != g.stream)
    tenon::detail::raise(errc::value, "cuda",
                         {.argument = "workspace of another device or stream",
                          .remedy = "Call reserve() after setting them, once for each stream."});
  g.workspace = own->memory.data();
  g.workspace_bytes = own->memory.bytes();
  tenon_cuda_status s;
  {
    const std::lock_guard alone(own->one);
    s = calls().gemm(&g);
  }
  cuda_device::check(s, "cuda");
}
inline void map(const execution& ex, int kind, const array& y, const float* a, const float* b, float value = 0) {
  auto m = arguments<tenon_cuda_map_args>(ex);
  m.kind = kind;
  m.n = y.numel();
  m.y = y.data(), m.a = a, m.b = b;
  m.value = value;
  cuda_device::check(calls().map(&m), "cuda");
}
}  // namespace detail
}  // namespace cuda

// The ops: contracts are those of the host's (ops/gemm.hpp, map.hpp, reduce.hpp). Errors of all: as cuda_device::try_allocate.
inline void run_op(ops::affine_op, const cuda::execution& ex, const cuda::array& y, const cuda::constant& x,
                   const cuda::constant& w, const cuda::constant& b) {
  const extent n = w.shape()[0], k = w.shape()[1];
  cuda::detail::product(ex, y.numel() / n, n, k, {x.data(), k, 1}, {w.data(), 1, k}, y.data(), b.data(), false);
}
inline void run_op(ops::affine_dx_op, const cuda::execution& ex, const cuda::array& dx, const cuda::constant& dy,
                   const cuda::constant& w) {
  const extent n = w.shape()[0], k = w.shape()[1];
  cuda::detail::product(ex, dy.numel() / n, k, n, {dy.data(), n, 1}, {w.data(), k, 1}, dx.data(), nullptr, false);
}
inline void run_op(ops::affine_dw_op, const cuda::execution& ex, const cuda::array& dw, const cuda::constant& dy,
                   const cuda::constant& x) {
  const extent n = dw.shape()[0], k = dw.shape()[1];
  cuda::detail::product(ex, n, k, dy.numel() / n, {dy.data(), 1, n}, {x.data(), k, 1}, dw.data(), nullptr, true);
}
inline void run_op(ops::channel_sum_op, const cuda::execution& ex, const cuda::array& db, const cuda::constant& dy, int axis) {
  const detail::around a(dy.shape(), axis < 0 ? dy.rank() + axis : axis);
  auto s = cuda::detail::arguments<tenon_cuda_sum_args>(ex);
  s.outer = a.outer, s.length = a.length, s.inner = a.inner;
  s.y = db.data(), s.x = dy.data();
  cuda_device::check(cuda::calls().sum(&s), "cuda");
}
inline void run_op(ops::fill_op, const cuda::execution& ex, const cuda::array& y, float value) {
  cuda::detail::map(ex, TENON_CUDA_FILL, y, nullptr, nullptr, value);
}
inline void run_op(ops::copy_op, const cuda::execution& ex, const cuda::array& y, const cuda::constant& x) {
  if (y.data() == x.data()) return;
  cuda_device::check(
      cuda::calls().copy(ex.device.device, y.data(), x.data(), static_cast<std::uint64_t>(y.numel()) * sizeof(float),
                         TENON_CUDA_WITHIN, ex.device.stream),
      "cuda");
}
inline void run_op(ops::add_op, const cuda::execution& ex, const cuda::array& y, const cuda::constant& a,
                   const cuda::constant& b) {
  cuda::detail::map(ex, TENON_CUDA_ADD, y, a.data(), b.data());
}
inline void run_op(ops::accumulate_op, const cuda::execution& ex, const cuda::array& y, const cuda::constant& x) {
  cuda::detail::map(ex, TENON_CUDA_ADD, y, y.data(), x.data());
}
inline void run_op(ops::relu_op, const cuda::execution& ex, const cuda::array& y, const cuda::constant& x) {
  cuda::detail::map(ex, TENON_CUDA_RELU, y, x.data(), nullptr);
}
inline void run_op(ops::relu_dx_op, const cuda::execution& ex, const cuda::array& dx, const cuda::constant& dy,
                   const cuda::constant& y) {
  cuda::detail::map(ex, TENON_CUDA_RELU_DX, dx, dy.data(), y.data());
}
inline void run_op(ops::tanh_op, const cuda::execution& ex, const cuda::array& y, const cuda::constant& x) {
  cuda::detail::map(ex, TENON_CUDA_TANH, y, x.data(), nullptr);
}
inline void run_op(ops::tanh_dx_op, const cuda::execution& ex, const cuda::array& dx, const cuda::constant& dy,
                   const cuda::constant& y) {
  cuda::detail::map(ex, TENON_CUDA_TANH_DX, dx, dy.data(), y.data());
}
inline void run_op(ops::sigmoid_op, const cuda::execution& ex, const cuda::array& y, const cuda::constant& x) {
  cuda::detail::map(ex, TENON_CUDA_SIGMOID, y, x.data(), nullptr);
}
inline void run_op(ops::sigmoid_dx_op, const cuda::execution& ex, const cuda::array& dx, const cuda::constant& dy,
                   const cuda::constant& y) {
  cuda::detail::map(ex, TENON_CUDA_SIGMOID_DX, dx, dy.data(), y.data());
}
}  // namespace tenon
#endif
