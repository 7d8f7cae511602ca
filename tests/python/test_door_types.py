# SPDX-License-Identifier: Apache-2.0
"""What the door remembers of a type: that may change, die and be made anew at the same address (rules I, K)."""
import gc

import numpy as np
import pytest
from door import in_a_process, producer

import pytenon


def test_I11_a_type_that_learns_to_speak(ext):
    for take in (ext.take, pytenon.from_dlpack):
        class late:
            pass

        for _ in range(2):
            with pytest.raises(TypeError, match="kind: got .*late"):
                take(late())
        late.__dlpack_device__ = lambda self: (1, 0)
        late.__dlpack__ = lambda self, **k: ext.crafted(1)
        assert ext.sum(take(late())) == 10


def test_I11_a_type_that_no_longer_speaks(ext):
    for take in (ext.take, pytenon.from_dlpack):
        class speaker(producer):
            def __dlpack__(self, **keywords):
                return ext.crafted(1)

            def __dlpack_device__(self):
                return (1, 0)

        x = speaker(None)
        assert ext.sum(take(x)) == 10
        delattr(speaker, "__dlpack__")
        x.capsule = ext.crafted(0)  # its base's method answers
        assert ext.sum(take(x)) == 10
        speaker.__dlpack__ = None
        with pytest.raises(RuntimeError, match="says: 'NoneType' object is not callable"):
            take(x)


def test_types_that_die_leave_nothing_behind(built):
    """More than are remembered, each where a former one may have been; NumPy is met after them all. In a process, whose table is then full."""
    assert in_a_process(built, """
import gc, weakref

def of(n):
    class kind:
        def __dlpack_device__(self):
            return (1, 0)

        if n % 2:
            def __dlpack__(self):  # the protocol before 1.0
                return ext.crafted(0)
        else:
            def __dlpack__(self, *, max_version):
                return ext.crafted(1)

    assert ext.sum(ext.take(kind())) == 10
    return weakref.ref(kind)

refs = [of(n) for n in range(600)]
gc.collect()
alive = sum(r() is not None for r in refs)
assert 100 < alive <= 256, alive  # those that are remembered keep their address
import numpy
assert ext.sum(numpy.ones(3, "f4")) == 3 and ext.reads_numpy()
print("done")""") == "done\n"


def test_K_attributes_that_change_during_the_question(ext):
    table = pytenon.Tensor.__dlpack_c_exchange_api__
    asked = []

    class fickle:
        __dlpack_c_exchange_api__ = table

        @property
        def requires_grad(self):
            asked.append(1)
            del fickle.requires_grad  # what answers is gone with it
            fickle.requires_grad = np.float64  # and something else is there
            gc.collect()
            return True

    with pytest.raises(ValueError, match="requires a gradient"):
        ext.take(fickle())
    assert asked == [1]
    del fickle.requires_grad
    with pytest.raises(RuntimeError, match="says: "):
        ext.take(fickle())


@pytest.mark.parametrize("name", ["requires_grad", "is_neg", "is_conj"])
def test_K_descriptors_of_other_types_are_not_called(built, name):
    """A C function takes what it is given for an object of its type: in a process, since that would end it."""
    assert in_a_process(built, f"""
import array, gc
import pytenon
for strange in (array.array.__dict__["tolist"], list.__dict__["copy"], dict.__dict__["popitem"]):
    kind = type("kind", (), dict(__dlpack_c_exchange_api__=pytenon.Tensor.__dlpack_c_exchange_api__, {name}=strange))
    for _ in range(2):
        for take in (ext.take, ext.sum, ext.increase):
            try:
                take(kind())
            except (RuntimeError, TypeError) as e:
                assert "doesn't apply to" in str(e) or take is not ext.take, e
            else:
                assert False
    del kind.{name}
    del strange
    gc.collect()
    try:
        ext.take(kind())
    except (RuntimeError, TypeError) as e:
        pass
print("alive")""") == "alive\n"


def test_K_a_class_s_answer_is_its_newest(ext):
    class base:
        pass

    ext.add_to(base)  # C functions in a class that may change
    base.is_neg = base.__dict__["__dlpack_device__"]
    held = base.is_neg
    kind = type("kind", (base,), {})
    with pytest.raises(RuntimeError, match="object of the table's type"):
        ext.take(kind())
    base.is_neg = lambda self: True
    with pytest.raises(ValueError, match="negative bit"):
        ext.take(kind())
    assert held is not base.is_neg
