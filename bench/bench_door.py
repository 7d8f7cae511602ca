# SPDX-License-Identifier: Apache-2.0
"""The Python rows of bench_bridge: what it costs to call f(a, b, c) with three float32[16] arrays, and to return one. Run it as
./bench/run bench_door. Ours is a METH_FASTCALL function over tenon/interop/python; peers are built beside it, each as its users write it.

All take turns in one process, slice by slice, as in harness.hpp: compare ratios. Rows named `floor` are no peers: they check nothing.
"""
import argparse
import importlib
import json
import os
import sys
from itertools import repeat

import numpy as np
import torch

from harness import race

parser = argparse.ArgumentParser()
parser.add_argument("--json", action="store_true")
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--seconds", type=float, default=0.5)
parser.add_argument("--case", default="")
options = parser.parse_args()
torch.set_num_threads(options.threads)


def peer(name):
    """A peer's module, or None with the reason on standard error."""
    try:
        if name == "tvm_ffi":
            import tvm_ffi
            return tvm_ffi.load_module(os.path.join(os.environ["TENON_PEERS"], "door_tvm_ffi.so"))
        return importlib.import_module(f"door_{name}")
    except Exception as e:
        print(f"bench_door: without {name}: {e}", file=sys.stderr)


def calling(f, *args):
    def run(n):
        for _ in repeat(None, n):
            f(*args)
    if len(args) == 3:
        a, b, c = args

        def run(n):
            for _ in repeat(None, n):
                f(a, b, c)
    elif not args:
        def run(n):
            for _ in repeat(None, n):
                f()
    return run


def main():
    ours = peer("tenon")
    if ours is None:
        return 1
    peers = {name: module for name in ("nanobind", "pybind11", "tvm_ffi") if (module := peer(name))}
    ours.use_table(torch.Tensor)
    arrays = [np.arange(16, dtype=np.float32) for _ in range(3)]
    tensors = [torch.arange(16.) for _ in range(3)]
    cases = {}
    for kind, args in (("numpy", arrays), ("torch", tensors)):
        names = [n for n in peers if (kind, n) != ("torch", "pybind11")]  # pybind11 takes no torch tensors
        floors = [("floor: empty function", ours.empty3), ("floor: fields", ours.fields3) if kind == "numpy" else ("floor: exchange API", ours.borrow3)]
        cases[f"python_{kind}3"] = [(n, calling(f, *args)) for n, f in [("tenon", ours.read3), *((n, peers[n].read3) for n in names), *floors]]
        cases[f"python_{kind}3_write"] = [(n, calling(f, *args)) for n, f in [("tenon", ours.write3), *((n, peers[n].write3) for n in names if n != "tvm_ffi")]]
        give = f"give_{kind}"
        cases[f"python_return_{kind}"] = [(n, calling(getattr(m, give))) for n, m in [("tenon", ours), *peers.items()] if hasattr(m, give)]
    if not options.json:
        print(f"{'case':22} {'ours':>9} {'least':>9}   {'peer':24} {'its time':>9} {'least':>9}   its / ours")
    for case, contestants in cases.items():
        if options.case not in case:
            continue
        results = race(contestants, options.seconds)
        mine = results[0]
        for (name, _), its in zip(contestants[1:], results[1:]):
            name = name.replace("_", "-")
            if options.json:
                print(json.dumps({"bench": "bench_bridge", "case": case, "ours_ns": round(mine[0], 2), "peer": name, "peer_ns": round(its[0], 2),
                                  "ratio": round(its[0] / mine[0], 4), "least_ratio": round(its[1] / mine[1], 4)}), flush=True)
            else:
                print(f"{case:22} {mine[0]:6.1f} ns {mine[1]:6.1f} ns   {name:24} {its[0]:6.0f} ns {its[1]:6.0f} ns   {its[0] / mine[0]:.2f}x"
                      f" (least {its[1] / mine[1]:.2f}x)", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
