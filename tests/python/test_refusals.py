# SPDX-License-Identifier: Apache-2.0
"""A call that is refused has changed nothing; and what a caller gives for the bytes between forward and backward is looked at."""
import pytest
import torch
from conftest import norm_network, pair, seed_network, seed_torch

import pytenon
from pytenon import layers as nn
from pytenon.torch import Block


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("x", [torch.rand(4, 2, 8, 7), torch.rand(2, 8, 8), torch.rand(4, 2, 8, 8, dtype=torch.float64), torch.rand(0, 2, 8, 8),
                               torch.rand(4, 2, 8, 8, device="meta")], ids=["extent", "rank", "dtype", "empty", "device"])
def test_a_refused_call_changes_nothing(x, grad):
    block = Block(pytenon.Network([nn.conv2d(6, 3), nn.batch_norm(), nn.dropout(0.5)], input=(2, 8, 8)))
    block(torch.rand(4, 2, 8, 8))
    before, generator = {n: v.clone() for n, v in block.state_dict().items()}, torch.get_rng_state()
    with torch.set_grad_enabled(grad), pytest.raises(pytenon.Error):
        block(x)
    assert all(torch.equal(v, before[n]) for n, v in block.state_dict().items())
    assert torch.equal(torch.get_rng_state(), generator)


def test_a_gradient_with_the_negative_bit():
    block, twin = pair(seed_network("float64"), seed_torch(torch.float64))
    x = torch.rand(3, 1, 28, 28, dtype=torch.float64)
    a = torch.rand(3, 10, dtype=torch.float64)
    weight = torch.rand(3, 10, dtype=torch.complex128)
    for m in (block, twin):
        (torch.complex(a, m(x)).conj() * weight).sum().abs().backward()
    for p, q in zip(block.parameters(), twin.parameters()):
        assert torch.allclose(p.grad, q.grad, atol=1e-12)
    for m in (block, twin):
        m.zero_grad()
        torch.complex(a, m(x)).conj().backward(weight)
    for p, q in zip(block.parameters(), twin.parameters()):
        assert torch.allclose(p.grad, q.grad, atol=1e-12)


BAD = {"short": lambda t: t[:64], "empty": lambda t: t[:0], "dtype": lambda t: t.float(), "rank": lambda t: t.reshape(1, -1),
       "strided": lambda t: torch.zeros(2 * len(t), dtype=torch.uint8)[::2], "expanded": lambda t: torch.zeros(1, dtype=torch.uint8).expand(len(t))}


@pytest.mark.parametrize("name", BAD)
def test_bytes_between_forward_and_backward_are_looked_at(name):
    bad = BAD[name]
    block = Block(norm_network())
    x = torch.rand(4, 2, 8, 8)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: bad(t) if t.dtype == torch.uint8 else t, lambda t: t):
        y = block(x)
    with pytest.raises(pytenon.Error, match="backward. saved"):
        y.sum().backward()
    program, values = block._program, [p.detach() for p in block.parameters()]
    buffers = [b for n, b in block.named_buffers() if not n.endswith("tracked")]
    y, saved = torch.ops.pytenon.forward(x, values, buffers, None, block._number, True)
    before = [b.clone() for b in buffers]
    with pytest.raises(pytenon.Error, match="saved"):
        program.forward_into(x, values, buffers, 0, y, bad(saved))
    with pytest.raises(pytenon.Error, match="commit. saved"):
        torch.ops.pytenon.commit(bad(saved), buffers, 4, block._number)
    with pytest.raises(pytenon.Error, match="backward"):
        torch.ops.pytenon.backward(y, x, y, bad(saved), values, None, block._number, True)
    assert all(torch.equal(b, c) for b, c in zip(buffers, before))


@pytest.mark.parametrize("batch", [-1, 0, 5, 1 << 40, (1 << 63) - 1])
def test_a_commit_of_another_batch_is_refused(batch):
    block = Block(norm_network())
    buffers = [b for n, b in block.named_buffers() if not n.endswith("tracked")]
    _, saved = torch.ops.pytenon.forward(torch.rand(2, 2, 8, 8), [p.detach() for p in block.parameters()], buffers, None, block._number, True)
    saved = saved[:block._program.saved[0] + 2 * block._program.saved[1]]
    with pytest.raises(pytenon.Error):
        torch.ops.pytenon.commit(saved, buffers, batch, block._number)


def test_hooks_may_move_what_a_forward_keeps_but_not_give_another_x():
    block, twin = pair(seed_network("float64"), seed_torch(torch.float64))
    x = torch.rand(3, 1, 28, 28, dtype=torch.float64)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t.detach().clone(), lambda t: t):
        y = block(x)
    y[:, 1].sum().backward(), twin(x)[:, 1].sum().backward()
    assert all(torch.allclose(p.grad, q.grad, atol=1e-12) for p, q in zip(block.parameters(), twin.parameters()))
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t.new_zeros(9, 1, 28, 28) if t.shape == x.shape else t, lambda t: t):
        y = block(x)
    with pytest.raises(pytenon.ShapeError, match="backward. x"):
        y.sum().backward()


def test_wrong_numbers_of_arrays_are_refused():
    block = Block(seed_network())  # has no states
    x, values = torch.rand(2, 1, 28, 28), [p.detach() for p in block.parameters()]
    with pytest.raises(pytenon.ArgumentError, match="buffers"):
        torch.ops.pytenon.forward(x, values, [torch.rand(3)], None, block._number, True)
    y, saved = torch.ops.pytenon.forward(x, values, [], None, block._number, True)
    with pytest.raises(pytenon.ArgumentError, match="gradients"):
        block._program.backward_into(y, x, y, saved, values, 0, None, [torch.empty_like(p) for p in values] * 2)


@pytest.mark.parametrize("name", ["a.b", "forward", "training", "network", "update"])
def test_names_that_a_module_cannot_have(name):
    with pytest.raises(pytenon.ArgumentError, match="Block. " + name):
        Block(pytenon.Network([nn.linear(2, name=name)], input=(3,)))
