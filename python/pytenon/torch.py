# SPDX-License-Identifier: Apache-2.0
"""A network of ours as a torch.nn.Module over the same memory.

    block = pytenon.torch.Block(pytenon.Network([…], input=(1, 28, 28)))
    optimizer = torch.optim.SGD(block.parameters(), lr=0.01)
    loss = torch.nn.functional.mse_loss(block(x), target)
    loss.backward()          # plain gradients; no weight changes
    optimizer.step()         # writes the network's own memory

Parameters are given to every call, so whatever torch puts in their place is used (functional_call, prune, EMA …).
"""
import weakref as _weakref

import torch as _torch

from . import _core
from ._core import ArgumentError, DeviceError, DtypeError, Network, StateError

__all__ = ["Block"]

_core._use_torch(_torch.Tensor, _torch.nn.Parameter)
_PLAIN = (_torch.Tensor, _torch.nn.Parameter)
_programs = _weakref.WeakValueDictionary()  # the registered operators know a program by its number
_in_transform = getattr(getattr(_torch._C, "_functorch", None), "peek_interpreter_stack", lambda: None)


def _refuse(kind, operation, argument, got, expected, remedy):
    """The same exceptions that the compiled part raises, for what only Python sees."""
    codes = {DtypeError: (1, "dtype"), DeviceError: (9, "device"), ArgumentError: (24, "value out of range"), StateError: (31, "stale")}
    code, word = codes[kind]
    error = kind(f"[{operation}] {argument}: {word}: got {got}, expected {expected}. {remedy}")
    error.code, error.word, error.operation, error.argument, error.got, error.expected = code, word, operation, argument, str(got), str(expected)
    raise error


class _Run(_torch.autograd.Function):
    """One forward with its tape: what eager mode calls. Old-style, which costs a third of the time of setup_context."""

    @staticmethod
    def forward(ctx, block, training, draw, x, *values):
        program = block._program
        y, saved, tape, linked = program.forward(x, values, block._buffer_values(), draw, training, True)
        ctx.program, ctx.tape = program, tape
        ctx.save_for_backward(saved, x, y if program.reads_output else None, *values)
        if not linked:
            block._repair(values)
        return y

    @staticmethod
    def backward(ctx, dy):
        if _torch.is_grad_enabled():
            _refuse(StateError, "backward", "create_graph=True", "a second derivative", "a first one", "A Block is differentiable once.")
        saved, x, y, *values = ctx.saved_tensors
        if saved is None:
            _refuse(StateError, "backward", "the forward", "one in eval mode", "one in training mode",
                    "Networks with batch_norm or dropout go back over training forwards only: call block.train().")
        return None, None, None, *ctx.program.backward(ctx.tape, dy, x, y, saved, values, ctx.needs_input_grad, 3)


# -- the registered operators --
_library = _torch.library.Library("pytenon", "DEF")
_library.define("forward(Tensor x, Tensor[] parameters, Tensor[] buffers, Tensor? draw, int network, bool saves) -> (Tensor, Tensor)")
_library.define("backward(Tensor dy, Tensor x, Tensor y, Tensor saved, Tensor[] parameters, Tensor? draw, int network, bool wants_dx)"
                " -> (Tensor, Tensor[])")
_library.define("commit(Tensor saved, Tensor(a!)[] buffers, SymInt batch, int network) -> ()")


def _program_of(number):
    program = _programs.get(number)
    if program is None:
        _refuse(StateError, "Block", "network", "a number whose Block is gone", "one that lives", "Keep the Block.")
    return program


def _saved_size(program, batch, saves):
    constant, unit = program.saved
    return constant + unit * batch if saves else 0


def _outputs(x, network, saves):
    program = _program_of(network)
    batch = x.shape[0] if x.dim() else 0
    y = x.new_empty((batch, *program.sample), dtype=_DTYPES[program.dtype])
    # zeros, because there are gaps between arrays, and a functional operator gives the same bytes each time
    return y, x.new_zeros((_saved_size(program, batch, saves),), dtype=_torch.uint8)


_DTYPES = {"float32": _torch.float32, "float64": _torch.float64, "bfloat16": _torch.bfloat16}


@_torch.library.impl(_library, "forward", "CPU")
def _forward_cpu(x, parameters, buffers, draw, network, saves):
    program = _program_of(network)
    y, saved = _outputs(x, network, saves)
    program.forward_into(x, parameters, buffers, 0 if draw is None else int(draw), y, saved if saves else None)
    return y, saved


@_torch.library.register_fake("pytenon::forward", lib=_library)
def _forward_fake(x, parameters, buffers, draw, network, saves):
    return _outputs(x, network, saves)


@_torch.library.impl(_library, "backward", "CPU")
def _backward_cpu(dy, x, y, saved, parameters, draw, network, wants_dx):
    program = _program_of(network)
    if not saved.numel():
        _refuse(StateError, "backward", "the forward", "one in eval mode", "one in training mode",
                "Networks with batch_norm or dropout go back over training forwards only: call block.train().")
    dx = _torch.empty(x.shape, dtype=x.dtype) if wants_dx else None
    dp = [_torch.empty(p.shape, dtype=p.dtype) for p in parameters]
    program.backward_into(dy, x, y, saved, parameters, 0 if draw is None else int(draw), dx, dp)
    return x.new_empty((0,)) if dx is None else dx, dp


@_torch.library.register_fake("pytenon::backward", lib=_library)
def _backward_fake(dy, x, y, saved, parameters, draw, network, wants_dx):
    dx = _torch.empty(x.shape, dtype=x.dtype, device=x.device) if wants_dx else x.new_empty((0,))
    return dx, [_torch.empty(p.shape, dtype=p.dtype, device=p.device) for p in parameters]


@_torch.library.impl(_library, "commit", "CPU")
def _commit_cpu(saved, buffers, batch, network):
    _program_of(network).commit_into(batch, buffers, saved)


@_torch.library.register_fake("pytenon::commit", lib=_library)
def _commit_fake(saved, buffers, batch, network):
    return None


def _setup(ctx, inputs, output):
    x, parameters, buffers, draw, ctx.network, _ = inputs
    ctx.save_for_backward(x, *output, draw, *parameters)
    ctx.buffers = len(buffers)


def _backward(ctx, dy, _):
    x, y, saved, draw, *parameters = ctx.saved_tensors
    wants = ctx.needs_input_grad[0]
    dx, dp = _torch.ops.pytenon.backward(dy, x, y, saved, parameters, draw, ctx.network, wants)
    return dx if wants else None, dp, [None] * ctx.buffers, None, None, None


_torch.library.register_autograd("pytenon::forward", _backward, setup_context=_setup, lib=_library)


class _Transformed(_torch.autograd.Function):
    """For torch.func, whose transforms know neither old-style functions nor registered formulas."""

    @staticmethod
    def forward(x, draw, network, saves, buffers, *values):
        return _torch.ops.pytenon.forward(x, list(values), buffers, draw, network, saves)

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, draw, ctx.network, _, _, *values = inputs
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(x, *output, draw, *values)

    @staticmethod
    def backward(ctx, dy, _):
        x, y, saved, draw, *values = ctx.saved_tensors
        dx, dp = _torch.ops.pytenon.backward(dy, x, y, saved, values, draw, ctx.network, ctx.needs_input_grad[0])
        return dx if ctx.needs_input_grad[0] else None, None, None, None, None, *dp


def _come_home(block, _):
    """After load_state_dict, of the Block or of a module that has it: assign=True has replaced the parameters."""
    block._relink()


class _Layer(_torch.nn.Module):
    """Holds the parameters and buffers of one layer, under the names that torch.nn.Sequential would give."""

    def __init__(self, text):
        super().__init__()
        self._text = text

    def extra_repr(self):
        return self._text


# what a Block makes anew where it is copied to
_BESIDE = frozenset(("_program", "_number", "_network", "_parameter_places", "_parameter_names", "_buffer_places", "_buffer_names",
                     "_counted", "_counters", "_own", "_has_modes", "_draws"))


class Block(_torch.nn.Module):
    """A `pytenon.Network` of one input and one output as a torch module: `Block(network)(x)`.

    Parameters and buffers are zero-copy views of the network's memory, named as torch.nn.Sequential names them ("0.weight"), so that
    state_dict goes to a plain torch model and back, and any optimizer of torch, or `block.update(pytenon.adamw())`, steps them.

    Gradients are plain dL/dx in fresh memory. Works in eager mode, under torch.compile(fullgraph=True), with several forwards in
    flight, deepcopy, pickle, torch.save, load_state_dict, DDP, EMA. Strided inputs are packed, and counted in `bytes_moved()`.

    Refused with a typed error before anything changes: another dtype or device (`.double()`, `.half()`, `.to("meta")`),
    `share_memory()`, double backward, and backward of an eval-mode forward of a network with batch_norm or dropout.
    Repaired: what gives a parameter other memory (`load_state_dict(assign=True)`, `p.data = …`, channels_last) is copied into the
    network's memory, and the parameter, still the same object, looks there again.

    Errors of a call: DtypeError, ShapeError, DeviceError, RangeError, ArgumentError; each names argument, got and expected.
    """

    def __init__(self, network: Network):
        super().__init__()
        if not isinstance(network, Network):
            _refuse(DtypeError, "Block", "network", type(network).__name__, "pytenon.Network", "Build one with pytenon.Network([…], input=…).")
        self._adopt(network)
        for which in (network.parameters(), network.states()):
            for p in which:
                path, name = p.name.rsplit(".", 1)
                view = _torch.from_dlpack(p.value)
                layer = self._layer(path, network)
                if p.grad is not None:
                    layer.register_parameter(name, _torch.nn.Parameter(view))
                else:
                    layer.register_buffer(name, view)
        for layer in self.children():
            if "running_mean" in layer._buffers:
                layer.register_buffer("num_batches_tracked", _torch.tensor(0, dtype=_torch.long))  # torch's own has it
        self._find()
        self.register_load_state_dict_post_hook(_come_home)

    # -- making --
    def _adopt(self, network):
        put = object.__setattr__  # beside torch's tables of modules and buffers
        program = _core._Program(network)
        put(self, "_network", network)
        put(self, "_program", program)
        put(self, "_number", id(program))
        put(self, "_has_modes", network.has_modes)
        put(self, "_draws", network.draws)
        _programs[id(program)] = program

    def _layer(self, path, network):
        if path not in self._modules:
            at = int(path) if path.isdigit() else None
            text = next((repr(layer) for i, layer in enumerate(network.layers) if layer.name == path or i == at), "")
            self.add_module(path, _Layer(text))
        return self._modules[path]

    def _find(self):
        """Where the values are, so that a call need not search: (module, its table, name) in the program's order."""
        def places(names, table):
            found = []
            for full in names:
                path, name = full.rsplit(".", 1)
                module = self._modules[path]
                found.append((module, getattr(module, table), name))
            return found
        put = object.__setattr__
        put(self, "_parameter_places", places(self._program.parameters, "_parameters"))
        put(self, "_buffer_places", places(self._program.states, "_buffers"))
        put(self, "_parameter_names", [tuple(full.rsplit(".", 1)) for full in self._program.parameters])
        put(self, "_buffer_names", [tuple(full.rsplit(".", 1)) for full in self._program.states])
        put(self, "_counted", [path for path, m in self._modules.items() if "num_batches_tracked" in m._buffers])
        put(self, "_counters", [m for m in self._modules.values() if "num_batches_tracked" in m._buffers])
        put(self, "_own", [table[name] for _, table, name in self._parameter_places])

    def __getstate__(self):
        state = {k: v for k, v in self.__dict__.items() if k not in _BESIDE}
        net = self._network
        state["_architecture"] = (net.layers, net.input, net.dtype, net.seed, net.threads)
        return state

    def __setstate__(self, state):
        layers, inputs, dtype, seed, threads = state.pop("_architecture")
        super().__setstate__(state)
        self._adopt(Network(layers, inputs, dtype=dtype, seed=seed, threads=threads))
        self._find()
        self._relink()

    # -- sharing --
    def _parameter_values(self):
        try:
            return [table[name] for _, table, name in self._parameter_places]
        except KeyError:  # torch.nn.utils.prune and parametrizations put something else there
            return [getattr(module, name) for module, _, name in self._parameter_places]

    def _buffer_values(self):
        return [table[name] for _, table, name in self._buffer_places]

    def _relink(self):
        """Every parameter and buffer lies in the network's memory again, with the values that it has now."""
        places, views = self._parameter_places + self._buffer_places, self._network.parameters() + self._network.states()
        with _torch.no_grad():
            for (module, table, name), view in zip(places, views):
                p = table.get(name)
                if p is None or (p.data_ptr() == view.value.data_ptr and p.is_contiguous()):
                    continue
                home = _torch.from_dlpack(view.value)
                home.copy_(p)
                if isinstance(p, _torch.nn.Parameter):
                    p.data = home
                else:
                    table[name] = home
        self._find_own()

    def _find_own(self):
        object.__setattr__(self, "_own", [table.get(name) for _, table, name in self._parameter_places])

    def _repair(self, values):
        """After a call with parameters elsewhere: our own objects come home; those of functional_call and the like do not."""
        if all(v is p for v, p in zip(values, self._own)):
            self._relink()

    @property
    def network(self) -> Network:
        """The network, over the same memory as the parameters."""
        if not self._program.linked(self._parameter_values()):
            self._relink()
        return self._network

    def _apply(self, fn, recurse=True):
        for p in (*self._own, *self._buffer_values()):
            probe = fn(_torch.empty(0, dtype=p.dtype))
            if probe.dtype != p.dtype:
                _refuse(DtypeError, "Block.to", "dtype", probe.dtype, p.dtype, "Build the network with another dtype.")
            if probe.device.type != "cpu":
                _refuse(DeviceError, "Block.to", "device", probe.device, "cpu", "This network computes on the host.")
            if probe.is_shared():
                _refuse(ArgumentError, "Block.share_memory", "memory", "a move to shared memory", "the network's own",
                        "Make the Block in each process, and load its state_dict.")
            break
        super()._apply(fn, recurse)
        self._relink()
        return self

    def share_memory(self):
        return self._apply(lambda t: t.share_memory_())

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *more):
        if local_metadata.get("assign_to_params_buffers", False):  # would bring memory of its own: only of the same kind
            for (_, table, name), full in zip(self._parameter_places, self._program.parameters):
                new, p = state_dict.get(prefix + full), table.get(name)
                if new is None or p is None:
                    continue
                if new.dtype != p.dtype:
                    _refuse(DtypeError, "Block.load_state_dict", prefix + full, new.dtype, p.dtype, "Load it with assign=False.")
                if new.device.type != "cpu":
                    _refuse(DeviceError, "Block.load_state_dict", prefix + full, new.device, "cpu", "Load it with assign=False.")
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *more)

    # -- running --
    def forward(self, x):
        training = self.training
        if _torch.compiler.is_compiling() or type(x) not in _PLAIN or _in_transform() is not None:
            return self._forward_operator(x, training)
        values = self._parameter_values()
        draw = int(_torch.randint(1 << 62, ())) if training and self._draws else 0  # of torch's generator: manual_seed holds
        if training and self._counters:
            for layer in self._counters:
                layer.num_batches_tracked.add_(1)
        if _torch.is_grad_enabled() and (x.requires_grad or any([v.requires_grad for v in values])):
            # a network that computes the same in both modes can go back over an eval forward too
            return _Run.apply(self, training or not self._has_modes, draw, x, *values)
        y, _, _, linked = self._program.forward(x, values, self._buffer_values(), draw, training, False)
        if not linked:
            self._repair(values)
        return y

    def _forward_operator(self, x, training):
        """The same by registered operators: for compilers, fake tensors, function transforms and subclasses of Tensor."""
        if not isinstance(x, _torch.Tensor):
            _refuse(DtypeError, "forward", "x", type(x).__name__, "torch.Tensor", "Pass torch.from_dlpack(x).")
        values = [getattr(getattr(self, path), name) for path, name in self._parameter_names]
        buffers = [getattr(getattr(self, path), name) for path, name in self._buffer_names]
        draw = _torch.randint(1 << 62, ()) if training and self._draws else None
        saves = training or (not self._has_modes and _torch.is_grad_enabled())
        if not _torch.compiler.is_compiling() and _in_transform() is not None:
            y, saved = _Transformed.apply(x, draw, self._number, saves, buffers, *values)
        else:
            y, saved = _torch.ops.pytenon.forward(x, values, buffers, draw, self._number, saves)
        if training and buffers:
            _torch.ops.pytenon.commit(saved, buffers, x.shape[0], self._number)
            for path in self._counted:
                getattr(self, path).num_batches_tracked.add_(1)
        return y

    def update(self, rule):
        """One step of a rule of ours (`pytenon.sgd`, `adam`, `adamw`) with the parameters' `.grad`; None counts as zero."""
        values = self._parameter_values()
        if not self._program.linked(values):
            self._relink()
        self._network._update_from([_torch.zeros_like(p) if p.grad is None else p.grad.contiguous() for p in values], rule)
        _torch.autograd.graph.increment_version(values)

    def extra_repr(self):
        return f"dtype={self._network.dtype}, threads={self._network.threads}"
