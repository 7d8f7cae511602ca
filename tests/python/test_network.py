# SPDX-License-Identifier: Apache-2.0
"""pytenon.Network by itself: passes, live views, losses, rules, check-points, errors, and what help() says."""
import ast
import inspect
import pathlib
import pickle
import pydoc
import threading

import numpy as np
import pytest
import torch
from conftest import norm_network, seed_network

import pytenon
from pytenon import layers as nn
from pytenon.torch import Block


def bytes_of(net):
    return [p.value.numpy().tobytes() for p in net.parameters() + net.states()]


def test_layers_come_from_one_table():
    assert repr(nn.conv2d(6, 5, padding=2)) == "conv2d(out=6, kernel=5, padding=2)"
    assert nn.conv2d(6, (5, 3), bias=False) == nn.conv2d(out=6, kernel=(5, 3), bias=False) != nn.conv2d(6, 5)
    assert nn.linear(3, name="head").name == "head" and nn.dropout().fields == {"rate": 0.5}
    assert pickle.loads(pickle.dumps(nn.lstm_cell(4, in_=3))) == nn.lstm_cell(4, in_=3)
    for name in ("linear", "conv2d", "relu", "tanh", "sigmoid", "max_pool2d", "avg_pool2d", "softmax", "batch_norm", "dropout", "flatten", "embedding",
                 "add", "split", "lstm_cell"):
        assert getattr(nn, name).__doc__.count("->") >= 1


@pytest.mark.parametrize("act,error,said", [
    (lambda: nn.linear(), pytenon.ShapeError, "[linear] out: a size left out. It has no default."),
    (lambda: nn.conv2d(4, 3, kernal=3), pytenon.ArgumentError, "[conv2d] kernal: name: got no such field, expected one of out, kernel, stride"),
    (lambda: nn.linear("4"), pytenon.DtypeError, "[linear] out: kind: got builtins.str, expected a number."),
    (lambda: nn.linear(2.5), pytenon.ArgumentError, "[linear] out = 2.5"),
    (lambda: nn.linear(4, out=4), pytenon.ArgumentError, "[linear] out: name: got two values, expected one."),
    (lambda: nn.conv2d(4, (1, 2, 3)), pytenon.ArgumentError, "[conv2d] kernel: number of inputs: got 3, expected one number or 2."),
    (lambda: nn.relu(1), pytenon.ArgumentError, "[relu] arguments: number of inputs: got 1, expected at most 0."),
    (lambda: pytenon.Network([nn.conv2d(4, 5)], input=(1, 3, 3)), pytenon.ShapeError, "[network] 0.conv2d"),
    (lambda: pytenon.Network([nn.linear(4)], input=(3,), dtype="float16"), pytenon.DtypeError, "got float16, expected float32, float64 or bfloat16"),
    (lambda: pytenon.Network([nn.linear(4)], input="x"), pytenon.DtypeError, "[Network] input: kind: got builtins.str"),
    (lambda: pytenon.Network([nn.linear(4, name="a"), nn.linear(4, name="a")], input=(3,)), pytenon.ArgumentError, "name"),
    (lambda: pytenon.Input((3,), kind="text"), pytenon.ArgumentError, "[Input] kind: value out of range: got text"),
])
def test_mistakes_in_an_architecture(act, error, said):
    with pytest.raises(error) as caught:
        act()
    assert said in str(caught.value) and "\n" not in str(caught.value), str(caught.value)


def test_the_three_heaviest_mistakes():
    class on_gpu:
        def __dlpack_device__(self):
            return 2, 0

        def __dlpack__(self, **_):
            raise AssertionError

    net = seed_network()
    x = np.zeros((2, 1, 28, 28), np.float32)
    block = Block(seed_network())
    meta = torch.empty(2, 1, 28, 28, device="meta")
    t = torch.from_numpy(x)
    for act, error, said in [
            (lambda: net.forward(on_gpu()), pytenon.DeviceError, "[forward] x: device: got cuda:0, expected cpu:0."),
            (lambda: net.forward(meta), pytenon.DeviceError, "[forward] x: device: got meta, expected cpu:0."),
            (lambda: block(meta), pytenon.DeviceError, "[forward] x: device: got meta, expected cpu:0. This network computes on the host."),
            (lambda: net.forward(x.astype(np.float64)), pytenon.DtypeError, "[forward] x: dtype: got float64, expected float32."),
            (lambda: block(t.double()), pytenon.DtypeError, "[forward] x: dtype: got float64, expected float32."),
            (lambda: net(x[:, :, :27]), pytenon.ShapeError, "[inference] x: extent, axis 2: got 27, expected 28."),
            (lambda: block(t[:, :, :27]), pytenon.ShapeError, "[forward] x: extent, axis 2: got 27, expected 28."),
            (lambda: block(t[0]), pytenon.ShapeError, "[forward] x: rank: got 3, expected 4. The batch is axis 0: one sample is a batch of 1."),
            (lambda: block(t[:0]), pytenon.ShapeError, "[forward] x: empty batch, axis 0: got 0, expected at least 1."),
            (lambda: block(x), TypeError, "[forward] x: dtype: got ndarray, expected torch.Tensor. Pass torch.from_dlpack(x)."),
    ]:
        with pytest.raises(error) as caught:
            act()
        assert str(caught.value) == said
        assert caught.value.argument == "x" and caught.value.got != caught.value.expected


def test_errors_are_also_the_built_in_ones():
    pairs = [("DtypeError", TypeError), ("ShapeError", ValueError), ("ArgumentError", ValueError), ("RangeError", IndexError),
             ("BridgeError", BufferError), ("DeviceError", BufferError), ("StateError", RuntimeError), ("FileError", OSError),
             ("OutOfMemoryError", MemoryError)]
    for name, builtin in pairs:
        assert issubclass(getattr(pytenon, name), (pytenon.Error,)) and issubclass(getattr(pytenon, name), builtin)
        assert getattr(pytenon, name).__module__ == "pytenon"
    with pytest.raises(ValueError) as caught:
        seed_network()(np.zeros((1, 1, 28, 27), np.float32))
    e = caught.value
    assert (e.code, e.word, e.operation, e.argument, e.axis, e.got, e.expected) == (3, "extent", "inference", "x", 3, 27, 28)


def test_training_equals_torch():
    net = pytenon.Network([nn.linear(16), nn.tanh(), nn.linear(3)], input=(5,), dtype="float64", seed=2)
    twin = torch.nn.Sequential(torch.nn.Linear(5, 16), torch.nn.Tanh(), torch.nn.Linear(16, 3)).double()
    twin.load_state_dict({p.name: torch.from_dlpack(p.value) for p in net.parameters()})
    optimizer, rule, loss = torch.optim.AdamW(twin.parameters(), lr=0.01), pytenon.adamw(lr=0.01), pytenon.cross_entropy()
    for _ in range(5):
        x, labels = np.random.default_rng(0).random((7, 5)), np.arange(7) % 3
        l, dy = loss(net.forward(x), labels)
        net.backward(dy)
        net.update(rule)
        theirs = torch.nn.functional.cross_entropy(twin(torch.from_numpy(x)), torch.from_numpy(labels))
        optimizer.zero_grad()
        theirs.backward()
        optimizer.step()
        assert l == pytest.approx(theirs.item(), abs=1e-12)
    for p, q in zip(net.parameters(), twin.parameters()):
        np.testing.assert_allclose(p.value.numpy(), q.detach().numpy(), rtol=1e-9, atol=1e-12)
    y = net(x)
    assert pytenon.mse().value(y, y.numpy() + 1) == pytest.approx(1)


def test_views_are_live_and_passes_are_explicit():
    net = norm_network(seed=1)
    x = np.random.default_rng(1).random((4, 2, 8, 8), np.float32)
    before = bytes_of(net)
    net(x)
    assert bytes_of(net) == before
    y = net.forward(x)
    states = [s.value.numpy() for s in net.states()]
    assert (states[0] != 0).any()
    w = net.parameters()[0]
    held = w.value.numpy()
    net.backward(np.ones(y.shape, np.float32))
    g = w.grad.numpy().copy()
    net.backward(np.ones(y.shape, np.float32))
    np.testing.assert_allclose(w.grad.numpy(), 2 * g, rtol=1e-6)
    assert (net.parameters()[0].value.numpy() == held).all()
    net.update(pytenon.sgd(lr=1.0))
    np.testing.assert_allclose(held, np.frombuffer(before[0], np.float32).reshape(held.shape) - 2 * g, rtol=1e-4, atol=1e-6)
    held[:] = 0  # writing the view writes the network
    assert (net.parameters()[0].value.numpy() == 0).all()
    dx = np.zeros_like(x)
    tape = pytenon.Tape()
    y = net.forward(x, tape=tape)
    assert tape.batch == 4
    net.backward(np.ones(y.shape, np.float32), dx=dx, tape=tape)
    with pytest.raises(pytenon.StateError, match="no forward"):
        net.backward(np.ones(y.shape, np.float32), tape=pytenon.Tape())
    net.clear_gradients()
    assert (w.grad.numpy() == 0).all()


def test_several_inputs_and_outputs():
    net = pytenon.Network([nn.lstm_cell(4)], input=[(3,), (4,), (4,)])
    h, c = net(*(np.ones((2, n), np.float32) for n in (3, 4, 4)))
    assert h.shape == c.shape == (2, 4)
    with pytest.raises(pytenon.ArgumentError, match="got 1, expected 3"):
        net(np.ones((2, 3), np.float32))
    words = pytenon.Network([nn.embedding(9, 4)], input=pytenon.Input((), kind="index"))
    assert words(np.array([1, 8])).shape == (2, 4) and words(np.array([1, 8], np.int32)).shape == (2, 4)
    with pytest.raises(IndexError, match="got 9, expected below 9"):
        words(np.array([9]))


def test_check_points(tmp_path):
    x = np.random.default_rng(1).random((4, 2, 8, 8), np.float32)

    def steps(net, n):
        for _ in range(n):
            net.backward(net.forward(x))
            net.update(pytenon.adam(lr=0.01))

    whole, first = norm_network(seed=3), norm_network(seed=3)
    steps(whole, 4), steps(first, 2)
    first.save(tmp_path / "a.ckpt")
    second = norm_network(seed=8)
    second.load(tmp_path / "a.ckpt")
    steps(second, 2)
    assert bytes_of(second) == bytes_of(whole) and second.steps == 4
    before = bytes_of(second)
    (tmp_path / "b").write_bytes((tmp_path / "a.ckpt").read_bytes()[:-9])
    for path in (tmp_path / "none", tmp_path / "b"):
        with pytest.raises(OSError) as caught:
            second.load(path)
        assert isinstance(caught.value, pytenon.FileError)
    with pytest.raises(pytenon.Error):
        seed_network().load(tmp_path / "a.ckpt")
    assert bytes_of(second) == before


def test_bfloat16():
    net = pytenon.Network([nn.linear(4)], input=(3,), dtype=torch.bfloat16)
    y = torch.from_dlpack(net(torch.ones(2, 3, dtype=torch.bfloat16)))
    assert y.dtype == torch.bfloat16 and net.parameters()[0].value.dtype == "float32"


def test_one_network_on_many_python_threads():
    net = seed_network(seed=1)
    x = np.random.default_rng(0).random((32, 1, 28, 28), np.float32)
    want, wrong = net(x).numpy().copy(), []

    def work():
        for _ in range(5):
            if not (net(x).numpy() == want).all():
                wrong.append(1)
            tape = pytenon.Tape()
            net.backward(net.forward(x, tape=tape), tape=tape)

    threads = [threading.Thread(target=work) for _ in range(4)]
    [t.start() for t in threads], [t.join() for t in threads]
    assert not wrong


def test_summary_repr_and_help():
    net = seed_network()
    assert "75334 parameters" in net.summary() and "6.linear" in net.summary()
    assert repr(net).startswith("pytenon.Network([\n    conv2d(out=4, kernel=3),  # 0\n") and "input=(1, 28, 28)" in repr(net)
    rebuilt = pytenon.Network(net.layers, net.input, dtype=net.dtype)
    assert repr(rebuilt) == repr(net)
    text = pydoc.plain(pydoc.render_doc(pytenon.Network))
    for line in ("net.backward(dy)", "Training forward", "only call that changes", "Live views by name"):
        assert line in text
    for name in pytenon.__all__:
        assert inspect.getdoc(getattr(pytenon, name)), name


def test_types_are_installed():
    folder = pathlib.Path(pytenon.__file__).parent
    assert (folder / "py.typed").exists()
    for name in ("_core.pyi", "layers.pyi"):
        tree = ast.parse((folder / name).read_text())
        names = {n.name for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.ClassDef))}
        assert {"Network", "from_dlpack", "forward"} <= names if name == "_core.pyi" else {"conv2d", "linear"} <= names
