# SPDX-License-Identifier: Apache-2.0
"""LeNet on Fashion-MNIST with a torch loader, beside the same model of torch's own: 02_fashion_mnist.py [--steps N] [--threads N]

Prints a line every ten steps and the time of each side; ends with status 1 where the losses differ by more than 1e-4.
Needs the Debian package dataset-fashion-mnist (30 MB).
"""
import argparse
import gzip
import time

import torch

import pytenon
from pytenon import layers as nn
from pytenon.torch import Block

FOLDER = "/usr/share/datasets/fashion-mnist"


def idx(name, header):
    with gzip.open(f"{FOLDER}/{name}-ubyte.gz") as f:
        return torch.frombuffer(bytearray(f.read()[header:]), dtype=torch.uint8)


def lenet_of_torch():
    m = torch.nn
    return m.Sequential(m.Conv2d(1, 6, 5, padding=2), m.ReLU(), m.MaxPool2d(2), m.Conv2d(6, 16, 5), m.ReLU(), m.MaxPool2d(2), m.Flatten(),
                        m.Linear(400, 120), m.ReLU(), m.Linear(120, 84), m.ReLU(), m.Linear(84, 10))


parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=30)
parser.add_argument("--threads", type=int, default=1)
options = parser.parse_args()
torch.set_num_threads(options.threads)
torch.manual_seed(1)

images = idx("train-images-idx3", 16).view(-1, 1, 28, 28).float() / 255
loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(images, idx("train-labels-idx1", 8).long()), batch_size=64, shuffle=True)

ours = Block(pytenon.Network([
    nn.conv2d(6, 5, padding=2), nn.relu(), nn.max_pool2d(2), nn.conv2d(16, 5), nn.relu(), nn.max_pool2d(2), nn.flatten(),
    nn.linear(120), nn.relu(), nn.linear(84), nn.relu(), nn.linear(10)], input=(1, 28, 28), seed=1, threads=options.threads))
theirs = lenet_of_torch()
theirs.load_state_dict(ours.state_dict())  # the same names, the same weights

sides = [[name, model, torch.optim.SGD(model.parameters(), lr=0.05), 0.0, 0.0] for name, model in (("Block", ours), ("torch", theirs))]
worst, step = 0.0, 0
while step < options.steps:
    for x, labels in loader:
        for side in sides:
            _, model, optimizer, _, _ = side
            start = time.perf_counter()
            loss = torch.nn.functional.cross_entropy(model(x), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            side[4], side[3] = side[4] + time.perf_counter() - start, loss.item()
        step += 1
        worst = max(worst, abs(sides[0][3] - sides[1][3]))
        if step % 10 == 0:
            print(f"step {step:4d}  " + "  ".join(f"{name} {loss:.6f}" for name, _, _, loss, _ in sides))
        if step == options.steps:
            break
print("  ".join(f"{name} {seconds * 1e3 / step:.2f} ms a step" for name, _, _, _, seconds in sides) + f"  largest difference of the loss {worst:.1e}")
raise SystemExit(worst > 1e-4)
