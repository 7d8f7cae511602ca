# SPDX-License-Identifier: Apache-2.0
"""The DLPack door: no copy, flags kept, each capsule taken once, and nothing through it that hurts the other side."""
import gc
import weakref

import numpy as np
import pytest
import torch

import pytenon


def address(a):
    return a.__array_interface__["data"][0] if isinstance(a, np.ndarray) else a.data_ptr()


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint8", "bool"])
def test_numpy_both_ways(dtype):
    a = np.arange(24).reshape(2, 3, 4).astype(dtype)
    t = pytenon.from_dlpack(a)
    assert (t.shape, t.dtype, t.device, t.numel(), t.strides) == ((2, 3, 4), dtype, "cpu:0", 24, (12, 4, 1))
    assert t.data_ptr == address(a) and not t.readonly
    b = np.from_dlpack(t)
    assert address(b) == address(a) and (a == b).all() and b.flags.writeable
    assert (t.numpy() == a).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.bool])
def test_torch_both_ways(dtype):
    a = torch.arange(24).reshape(2, 3, 4).to(dtype)
    t = pytenon.from_dlpack(a)
    assert t.data_ptr == a.data_ptr() and t.shape == (2, 3, 4) and t.dtype == str(dtype).removeprefix("torch.")
    b = torch.from_dlpack(t)
    assert b.data_ptr() == a.data_ptr() and torch.equal(a, b) and b.dtype == dtype


def test_views_empty_and_scalars():
    a = np.arange(24, dtype=np.float32).reshape(4, 6)
    t = pytenon.from_dlpack(a[1:, ::2])
    assert t.strides == (6, 2) and (np.from_dlpack(t) == a[1:, ::2]).all()
    assert pytenon.from_dlpack(np.zeros((0, 3), np.float32)).shape == (0, 3)
    s = pytenon.from_dlpack(np.array(2.5))
    assert s.shape == () and s.item() == 2.5
    assert pytenon.from_dlpack(np.array([7])).item() == 7 and len(t) == 3
    with pytest.raises(pytenon.ShapeError, match="got 9, expected 1"):
        t.item()


def test_readonly_is_kept():
    a = np.arange(3.0)
    a.flags.writeable = False
    t = pytenon.from_dlpack(a)
    assert t.readonly and not np.from_dlpack(t).flags.writeable
    with pytest.raises(pytenon.BridgeError, match="legacy"):
        t.__dlpack__()  # the old protocol cannot say so
    broadcast = pytenon.from_dlpack(np.broadcast_to(np.ones(1), (4,)))
    assert broadcast.readonly


def test_memory_lives_and_dies_with_its_users():
    class array(np.ndarray):
        pass

    a = np.arange(5.0).view(array)
    seen = weakref.ref(a)
    t = pytenon.from_dlpack(a)
    b = np.from_dlpack(t)
    del a
    gc.collect()
    assert seen() is not None
    del t
    assert b[4] == 4 and seen() is not None
    del b
    gc.collect()
    assert seen() is None


def test_a_capsule_is_taken_once_and_not_on_an_error():
    a = np.arange(5.0)
    capsule = a.__dlpack__(max_version=(1, 3))
    assert "dltensor_versioned" in repr(capsule)
    t = pytenon.from_dlpack(capsule)
    assert '"used_dltensor_versioned"' in repr(capsule) and t.shape == (5,)
    with pytest.raises(pytenon.BridgeError, match="taken before"):
        pytenon.from_dlpack(capsule)
    unknown = np.zeros(3, np.complex256).view(np.complex64).astype(np.complex64).__dlpack__(max_version=(1, 3))
    assert pytenon.from_dlpack(unknown).dtype == "complex64"
    before = capsule_refs()
    for _ in range(100):
        t.__dlpack__(max_version=(1, 0))  # nobody takes it: its own destructor frees it
        t.__dlpack__()
    assert capsule_refs() - before < 20


def capsule_refs():
    gc.collect()
    return len(gc.get_objects())


class legacy:
    """A producer of before 1.0: no keywords, no flags."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, stream=None):
        return self.array.__dlpack__()

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


class on_device:
    """Says that it lies elsewhere; whoever asks for its memory has not looked."""

    def __init__(self, kind, number=0):
        self.where = kind, number

    def __dlpack_device__(self):
        return self.where

    def __dlpack__(self, **_):
        raise AssertionError("asked for memory of another device")


class failing(on_device):
    def __dlpack__(self, **_):
        raise ValueError("not today\nsecond line")


def test_legacy_producers_are_read_only():
    a = np.arange(4, dtype=np.float32)
    for _ in range(2):
        t = pytenon.from_dlpack(legacy(a))
        assert t.readonly and t.data_ptr == address(a)


def test_refusals_name_argument_got_and_expected():
    for act, error, said in [
            (lambda: pytenon.from_dlpack(on_device(2)), pytenon.DeviceError, "[from_dlpack] x: device: got cuda:0, expected cpu:0."),
            (lambda: pytenon.from_dlpack(torch.empty(3, device="meta")), pytenon.DeviceError, "[from_dlpack] x: device: got meta, expected cpu:0."),
            (lambda: pytenon.from_dlpack([1, 2]), pytenon.DtypeError, "[from_dlpack] x: kind: got builtins.list, expected an object"),
            (lambda: pytenon.from_dlpack(torch.ones(2, requires_grad=True)), pytenon.ArgumentError, "Pass x.detach()"),
            (lambda: pytenon.from_dlpack(torch.ones(2, dtype=torch.complex64).conj().imag), pytenon.ArgumentError,
             "negative bit"),
            (lambda: pytenon.from_dlpack(torch.ones(2, dtype=torch.complex64).conj()), pytenon.ArgumentError, "conjugated"),
            (lambda: pytenon.from_dlpack(failing(1)), pytenon.StateError, "not today"),
            (lambda: pytenon.from_dlpack(torch.ones(2).to_sparse()), pytenon.StateError, "foreign"),
    ]:
        with pytest.raises(error) as caught:
            act()
        assert said in str(caught.value) and "\n" not in str(caught.value), str(caught.value)
        assert caught.value.operation == "from_dlpack" and caught.value.argument == "x" and caught.value.code


def test_fake_tensors_have_no_memory():
    from torch._subclasses.fake_tensor import FakeTensorMode
    with FakeTensorMode() as mode:
        fake = mode.from_tensor(torch.ones(2))
    with pytest.raises(pytenon.BridgeError, match="null data"):
        pytenon.from_dlpack(fake)


def test_negative_strides_never_reach_torch():
    t = pytenon.from_dlpack(np.arange(4.0)[::-1])
    assert t.strides == (-1,)
    with pytest.raises(pytenon.BridgeError, match="negative stride"):  # torch would end the process
        torch.from_dlpack(t)
    assert torch.from_dlpack(t.copy()).tolist() == [3, 2, 1, 0]
    assert np.from_dlpack(t, copy=True).tolist() == [3, 2, 1, 0]


def test_dlpack_keywords():
    t = pytenon.from_dlpack(np.arange(4.0))
    assert t.__dlpack_device__() == (1, 0)
    assert "dltensor_versioned" in repr(t.__dlpack__(max_version=(1, 0))) and '"dltensor"' in repr(t.__dlpack__())
    t.__dlpack__(stream=None, max_version=(1, 3), dl_device=(1, 0), copy=False)
    with pytest.raises(pytenon.DeviceError, match="got cuda:0, expected cpu:0"):
        t.__dlpack__(dl_device=(2, 0))
    with pytest.raises(pytenon.ArgumentError, match="stream"):
        t.__dlpack__(stream=1)
    before = pytenon.bytes_moved()["copied"]
    assert np.from_dlpack(t, copy=True).tolist() == [0, 1, 2, 3] and pytenon.bytes_moved()["copied"] == before + 32
    assert pytenon.from_dlpack(t, copy=True).data_ptr != t.data_ptr


def test_repr_is_one_line():
    assert repr(pytenon.from_dlpack(np.arange(8, dtype=np.float32).reshape(2, 4))) == (
        "pytenon.Tensor([0, 1, 2, 3, 4, 5, …], shape=(2, 4), dtype=float32)")
    assert repr(pytenon.from_dlpack(np.array([True]))) == "pytenon.Tensor([1], shape=(1,), dtype=bool)"


def test_the_device_is_asked_for_not_read():
    class shy:
        device = "TFRT_CPU_0"  # how another framework calls the host

        def __dlpack_device__(self):
            return (1, 0)

        def __dlpack__(self, **_):
            raise RuntimeError("not today")

    with pytest.raises(pytenon.StateError, match="says: not today"):
        pytenon.from_dlpack(shy())


def test_producers_whose_types_are_made_in_a_loop():
    class inner:
        def __init__(self, n):
            self.t = torch.full((2,), float(n))

        def __dlpack_device__(self):
            return (1, 0)

        def __dlpack__(self):  # the protocol before 1.0
            return self.t.__dlpack__()

    class outer(inner):
        def __dlpack__(self):  # meets 300 other types before it answers
            for i in range(300):
                kind = type(f"kind{i}", (inner,), {})
                assert pytenon.from_dlpack(kind(i)).numpy()[0] == i
            return super().__dlpack__()

    for _ in range(2):
        assert pytenon.from_dlpack(outer(7)).numpy()[1] == 7


def test_the_report_says_what_speaks_what():
    from pytenon import info
    text = info.report(["numpy"])
    for said in (f"pytenon: {pytenon.__version__}", "tenon: 0.1.0", "compiler: ", "dlpack spoken: 1.3", "dlpack.h seen: ", "bytes copied: ",
                 f"numpy {np.__version__}: versioned, legacy, into pytenon: shared"):
        assert said in text, text
    assert "torch" not in text
    before = pytenon.bytes_moved()["copied"]
    pytenon.from_dlpack(np.zeros(3)).copy()
    assert f"bytes copied: {before + 24}," in info.report([])


def test_an_object_of_new_alone_is_no_tensor():
    t = pytenon.Tensor.__new__(pytenon.Tensor)
    for use in (lambda: t.__dlpack__(max_version=(1, 3)), lambda: memoryview(t), lambda: pytenon.from_dlpack(t),
                t.__dlpack_device__, lambda: np.from_dlpack(t)):
        with pytest.raises((TypeError, BufferError, RuntimeError)):
            use()


def test_representation_is_readable():
    assert repr(pytenon.from_dlpack(np.arange(3, dtype=np.int32))) == "pytenon.Tensor([0, 1, 2], shape=(3,), dtype=int32)"
    assert repr(pytenon.from_dlpack(np.broadcast_to(np.float32(2), (2,)))) == "pytenon.Tensor([2, 2], shape=(2,), dtype=float32, readonly)"
    assert repr(pytenon.from_dlpack(np.zeros((0, 3)))) == "pytenon.Tensor(shape=(0, 3), dtype=float64)"
    assert "shape=(2,), dtype=complex64" in repr(pytenon.from_dlpack(np.zeros(2, np.complex64)))
