# SPDX-License-Identifier: Apache-2.0
"""Something else in a parameter's place (prune, weight_norm, spectral_norm), and parameters that are frozen."""
import copy
import warnings

import pytest
import torch
from conftest import norm_network, pair, seed_network, seed_torch
from torch.nn.utils import parametrizations, prune

import pytenon
from pytenon.torch import Block


def old(name):
    def act(module):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            torch.manual_seed(3)
            getattr(torch.nn.utils, name)(module, "weight")
    return act


def new(name):
    def act(module):
        torch.manual_seed(3)
        getattr(parametrizations, name)(module, "weight")
    return act


ACTS = {"prune": lambda m: prune.l1_unstructured(m, "weight", amount=0.5), "old weight_norm": old("weight_norm"),
        "old spectral_norm": old("spectral_norm"), "weight_norm": new("weight_norm"), "spectral_norm": new("spectral_norm")}


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("name", ACTS)
def test_three_steps_as_torch(name, compiled):
    block, twin = pair(seed_network("float64"), seed_torch(torch.float64))
    for m in (block, twin):
        ACTS[name](m.get_submodule("6"))
    torch._dynamo.reset()
    call = torch.compile(block, fullgraph=True, backend="aot_eager") if compiled else block
    optimizers = [torch.optim.SGD(m.parameters(), lr=0.1) for m in (block, twin)]
    for step in range(3):
        x = torch.rand(2, 1, 28, 28, dtype=torch.float64)
        ys = [call(x), twin(x)]
        assert torch.allclose(*ys, atol=1e-12), step
        for y, optimizer in zip(ys, optimizers):
            optimizer.zero_grad()
            y[:, 1].sum().backward()
            optimizer.step()
        for (a, p), (b, q) in zip(sorted(block.named_parameters()), sorted(twin.named_parameters())):
            assert a == b and torch.allclose(p, q, atol=1e-12) and torch.allclose(p.grad, q.grad, atol=1e-12)


def test_the_network_does_not_know_what_stands_in_a_parameter_s_place():
    block = Block(seed_network())
    ACTS["weight_norm"](block.get_submodule("6"))
    block(torch.rand(2, 1, 28, 28))[:, 1].sum().backward()
    before = [p.clone() for p in block.parameters()]
    for act in (lambda: block.network, lambda: block.update(pytenon.sgd(lr=0.1))):
        with pytest.raises(pytenon.StateError, match="6.weight: stale: got prune or a parametrization"):
            act()
    assert all(torch.equal(p, q) for p, q in zip(block.parameters(), before))
    torch.nn.utils.parametrize.remove_parametrizations(block.get_submodule("6"), "weight")
    x = torch.rand(2, 1, 28, 28)
    assert torch.allclose(torch.from_dlpack(block.network(x)), block(x), atol=1e-6)


def test_copies_and_casts_of_a_parametrized_block():
    block = Block(norm_network())
    ACTS["weight_norm"](block.get_submodule("0"))
    x = torch.rand(2, 2, 8, 8)
    twin = copy.deepcopy(block)
    assert torch.equal(block.eval()(x), twin.eval()(x))
    ema = torch.optim.swa_utils.AveragedModel(block)
    assert torch.equal(ema.eval()(x), block(x))
    block.to(torch.float32)
    with pytest.raises(pytenon.DtypeError, match="got torch.float64, expected torch.float32"):
        block.double()


@pytest.mark.parametrize("rule", [pytenon.sgd(lr=0.1, momentum=0.9, weight_decay=0.1), pytenon.adamw(lr=0.1, weight_decay=0.1)], ids=["sgd", "adamw"])
def test_our_rule_leaves_parameters_without_a_gradient_alone(rule):
    block, twin = pair(seed_network("float64"), seed_torch(torch.float64))
    make = torch.optim.AdamW if isinstance(rule, pytenon.adamw) else lambda p, **more: torch.optim.SGD(p, momentum=0.9, **more)
    optimizer = make(twin.parameters(), lr=0.1, weight_decay=0.1)
    for m in (block, twin):
        next(m.parameters()).requires_grad_(False)
    first = next(block.parameters()).clone()
    block.update(rule)  # nobody has one
    assert block.network.steps == 0
    for _ in range(3):
        x = torch.rand(3, 1, 28, 28, dtype=torch.float64)
        for m in (block, twin):
            m.zero_grad()
            (m(x) ** 2).sum().backward()
        optimizer.step()
        block.update(rule)
    assert torch.equal(next(block.parameters()), first)
    assert all(torch.allclose(p, q, atol=1e-10) for p, q in zip(block.parameters(), twin.parameters()))
