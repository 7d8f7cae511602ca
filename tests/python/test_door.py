# SPDX-License-Identifier: Apache-2.0
"""The Python door rule by rule, for pytenon.Tensor and for an extension module over the headers alone (extension.cpp), built here.
The names of the tests carry the rules' letters: I capsules and __dlpack__, J streams, K the C exchange API; H deleters, C flags."""
import array
import ctypes
import gc
import importlib.util
import os
import pathlib
import subprocess
import sys
import sysconfig
import threading
import time
import weakref

import numpy as np
import pytest
import torch

import pytenon

HERE = pathlib.Path(__file__).parent


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """The extension's path: compiled with what a user would pass, as warnings are errors."""
    to = tmp_path_factory.mktemp("extension") / ("extension" + sysconfig.get_config_var("EXT_SUFFIX"))
    include = os.environ.get("TENON_INCLUDE") or HERE.parents[1] / "include"
    done = subprocess.run([os.environ.get("CXX", "g++"), "-std=c++20", "-O1", "-fPIC", "-shared", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror",
                           "-isystem", sysconfig.get_paths()["include"], f"-I{include}", HERE / "extension.cpp", "-o", to, "-pthread"],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:4000]
    return to


@pytest.fixture(scope="session")
def ext(built):
    spec = importlib.util.spec_from_file_location("extension", built)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def in_a_process(built, text, status=0):
    """Runs the text with the extension loaded as ext; gives what it printed."""
    start = f"import importlib.util as u; s = u.spec_from_file_location('extension', {str(built)!r}); ext = u.module_from_spec(s); s.loader.exec_module(ext)\n"
    done = subprocess.run([sys.executable, "-c", start + text], capture_output=True, text=True, timeout=120)
    assert done.returncode == status, f"exit status {done.returncode}\n{done.stderr[-3000:]}"
    return done.stdout


def address(x):
    return x.data_ptr() if isinstance(x, torch.Tensor) else x.__array_interface__["data"][0]


class producer:
    """An object of the DLPack protocol that remembers how it was asked."""

    def __init__(self, capsule, device=(1, 0), keywords=("stream", "max_version", "dl_device", "copy")):
        self.capsule, self.device, self.keywords, self.asked = capsule, device, keywords, []

    def __dlpack_device__(self):
        return self.device

    def __dlpack__(self, **keywords):
        self.asked.append(keywords)
        if unknown := set(keywords) - set(self.keywords):
            raise TypeError(f"unexpected keyword argument {unknown}")
        return self.capsule(keywords) if callable(self.capsule) else self.capsule


def buffer_of(x, flags):
    """PyObject_GetBuffer and back; raises what it raises."""
    space = (ctypes.c_char * 80)()
    get = ctypes.pythonapi.PyObject_GetBuffer
    get.argtypes = [ctypes.py_object, ctypes.c_void_p, ctypes.c_int]
    get(x, space, flags)
    ctypes.pythonapi.PyBuffer_Release(space)


# -- arguments of a function


ARRAYS = [np.arange(16, dtype=np.float32), np.arange(32, dtype=np.float32)[::2], np.arange(16, dtype=np.float32)[::-1], torch.arange(16.),
          torch.arange(32.)[::2], torch.nn.Parameter(torch.arange(16.)), array.array("f", range(16)), memoryview(array.array("f", range(16))),
          (ctypes.c_float * 16)(*range(16)), np.arange(16, dtype=np.float32).view(np.recarray), pytenon.from_dlpack(np.arange(16, dtype=np.float32))]


@pytest.mark.parametrize("x", ARRAYS, ids=lambda x: type(x).__name__)
def test_arguments_of_every_kind(ext, x):
    expected = sum(x.numpy() if isinstance(x, pytenon.Tensor) else x.detach() if isinstance(x, torch.Tensor) else x)
    for _ in range(3):  # met, known, known
        assert ext.sum(x) == expected
    if not isinstance(x, torch.nn.Parameter):
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


# -- capsules


def test_I1_I3_I4_names_and_one_taker(ext):
    for capsule, name in [(ext.crafted(1), "dltensor_versioned"), (ext.crafted(0), "dltensor")]:
        assert f'"{name}"' in repr(capsule)
        for take in (ext.take, pytenon.from_dlpack):
            if take is ext.take:
                box = take(capsule)
                assert f'"used_{name}"' in repr(capsule)
            with pytest.raises(BufferError, match="taken before"):
                take(capsule)
        before = ext.deleted()
        del capsule
        assert ext.deleted() == before
        del box
        assert ext.deleted() == before + 1


def test_I2_an_untaken_capsule_frees_itself_and_no_exception(ext):
    before = ext.deleted()
    for _ in range(10):
        ext.crafted(1), ext.crafted(0)
    assert ext.deleted() == before + 20

    def fails():
        capsule = ext.crafted(1)  # dies while an exception is on its way
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        fails()
    gc.collect()
    assert ext.deleted() >= before + 20
    seen = []

    class dies(np.ndarray):
        def __del__(self):
            try:
                raise ValueError("inside")
            except ValueError:
                seen.append(1)

    def also_fails():
        t = pytenon.from_dlpack(np.arange(4.).view(dies)).__dlpack__(max_version=(1, 0))
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        also_fails()
    gc.collect()
    assert seen == [1]


def test_I5_a_refused_capsule_stays_its_owner_s(ext):
    for make, error in [((1, 2), BufferError), ((1, 0), BufferError), ((1, 1, 0, 99, 32), TypeError), ((1, 1, 0, 2, 7), TypeError),
                        ((0, 1, 0, 3, 64), TypeError), ((1, 1, 0, 2, 32, 0), BufferError)]:
        for take in (ext.take, pytenon.from_dlpack):
            capsule, before = ext.crafted(*make), ext.deleted()
            with pytest.raises(error):
                take(capsule)
            assert "used" not in repr(capsule) and ext.deleted() == before
            del capsule
            assert ext.deleted() == before + 1


def test_I6_K11_max_version_first_and_without_on_TypeError(ext):
    for take in (ext.take, pytenon.from_dlpack):
        new = producer(lambda k: ext.crafted(1))
        take(new), take(new)
        assert new.asked == [{"max_version": (1, 3)}] * 2

        class old(producer):
            pass

        x = old(lambda k: ext.crafted(0), keywords=())
        take(x), take(x)
        assert x.asked == [{"max_version": (1, 3)}, {}, {}]  # known the second time


def test_I6_other_errors_are_not_tried_again(ext):
    def refuses(keywords):
        raise BufferError("no, thank you")

    x = producer(refuses)
    with pytest.raises(RuntimeError, match="producer that says: no, thank you"):
        ext.take(x)
    assert len(x.asked) == 1

    def interrupted(keywords):
        raise KeyboardInterrupt

    for take in (ext.take, pytenon.from_dlpack):
        with pytest.raises(KeyboardInterrupt):
            take(producer(interrupted))

    def hungry(keywords):
        raise MemoryError("all eaten")

    with pytest.raises(MemoryError):
        ext.take(producer(hungry))


def test_I7_copy_false_is_never_dropped(ext):
    a = np.arange(4, dtype=np.float32)
    for share in (ext.take_shared, lambda x: pytenon.from_dlpack(x, copy=False)):
        x = producer(lambda k: a.__dlpack__(max_version=(1, 0)))
        assert ext.address(share(x)) == address(a) and x.asked == [{"max_version": (1, 3), "copy": False}]

        class old(producer):
            pass

        x = old(lambda k: ext.crafted(0), keywords=())
        with pytest.raises(BufferError, match="copy=False"):
            share(x)
        assert len(x.asked) == 2 and all("copy" in k for k in x.asked)
        with pytest.raises(BufferError, match="owner copied"):  # says so only by a flag
            share(producer(lambda k: ext.crafted(1, 1, 2)))

        def must_copy(keywords):
            raise BufferError("a copy is needed")

        with pytest.raises(BufferError, match="cannot do without"):
            share(producer(must_copy))
        assert ext.address(share(a)) == address(a)


def test_I7_copy_none_shares_and_true_copies():
    for a in (np.arange(4.), torch.arange(4.)):
        before = pytenon.bytes_moved()["copied"]
        assert pytenon.from_dlpack(a).data_ptr == pytenon.from_dlpack(a, copy=False).data_ptr == address(a)
        assert pytenon.bytes_moved()["copied"] == before
        t = pytenon.from_dlpack(a, copy=True)
        assert t.data_ptr != address(a) and pytenon.bytes_moved()["copied"] == before + a.nbytes
    with pytest.raises(TypeError, match="True, False or None"):
        pytenon.from_dlpack(a, copy=1)


def test_I8_versions_of_an_export():
    t = pytenon.from_dlpack(np.arange(4.))
    for asked, versioned in [(None, False), ((0, 8), False), ((1, 0), True), ((1, 3), True), ((2, 0), True), ((9, 9), True)]:
        assert ("dltensor_versioned" in repr(t.__dlpack__(max_version=asked))) == versioned
    assert '"dltensor"' in repr(t.__dlpack__())


def test_I9_devices_of_an_export():
    t = pytenon.from_dlpack(np.arange(4.))
    assert t.__dlpack_device__() == (1, 0)
    t.__dlpack__(dl_device=(1, 0)), t.__dlpack__(dl_device=None)
    for elsewhere in [(2, 0), (13, 0), (33, 0), (-1, 0)]:
        with pytest.raises(BufferError, match="dl_device: device"):
            t.__dlpack__(dl_device=elsewhere)


def test_I10_copies_of_an_export(ext):
    a = np.arange(4, dtype=np.float32)
    t = pytenon.from_dlpack(a)
    for copy, flags, shared in [(None, 0, True), (False, 0, True), (True, 2, False)]:
        x = producer(t.__dlpack__(max_version=(1, 0), copy=copy))
        box = ext.take(x)
        assert (ext.address(box) == address(a)) == shared
    assert np.from_dlpack(t, copy=True).flags.owndata is False
    with pytest.raises(BufferError, match="owner copied"):  # IS_COPIED is set
        pytenon.from_dlpack(producer(lambda k: t.__dlpack__(max_version=(1, 0), copy=True)), copy=False)
    frozen = pytenon.from_dlpack(np.broadcast_to(a, (2, 4)))
    assert pytenon.from_dlpack(producer(frozen.__dlpack__(copy=True))).numpy().tolist() == [list(range(4))] * 2


def test_I11_objects_without_dlpack(ext):
    for x in ([1], "text", 3, object(), type):
        with pytest.raises(TypeError, match="kind: got builtins"):
            ext.take(x)
    with pytest.raises(RuntimeError, match="says: .*missing"):
        ext.take(producer(lambda k: {}.missing))
    with pytest.raises(BufferError, match="no DLPack capsule"):
        ext.take(producer(3.5))


def test_keywords_of_an_export_are_looked_at():
    t = pytenon.from_dlpack(np.arange(4.))
    for bad in [dict(max_version=1), dict(max_version=(1,)), dict(max_version=("a", 0)), dict(copy=1), dict(copy="no"), dict(dl_device=2),
                dict(dl_device=(1, "x")), dict(stream="s"), dict(stream=1 << 80), dict(other=1)]:
        with pytest.raises(TypeError, match=r"\[__dlpack__\]"):
            t.__dlpack__(**bad)
    with pytest.raises(TypeError):
        t.__dlpack__(None)


# -- flags, strides


def test_C3_C4_read_only_in_and_out(ext):
    a = np.arange(4, dtype=np.float32)
    a.flags.writeable = False
    for box in (pytenon.from_dlpack(a), ext.take(a), ext.take(pytenon.from_dlpack(a)), pytenon.from_dlpack(ext.take(a))):
        assert ext.sum(box) == 6 and not np.from_dlpack(box).flags.writeable and not np.asarray(box).flags.writeable
        with pytest.raises(BufferError, match="read-only"):
            ext.increase(box)
        assert ext.through_table(box)[1] == 1
        with pytest.raises(BufferError, match="read-only"):
            ext.borrow_through_table(box)
        with pytest.raises(BufferError, match="read-only"):
            buffer_of(box, 1)  # PyBUF_WRITABLE


def test_C5_read_only_in_the_old_struct():
    t = pytenon.from_dlpack(np.broadcast_to(np.ones(1), (4,)))
    with pytest.raises(BufferError, match=r"legacy.*max_version=\(1, 0\), or for a copy: copy=True"):
        t.__dlpack__()
    t.__dlpack__(max_version=(1, 0)), t.__dlpack__(copy=True)


def test_E5_negative_strides_leave_only_where_they_may(ext):
    a = np.arange(4, dtype=np.float32)
    for box in (pytenon.from_dlpack(a[::-1]), ext.take(a[::-1])):
        assert ext.sum(box) == 6 and np.asarray(box).tolist() == [3, 2, 1, 0]
        for act in (lambda: box.__dlpack__(max_version=(1, 0)), lambda: torch.from_dlpack(box), lambda: ext.through_table(box),
                    lambda: ext.borrow_through_table(box), lambda: np.from_dlpack(box)):
            with pytest.raises(BufferError, match="negative stride.*copy"):
                act()
    t = pytenon.from_dlpack(a[::-1])
    assert t.numpy().tolist() == [3, 2, 1, 0] and address(t.numpy()) == t.data_ptr
    opened = t.allow_negative_strides()
    assert isinstance(opened, pytenon.Tensor) and np.from_dlpack(opened).strides == (-4,) and ext.through_table(opened)[0] == 1
    assert np.from_dlpack(t, copy=True).tolist() == [3, 2, 1, 0] and torch.from_dlpack(t.copy()).tolist() == [3, 2, 1, 0]


# -- streams


def test_J1_streams_of_cuda(ext):
    for stream, said in [(None, 1), (1, 1), (2, 2), (77, 77), (-1, -1)]:
        x = producer(lambda k: ext.crafted(1), device=(2, 0))
        with pytest.raises(BufferError, match="device"):  # the capsule holds host memory, which must not pass for the device's
            ext.take_on_device(x, stream)
        assert x.asked == [{"max_version": (1, 3), "stream": said}]  # none means different things to producers: it is always said
    for stream in (0, -2):
        x = producer(lambda k: ext.crafted(1), device=(2, 0))
        with pytest.raises(ValueError, match="stream"):
            ext.take_on_device(x, stream)
        assert not x.asked


def test_J3_the_host_has_no_stream(ext):
    x = producer(lambda k: ext.crafted(1))
    ext.take(x)
    assert "stream" not in x.asked[0]
    t = pytenon.from_dlpack(np.arange(4.))
    t.__dlpack__(stream=None)
    for stream in (0, 1, 2, -1, 12345):
        with pytest.raises(ValueError, match="Host memory has no stream"):
            t.__dlpack__(stream=stream)
    with pytest.raises(BufferError, match="cuda:0, expected cpu:0"):
        ext.take(producer(lambda k: pytest.fail("asked for its memory"), device=(2, 0)))
    with pytest.raises(BufferError, match="cpu:0, expected cuda:0"):
        ext.take_on_device(producer(lambda k: pytest.fail("asked for its memory")), None)


# -- the C exchange API


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


# -- NumPy by its fields; buffers


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


# -- deleters and the interpreter


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


# -- the report


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
