# SPDX-License-Identifier: Apache-2.0
"""The C exchange API at the Python door: rules K."""
import ctypes

import numpy as np
import pytest
from door import address, torch

import pytenon


def test_K1_the_table_is_on_the_type(ext):
    for kind in (pytenon.Tensor, ext.Box):
        assert "dlpack_exchange_api" in repr(kind.__dlpack_c_exchange_api__) and ext.has_table(kind)
    assert ext.has_table(torch.Tensor) and not ext.has_table(np.ndarray)

    class claims:
        __dlpack_c_exchange_api__ = 42

    assert not ext.has_table(claims)
    with pytest.raises(TypeError, match="kind"):
        ext.take(claims())


def test_K2_older_tables_are_found_behind_newer_ones(ext):
    behind, alone = ext.tables()
    assert ext.has_table(type("newer", (), {"__dlpack_c_exchange_api__": behind}))
    assert not ext.has_table(type("alone", (), {"__dlpack_c_exchange_api__": alone}))


def test_K3_K4_the_functions_of_our_table(ext):
    a = np.arange(4, dtype=np.float32)
    for box in (pytenon.from_dlpack(a), ext.take(a)):
        assert ext.through_table(box) == (1, 0, address(a)) and ext.borrow_through_table(box) == (1, address(a))
    grown = ext.allocate_through_table(4, 2, 32)
    assert isinstance(grown, ext.Box) and np.from_dlpack(grown).shape == (4,) and np.from_dlpack(grown).flags.writeable
    assert ext.allocate_through_table(0, 2, 32).__dlpack_device__() == (1, 0)


def test_K5_only_objects_of_the_type(ext):
    @ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.POINTER(ctypes.c_void_p))
    def unused(x, to):
        return 0

    table = ctypes.pythonapi.PyCapsule_GetPointer
    table.restype, table.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    at = table(pytenon.Tensor.__dlpack_c_exchange_api__, b"dlpack_exchange_api")
    from_object = ctypes.cast(ctypes.c_void_p.from_address(at + 24).value, type(unused))
    out = ctypes.c_void_p()
    for wrong in (np.zeros(3), ext.take(np.zeros(3)), None):
        with pytest.raises(TypeError, match="expected an object of the table's type"):
            from_object(wrong, ctypes.byref(out))
    assert from_object(pytenon.from_dlpack(np.zeros(3)), ctypes.byref(out)) == 0 and out.value


def test_K9_a_refused_allocation_says_why(ext):
    assert ext.allocate_through_table(-1, 2, 32).startswith("ValueError: [allocate] shape: negative extent")
    assert ext.allocate_through_table(1 << 62, 2, 64).startswith("ValueError: [allocate] bytes of the shape: overflow")
    assert ext.allocate_through_table(4, 99, 32).startswith("TypeError: [allocate] dtype")
    assert ext.allocate_through_table(1 << 50, 2, 8 * 8).startswith("MemoryError: [allocate]")


def test_K_tvm_ffi_takes_our_table():
    tvm_ffi = pytest.importorskip("tvm_ffi")
    t = pytenon.from_dlpack(np.arange(4, dtype=np.float32))
    other = tvm_ffi.from_dlpack(t)
    assert np.from_dlpack(other).tolist() == [0, 1, 2, 3] and address(np.from_dlpack(other)) == t.data_ptr
