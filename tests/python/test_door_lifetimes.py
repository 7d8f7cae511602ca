# SPDX-License-Identifier: Apache-2.0
"""When the door lets go: deleters on other threads and at the interpreter's end (H), and imports from many threads."""
import gc
import threading
import time
import weakref

import numpy as np
import pytest
from door import in_a_process, torch


def test_H3_a_deleter_without_the_interpreter_hands_it_over(ext):
    class seen(np.ndarray):
        pass

    for make in (lambda: np.zeros(4, np.float32).view(seen), lambda: np.zeros((2, 2)).view(seen)):
        x = make()
        gone = weakref.ref(x)
        ext.keep(x)
        del x
        gc.collect()
        ext.release()  # in a thread that knows no Python
        time.sleep(0)  # before CPython 3.12, pending calls of other threads wait for that
        gc.collect()
        assert gone() is None


def test_H3_many_deleters_at_once(ext):
    class seen(np.ndarray):
        pass

    for _ in range(20):
        arrays = [np.zeros(4, np.float32).view(seen) for _ in range(100)]  # more than the list of pending calls holds
        refs = [weakref.ref(a) for a in arrays]
        for a in arrays:
            ext.keep(a)
        del arrays, a
        worker = threading.Thread(target=ext.release)
        worker.start()
        worker.join()
        ext.take(np.zeros(1))
        gc.collect()
        assert not [r for r in refs if r() is not None]


@pytest.mark.parametrize("make", ["bytearray(16)", "__import__('numpy').zeros(4)", "__import__('torch').zeros(4)"])
def test_H3_deleters_after_the_interpreter_s_end(built, make):
    if "torch" in make:
        pytest.importorskip("torch")
    assert in_a_process(built, f"""
ext.keep({make}); ext.keep(memoryview(bytearray(8)))
ext.release_at_exit()
print('alive')""") == "alive\n"


def test_H3_imports_from_many_threads(ext):
    a, t = np.arange(16, dtype=np.float32), torch.arange(16.)
    errors = []

    def work():
        try:
            for _ in range(2000):
                assert ext.sum(a) == ext.sum(t) == 120
                ext.take(a), ext.take(t), ext.take(memoryview(a))
        except BaseException as e:
            errors.append(e)

    threads = [threading.Thread(target=work) for _ in range(4)]
    [x.start() for x in threads], [x.join() for x in threads]
    assert not errors
