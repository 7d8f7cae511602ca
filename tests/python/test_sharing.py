# SPDX-License-Identifier: Apache-2.0
"""Parameters and buffers of a Block are the network's memory, and stay so: what breaks that is repaired, or refused before it did."""
import copy
import io
import pathlib
import pickle
import subprocess
import sys

import pytest
import torch
from conftest import norm_network, norm_torch, pair, seed_network, seed_torch

import pytenon
from pytenon.torch import Block


def shared(block):
    """Every parameter and buffer is at the network's address, with its values."""
    mine = [*block.named_parameters(), *((n, b) for n, b in block.named_buffers() if not n.endswith("num_batches_tracked"))]
    net = block._network  # not block.network, which repairs
    theirs = {p.name: p.value for p in net.parameters() + net.states()}
    assert len(mine) == len(theirs)
    return all(t.data_ptr() == theirs[n].data_ptr and t.is_contiguous() for n, t in mine)


def snapshot(block):
    return {n: v.clone() for n, v in block.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[n], b[n]) for n in a)


@pytest.mark.parametrize("make", [lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9), lambda p: torch.optim.Adam(p, foreach=True),
                                  lambda p: torch.optim.Adam(p, fused=True), lambda p: torch.optim.AdamW(p), lambda p: torch.optim.LBFGS(p)],
                         ids=["sgd", "adam-foreach", "adam-fused", "adamw", "lbfgs"])
def test_torch_s_optimizers_step_the_network_s_memory(make):
    block = Block(norm_network())
    before = snapshot(block)
    optimizer = make(block.parameters())
    x = torch.rand(4, 2, 8, 8)

    def closure():
        optimizer.zero_grad()
        loss = (block(x) ** 2).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    assert shared(block) and not same(before, snapshot(block))
    block.eval()
    assert torch.equal(block(x).detach(), torch.from_dlpack(block.network(x)))  # our own inference sees it


def test_our_rule_steps_torch_s_parameters():
    block, twin = pair(seed_network("float64"), seed_torch(torch.float64))
    optimizer = torch.optim.AdamW(twin.parameters(), lr=0.01, weight_decay=0.1)
    for step in range(3):
        x = torch.rand(4, 1, 28, 28, dtype=torch.float64)
        for m in (block, twin):
            m.zero_grad()
            (m(x) ** 2).sum().backward()
        optimizer.step()
        block.update(pytenon.adamw(lr=0.01, weight_decay=0.1))
    assert shared(block)
    for p, q in zip(block.parameters(), twin.parameters()):
        assert torch.allclose(p, q, rtol=1e-8, atol=1e-8)


def test_state_dict_to_a_plain_model_and_back():
    for ours, theirs in ((seed_network, seed_torch), (norm_network, norm_torch)):
        block, twin = Block(ours()), theirs()
        twin.load_state_dict(block.state_dict())  # strict
        x = torch.rand(3, *((1, 28, 28) if ours is seed_network else (2, 8, 8)))
        assert torch.allclose(block(x), twin(x), atol=1e-6)
        other = theirs()
        other(x)
        block.load_state_dict(other.state_dict())
        assert shared(block) and same(dict(block.state_dict()), dict(other.state_dict()))
        stored = io.BytesIO()
        torch.save(block.state_dict(), stored)
        stored.seek(0)
        twin.load_state_dict(torch.load(stored))
        assert same(dict(twin.state_dict()), dict(block.state_dict()))


def test_names_follow_the_layers():
    from pytenon import layers as nn
    block = Block(pytenon.Network([nn.linear(4, name="body"), nn.relu(), nn.linear(2)], input=(3,)))
    assert [n for n, _ in block.named_parameters()] == ["body.weight", "body.bias", "2.weight", "2.bias"]


@pytest.mark.parametrize("how", ["deepcopy", "pickle", "torch.save"])
def test_copies_have_memory_of_their_own(how):
    block = Block(norm_network(seed=2))
    block(torch.rand(4, 2, 8, 8)).sum().backward()
    block.update(pytenon.sgd(lr=0.1))
    if how == "deepcopy":
        twin = copy.deepcopy(block)
    elif how == "pickle":
        twin = pickle.loads(pickle.dumps(block))
    else:
        stored = io.BytesIO()
        torch.save(block, stored)
        stored.seek(0)
        twin = torch.load(stored, weights_only=False)
    assert shared(twin) and shared(block) and same(snapshot(block), snapshot(twin))
    before, x = snapshot(block), torch.rand(4, 2, 8, 8)
    optimizer = torch.optim.SGD(twin.parameters(), lr=0.1)
    (twin(x) ** 2).sum().backward()
    optimizer.step()
    assert same(before, snapshot(block)) and not same(before, snapshot(twin))
    twin.load_state_dict(before)  # hooks came along
    assert shared(twin)


def test_ema_and_nesting():
    model = torch.nn.Sequential(torch.nn.Identity(), Block(norm_network()))
    ema = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.5))
    for _ in range(2):
        with torch.no_grad():
            for p in model.parameters():
                p += 1
        ema.update_parameters(model)
    assert shared(model[1]) and shared(ema.module[1])
    assert not torch.equal(next(model.parameters()), next(ema.module.parameters()))
    ema.module[1].eval()(torch.rand(2, 2, 8, 8))
    copied = copy.deepcopy(model)
    model.load_state_dict(copied.state_dict(), assign=True)
    assert shared(model[1]) and shared(copied[1])


@pytest.mark.parametrize("how", [copy.deepcopy, lambda b: pickle.loads(pickle.dumps(b))], ids=["deepcopy", "pickle"])
def test_copies_go_on_with_what_our_rule_remembers(how):
    block = Block(seed_network("float64"))
    x = torch.rand(4, 1, 28, 28, dtype=torch.float64)

    def step(b):
        b.zero_grad()
        (b(x) ** 2).sum().backward()
        b.update(pytenon.adam(lr=0.01))

    step(block), step(block)
    twin = how(block)
    assert twin.network.steps == 2
    step(block), step(twin)
    assert same(snapshot(block), snapshot(twin)) and shared(twin)


def test_blocks_over_one_network_stay_so_in_a_copy():
    net = pytenon.Network([pytenon.layers.linear(4)], input=(4,))
    both = copy.deepcopy(torch.nn.Sequential(Block(net), Block(net)))
    assert both[0]._network is both[1]._network and both[0]._network is not net
    assert shared(both[0]) and shared(both[1])


def test_shallow_copy_takes_nothing_away():
    block = Block(norm_network())
    twin = copy.copy(block)
    assert shared(block) and shared(twin) and twin._network is block._network
    x = torch.rand(3, 2, 8, 8)
    assert torch.equal(block.eval()(x), twin.eval()(x))
    assert all(p is q for p, q in zip(block.parameters(), twin.parameters()))


def test_network_pickles():
    net = norm_network(seed=5)
    x = torch.rand(3, 2, 8, 8).numpy()
    for _ in range(2):
        net.backward(net.forward(x))
        net.update(pytenon.adam())
    twin = pickle.loads(pickle.dumps(net))
    for n in (net, twin):
        n.backward(n.forward(x))
        n.update(pytenon.adam())
    assert all((a.value.numpy() == b.value.numpy()).all() for a, b in zip(net.parameters() + net.states(), twin.parameters() + twin.states()))


BREAKS = {
    "double": (lambda b: b.double(), pytenon.DtypeError, "got torch.float64, expected torch.float32"),
    "half": (lambda b: b.half(), pytenon.DtypeError, "got torch.float16, expected torch.float32"),
    "to dtype": (lambda b: b.to(torch.bfloat16), pytenon.DtypeError, "got torch.bfloat16"),
    "to meta": (lambda b: b.to("meta"), pytenon.DeviceError, "got meta, expected cpu"),
    "to_empty": (lambda b: b.to_empty(device="meta"), pytenon.DeviceError, "got meta, expected cpu"),
    "share_memory": (lambda b: b.share_memory(), pytenon.ArgumentError, "shared memory"),
    "assign dtype": (lambda b: b.load_state_dict({n: v.double() for n, v in b.state_dict().items()}, assign=True), pytenon.DtypeError,
                     "0.weight: dtype: got torch.float64, expected torch.float32"),
    "assign meta": (lambda b: b.load_state_dict({n: v.to("meta") for n, v in b.state_dict().items()}, assign=True), pytenon.DeviceError,
                    "0.weight: device: got meta, expected cpu"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_refused_before_anything_changed(name):
    act, error, said = BREAKS[name]
    block = Block(norm_network())
    before, objects = snapshot(block), list(block.parameters())
    with pytest.raises(error, match=said) as caught:
        act(block)
    assert len(str(caught.value).splitlines()) == 1 and caught.value.operation and caught.value.argument
    assert shared(block) and same(before, snapshot(block)) and all(a is b for a, b in zip(objects, block.parameters()))


REPAIRS = {
    "to float32": lambda b: b.to(torch.float32),
    "cpu": lambda b: b.to("cpu"),
    "channels_last": lambda b: b.to(memory_format=torch.channels_last),
    "assign": lambda b: b.load_state_dict(snapshot(b), assign=True),
    "requires_grad": lambda b: b.requires_grad_(False).requires_grad_(True),
}


@pytest.mark.parametrize("name", REPAIRS)
def test_repaired_at_once(name):
    block = Block(norm_network())
    before = snapshot(block)
    REPAIRS[name](block)
    assert shared(block) and same(before, snapshot(block))


def test_repaired_by_the_next_call():
    block = Block(norm_network())
    p = next(block.parameters())
    p.data = p.data * 2
    value = p.detach().clone()
    assert not shared(block)
    twin = norm_torch()
    twin.load_state_dict(block.state_dict())
    x = torch.rand(3, 2, 8, 8)
    assert torch.allclose(block(x), twin(x), atol=1e-5)  # right already in this call
    assert shared(block) and next(block.parameters()) is p and torch.equal(p, value)
    torch.nn.utils.vector_to_parameters(torch.rand(sum(q.numel() for q in block.parameters())), block.parameters())
    assert not shared(block)
    assert block.network is not None and shared(block)  # whoever asks for the network sees the values too
    optimizer = torch.optim.SGD(block.parameters(), lr=0.1)
    (block(x) ** 2).sum().backward()
    before = snapshot(block)
    optimizer.step()
    assert shared(block) and not same(before, snapshot(block))


def test_buffers_come_home():
    block = Block(norm_network())
    layer, x = block.get_submodule("1"), torch.rand(3, 2, 8, 8)
    layer.running_mean.data = torch.full((6,), 2.0)  # the same object elsewhere: the next call repairs it
    assert not shared(block)
    block(x)
    assert shared(block) and layer.running_mean.mean() > 1
    layer.running_mean = torch.full((6,), 5.0)  # another object: used as it is, and home once the network is asked for
    block(x)
    now = layer.running_mean.clone()
    assert 3 < now.mean() < 5
    assert torch.equal(torch.from_dlpack(block.network.states()[0].value), now) and shared(block)


def test_functional_call_with_buffers_leaves_ours_alone():
    block = Block(norm_network())
    before, x = snapshot(block), torch.rand(3, 2, 8, 8)
    objects = dict(block.named_buffers())
    other = {n: torch.ones_like(b) for n, b in objects.items()}
    next(block.parameters()).data = next(block.parameters()).data.clone()  # something to repair, at the same time
    torch.func.functional_call(block, other, (x,))
    assert all(b is objects[n] for n, b in block.named_buffers()) and same(before, snapshot(block))
    assert not torch.equal(other["1.running_mean"], torch.ones(6))  # those that it was given have moved


def test_a_repair_in_inference_mode_leaves_parameters_trainable():
    block = Block(norm_network())
    x = torch.rand(3, 2, 8, 8)
    next(block.parameters()).data = next(block.parameters()).data * 2
    with torch.inference_mode():
        block(x)
    assert shared(block)
    optimizer = torch.optim.SGD(block.parameters(), lr=0.1)
    (block(x) ** 2).sum().backward()
    optimizer.step()
    assert shared(block) and not next(block.parameters()).is_inference()


DDP = """
import os, sys
import torch
import torch.distributed as dist
from conftest import seed_network
from pytenon.torch import Block
dist.init_process_group("gloo", init_method="file://" + sys.argv[1], rank=0, world_size=1)
block = Block(seed_network())
model = torch.nn.parallel.DistributedDataParallel(block)
model(torch.rand(2, 1, 28, 28))[:, 0].sum().backward()
assert all(p.grad is not None for p in block.parameters())
assert all(p.data_ptr() == q.value.data_ptr for p, q in zip(block.parameters(), block.network.parameters()))
print("all is well", flush=True)
os._exit(0)  # torch's process group waits for its thread, which may wait for the interpreter
"""


def test_ddp_over_gloo(tmp_path):
    if not torch.distributed.is_gloo_available():
        pytest.skip("no gloo")
    done = subprocess.run([sys.executable, "-c", DDP, tmp_path / "rendezvous"], cwd=pathlib.Path(__file__).parent, capture_output=True,
                          text=True, timeout=120)
    assert done.stdout == "all is well\n", done.stderr


def test_tensors_without_memory_are_refused_as_parameters():
    from torch._subclasses.fake_tensor import FakeTensorMode
    block = Block(seed_network())
    mode = FakeTensorMode()
    fakes = {n: mode.from_tensor(p.detach()) for n, p in block.named_parameters()}
    with torch.no_grad(), pytest.raises(pytenon.DtypeError, match="0.weight: kind: got .*FakeTensor"):
        torch.func.functional_call(block, fakes, (torch.rand(2, 1, 28, 28),))

    class tagged(torch.Tensor):  # a subclass that dispatches as any tensor has memory
        pass

    x = torch.rand(2, 1, 28, 28)
    assert torch.equal(block(x.as_subclass(tagged)).as_subclass(torch.Tensor), block(x))


def test_the_network_lives_as_long_as_its_views():
    p = next(Block(seed_network(seed=9)).parameters())
    assert torch.equal(p, torch.from_dlpack(seed_network(seed=9).parameters()[0].value))
