# SPDX-License-Identifier: Apache-2.0
"""Block under what torch switches on around a call: default devices, autocast, dispatch modes, tracing, transforms of transforms."""
import gc
import weakref

import pytest
import torch
from conftest import norm_network, seed_network

import pytenon
from pytenon import layers as nn
from pytenon.torch import Block


def test_a_default_device_is_not_ours():
    x = torch.rand(3, 2, 8, 8)
    with torch.device("meta"):
        block = Block(pytenon.Network([nn.conv2d(6, 3), nn.batch_norm(), nn.dropout(0.5), nn.flatten(), nn.linear(2)], input=(2, 8, 8)))
        block(x).sum().backward()
        torch.func.functional_call(block, {n: p.detach() for n, p in block.named_parameters()}, (x,))
        with _Seen() as seen:
            block(x).sum().backward()
        block.to("cpu")
        block.load_state_dict(block.state_dict())
    assert seen.names and all(t.device.type == "cpu" for t in block.state_dict().values())


class _Seen(torch.utils._python_dispatch.TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, f, types, args=(), kwargs=None):
        self.names.append(str(f))
        return f(*args, **(kwargs or {}))


def test_dispatch_modes_see_the_operators():
    block = Block(norm_network())
    x = torch.rand(3, 2, 8, 8)
    before = {n: b.clone() for n, b in block.named_buffers()}
    with _Seen() as seen:
        y = block(x)
    assert "pytenon.forward.default" in seen.names and "pytenon.commit.default" in seen.names
    assert not torch.equal(before["1.running_mean"], block.state_dict()["1.running_mean"])
    assert torch.equal(y, block(x))


def test_traced():
    block = Block(seed_network()).eval()
    with torch.no_grad():
        traced = torch.jit.trace(torch.nn.Sequential(block, torch.nn.Tanh()), torch.rand(2, 1, 28, 28))
    assert "pytenon::forward" in str(traced.inlined_graph)
    x = torch.rand(5, 1, 28, 28)
    assert torch.equal(traced(x), block(x).tanh())


def test_autocast():
    block = Block(pytenon.Network([nn.linear(4), nn.tanh()], input=(8,)))
    model = torch.nn.Sequential(torch.nn.Linear(3, 8), block)
    x = torch.rand(5, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        between = model[0](x)
        assert between.dtype == torch.bfloat16
        y = model(x)
        y.sum().backward()
        with pytest.raises(pytenon.DtypeError, match="x: dtype: got float64"):
            block(torch.rand(5, 8, dtype=torch.float64))
    assert y.dtype == torch.float32 and torch.equal(y, block(between.float()))
    assert model[0].weight.grad is not None
    with pytest.raises(pytenon.DtypeError, match="x: dtype: got bfloat16"):
        block(between)


def test_second_derivatives_are_refused_by_transforms_too():
    block = Block(pytenon.Network([nn.linear(3), nn.tanh()], input=(3,), dtype="float64"))
    x = torch.rand(2, 3, dtype=torch.float64)

    def f(x):
        return block(x).sum()

    twin = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Tanh()).double()
    twin.load_state_dict(block.state_dict())
    assert torch.allclose(torch.func.grad(f)(x), torch.func.grad(lambda x: twin(x).sum())(x))
    with pytest.raises(pytenon.StateError, match="differentiable once"):
        torch.func.grad(lambda x: torch.func.grad(f)(x).sum())(x)

    class tagged(torch.Tensor):
        pass

    z = x.as_subclass(tagged).requires_grad_()
    (dx,) = torch.autograd.grad(f(z), z, create_graph=True)
    assert torch.allclose(dx.as_subclass(torch.Tensor), torch.func.grad(f)(x))
    with pytest.raises(pytenon.StateError, match="differentiable once"):
        dx.sum().backward()


def test_an_operator_s_number_is_never_another_network_s():
    numbers = set()
    for _ in range(20):
        block = Block(pytenon.Network([nn.linear(2)], input=(3,)))
        assert block._number not in numbers
        numbers.add(block._number)
        del block
        gc.collect()
    with pytest.raises(pytenon.StateError, match="a number whose Block is gone"):
        torch.ops.pytenon.forward(torch.rand(2, 3), [], [], None, numbers.pop(), False)


def test_a_graph_keeps_its_program():
    class tagged(torch.Tensor):
        pass

    block = Block(pytenon.Network([nn.linear(2)], input=(3,)))
    x = torch.rand(2, 3).as_subclass(tagged).requires_grad_()
    y, program = block(x), weakref.ref(block._program)
    del block
    gc.collect()
    y.sum().backward()
    assert x.grad is not None and program() is not None
    del y
    gc.collect()
    assert program() is None
