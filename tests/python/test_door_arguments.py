# SPDX-License-Identifier: Apache-2.0
"""Arguments of a C function: every kind of array, what is refused, and what torch's table does not say (I, K; D8)."""
import array
import ctypes
import sys

import numpy as np
import pytest
from door import address, torch

import pytenon


ARRAYS = {"ndarray": lambda: np.arange(16, dtype=np.float32), "every second": lambda: np.arange(32, dtype=np.float32)[::2],
          "reversed": lambda: np.arange(16, dtype=np.float32)[::-1], "Tensor": lambda: torch.arange(16.),
          "every second of torch": lambda: torch.arange(32.)[::2], "Parameter": lambda: torch.nn.Parameter(torch.arange(16.)),
          "array": lambda: array.array("f", range(16)), "memoryview": lambda: memoryview(array.array("f", range(16))),
          "ctypes": lambda: (ctypes.c_float * 16)(*range(16)), "recarray": lambda: np.arange(16, dtype=np.float32).view(np.recarray),
          "pytenon": lambda: pytenon.from_dlpack(np.arange(16, dtype=np.float32))}


@pytest.mark.parametrize("kind", ARRAYS)
def test_arguments_of_every_kind(ext, kind):
    x = ARRAYS[kind]()
    expected = sum(x.numpy() if isinstance(x, pytenon.Tensor) else x.detach() if hasattr(x, "detach") else x)
    for _ in range(3):  # met, known, known
        assert ext.sum(x) == expected
    if kind != "Parameter":
        assert ext.sum(ext.take(x)) == expected


def test_arguments_are_shared(ext):
    for x in (np.zeros(3, np.float32), torch.zeros(3), array.array("f", [0] * 3)):
        ext.increase(x)
        assert list(x) == [1, 1, 1]
    a, t = np.zeros(3, np.float32), torch.zeros(3)
    assert ext.address(a) == address(a) and ext.address(t) == address(t) and ext.reads_numpy()


def test_K6_arguments_hold_nothing_afterwards(ext):
    a, t = np.zeros(16, np.float32), torch.zeros(16)
    buffer = bytearray(64)
    before = sys.getrefcount(a), sys.getrefcount(t)
    for _ in range(50):
        ext.sum(a), ext.sum(t), ext.increase(t), ext.sum(a[::-1]), ext.sum(memoryview(buffer).cast("f"))
        for bad in (a.astype(np.float64), a.reshape(4, 4), [1.0], torch.ones(2, 2)):
            with pytest.raises((TypeError, ValueError)):
                ext.sum(bad)
    assert before == (sys.getrefcount(a), sys.getrefcount(t))
    buffer.extend(b"free again")  # an exported bytearray refuses


def test_refusals_of_arguments(ext):
    frozen = np.zeros(3, np.float32)
    frozen.flags.writeable = False
    for act, error, said in [
            (lambda: ext.sum(np.zeros(3)), TypeError, "[sum] x: dtype: got float64, expected float32."),
            (lambda: ext.sum(np.zeros((2, 2), np.float32)), ValueError, "[sum] x: rank: got 2, expected 1."),
            (lambda: ext.sum(np.zeros(3, ">f4")), TypeError, "[sum] x: dtype: got >f4, expected a number or bool"),
            (lambda: ext.sum(np.array(["a"])), TypeError, "got <U1"),
            (lambda: ext.sum(np.array([None])), TypeError, "got object"),
            (lambda: ext.sum([1.0]), TypeError, "[sum] x: kind: got builtins.list, expected an object with __dlpack__ or a buffer"),
            (lambda: ext.sum(None), TypeError, "kind: got builtins.NoneType"),
            (lambda: ext.increase(frozen), BufferError, "[increase] x: read-only memory."),
            (lambda: ext.increase(np.broadcast_to(np.zeros(1, np.float32), (4,))), BufferError, "[increase] x: read-only memory."),
            (lambda: ext.increase(memoryview(bytes(12)).cast("f")), BufferError, "[increase] x: read-only memory."),
            (lambda: ext.increase(b"1234"), TypeError, "[increase] x: dtype: got uint8, expected float32."),
            (lambda: ext.corner(np.zeros((4, 4)).T[:, 1:]), BufferError, "[corner] x: not dense"),
            (lambda: ext.sum(np.zeros(12, np.uint8)[2:10].view(np.float32)), BufferError, "alignment"),
            (lambda: ext.sum(np.zeros((3,), [("a", "f4"), ("b", "i1")])["a"]), BufferError, "not dense. Its strides are no multiples"),
            (lambda: ext.sum(memoryview(b"1234")), TypeError, "got uint8"),
            (lambda: ext.take(memoryview(b"1234").cast("c")), TypeError, "builtins.memoryview of format c"),
            (lambda: ext.take(np.zeros((1,) * 9)), ValueError, "[take] x: rank: got 9, expected at most 8."),
    ]:
        with pytest.raises(error) as caught:
            act()
        assert said in str(caught.value) and "\n" not in str(caught.value), str(caught.value)


# -- what torch's table does not say


def negative(n=4):
    return torch.ones(n, dtype=torch.complex64).conj().imag


def test_I12_values_that_wait_are_refused(ext):
    for f, x in [(ext.sum, negative()), (ext.sum, negative(8)[::2]), (ext.sum, negative(1)), (ext.increase, negative()),
                 (ext.take, negative()), (ext.take, torch._neg_view(torch.ones(3))), (ext.take, torch.ones(3, dtype=torch.complex64).conj()),
                 (pytenon.from_dlpack, negative()), (pytenon.from_dlpack, torch.ones(2, dtype=torch.complex128).conj())]:
        assert x.is_neg() or x.is_conj()
        with pytest.raises(ValueError, match="negative bit|conjugated"):
            f(x)
    assert ext.sum(negative().resolve_neg()) == 0 and ext.sum(torch.ones(4)[::2]) == 2 and ext.sum(torch.ones(8).view(4, 2)[:, 0]) == 4


def test_I12_a_gradient_is_refused_where_it_would_be_lost(ext):
    p = torch.nn.Parameter(torch.ones(3))
    assert ext.sum(p) == 3  # reading does no harm
    for f, x in [(ext.increase, p), (ext.increase, torch.ones(3, requires_grad=True) * 2), (ext.take, p), (pytenon.from_dlpack, p)]:
        with pytest.raises(ValueError, match="requires a gradient.*detach"):
            f(x)
    ext.increase(p.detach())
    assert p.tolist() == [2, 2, 2]


def test_D8_fake_and_wrapped_tensors_have_no_memory(ext):
    pytest.importorskip("torch")
    from torch._subclasses.fake_tensor import FakeTensorMode
    with FakeTensorMode() as mode:
        fake = mode.from_tensor(torch.ones(2))
    for f in (ext.sum, ext.increase, ext.take, pytenon.from_dlpack):
        with pytest.raises(BufferError, match="null data"):
            f(fake)
    for bad, error in [(torch.empty(3, device="meta"), BufferError), (torch.ones(2).to_sparse(), RuntimeError)]:
        for f in (ext.sum, ext.take):
            with pytest.raises(error):
                f(bad)
    with pytest.raises(BufferError, match="null data"):  # a size, and no address
        ext.take(ext.crafted(1, 1, 0, 2, 32, 0))


@pytest.mark.parametrize("offset", [0, 8, 1 << 22, 1 << 30])  # elements; a Python that is not position-independent has its memory at some MiB
def test_D8_a_storage_that_was_freed(ext, offset):
    whole = torch.empty(offset + 16)  # no page of it is touched but the last
    x = whole[offset:]
    whole.untyped_storage().resize_(0)  # as sharding libraries do; the address is the offset alone
    assert x.data_ptr() == 4 * offset
    for f in (ext.sum, ext.increase, ext.take, ext.take_copied, pytenon.from_dlpack):
        with pytest.raises(BufferError, match="null data"):
            f(x)
    assert ext.sum(x[:0]) == 0 and pytenon.from_dlpack(x[:0]).shape == (0,)
    whole.untyped_storage().resize_(4 * len(whole))
    x.fill_(1)
    assert ext.sum(x) == 16


def test_D8_vmap_s_tensors_are_refused_in_torch_s_words(ext):
    def inside(x):
        for f in (ext.sum, ext.increase, ext.take, pytenon.from_dlpack):
            with pytest.raises(RuntimeError, match="torch.Tensor that says: .*storage"):
                f(x)
        return x

    assert torch.vmap(inside)(torch.ones(2, 3)).shape == (2, 3)
    with pytest.raises(BufferError, match=r"\[take\] x: device: got meta, expected cpu:0"):
        ext.take(torch.empty(3, device="meta"))
