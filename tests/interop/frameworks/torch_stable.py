# SPDX-License-Identifier: Apache-2.0
"""Loads what torch_stable.cpp became, and calls it: torch_stable.py LIBRARY"""
import gc
import sys

import torch

torch.ops.load_library(sys.argv[1])
ops = torch.ops.tenon_stable

x = torch.arange(6, dtype=torch.float32).reshape(2, 3)
assert torch.equal(ops.scaled(x, 2.0), 2 * x)
y = ops.scaled(x.t(), 3.0)  # strides, and a result that outlives its maker
gc.collect()
assert torch.equal(y, 3 * x.t()) and y.data_ptr() % 64 == 0

same = ops.shared(x)
assert same.data_ptr() == x.data_ptr() and same.shape == x.shape
same[0, 0] = 7
assert x[0, 0] == 7
del x
gc.collect()
assert same[0, 0] == 7
for dtype in (torch.bfloat16, torch.int64, torch.bool, torch.complex64, torch.float8_e4m3fn, torch.uint16):
    assert ops.shared(torch.zeros(2, dtype=dtype)).dtype == dtype

# PyTorch resolves these bits before a kernel of ours sees them.
z = torch.tensor([1 + 2j, 3 + 4j])
assert torch.equal(ops.shared(z.conj()), z.conj().resolve_conj())
assert torch.equal(ops.scaled(z.conj().imag, 1.0), torch.tensor([-2.0, -4.0]))

m = torch.zeros(2, 3)
ops.increment(m)
assert torch.equal(m, torch.ones(2, 3))


def says(call, *words):
    try:
        call()
    except RuntimeError as e:
        assert all(w in str(e) for w in words), e
    else:
        raise SystemExit(f"nothing said {words}")


says(lambda: ops.increment(torch.zeros(2, 4)), "[view_as]", "axis 1", "got 4, expected 3")
says(lambda: ops.scaled(torch.zeros(2, dtype=torch.int32), 1.0), "[from_torch_stable]", "got int32, expected float32")
says(lambda: ops.shared(torch.zeros([1] * 9)), "rank", "got 9")
for elements in (0, 4, 7):  # a storage that was freed, and ones that are too short for what is left of them
    whole = torch.arange(8.)
    part = whole[2:].view(2, 3)
    whole.untyped_storage().resize_(4 * elements)
    says(lambda: ops.shared(part), "[from_torch_stable]", "null data", "storage was freed or made too short")
    says(lambda: ops.increment(part), "[view_as]", "null data")
    assert ops.shared(part[:0]).shape == (0, 3)  # no elements: no memory is asked for
print("ok")
