# SPDX-License-Identifier: Apache-2.0
"""NumPy by its fields, the buffer protocol both ways, and arrays that a function returns."""
import numpy as np
import pytest
from door import address, buffer_of, torch

import pytenon


def test_numpy_s_fields_are_looked_at(ext):
    a = np.arange(6, dtype=np.float32).reshape(2, 3)
    for x in (a, a.T, a[::-1], np.broadcast_to(a, (4, 2, 3)), np.array(1)):
        assert ext.fields_hold(x)
    for type in "?bBhHiIlLqQefdFD":
        x = np.ones(3, type)
        t = pytenon.from_dlpack(x)
        assert t.data_ptr == address(x) and np.from_dlpack(t).dtype == x.dtype and t.numpy().tolist() == x.tolist()
        assert memoryview(t).tolist() == x.tolist() if type not in "eFD" else np.asarray(t).tolist() == x.tolist()


def test_what_writes_back_later_is_refused(ext):
    a = np.zeros(3, np.float64)
    with np.nditer(a, [], [["readwrite", "updateifcopy"]], casting="same_kind", op_dtypes=[np.dtype("f4")]) as it:
        x = it.operands[0]
        assert x.flags.writebackifcopy
        for f in (ext.sum, ext.increase, ext.take):
            with pytest.raises(BufferError, match="go back later"):
                f(x)


def test_buffers_keep_their_owner_and_give_it_back(ext):
    raw = bytearray(16)
    box = ext.take(memoryview(raw).cast("i"))
    assert np.from_dlpack(box).dtype == np.int32
    with pytest.raises(BufferError):
        raw.extend(b"x")
    box = None
    raw.extend(b"x")


def test_buffers_that_we_give():
    a = np.arange(6, dtype=np.int16).reshape(2, 3)
    t = pytenon.from_dlpack(a)
    m = memoryview(t)
    assert (m.shape, m.strides, m.format, m.readonly, m.nbytes) == ((2, 3), (6, 2), "h", False, 12) and m.c_contiguous
    m[1, 2] = 77
    assert a[1, 2] == 77
    del t
    assert m.tolist() == a.tolist()
    for kind, format in {"?": "?", "b": "b", "B": "B", "H": "H", "i": "i", "I": "I", "q": "q", "Q": "Q", "e": "e", "f": "f", "d": "d", "F": "Zf", "D": "Zd"}.items():
        assert memoryview(pytenon.from_dlpack(np.zeros(2, kind))).format == format
    turned = pytenon.from_dlpack(a.T)
    assert memoryview(turned).f_contiguous and np.asarray(turned).strides == (2, 6)
    assert bytes(memoryview(turned)) == a.T.tobytes()
    for flags in (0, 8, 0x38):  # no shape, a shape alone, C order
        with pytest.raises(BufferError, match="not dense"):
            buffer_of(turned, flags)
    for flags in (0x18, 0x58, 0x98):  # strides, Fortran's order, either order
        buffer_of(turned, flags)
    with pytest.raises(BufferError, match="bfloat16"):
        memoryview(pytenon.from_dlpack(torch.ones(2, dtype=torch.bfloat16)))
    assert memoryview(pytenon.from_dlpack(np.zeros((0, 3)))).shape == (0, 3) and memoryview(pytenon.from_dlpack(np.array(2.5)))[()] == 2.5
    frozen = pytenon.from_dlpack(np.broadcast_to(np.float32(1), (3,)))
    assert memoryview(frozen).readonly


# -- what a function returns


def test_K8_arrays_that_a_function_returns(ext):
    for make, kind in ((ext.fresh_numpy, np.ndarray), (ext.fresh_torch, torch.Tensor)):
        x = make()
        assert type(x) is kind and x.tolist() == list(range(16)) and address(x) % 64 == 0
        x[0] = 5
        assert x[0] == 5


def test_K8_arrays_without_numpy_s_own_functions(ext):
    x = ext.fresh_numpy_by_protocol()
    assert type(x) is np.ndarray and x.flags.writeable and x.dtype == np.float32 and x.tolist() == list(range(16))
    assert not x.flags.owndata and address(x) % 64 == 0 and "dltensor" in repr(x.base)
    x[0] = 5
    assert x[0] == 5 and type(ext.fresh_numpy().base) is not type(None) and "tenon.storage" in repr(ext.fresh_numpy().base)
    before = ext.deleted()
    box = ext.take(ext.crafted(1, 1, 0, 4, 16))  # bfloat16, which NumPy has not: said in its own words
    with pytest.raises((BufferError, RuntimeError)) as caught:
        ext.numpy_of(box)
    assert "type" in str(caught.value) and ext.deleted() == before
    x = ext.numpy_of(ext.take(ext.crafted(1, 1, 1)))
    assert x.tolist() == [1, 2, 3, 4] and not x.flags.writeable
    del box, x
    assert ext.deleted() == before + 2
