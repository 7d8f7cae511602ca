// SPDX-License-Identifier: Apache-2.0
// at::Tensor through interop/torch.hpp: both ways, kept alive by either side, and what must not pass.
#include <ATen/ops/_neg_view.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/view_as_real.h>
#include <ATen/ops/zeros.h>
#include <tenon/interop/dlpack.hpp>  // torch's own dlpack.h may come later: nothing here needs it
#include <tenon/interop/torch.hpp>
#include <tenon/tensor/export.hpp>
//
#include <tenon/core/small_float.hpp>

#include "check.hpp"

namespace {

using rows3 = tenon::view<const float, tenon::extents<tenon::dyn, 3>>;
tenon::failure why;

void in() {
  tenon::tensor<float> x;
  void* memory = nullptr;
  {
    const at::Tensor t = at::arange(6, at::kFloat).view({2, 3});
    memory = t.data_ptr();
    x = tenon::from_torch<float>(t);
  }
  CHECK(x.data() == memory && x.shape() == tenon::shape(2, 3) && x(1, 2) == 5 && !x.read_only());
  const at::Tensor t = at::arange(24, at::kDouble).view({2, 3, 4}).transpose(0, 2);
  const auto any = tenon::from_torch(t);
  CHECK(any.dtype() == tenon::float64 && any.shape() == tenon::shape(4, 3, 2) && any.strides()[0] == 1 && any.strides()[2] == 12);
  CHECK(any.data() == t.data_ptr());
  const auto scalar = tenon::from_torch<const std::int64_t>(at::zeros({}, at::kLong));
  CHECK(scalar.rank() == 0 && scalar[0] == 0);
  CHECK(tenon::from_torch<const float>(at::empty({0, 3}, at::kFloat)).shape()[1] == 3);
  CHECK(tenon::from_torch(at::zeros({2}, at::kBFloat16)).dtype() == tenon::bfloat16_dtype);
  CHECK(tenon::from_torch(at::empty({2}, at::kFloat8_e4m3fn)).dtype().code == tenon::dtype_code::f8_e4m3fn);
  CHECK(tenon::from_torch(at::empty({2}, at::kUInt16)).dtype().bits == 16);
  const auto pairs = tenon::from_torch(at::empty({2}, at::kFloat4_e2m1fn_x2)).dtype();
  CHECK(pairs.bits == 4 && pairs.lanes == 2);
  // a slice: the pointer has moved already
  const at::Tensor whole = at::arange(8, at::kFloat), part = whole.slice(0, 2, 8, 3);
  const auto s = tenon::from_torch<const float>(part);
  CHECK(s.shape()[0] == 2 && s[0] == 2 && s[1] == 5);
  tenon::import_report did;
  const auto copied = tenon::from_torch<float>(part, {.copies = tenon::copy_policy::always, .report = &did});
  CHECK(did.copied && copied.data() != part.data_ptr() && copied[1] == 5);
}

void views() {
  const at::Tensor t = at::arange(6, at::kFloat).view({2, 3});
  const auto v = tenon::view_as<rows3>(t);
  CHECK(v.data() == t.data_ptr() && v(1, 2) == 5);
  const at::Tensor other = t.view({3, 2});
  rows3 to;
  CHECK(says(tenon::try_view_as(other, to, why), why, tenon::errc::extent, "view_as", "axis 1"));
}

template <class T>
tenon::errc enter(const at::Tensor& t) {
  tenon::tensor<T> to;
  const auto uses = t.use_count();
  const tenon::errc c = tenon::try_from_torch<T>(t, to, why);
  CHECK(c == tenon::errc::ok || (!to && !to.owner() && t.use_count() == uses));
  return c;
}

void refused() {
  using tenon::errc;
  const char* op = "from_torch";
  CHECK(says(enter<float>(at::Tensor()), why, errc::null_handle, op, "undefined"));
  const at::Tensor grad = at::zeros({2}, at::kFloat).requires_grad_(true);
  CHECK(says(enter<float>(grad), why, errc::read_only, op, "requires grad"));
  CHECK(enter<const float>(grad) == errc::ok);
  CHECK(tenon::from_torch(grad).read_only());
  const at::Tensor complex = at::zeros({2}, at::kComplexFloat);
  CHECK(says(enter<void>(complex.conj()), why, errc::value, op, "resolve_conj"));
  CHECK(enter<void>(complex.conj().resolve_conj()) == errc::ok);
  CHECK(says(enter<const float>(at::_neg_view(at::zeros({2}, at::kFloat))), why, errc::value, op, "resolve_neg"));
  CHECK(says(enter<const float>(at::zeros({2, 2}, at::kFloat).to_sparse()), why, errc::value, op, "to_dense"));
  CHECK(says(enter<const float>(at::empty({2}, at::TensorOptions(at::kFloat).device(at::kMeta))), why, errc::value, op, "meta"));
  CHECK(says(enter<void>(at::empty({2}, at::kQInt8)), why, errc::dtype, op, "DLPack has no name for") ||
        why.code == errc::foreign);  // which of the two comes first is PyTorch's choice
  CHECK(says(enter<double>(at::zeros({2}, at::kFloat)), why, errc::dtype, op, "got float32, expected float64"));
  CHECK(says(enter<float>(at::zeros({1, 1, 1, 1, 1, 1, 1, 1, 1}, at::kFloat)), why, errc::rank, op, "got 9"));
  CHECK(says(enter<float>(at::zeros({1, 3}, at::kFloat).expand({2, 3})), why, errc::read_only, op, "share memory"));
  for (const std::int64_t elements :
       {0, 4, 7}) {  // a storage that was freed, and ones that are too short for what is left of them
    const at::Tensor whole = at::arange(8, at::kFloat), part = whole.slice(0, 2);
    whole.storage().unsafeGetStorageImpl()->set_nbytes(elements * 4);
    if (!elements) whole.storage().unsafeGetStorageImpl()->reset();
    CHECK(says(enter<const float>(part), why, errc::null_data, op, "storage was freed or made too short"));
    CHECK(enter<const float>(part.slice(0, 0, 0)) == errc::ok);
  }
}

void out() {
  float values[]{0, 1, 2, 3, 4, 5};
  at::Tensor t;
  t = tenon::to_torch(over(values, {2, 3}));
  CHECK(alive == 1 && t.data_ptr() == values && t.sizes() == at::IntArrayRef({2, 3}) && t.scalar_type() == at::kFloat);
  at::Tensor column = t.select(1, 2);
  t.reset();
  CHECK(alive == 1 && column[1].item<float>() == 5);
  column.add_(1);
  CHECK(values[2] == 3 && values[5] == 6);
  column.reset();
  CHECK(alive == 0);
  t = tenon::to_torch(over(values, {3, 2}, {{1, 3}}));
  CHECK(t.stride(0) == 1 && t.stride(1) == 3 && t[2][1].item<float>() == 6);
  t = tenon::to_torch(over<float>(nullptr, {0, 3}));
  CHECK(t.numel() == 0 && t.size(1) == 3);
  t.reset();
  CHECK(alive == 0);
  // round trips
  const at::Tensor mine = at::arange(6, at::kInt).view({3, 2}).t();
  const at::Tensor back = tenon::to_torch(tenon::from_torch(mine));
  CHECK(back.data_ptr() == mine.data_ptr() && back.strides() == mine.strides() && back.equal(mine));
  const at::Tensor bytes = at::empty({2}, at::kFloat8_e8m0fnu);
  CHECK(tenon::to_torch(tenon::from_torch(bytes)).scalar_type() == at::kFloat8_e8m0fnu);
  // refused, and nothing has changed
  const auto refuse = [&](const auto& x, tenon::errc code, const char* text) {
    at::Tensor kept = mine;
    CHECK(says(tenon::try_to_torch(x, kept, why), why, code, "to_torch", text) && kept.is_same(mine));
  };
  refuse(over<const float>(values, {6}), tenon::errc::read_only, "assume_unwritten");
  refuse(over(values + 5, {6}, {{-1}}), tenon::errc::not_dense, "negative stride");
  refuse(tenon::tensor<float>(), tenon::errc::null_data, "never filled");
  tenon::float8_e4m3b11fnuz odd[1]{};
  refuse(over(odd, {1}), tenon::errc::dtype, "one that PyTorch has");
  CHECK(alive == 0);
  t = tenon::to_torch(over<const float>(values, {6}), {.assume_unwritten = true});
  CHECK(t.data_ptr() == values);
  t.reset();
  CHECK(alive == 0);
}

}  // namespace

int main() {
  in();
  views();
  refused();
  out();
  return report();
}
