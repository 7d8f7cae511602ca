# SPDX-License-Identifier: Apache-2.0
"""Paired timing for benches written in Python: what harness.hpp is for C++."""
import statistics
import sys
import time


def race(contestants, seconds):
    """(median, least) of one call in ns, each contestant in its own slices of at least 2 ms, in turns; the first one is ours.
    A contestant is (name, run); run(n) does the work n times."""
    calls, times = [], [[] for _ in contestants]
    for _, run in contestants:
        run(2)
        n, took = 1, 0.0
        while took < 5e-4:
            start = time.perf_counter()
            run(n)
            took = time.perf_counter() - start
            n *= 2
        calls.append(max(1, int(2e-3 / took * n / 2)))
    end, turn = time.perf_counter() + seconds * len(contestants), 0
    while time.perf_counter() < end or turn < 7:
        for j in range(len(contestants)):
            i = (j + turn) % len(contestants)
            contestants[i][1](1)
            cpu, start = time.process_time(), time.perf_counter()
            contestants[i][1](calls[i])
            took = time.perf_counter() - start
            times[i].append((took / calls[i] * 1e9, time.process_time() - cpu > 0.97 * took))
        turn += 1
    quiet = min(sum(q for _, q in t) for t in times) >= 5
    if not quiet:
        print("the machine is busy: rough numbers", file=sys.stderr)
    kept = [[ns for ns, q in t if q or not quiet] for t in times]
    return [(statistics.median(t), min(t)) for t in kept]
