# SPDX-License-Identifier: Apache-2.0
"""Block under torch's autograd: what a plain torch model gives, a Block gives."""
import gc

import pytest
import torch
from conftest import gradients, norm_network, norm_torch, pair, seed_network, seed_torch

import pytenon
from pytenon import layers as nn
from pytenon.torch import Block


def near(a, b, limit=1e-10):
    assert len(a) == len(b)
    for p, q in zip(a, b):
        assert torch.allclose(p, q, rtol=limit, atol=limit), (p - q).abs().max()


def test_backward_leaves_weights_alone():
    block = Block(seed_network())
    before = [p.detach().clone() for p in block.parameters()]
    block(torch.rand(3, 1, 28, 28))[:, 0].sum().backward()
    assert all(torch.equal(p, b) for p, b in zip(block.parameters(), before))
    torch.optim.SGD(block.parameters(), lr=0.1).step()
    assert not torch.equal(next(block.parameters()), before[0])


def test_two_forwards_before_two_backwards():
    block, twin = pair(seed_network("float64"), seed_torch(torch.float64))
    a, b = torch.rand(4, 1, 28, 28, dtype=torch.float64), torch.rand(7, 1, 28, 28, dtype=torch.float64)
    for order in ((0, 1), (1, 0)):
        for m in (block, twin):
            m.zero_grad()
            ys = [m(a), m(b)]
            for i in order:
                (ys[i] ** 2).sum().backward()
        near(gradients(block), gradients(twin))


def test_three_accumulated_backwards():
    block, twin = pair(seed_network("float64"), seed_torch(torch.float64))
    for m in (block, twin):
        torch.manual_seed(1)
        for _ in range(3):
            (m(torch.rand(4, 1, 28, 28, dtype=torch.float64)) ** 2).sum().backward()
    near(gradients(block), gradients(twin))


def test_gradients_are_never_memory_that_is_written_again():
    block = Block(seed_network())
    x = torch.rand(4, 1, 28, 28)
    block(x)[:, 0].sum().backward()
    held = [p.grad for p in block.parameters()]
    copies = gradients(block)
    block.zero_grad()  # sets to None: only `held` keeps the memory
    gc.collect()
    for _ in range(20):
        block(torch.rand(4, 1, 28, 28))[:, 1].sum().backward()
    assert all(torch.equal(g, c) for g, c in zip(held, copies))


def test_outputs_stay_as_they_are():
    block = Block(seed_network())
    ys = [block(torch.rand(4, 1, 28, 28)) for _ in range(20)]
    copies = [y.detach().clone() for y in ys]
    for _ in range(20):
        block(torch.rand(4, 1, 28, 28)).sum().backward()
    assert all(torch.equal(y, c) for y, c in zip(ys, copies))


@pytest.mark.parametrize("foreach", [False, True])
def test_batch_norm_over_ragged_batches(foreach):
    block, twin = pair(norm_network("float64", seed=3), norm_torch(torch.float64))
    optimizers = [torch.optim.AdamW(m.parameters(), lr=0.01, foreach=foreach) for m in (block, twin)]
    for step, batch in enumerate([10, 5, 1, 13, 10]):
        x = torch.rand(batch, 2, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(step))
        for m, optimizer in zip((block, twin), optimizers):
            optimizer.zero_grad()
            (m(x) ** 2).mean().backward()
            optimizer.step()
    for (name, a), (other, b) in zip(block.state_dict().items(), twin.state_dict().items()):
        assert name == other and torch.allclose(a, b, rtol=1e-9, atol=1e-9), name
    assert block.state_dict()["1.num_batches_tracked"] == 5
    block.eval(), twin.eval()
    x = torch.rand(4, 2, 8, 8, dtype=torch.float64)
    near([block(x).detach()], [twin(x).detach()])
    assert block.state_dict()["1.num_batches_tracked"] == 5


def test_running_statistics_move_without_a_gradient_too():
    block, twin = pair(norm_network(), norm_torch())
    x = torch.rand(6, 2, 8, 8)
    with torch.no_grad():
        block(x), twin(x)
    for a, b in zip(block.buffers(), twin.buffers()):
        assert torch.allclose(a, b, atol=1e-6)


def test_sandwich():
    def sandwich(middle):
        torch.manual_seed(5)
        return torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Tanh(), middle, torch.nn.Linear(6, 2)).double()

    ours = Block(pytenon.Network([nn.linear(6), nn.sigmoid()], input=(8,), dtype="float64"))
    theirs = torch.nn.Sequential(torch.nn.Linear(8, 6), torch.nn.Sigmoid()).double()
    theirs.load_state_dict(ours.state_dict())
    a, b = sandwich(ours), sandwich(theirs)
    x = torch.rand(5, 3, dtype=torch.float64)
    for m in (a, b):
        (m(x) ** 2).sum().backward()
    near(gradients(a), gradients(b))


def test_gradcheck():
    block = Block(pytenon.Network([nn.linear(4), nn.tanh(), nn.linear(3), nn.softmax()], input=(5,), dtype="float64"))
    x = torch.rand(3, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(block, (x,))
    assert torch.autograd.gradcheck(lambda *p: torch.func.functional_call(block, dict(zip([n for n, _ in block.named_parameters()], p)), x.detach()),
                                    tuple(p.detach().clone().requires_grad_() for p in block.parameters()))


def test_frozen_parameters_and_inputs():
    block = Block(seed_network())
    next(block.parameters()).requires_grad_(False)
    x = torch.rand(2, 1, 28, 28, requires_grad=True)
    block(x).sum().backward()
    assert next(block.parameters()).grad is None and x.grad is not None
    assert all(p.grad is not None for p in list(block.parameters())[1:])
    for p in block.parameters():
        p.requires_grad_(False)
    assert not block(x.detach()).requires_grad


def test_output_that_backward_reads_is_protected():
    block = Block(seed_network())  # softmax reads its output
    y = block(torch.rand(2, 1, 28, 28))
    loss = y[:, 0].sum()  # keeps nothing of y: the refusal is ours
    with torch.no_grad():
        y += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
    block = Block(pytenon.Network([nn.linear(4)], input=(3,)))  # linear does not: torch's own allows it too
    y = block(torch.rand(2, 3))
    y += 1
    y.sum().backward()


def test_a_step_between_forward_and_backward_is_seen():
    block = Block(seed_network())
    loss = block(torch.rand(2, 1, 28, 28)).sum()
    block(torch.rand(2, 1, 28, 28)).sum().backward()
    block.update(pytenon.sgd(lr=0.1))
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_retained_graph_and_no_second_derivative():
    block = Block(seed_network("float64"))
    x = torch.rand(2, 1, 28, 28, dtype=torch.float64, requires_grad=True)
    y = block(x)
    once = torch.autograd.grad(y[:, 0].sum(), x, retain_graph=True)[0]
    again = torch.autograd.grad(y[:, 0].sum(), x)[0]
    assert torch.equal(once, again)
    with pytest.raises(pytenon.StateError, match="differentiable once"):
        torch.autograd.grad(block(x)[:, 0].sum(), x, create_graph=True)


def test_strided_input_is_packed_and_counted():
    block, twin = pair(seed_network("float64"), seed_torch(torch.float64))
    x = torch.rand(1, 28, 28, 6, dtype=torch.float64).permute(3, 0, 1, 2)
    assert not x.is_contiguous()
    before = pytenon.bytes_moved()["packed"]
    for m in (block, twin):
        m(x)[:, 3].sum().backward()
    near(gradients(block), gradients(twin))
    assert pytenon.bytes_moved()["packed"] - before == 6 * 28 * 28 * 8
    before = pytenon.bytes_moved()
    block(x.contiguous())[:, 3].backward(torch.ones(6, dtype=torch.float64))  # the slice's gradient is dense again
    assert pytenon.bytes_moved()["packed"] == before["packed"] and pytenon.bytes_moved()["copied"] == before["copied"]


def test_values_that_wait_for_a_sign_are_refused():
    x = torch.ones(2, 3, dtype=torch.complex64).conj().imag  # what lies in memory has the other sign
    assert x.is_neg()
    with pytest.raises(pytenon.ArgumentError, match="negative bit.*resolve_neg"):
        Block(pytenon.Network([nn.linear(2)], input=(3,)))(x)


def test_dropout_follows_torch_s_generator():
    block = Block(pytenon.Network([nn.dropout(0.5)], input=(1000,)))
    x = torch.ones(2, 1000, requires_grad=True)
    torch.manual_seed(3)
    a, b = block(x), block(x)
    torch.manual_seed(3)
    c = block(x)
    assert torch.equal(a, c) and not torch.equal(a, b)
    a.sum().backward()
    assert torch.equal(x.grad, a.detach())  # the mask of its own forward, not of the last one
    assert torch.equal(block.eval()(x), x)
    block.train()
    torch.manual_seed(4)
    plain = block(x)
    torch.manual_seed(4)
    checkpointed = torch.utils.checkpoint.checkpoint(block, x, use_reentrant=False)
    assert torch.equal(plain, checkpointed)


def test_eval_forward_with_modes_does_not_go_back():
    block = Block(norm_network()).eval()
    y = block(torch.rand(2, 2, 8, 8))
    with pytest.raises(pytenon.StateError, match="eval mode"):
        y.sum().backward()
    plain, twin = pair(seed_network("float64"), seed_torch(torch.float64))
    x = torch.rand(2, 1, 28, 28, dtype=torch.float64)
    for m in (plain.eval(), twin.eval()):
        m(x)[:, 1].sum().backward()
    near(gradients(plain), gradients(twin))


def test_hooks_and_accumulation_in_grad():
    block = Block(seed_network())
    seen = []
    for p in block.parameters():
        p.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.sum().item()))
    block(torch.rand(2, 1, 28, 28))[:, 1].sum().backward()
    assert len(seen) == 8


def test_indices_as_input():
    block = Block(pytenon.Network([nn.embedding(7, 4), nn.linear(3)], input=pytenon.Input((), kind="index"), dtype="float64"))
    twin = torch.nn.Sequential(torch.nn.Embedding(7, 4), torch.nn.Linear(4, 3)).double()
    twin.load_state_dict(block.state_dict())
    x = torch.tensor([1, 6, 1, 0])
    for m in (block, twin):
        (m(x) ** 2).sum().backward()
    near(gradients(block), gradients(twin))
    with pytest.raises(pytenon.RangeError, match="got 7, expected below 7"):
        block(torch.tensor([7]))


def test_functional_call_uses_what_it_is_given():
    block = Block(seed_network())
    x = torch.rand(2, 1, 28, 28)
    other = {name: torch.nn.Parameter(torch.rand_like(p) / 10) for name, p in block.named_parameters()}
    y = torch.func.functional_call(block, other, (x,))
    twin = seed_torch()
    twin.load_state_dict(other)
    assert torch.allclose(y, twin(x), atol=1e-6)
    assert all(not torch.equal(p, other[n]) for n, p in block.named_parameters())
    assert all(p.data_ptr() != other[n].data_ptr() for n, p in block.named_parameters())


def test_threads_give_the_same_bits():
    x = torch.rand(64, 1, 28, 28)
    results = []
    for threads in (1, 2):
        block = Block(seed_network(threads=threads, seed=4))
        block(x)[:, 1].sum().backward()
        results.append(gradients(block))
    assert all(torch.equal(a, b) for a, b in zip(*results))


def test_many_python_threads_at_once():
    import concurrent.futures
    block = Block(seed_network())
    x = torch.rand(16, 1, 28, 28)
    want = block(x).detach()

    def work(_):
        with torch.no_grad():
            a = block(x)
        y = block(x)
        g = torch.autograd.grad(y[:, 0].sum(), list(block.parameters()))
        return torch.equal(a, want), g[0]

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        done = list(pool.map(work, range(40)))
    assert all(same for same, _ in done) and all(torch.equal(g, done[0][1]) for _, g in done)
