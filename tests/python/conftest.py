# SPDX-License-Identifier: Apache-2.0
"""What the tests of the package share: the seed's LeNet on both sides, and its golden values."""
import json
import math
import os
import pathlib

import pytest
from door import built, ext  # noqa: F401  (fixtures)

torch = pytest.importorskip("torch")

import pytenon  # noqa: E402
from pytenon import layers as nn  # noqa: E402
from pytenon.torch import Block  # noqa: E402

torch.set_num_threads(1)


def seed_network(dtype="float32", **more):
    return pytenon.Network([nn.conv2d(4, 3), nn.relu(), nn.conv2d(4, 3), nn.relu(), nn.max_pool2d(2), nn.flatten(), nn.linear(128), nn.relu(),
                            nn.linear(10), nn.softmax()], input=(1, 28, 28), dtype=dtype, **more)


def seed_torch(dtype=torch.float32):
    m = torch.nn
    return m.Sequential(m.Conv2d(1, 4, 3), m.ReLU(), m.Conv2d(4, 4, 3), m.ReLU(), m.MaxPool2d(2), m.Flatten(), m.Linear(576, 128), m.ReLU(),
                        m.Linear(128, 10), m.Softmax(1)).to(dtype)


def norm_network(dtype="float32", **more):
    return pytenon.Network([nn.conv2d(6, 3, bias=False), nn.batch_norm(), nn.relu(), nn.flatten(), nn.linear(5)], input=(2, 8, 8), dtype=dtype, **more)


def norm_torch(dtype=torch.float32):
    m = torch.nn
    return m.Sequential(m.Conv2d(2, 6, 3, bias=False), m.BatchNorm2d(6), m.ReLU(), m.Flatten(), m.Linear(216, 5)).to(dtype)


def fill(module):
    """The golden weights: a formula over the index in named_parameters order."""
    with torch.no_grad():
        for k, p in enumerate(module.parameters()):
            i = torch.arange(p.numel(), dtype=torch.float64)
            v = torch.sin(0.37 * (i + 1) + k) / math.sqrt(p.numel() / p.shape[0]) if p.dim() > 1 else 0.01 * torch.cos(i + k)
            p.copy_(v.reshape(p.shape))


def pair(network, twin):
    """A Block and the torch model with the same weights."""
    block = Block(network)
    twin.load_state_dict(block.state_dict())
    return block, twin


def gradients(module):
    return [p.grad.clone() for p in module.parameters()]


@pytest.fixture(scope="session")
def golden():
    return json.loads(pathlib.Path(os.environ["TENON_DATA"], "lenet_golden.json").read_text())
