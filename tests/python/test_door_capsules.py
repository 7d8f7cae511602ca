# SPDX-License-Identifier: Apache-2.0
"""Capsules and __dlpack__ at the Python door, by the letters of the rules: I, and the flags, strides and streams that they carry (C, E, J)."""
import gc

import numpy as np
import pytest
from door import address, buffer_of, producer, torch

import pytenon


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


def test_I4_a_capsule_taken_again_by_its_own_deleter(ext):
    for make in (ext.crafted_calling, ext.crafted_old_calling):
        for take in (ext.take, ext.take_copied, lambda x: pytenon.from_dlpack(x, copy=True)):
            said = []

            def again():
                for f in (ext.take, ext.take_copied, pytenon.from_dlpack):
                    with pytest.raises(BufferError, match="taken before"):
                        f(capsule)
                said.append(repr(capsule))

            capsule, before = make(again), ext.deleted()
            box = take(capsule)
            assert ext.deleted() == before + (take is not ext.take)  # a copy lets go of its owner inside the import
            assert ext.sum(box) == 10
            del box
            assert ext.deleted() == before + 1 and len(said) == 1 and '"used_dltensor' in said[0]
            del capsule
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
