# SPDX-License-Identifier: Apache-2.0
"""The door from eight threads at once, and while the interpreter ends (H). Each in a process of its own, without pytenon and torch, so
that it holds of a free-threaded Python, too. TENON_ROUNDS: how often; tests/tools/free_threaded.sh says more."""
import os

import pytest
from door import in_a_process

ROUNDS = int(os.environ.get("TENON_ROUNDS", "150"))
START = f"""
import gc, sys, threading, time, weakref
import numpy as np
ROUNDS = {ROUNDS}
sys.setswitchinterval(1e-5)

class speaker:
    def __init__(self, versioned): self.versioned = versioned
    def __dlpack_device__(self): return (1, 0)
    def __dlpack__(self, **k): return ext.crafted(self.versioned)

class seen(np.ndarray): pass

def together(work, n=8):
    errors, start = [], threading.Barrier(n)
    def run(i):
        try:
            start.wait()
            work(i)
        except BaseException as e:
            errors.append(repr(e))
    threads = [threading.Thread(target=run, args=(i,)) for i in range(n)]
    [t.start() for t in threads], [t.join() for t in threads]
    assert not errors, errors[:3]
"""


def test_H3_eight_threads_import_export_and_let_go(built):
    assert in_a_process(built, START + """
a = np.arange(16, dtype=np.float32)
b = memoryview(bytearray(64)).cast("f")
shared = ext.take(a)
before = sys.getrefcount(a)

def work(i):
    for n in range(ROUNDS):
        kind = type("kind", (speaker,), {})  # met by nobody before
        boxes = [ext.take(a), ext.take(b), ext.take(speaker(1)), ext.take(speaker(0)), ext.take(ext.crafted(1)), ext.take(kind(1)), ext.take(shared)]
        assert [ext.sum(x) for x in boxes] == [120, 0, 10, 10, 10, 10, 120]
        given = [np.from_dlpack(boxes[0]), np.asarray(boxes[2]), memoryview(boxes[3]), ext.fresh_numpy(), ext.numpy_of(boxes[6])]
        assert [float(sum(x)) for x in given] == [120, 10, 10, 120, 120] and ext.through_table(shared)[0] == 1
        boxes[4].__dlpack__(max_version=(1, 0)), shared.__dlpack__()
        ext.keep(a.view(seen)), ext.keep(speaker(1)), ext.keep(memoryview(bytearray(8)))
        if n % 8 == i:
            ext.release()

together(work)
ext.release()
while ext.deleted() < 8 * ROUNDS * 5:  # what the last foreign threads left to others
    ext.take(a)
gc.collect()
time.sleep(0.001)
ext.take(a)
assert ext.deleted() == 8 * ROUNDS * 5, ext.deleted()
del shared
gc.collect()
print(sys.getrefcount(a) - before)""", seconds=30 + ROUNDS) in ("0\n", "-1\n")


def test_I4_one_of_eight_threads_takes_a_capsule(built):
    assert in_a_process(built, START + """
for n in range(max(ROUNDS // 20, 1)):
    capsules, won, before = [ext.crafted(k % 2) for k in range(100)], [], ext.deleted()
    def work(i):
        take = ext.take if i % 2 else ext.take_copied
        for c in capsules:
            try:
                won.append(take(c))
            except BufferError as e:
                assert "taken before" in str(e)
    together(work)
    assert len(won) == 100 and all(ext.sum(x) == 10 for x in won), len(won)
    won.clear()
    assert ext.deleted() == before + 100
    capsules.clear()
    assert ext.deleted() == before + 100
print("done")""", seconds=30 + ROUNDS) == "done\n"


def test_H3_after_a_second_interpreter(built):
    """From then on PyGILState_Check says of every thread that it runs Python."""
    assert in_a_process(built, START + """
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
interpreters.create()
for _ in range(50):
    ext.keep(np.zeros(4).view(seen)), ext.keep(speaker(1)), ext.keep(memoryview(bytearray(8)))
    array = np.zeros(4).view(seen)
    gone = weakref.ref(array)
    ext.keep(array)
    del array
    ext.release()
    time.sleep(0)
    ext.take(np.zeros(1))
    gc.collect()
    assert gone() is None
print("alive")""") == "alive\n"


ENDINGS = {
    "tensors of the module": """
box = ext.take(np.arange(4.))
views = [np.from_dlpack(box), np.asarray(box), memoryview(box), ext.fresh_numpy(), ext.numpy_of(box), ext.take(speaker(1))]
capsule = box.__dlpack__(max_version=(1, 0))
ext.itself = ext, box  # a cycle through the module
ext.keep(np.zeros(3).view(seen)), ext.keep(memoryview(bytearray(8))), ext.keep(speaker(0))
ext.release_at_exit()
""",
    "a foreign thread lets go meanwhile": """
ext.release_for_ever()
def feed():
    while True:
        ext.keep(np.zeros(4).view(seen)), ext.keep(memoryview(bytearray(8))), ext.keep(ext.crafted(1))
for _ in range(3):
    threading.Thread(target=feed, daemon=True).start()
time.sleep(0.05)
""",
    "daemon threads import and let go": """
ext.release_at_exit()
shared = ext.take(np.zeros(4))
def use():
    while True:
        ext.keep(np.zeros(4).view(seen)), ext.take(shared), ext.take(ext.crafted(1)), np.from_dlpack(shared), ext.fresh_numpy()
        ext.sum(np.ones(4, "f4")), memoryview(shared), ext.through_table(shared)
        ext.release()
for _ in range(4):
    threading.Thread(target=use, daemon=True).start()
time.sleep(0.05)
""",
    "daemon threads are inside of Python's own code": """
class slow(speaker):
    def __dlpack__(self, **k):
        for _ in range(20): time.sleep(0)
        return ext.crafted(1)
class mourned(np.ndarray):
    def __del__(self):
        for _ in range(20): time.sleep(0)
def use():
    while True:
        ext.take(slow(1)), ext.sum(slow(1))
        ext.take(np.zeros(4).view(mourned))
for _ in range(4):
    threading.Thread(target=use, daemon=True).start()
time.sleep(0.02)
""",
    "objects that call the door as they die": """
class last:
    def __init__(self, x): self.x = x
    def __del__(self):
        self.y = ext.take(self.x), ext.fresh_numpy()
        self.y[0].__dlpack__()
ext.keeps = last(np.zeros(4))
keeps = [last(ext.take(np.zeros(4))), last(memoryview(bytearray(8)))]
threading.current_thread().kept = last(np.zeros(3))
"""}


@pytest.mark.parametrize("ending", ENDINGS)
def test_H3_the_interpreter_ends_while(built, ending):
    for _ in range(min(2 + ROUNDS // 100, 20)):
        assert in_a_process(built, START + ENDINGS[ending] + "\nprint('alive', flush=True)") == "alive\n"
