# SPDX-License-Identifier: Apache-2.0
"""The same products and the same training step in PyTorch, eager, fp32 without TF32: torch_peer.py RESULTS.jsonl [--quick]

Prints for each case of RESULTS.jsonl that it knows a line and an object with the ratio of torch's time over ours."""
import json
import math
import sys
import time

import torch

QUICK = "--quick" in sys.argv
torch.backends.cuda.matmul.allow_tf32 = False
torch.set_float32_matmul_precision("highest")


def device_ns(call, sets, warm=0.02 if QUICK else 0.2, rounds=7 if QUICK else 15):
    """Median nanoseconds of call(i), by events."""
    start = time.monotonic()
    i = 0
    while time.monotonic() - start < warm or i < 4:
        call(i % sets)
        i += 1
        if i % 16 == 0:
            torch.cuda.synchronize()
    torch.cuda.synchronize()
    begin = time.monotonic()
    for j in range(8):
        call(j % sets)
    torch.cuda.synchronize()
    n = max(2, min(2000, int(2e-3 / max((time.monotonic() - begin) / 8, 1e-7))))
    times = []
    for _ in range(rounds):
        a, b = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        a.record()
        for j in range(n):
            call(j % sets)
        b.record()
        b.synchronize()
        times.append(a.elapsed_time(b) * 1e6 / n)
    return sorted(times)[len(times) // 2]


def product(case):
    shape, layout = case.split()
    m, n, k = map(int, shape.split("x"))
    sets = max(2, min(256, 150_000_000 // (4 * (m * k + k * n + m * n))))
    a = [torch.rand((k, m) if layout[0] == "T" else (m, k), device="cuda") for _ in range(sets)]
    b = [torch.rand((n, k) if layout[1] == "T" else (k, n), device="cuda") for _ in range(sets)]
    c = [torch.empty((m, n), device="cuda") for _ in range(sets)]
    if layout[0] == "T":
        a = [t.t() for t in a]
    if layout[1] == "T":
        b = [t.t() for t in b]
    return device_ns(lambda i: torch.mm(a[i], b[i], out=c[i]), sets)


def training(case):
    batch = int(case.split()[1])
    nn = torch.nn
    net = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)).cuda()
    rule = torch.optim.SGD(net.parameters(), lr=1e-6)
    x, dy = torch.rand((batch, 784), device="cuda"), torch.rand((batch, 10), device="cuda")

    def step(_):
        rule.zero_grad()
        net(x).backward(dy)
        rule.step()
    return device_ns(step, 1)


def main():
    logs, name = [], f"torch {torch.__version__}"
    for line in open(sys.argv[1]):
        ours = json.loads(line)
        peer = {"cuda_gemm": product, "cuda_train": training}.get(ours["bench"])
        if not peer or (ours.get("peer") or "").startswith("torch"):
            continue
        ns = peer(ours["case"])
        ratio = ns / ours["ours_ns"]
        logs.append(math.log(ratio))
        print(f"{ours['case']:<22} ours {ours['ours_ns'] / 1e3:10.2f} us   {name} {ns / 1e3:10.2f} us   {ratio:.2f}x")
        print(json.dumps({"bench": ours["bench"], "case": ours["case"], "ours_ns": ours["ours_ns"], "peer": name, "peer_ns": round(ns, 1),
                          "ratio": round(ratio, 4)}), flush=True)
    if logs:
        print(f"geometric mean over {len(logs)} cases: {math.exp(sum(logs) / len(logs)):.3f}x {name}")


if __name__ == "__main__":
    main()
