# SPDX-License-Identifier: Apache-2.0
"""The seed's LeNet in a Block against values computed by torch in float64: outputs, gradients, ten steps of SGD."""
import pytest
import torch
from conftest import fill, seed_network

from pytenon.torch import Block

CASES = {"seed: input ones(10,1,28,28), label ones(10,10)": (torch.ones(10, 1, 28, 28), torch.ones(10, 10)),
         "ramp: x[i]=sin(0.05*i), label one-hot(b)": (torch.sin(0.05 * torch.arange(7840, dtype=torch.float64)).reshape(10, 1, 28, 28), torch.eye(10))}


@pytest.mark.parametrize("dtype,limit", [("float64", 1e-10), ("float32", 1e-5)])
@pytest.mark.parametrize("name", CASES)
def test_golden(golden, name, dtype, limit):
    want, (x, label) = golden[name], CASES[name]
    kind = getattr(torch, dtype)
    block = Block(seed_network(dtype))
    fill(block)
    assert sum(p.numel() for p in block.parameters()) == golden["num_params"] == 75334
    assert [list(p.shape) for p in block.parameters()] == [shape for _, shape in golden["params"]]
    x, label = x.to(kind).detach().clone().requires_grad_(), label.to(kind)

    def close(got, expected):
        got, expected = torch.as_tensor(got, dtype=torch.float64), torch.as_tensor(expected, dtype=torch.float64)
        assert (got - expected).abs().max() <= limit * max(1.0, expected.abs().max()), (got, expected)

    optimizer, loss_of = torch.optim.SGD(block.parameters(), lr=0.01), torch.nn.MSELoss()
    for step in range(10):
        y = block(x)
        loss = loss_of(y, label)
        close(loss.item(), want["losses"][step])
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            close(y[0].detach(), want["output_row0"])
            close(y[9].detach(), want["output_row9"])
            close(x.grad.norm(), want["dx_l2"])
            close(x.grad.sum(), want["dx_sum"])
            for p, norm in zip(block.parameters(), want["grad_l2"].values()):
                close(p.grad.norm(), norm)
                assert abs(p.grad.norm().item() - norm) <= 100 * limit * norm  # they are small: also in themselves
        optimizer.step()
    close(block(x)[0].detach(), want["output_row0_after_10"])
    for p, total in zip(block.parameters(), want["param_sum_after_10"].values()):
        close(p.detach().double().sum(), total)
