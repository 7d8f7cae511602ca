# SPDX-License-Identifier: Apache-2.0
"""Block under torch.compile, opcheck, fake tensors and torch.func: one registered operator with a fake kernel."""
import pytest
import torch
from conftest import gradients, norm_network, norm_torch, pair, seed_network, seed_torch

import pytenon
from pytenon import layers as nn
from pytenon.torch import Block


@pytest.fixture(autouse=True)
def fresh():
    torch._dynamo.reset()


def test_compiled_equals_eager():
    block = Block(seed_network())
    compiled = torch.compile(block, fullgraph=True, backend="aot_eager")
    for batch in (4, 7, 2):
        x = torch.rand(batch, 1, 28, 28, requires_grad=True)
        results = []
        for m in (block, compiled):
            block.zero_grad()
            x.grad = None
            y = m(x)
            y[:, 1].sum().backward()
            results.append((y.detach(), x.grad, *gradients(block)))
        assert all(torch.equal(a, b) for a, b in zip(*results))


def test_inductor_training_steps():
    block, twin = pair(seed_network("float64"), seed_torch(torch.float64))
    x, t = torch.rand(5, 1, 28, 28, dtype=torch.float64), torch.rand(5, 10, dtype=torch.float64)

    def train(model, optimizer):
        losses = []
        for _ in range(3):
            loss = torch.nn.functional.mse_loss(model(x), t)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    a = train(torch.compile(block, fullgraph=True), torch.optim.SGD(block.parameters(), lr=0.5))
    b = train(twin, torch.optim.SGD(twin.parameters(), lr=0.5))
    assert a == pytest.approx(b, abs=1e-12) and a[2] < a[0]
    block.update(pytenon.sgd(lr=0.5))  # C++ writes, the compiled graph reads


def test_compiled_running_statistics():
    block, twin = pair(norm_network("float64"), norm_torch(torch.float64))
    compiled = torch.compile(block, fullgraph=True, backend="aot_eager")
    for batch in (6, 3):
        x = torch.rand(batch, 2, 8, 8, dtype=torch.float64)
        compiled(x).sum().backward()
        twin(x).sum().backward()
    for (name, a), b in zip(block.state_dict().items(), twin.state_dict().values()):
        assert torch.allclose(a, b, atol=1e-12), name
    block.eval(), twin.eval()
    with torch.no_grad():
        assert torch.allclose(compiled(x), twin(x))


def test_compiled_inside_a_function_of_torch():
    block, twin = pair(seed_network("float64"), seed_torch(torch.float64))
    x = torch.rand(3, 1, 28, 28, dtype=torch.float64)
    f = torch.compile(lambda x: block(torch.tanh(x) * 2).log().mean(), fullgraph=True, backend="aot_eager")
    f(x).backward()
    twin(torch.tanh(x) * 2).log().mean().backward()
    assert all(torch.allclose(a, b, atol=1e-12) for a, b in zip(gradients(block), gradients(twin)))


@pytest.mark.parametrize("training", [True, False])
def test_opcheck(training):
    block, state = Block(seed_network()), Block(norm_network())
    x = torch.rand(3, 1, 28, 28, requires_grad=training)
    torch.library.opcheck(torch.ops.pytenon.forward.default, (x, list(block.parameters()), [], None, block._number, training),
                          test_utils=("test_schema", "test_faketensor", "test_autograd_registration") + (("test_aot_dispatch_dynamic",) if training else ()))
    x = torch.rand(3, 2, 8, 8)
    buffers = [b for n, b in state.named_buffers() if not n.endswith("tracked")]
    arguments = (x, [p.detach() for p in state.parameters()], buffers, None, state._number, training)
    torch.library.opcheck(torch.ops.pytenon.forward.default, arguments)
    if training:
        y, saved = torch.ops.pytenon.forward(*arguments)
        torch.library.opcheck(torch.ops.pytenon.commit.default, (saved, [b.clone() for b in buffers], 3, state._number))
        torch.library.opcheck(torch.ops.pytenon.backward.default,
                              (torch.rand_like(y), x, y, saved, [p.detach() for p in state.parameters()], None, state._number, True))


def test_dropout_compiles():
    block = Block(pytenon.Network([nn.dropout(0.5)], input=(1000,)))
    compiled = torch.compile(block, fullgraph=True, backend="aot_eager")
    x = torch.ones(2, 1000, requires_grad=True)
    a = compiled(x)
    b = compiled(x)
    a.sum().backward()
    assert not torch.equal(a, b) and torch.equal(x.grad, a.detach())


def test_fake_tensors():
    from torch._subclasses.fake_tensor import FakeTensorMode
    block = Block(seed_network())
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        y = block(mode.from_tensor(torch.rand(6, 1, 28, 28)))
    assert y.shape == (6, 10) and type(y).__name__ == "FakeTensor"


def test_export_is_one_node():
    block = Block(seed_network()).eval()
    with torch.no_grad():
        exported = torch.export.export(block, (torch.rand(2, 1, 28, 28),))
    assert [n.target for n in exported.graph.nodes if "pytenon" in str(n.target)] == [torch.ops.pytenon.forward.default]


def test_func_grad():
    block, twin = pair(seed_network("float64"), seed_torch(torch.float64))
    x = torch.rand(3, 1, 28, 28, dtype=torch.float64)

    def loss(m):
        return lambda parameters: torch.func.functional_call(m, parameters, (x,))[:, 2].sum()

    a, b = (torch.func.grad(loss(m))({n: p.detach() for n, p in m.named_parameters()}) for m in (block, twin))
    assert all(torch.allclose(a[n], b[n], atol=1e-12) for n in b)
