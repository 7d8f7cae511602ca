# SPDX-License-Identifier: Apache-2.0
"""One training step of the seed's LeNet (forward, MSE, backward, SGD) in a pytenon.torch.Block, against the same model of torch, eager
and compiled, and against our C++ without Python. Run it as ./bench/run bench_block.

All take turns in one process, slice by slice, as in harness.hpp: compare ratios. `over` is the Block's time minus the peer's.
Before anything is timed, the losses after 10 steps must agree to 1e-5, else the exit status is 1.
"""
import argparse
import ctypes
import json
import os
import sys

import torch

import pytenon
from pytenon import layers as nn
from pytenon.torch import Block

from harness import race

parser = argparse.ArgumentParser()
parser.add_argument("--json", action="store_true")
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--seconds", type=float, default=0.5)
parser.add_argument("--case", default="")
options = parser.parse_args()
torch.set_num_threads(options.threads)

bare = ctypes.CDLL(os.path.join(os.environ.get("TENON_PEERS", "."), "bare_block.so"))
bare.bare_create.restype = ctypes.c_void_p
bare.bare_steps.restype = ctypes.c_double
RATE = 1e-4


def block():
    return Block(pytenon.Network([nn.conv2d(4, 3), nn.relu(), nn.conv2d(4, 3), nn.relu(), nn.max_pool2d(2), nn.flatten(), nn.linear(128), nn.relu(),
                                  nn.linear(10), nn.softmax()], input=(1, 28, 28), seed=1, threads=options.threads))


def twin():
    m = torch.nn
    model = m.Sequential(m.Conv2d(1, 4, 3), m.ReLU(), m.Conv2d(4, 4, 3), m.ReLU(), m.MaxPool2d(2), m.Flatten(), m.Linear(576, 128), m.ReLU(),
                         m.Linear(128, 10), m.Softmax(1))
    model.load_state_dict(block().state_dict())
    return model


def step_of(model, x, target, call=None):
    """With torch's loss and optimizer."""
    optimizer, loss_of, call = torch.optim.SGD(model.parameters(), lr=RATE), torch.nn.MSELoss(), call or model

    def run(n):
        for _ in range(n):
            loss = loss_of(call(x), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return loss.item()

    return run


def step_with_our_rule(model, x, target):
    loss_of, rule = torch.nn.MSELoss(), pytenon.sgd(lr=RATE)

    def run(n):
        for _ in range(n):
            loss = loss_of(model(x), target)
            model.zero_grad()
            loss.backward()
            model.update(rule)
        return loss.item()

    return run


def passes_of(model, x, dy):
    parameters = list(model.parameters())

    def run(n):
        for _ in range(n):
            y = model(x)
            for p in parameters:
                p.grad = None
            y.backward(dy)

    return run


class Floor(torch.autograd.Function):
    """An autograd.Function of that many parameters that computes nothing: with our C++ beside it, what any Block would take. Alone it
    would seem cheaper, because the caches would hold torch's code."""

    @staticmethod
    def forward(ctx, x, y, gradients, *parameters):
        ctx.save_for_backward(x, *parameters)
        ctx.gradients = gradients
        return y.detach()

    @staticmethod
    def backward(ctx, dy):
        ctx.saved_tensors
        return None, None, None, *[torch.empty_like(g) for g in ctx.gradients]


def floor_of(model, x, dy, handle):
    parameters, y = list(model.parameters()), torch.empty_like(dy)
    gradients = [p.detach() for p in parameters]

    def run(n):
        for _ in range(n):
            bare.bare_passes(handle, ctypes.c_long(1))
            out = Floor.apply(x, y, gradients, *parameters)
            for p in parameters:
                p.grad = None
            out.backward(dy)

    return run


def report(case, names, results):
    ours = results[0]
    for name, peer in zip(names[1:], results[1:]):
        if options.json:
            print(json.dumps({"bench": "bench_block", "case": case, "ours_ns": round(ours[0], 2), "peer": name, "peer_ns": round(peer[0], 2),
                              "ratio": round(peer[0] / ours[0], 4), "over_ns": round(ours[0] - peer[0], 2)}), flush=True)
        else:
            print(f"{case:28} {ours[0] / 1e3:9.1f} us {ours[1] / 1e3:9.1f} us   {name:28} {peer[0] / 1e3:9.1f} us {peer[1] / 1e3:9.1f} us"
                  f"   over {(ours[0] - peer[0]) / 1e3:8.1f} us   {peer[0] / ours[0]:.2f}x", flush=True)


def main():
    print(f"bench_block: torch {torch.__version__}, pytenon {pytenon.__version__}, {options.threads} thread(s)", file=sys.stderr)
    if not options.json:
        print(f"{'case':28} {'ours':>12} {'least':>12}   {'peer':28} {'its time':>12} {'least':>12}   {'ours − its':>16}   its / ours")
    for batch in (10, 64):
        x, target = torch.rand(batch, 1, 28, 28), torch.rand(batch, 10)
        pointers = [ctypes.cast(t.data_ptr(), ctypes.POINTER(ctypes.c_float)) for t in (x, target)]
        handle = ctypes.c_void_p(bare.bare_create(batch, *pointers))
        plain = ("bare C++", lambda n: bare.bare_steps(handle, ctypes.c_float(RATE), ctypes.c_long(n)))
        model = twin()
        torch.set_float32_matmul_precision("highest")
        compiled_model = twin()
        cases = {
            f"step, torch's SGD, b{batch}": [("Block", step_of(block(), x, target)), ("torch eager", step_of(model, x, target)),
                                             ("torch.compile", step_of(compiled_model, x, target, torch.compile(compiled_model))), plain],
            f"step, our SGD, b{batch}": [("Block", step_with_our_rule(block(), x, target)), plain],
        }
        for case, contestants in cases.items():
            if options.case not in case:
                continue
            losses = [run(10) for _, run in contestants]
            if max(losses) - min(losses) > 1e-5:
                print(f"bench_block {case}: the losses differ: {losses}", file=sys.stderr)
                return 1
            report(case, [name for name, _ in contestants], race(contestants, options.seconds))
        case = f"forward and backward, b{batch}"
        if options.case in case:
            contestants = [("Block", passes_of(block(), x, target)), ("torch eager", passes_of(model, x, target)),
                           ("bare C++ + empty Function", floor_of(model, x, target, handle)), ("bare C++", lambda n: bare.bare_passes(handle, ctypes.c_long(n)))]
            report(case, [name for name, _ in contestants], race(contestants, options.seconds))
        bare.bare_destroy(handle)
    return 0


if __name__ == "__main__":
    sys.exit(main())
