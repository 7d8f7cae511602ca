#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/data/torch_lenet_30_steps.txt: what PyTorch 2.13 does in 30 steps of the main job.

usage: python make_torch_golden.py [folder of the idx.gz files] > tests/data/torch_lenet_30_steps.txt
needs: torch==2.13.0 numpy (`./bench/run --install-peers`), the Debian package dataset-fashion-mnist
"""
import gzip
import math
import sys
import zlib

import numpy as np
import torch
from torch import nn

STEPS, BATCH, TOTAL, MAX_LR = 30, 32, 5 * 1875, 3e-3


def read(folder, name, header):
    with gzip.open(f"{folder}/{name}") as f:
        return np.frombuffer(f.read(), np.uint8, offset=header)


def one_cycle(step):
    """The rate of a step, as the header of the golden file states it."""
    low, last, peak = MAX_LR / 25, TOTAL - 1, 0.3 * TOTAL - 1
    a, b, t = (low, MAX_LR, step / peak) if step <= peak else (MAX_LR, low / 1e4, (step - peak) / (last - peak))
    return b + (a - b) / 2 * (1 + math.cos(math.pi * t))


def lenet():
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))


def train(word, x, y, rate):
    net = lenet()
    opt = torch.optim.AdamW(net.parameters(), lr=MAX_LR, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01)
    schedule = rate(opt)
    for i in range(STEPS):
        lr = opt.param_groups[0]["lr"]
        assert not schedule or abs(lr / one_cycle(i) - 1) < 1e-12
        opt.zero_grad()
        loss = nn.functional.cross_entropy(net(x[i]), y[i])
        loss.backward()
        opt.step()
        if schedule:
            schedule.step()
        print(f"{word} {i} {lr:.17g} {loss.item():.9g}")
    for name, p in net.named_parameters():
        print(f"{word}_after {name} {p.detach().double().square().sum().item():.9g}")


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else "/usr/share/datasets/fashion-mnist"
    images = read(folder, "train-images-idx3-ubyte.gz", 16)[: STEPS * BATCH * 784]
    labels = read(folder, "train-labels-idx1-ubyte.gz", 8)[: STEPS * BATCH]
    torch.set_num_threads(1)
    flat = np.concatenate([p.detach().numpy().ravel() for p in lenet().parameters()])
    print(f"""\
# LeNet of the README in PyTorch {torch.__version__}, 1 thread; written by tests/tools/make_torch_golden.py
# data: Fashion-MNIST training images x/255 in file order, no shuffle: step i takes images {BATCH}i ... {BATCH}i+{BATCH - 1}; loss: mean cross entropy
# weights: torch.manual_seed(1), default initialisation (tests/support/torch_init.hpp makes the same bits); parameter <flat index> <value>
# AdamW: beta 0.9 0.999, epsilon 1e-8, decay 0.01 on every parameter
images_crc32 {zlib.crc32(images.tobytes()):08x}
labels_crc32 {zlib.crc32(labels.tobytes()):08x}
parameters {flat.size}
parameters_crc32 {zlib.crc32(flat.astype("<f4").tobytes()):08x}""")
    for i in (0, 1, 150, 156, 61695, 61705):
        print(f"parameter {i} {flat[i]:.9g}")

    x = torch.from_numpy(images.astype(np.float32) / np.float32(255)).reshape(STEPS, BATCH, 1, 28, 28)
    y = torch.from_numpy(labels.astype(np.int64)).reshape(STEPS, BATCH)
    print(f"""\
# one cycle, the first {STEPS} steps of the main job: step <number> <rate> <loss before its update>, step_after <parameter> <sum of squares at the end>
# rate, total = {TOTAL}, top = {MAX_LR}, low = top/25, peak = 0.3*total-1: low to top over steps 0..peak, then top to low/1e4 over peak..total-1,
#   each as b + (a-b)/2 * (1 + cos(pi*t)) from a to b, t = 0..1 (OneCycleLR, pct_start 0.3, total_steps {TOTAL})""")
    train("step", x, y, lambda opt: torch.optim.lr_scheduler.OneCycleLR(opt, MAX_LR, TOTAL, pct_start=0.3, cycle_momentum=False))
    print("""\
# the same from the same weights at the constant top rate: here a wrong epsilon or a missing decay shows (0.06 in the loss),
#   rounding does not (float64 differs by 5e-7)""")
    train("fast", x, y, lambda opt: None)


main()
