// SPDX-License-Identifier: Apache-2.0
// The exported functions: validate, choose, launch, report. Nothing here throws, prints, allocates on the host or keeps state, but
// for the text of a thread's last error.
#include <cstddef>
#include "cuda_kernels/gemm/choose.h"
#include "cuda_kernels/host/check.h"
#define TENON_EXPORT extern "C" __attribute__((visibility("default")))
namespace tenon_cuda {
namespace {
// What a caller of 1.0 has of each struct: never less is taken, and never more written unless its size says so. They stay as they
// are when a struct grows, which it does at its end, with the minor version.
template <class Struct>
constexpr std::uint64_t first_size = 0;
#define TENON_FIRST_SIZE(type, last, bytes)                                                                                \
  template <>                                                                                                              \
  constexpr std::uint64_t first_size<type> = bytes;                                                                        \
  static_assert(offsetof(type, size) == 0 && offsetof(type, last) + sizeof(type::last) == bytes, "1.0 had other members"); \
  static_assert(TENON_CUDA_ABI_MINOR > 0 ? sizeof(type) >= bytes : sizeof(type) == bytes, "a struct grows with a minor version")
TENON_FIRST_SIZE(tenon_cuda_device_info, name, 296);
TENON_FIRST_SIZE(tenon_cuda_gemm_args, workspace_bytes, 136);
TENON_FIRST_SIZE(tenon_cuda_gemm_plan, workspace_bytes, 32);
TENON_FIRST_SIZE(tenon_cuda_map_args, reserved, 64);
TENON_FIRST_SIZE(tenon_cuda_sum_args, x, 64);
TENON_FIRST_SIZE(tenon_cuda_update_args, epsilon, 120);
#undef TENON_FIRST_SIZE

/// What a caller made room for: checked before anything is worked out, so that an error comes first. Errors: STRUCT, NULL.
template <class Struct>
tenon_cuda_status room_of(const Struct* to, std::uint64_t first) noexcept {
  if (!to) return fail(TENON_CUDA_NULL, "the result is a null pointer");
  if (to->size >= first && to->size <= largest_struct) return TENON_CUDA_OK;
  return fail(TENON_CUDA_STRUCT, "size of the result: got %llu, expected %llu to %llu", static_cast<unsigned long long>(to->size),
              static_cast<unsigned long long>(first), static_cast<unsigned long long>(largest_struct));
}
/// As much as the caller has room for. Its size stays.
template <class Struct>
void give(Struct* to, Struct from) noexcept {
  from.size = to->size;
  std::memcpy(to, &from, static_cast<std::size_t>(from.size < sizeof from ? from.size : sizeof from));
}

/// Makes a device current for as long as it lives.
class on_device {
  int before_ = -1, error_ = 0;
  const char* what_ = "cudaGetDevice";

 public:
  explicit on_device(std::int32_t device) noexcept {
    error_ = runtime().current(&before_);
    if (error_ || before_ == device) {
      before_ = -1;
      return;
    }
    what_ = "cudaSetDevice";
    if ((error_ = runtime().make_current(device))) before_ = -1;
  }
  on_device(const on_device&) = delete;
  ~on_device() { (void)leave(TENON_CUDA_OK); }
  /// The device that was current becomes so again; an error of that is told, unless there was one before.
  tenon_cuda_status leave(tenon_cuda_status result) noexcept {
    if (before_ < 0) return result;
    const int e = runtime().make_current(before_);
    before_ = -1;
    return e && !result ? runtime_failed(e, "cudaSetDevice, back") : result;
  }
  tenon_cuda_status failed() const noexcept { return error_ ? runtime_failed(error_, what_) : TENON_CUDA_OK; }
};

/// A device number that is none is told before CUDA does; whether there is one at all, only where there is none.
tenon_cuda_status device_number(std::int32_t device) noexcept {
  if (device >= 0) return TENON_CUDA_OK;
  return fail(TENON_CUDA_DEVICE, "device: got %d, expected at least 0", device);
}
template <class F>
tenon_cuda_status run_on(std::int32_t device, const char* what, const F& call) noexcept {
  if (const auto s = device_number(device)) return s;
  on_device here(device);
  if (const auto s = here.failed()) return s;
  const int e = call();
  return here.leave(e ? runtime_failed(e, what) : TENON_CUDA_OK);
}

constexpr std::int64_t most = 0x7fffffff, most_extent = most - 128;  // a tile may reach over the edge
/// Everything about a product but its cut. `nothing`: c has no elements.
tenon_cuda_status check_gemm(const tenon_cuda_gemm_args* given, tenon_cuda_gemm_args& a, gemm_launch& l, bool& nothing) noexcept {
  nothing = false;
  if (const auto s = take(given, a, first_size<tenon_cuda_gemm_args>)) return s;
  if (const auto s = device_number(a.device)) return s;
  if (a.flags & ~static_cast<std::uint32_t>(TENON_CUDA_ACCUMULATE))
    return fail(TENON_CUDA_VALUE, "flags: got %u, expected 0 or %d", a.flags, TENON_CUDA_ACCUMULATE);
  if (const auto s = extent("m", a.m, most_extent)) return s;
  if (const auto s = extent("n", a.n, most_extent)) return s;
  if (const auto s = extent("k", a.k, most_extent)) return s;
  if (a.m == 0 || a.n == 0) return nothing = true, TENON_CUDA_OK;
  gemm_problem& p = l.problem;
  if (a.k > 0) {
    if (const auto s = take_operand("a", a.a, a.a_row, a.a_column, a.m, a.k, p.a, l.a)) return s;
    if (const auto s = take_operand("b", a.b, a.b_column, a.b_row, a.n, a.k, p.b, l.b)) return s;
  }
  if (const auto s = floats("c", a.c)) return s;
  if (a.m > 1 && a.c_row < a.n)
    return fail(TENON_CUDA_STRIDE, "c_row: got %lld, expected at least n, %lld", static_cast<long long>(a.c_row),
                static_cast<long long>(a.n));
  if (const auto s = addressable("c", a.m, a.n, a.c_row)) return s;
  if (a.bias)
    if (const auto s = floats("bias", a.bias)) return s;
  if (a.workspace)
    if (const auto s = floats("workspace", a.workspace, 16)) return s;
  p.m = static_cast<int>(a.m), p.n = static_cast<int>(a.n), p.k = static_cast<int>(a.k);
  p.c = a.c, p.c_row = a.m > 1 ? a.c_row : 0, p.bias = a.bias;
  p.accumulate = a.flags & TENON_CUDA_ACCUMULATE;
  return TENON_CUDA_OK;
}
/// The tile and the parts of k. Errors: OVERFLOW, those of CUDA.
tenon_cuda_status cut_gemm(const tenon_cuda_gemm_args& a, gemm_launch& l, gemm_choice& choice) noexcept {
  int multiprocessors = 0;
  if (const int e = runtime().multiprocessors(a.device, &multiprocessors)) return runtime_failed(e, "cudaDeviceGetAttribute");
  const std::uint64_t most_workspace = std::uint64_t{1} << 40;
  const std::uint64_t room = !a.workspace ? 0 : a.workspace_bytes < most_workspace ? a.workspace_bytes : most_workspace;
  choice = choose_gemm(a.m, a.n, a.k, multiprocessors < 1 ? 1 : multiprocessors, static_cast<std::int64_t>(room));
  if (static_cast<std::int64_t>(choice.tiles_m) * choice.tiles_n > most)
    return fail(TENON_CUDA_OVERFLOW, "tiles of c: got %d times %d, expected at most %lld", choice.tiles_m, choice.tiles_n,
                static_cast<long long>(most));
  gemm_problem& p = l.problem;
  l.tile = choice.tile;
  p.splits = choice.splits, p.k_chunk = choice.k_chunk;
  p.tiles_m = choice.tiles_m, p.tiles_n = choice.tiles_n;
  p.partial = choice.splits > 1 ? static_cast<float*>(a.workspace) : nullptr;
  const void* const to = p.partial ? p.partial : p.c;
  const std::int64_t row = p.partial ? p.n : p.c_row;
  p.c_vectors = reinterpret_cast<std::uintptr_t>(to) % 16 == 0 && row % 4 == 0 && (!p.partial || p.n % 4 == 0);
  return TENON_CUDA_OK;
}
}  // namespace
}  // namespace tenon_cuda

using namespace tenon_cuda;
TENON_EXPORT uint32_t tenon_cuda_abi(void) { return TENON_CUDA_ABI_MAJOR << 16 | TENON_CUDA_ABI_MINOR; }
TENON_EXPORT const char* tenon_cuda_last_error(void) { return last_text; }

TENON_EXPORT tenon_cuda_status tenon_cuda_device_count(int32_t* count) {
  if (!count) return fail(TENON_CUDA_NULL, "count is a null pointer");
  int n = 0;
  if (const int e = runtime().device_count(&n)) return runtime_failed(e, "cudaGetDeviceCount");
  *count = n;
  return TENON_CUDA_OK;
}
TENON_EXPORT tenon_cuda_status tenon_cuda_device_properties(int32_t device, tenon_cuda_device_info* to) {
  if (const auto s = room_of(to, first_size<tenon_cuda_device_info>)) return s;
  int n = 0;
  if (const int e = runtime().device_count(&n)) return runtime_failed(e, "cudaGetDeviceCount");
  if (device < 0 || device >= n) return fail(TENON_CUDA_DEVICE, "device: got %d, expected 0 to %d", device, n - 1);
  tenon_cuda_device_info info{};
  if (const int e = runtime().properties(device, &info)) return runtime_failed(e, "cudaGetDeviceProperties");
  give(to, info);
  return TENON_CUDA_OK;
}
TENON_EXPORT tenon_cuda_status tenon_cuda_allocate(int32_t device, uint64_t bytes, void** to) {
  if (!to) return fail(TENON_CUDA_NULL, "to is a null pointer");
  void* p = nullptr;
  if (bytes > static_cast<uint64_t>(INT64_MAX))
    return fail(TENON_CUDA_OVERFLOW, "bytes: got %llu", static_cast<unsigned long long>(bytes));
  if (bytes > 0) {
    const auto s = run_on(device, "cudaMalloc", [&] { return runtime().allocate(&p, static_cast<std::size_t>(bytes)); });
    if (s && p) (void)runtime().release(p);  // the device could not be left
    if (s) return s;
  }
  *to = p;
  return TENON_CUDA_OK;
}
TENON_EXPORT tenon_cuda_status tenon_cuda_release(int32_t device, void* p) {
  if (!p) return TENON_CUDA_OK;
  return run_on(device, "cudaFree", [&] { return runtime().release(p); });
}
TENON_EXPORT tenon_cuda_status tenon_cuda_copy(int32_t device, void* to, const void* from, uint64_t bytes, int32_t direction,
                                               void* stream) {
  if (direction < TENON_CUDA_TO_DEVICE || direction > TENON_CUDA_WITHIN)
    return fail(TENON_CUDA_VALUE, "direction: got %d, expected 1 to 3", direction);
  if (bytes == 0) return TENON_CUDA_OK;
  if (!to || !from) return fail(TENON_CUDA_NULL, "%s is a null pointer", to ? "from" : "to");
  if (bytes > static_cast<uint64_t>(INT64_MAX))
    return fail(TENON_CUDA_OVERFLOW, "bytes: got %llu", static_cast<unsigned long long>(bytes));
  return run_on(device, "cudaMemcpyAsync",
                [&] { return runtime().copy(to, from, static_cast<std::size_t>(bytes), direction, stream); });
}
TENON_EXPORT tenon_cuda_status tenon_cuda_synchronize(int32_t device, void* stream) {
  return run_on(device, "cudaStreamSynchronize", [&] { return runtime().synchronize(stream); });
}

TENON_EXPORT tenon_cuda_status tenon_cuda_plan(const tenon_cuda_gemm_args* args, tenon_cuda_gemm_plan* plan) {
  if (const auto s = room_of(plan, first_size<tenon_cuda_gemm_plan>)) return s;
  tenon_cuda_gemm_args a;
  gemm_launch l;
  gemm_choice choice;
  bool nothing = false;
  if (const auto s = check_gemm(args, a, l, nothing)) return s;
  if (!nothing)
    if (const auto s = cut_gemm(a, l, choice)) return s;
  const tile_facts f = facts_of(choice.tile);
  tenon_cuda_gemm_plan to{};
  to.tile_m = f.m, to.tile_n = f.n;
  to.splits = choice.splits;
  to.vectors = (l.problem.a.vectors ? 1 : 0) | (l.problem.b.vectors ? 2 : 0);
  to.workspace_bytes = static_cast<uint64_t>(choice.workspace);
  give(plan, to);
  return TENON_CUDA_OK;
}
TENON_EXPORT tenon_cuda_status tenon_cuda_gemm(const tenon_cuda_gemm_args* args) {
  tenon_cuda_gemm_args a;
  gemm_launch l;
  gemm_choice choice;
  bool nothing = false;
  if (const auto s = check_gemm(args, a, l, nothing)) return s;
  if (nothing) return TENON_CUDA_OK;
  on_device here(a.device);
  if (const auto s = here.failed()) return s;
  if (const auto s = cut_gemm(a, l, choice)) return here.leave(s);
  if (const int e = runtime().gemm(l, a.stream)) return here.leave(runtime_failed(e, "launch of the product"));
  if (l.problem.splits > 1)
    if (const int e = runtime().reduce(l.problem, a.stream))
      return here.leave(runtime_failed(e, "launch of the sum of its parts"));
  return here.leave(TENON_CUDA_OK);
}
TENON_EXPORT tenon_cuda_status tenon_cuda_map(const tenon_cuda_map_args* args) {
  tenon_cuda_map_args a;
  if (const auto s = take(args, a, first_size<tenon_cuda_map_args>)) return s;
  if (a.kind < TENON_CUDA_FILL || a.kind > TENON_CUDA_SIGMOID_DX)
    return fail(TENON_CUDA_VALUE, "kind: got %d, expected 0 to %d", a.kind, TENON_CUDA_SIGMOID_DX);
  if (const auto s = extent("n", a.n, INT64_MAX / 4)) return s;
  if (a.n == 0) return TENON_CUDA_OK;
  const bool one = a.kind != TENON_CUDA_FILL;
  const bool two =
      a.kind == TENON_CUDA_ADD || a.kind == TENON_CUDA_RELU_DX || a.kind == TENON_CUDA_TANH_DX || a.kind == TENON_CUDA_SIGMOID_DX;
  if (const auto s = floats("y", a.y)) return s;
  if (one)
    if (const auto s = floats("a", a.a)) return s;
  if (two)
    if (const auto s = floats("b", a.b)) return s;
  return run_on(a.device, "launch of an element-wise kernel", [&] { return runtime().map(a, a.stream); });
}
TENON_EXPORT tenon_cuda_status tenon_cuda_sum(const tenon_cuda_sum_args* args) {
  tenon_cuda_sum_args a;
  if (const auto s = take(args, a, first_size<tenon_cuda_sum_args>)) return s;
  if (const auto s = extent("outer", a.outer, most)) return s;
  if (const auto s = extent("length", a.length, most)) return s;
  if (const auto s = extent("inner", a.inner, most)) return s;
  if (a.length == 0 || a.outer == 0 || a.inner == 0) return TENON_CUDA_OK;
  if (const auto s = floats("y", a.y)) return s;
  if (const auto s = floats("x", a.x)) return s;
  if (const auto s = addressable("x", a.outer + 1, 0, a.length * a.inner)) return s;
  return run_on(a.device, "launch of a sum", [&] { return runtime().sum(a, a.stream); });
}
TENON_EXPORT tenon_cuda_status tenon_cuda_update(const tenon_cuda_update_args* args) {
  tenon_cuda_update_args a;
  if (const auto s = take(args, a, first_size<tenon_cuda_update_args>)) return s;
  if (a.kind != TENON_CUDA_SGD && a.kind != TENON_CUDA_ADAM)
    return fail(TENON_CUDA_VALUE, "kind: got %d, expected 0 or 1", a.kind);
  if (const auto s = extent("n", a.n, INT64_MAX / 4)) return s;
  if (a.n == 0) return TENON_CUDA_OK;
  if (const auto s = floats("w", a.w)) return s;
  if (const auto s = floats("g", a.g)) return s;
  if (a.kind == TENON_CUDA_ADAM || a.first)
    if (const auto s = floats("first", a.first)) return s;
  if (a.kind == TENON_CUDA_ADAM)
    if (const auto s = floats("second", a.second)) return s;
  return run_on(a.device, "launch of an optimizer step", [&] { return runtime().update(a, a.stream); });
}

TENON_EXPORT const tenon_cuda_api* tenon_cuda_functions(void) {
  static constexpr tenon_cuda_api table{sizeof(tenon_cuda_api),
                                        TENON_CUDA_ABI_MAJOR << 16 | TENON_CUDA_ABI_MINOR,
                                        0,
                                        tenon_cuda_last_error,
                                        tenon_cuda_device_count,
                                        tenon_cuda_device_properties,
                                        tenon_cuda_allocate,
                                        tenon_cuda_release,
                                        tenon_cuda_copy,
                                        tenon_cuda_synchronize,
                                        tenon_cuda_plan,
                                        tenon_cuda_gemm,
                                        tenon_cuda_map,
                                        tenon_cuda_sum,
                                        tenon_cuda_update};
  return &table;
}
