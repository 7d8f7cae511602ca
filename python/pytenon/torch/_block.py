# SPDX-License-Identifier: Apache-2.0
"""Block: the torch.nn.Module, and the function that eager mode calls."""
import torch as _torch

from .. import _core
from .._core import Network, _refuse
from ._operators import _DTYPES, _refuse_second_derivative, _register, _Transformed

_core._use_torch(_torch.Tensor, _torch.nn.Parameter)
_PLAIN = (_torch.Tensor, _torch.nn.Parameter)
_in_transform = getattr(getattr(_torch._C, "_functorch", None), "peek_interpreter_stack", lambda: None)
_modes = getattr(_torch._C, "_len_torch_dispatch_stack", lambda: 0)
_trace = getattr(_torch._C, "_get_tracing_state", lambda: None)


def _draw():
    """Of torch's generator, so that manual_seed holds."""
    return int(_torch.randint(1 << 62, (), device="cpu"))


class _Run(_torch.autograd.Function):
    """One forward with its tape: what eager mode calls. Old-style, which costs a third of the time of setup_context."""

    @staticmethod
    def forward(ctx, block, training, draw, x, *values):
        program = block._program
        buffers = block._buffer_values()
        y, saved, tape, linked = program.forward(x, values, buffers, draw, training, True)
        ctx.program, ctx.tape = program, tape
        ctx.save_for_backward(saved, x, y if program.reads_output else None, *values)
        if not linked:
            block._repair(values, buffers)
        return y

    @staticmethod
    def backward(ctx, dy):
        if _torch.is_grad_enabled():
            _refuse_second_derivative()
        saved, x, y, *values = ctx.saved_tensors
        if saved is None:
            _refuse("stale", "backward", "the forward", "one in eval mode", "one in training mode",
                    "Networks with batch_norm or dropout go back over training forwards only: call block.train().")
        return None, None, None, *ctx.program.backward(ctx.tape, dy.resolve_neg(), x, y, saved, values, ctx.needs_input_grad, 3)


def _come_home(block, _):
    """After load_state_dict, of the Block or of a module that has it: assign=True has replaced the parameters."""
    block._relink()


class _Layer(_torch.nn.Module):
    """Holds the parameters and buffers of one layer, under the names that torch.nn.Sequential would give."""

    def __init__(self, text):
        super().__init__()
        self._text = text

    def forward(self):
        """Nothing. Called only for its hooks, where one makes a weight anew (prune, the older weight_norm and spectral_norm)."""

    def extra_repr(self):
        return self._text


# what a Block makes anew where it is copied to
_BESIDE = frozenset(("_program", "_number", "_parameter_places", "_parameter_names", "_buffer_places", "_buffer_names", "_counted",
                     "_counters", "_own", "_has_modes", "_draws", "_dtype", "_parameter_dtype"))


class Block(_torch.nn.Module):
    """A `pytenon.Network` of one input and one output as a torch module: `Block(network)(x)`.

    Parameters and buffers are zero-copy views of the network's memory, named as torch.nn.Sequential names them ("0.weight"), so that
    state_dict goes to a plain torch model and back, and any optimizer of torch, or `block.update(pytenon.adamw())`, steps them.

    Gradients are plain dL/dx in fresh memory. Works in eager mode, under torch.compile(fullgraph=True), with several forwards in
    flight, deepcopy, pickle, torch.save, load_state_dict, DDP, EMA. Strided inputs are packed, and counted in `bytes_moved()`.
    Under CPU autocast an x of fewer bits is cast to the network's dtype, in which the Block computes as always.

    Refused with a typed error before anything changes: another dtype or device (`.double()`, `.half()`, `.to("meta")`),
    `share_memory()`, double backward, and backward of an eval-mode forward of a network with batch_norm or dropout; `network` and
    `update` while prune or a parametrization stands in a parameter's place, since the network knows nothing of it.
    Repaired: what gives a parameter or buffer other memory (`load_state_dict(assign=True)`, `p.data = …`, channels_last) is copied
    into the network's memory, and the parameter, still the same object, looks there again. Another object in its place
    (`layer.weight = …`, functional_call) is used as it is; `network`, `update` and `load_state_dict` bring it home.

    Not seen by torch: what changes parameters behind it, which is `net.update()` of the network itself, or a step through a second
    Block over the same network. Between a forward and its backward it gives gradients of neither. Hooks on saved tensors may
    move the bytes that a forward keeps, not change them.

    Errors of a call: DtypeError, ShapeError, DeviceError, RangeError, ArgumentError; each names argument, got and expected.
    """

    def __init__(self, network: Network):
        super().__init__()
        if not isinstance(network, Network):
            _refuse("dtype", "Block", "network", type(network).__name__, "pytenon.Network", "Build one with pytenon.Network([…], input=…).")
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
                layer.register_buffer("num_batches_tracked", _torch.tensor(0, dtype=_torch.long, device="cpu"))  # as torch's
        self._find()
        self.register_load_state_dict_post_hook(_come_home)

    # -- making --
    def _adopt(self, network):
        put = object.__setattr__  # beside torch's tables of modules and buffers
        program = _core._Program(network)
        put(self, "_network", network)
        put(self, "_program", program)
        put(self, "_number", _register(program))
        put(self, "_has_modes", network.has_modes)
        put(self, "_draws", network.draws)
        put(self, "_dtype", _DTYPES[program.dtype])
        put(self, "_parameter_dtype", _DTYPES[program.parameter_dtype])

    def _layer(self, path, network):
        if path not in self._modules:
            if "." in path or hasattr(type(self), path) or path in self.__dict__:
                _refuse("name", "Block", path, "a name with a dot, or of torch.nn.Module", "another one", "Name the layer otherwise.")
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
        self._find_own()

    def __getstate__(self):
        """With the network, which brings what its rule remembers; Blocks over one network stay so in a copy of both."""
        return {k: v for k, v in self.__dict__.items() if k not in _BESIDE}

    def __setstate__(self, state):
        super().__setstate__(state)
        self._adopt(self._network)
        self._find()
        self._relink()

    def __copy__(self):
        """Shallow, over the same memory: __setstate__ would move it into a new network."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        return twin

    # -- sharing --
    def _parameter_values(self):
        try:
            return [table[name] for _, table, name in self._parameter_places]
        except KeyError:  # torch.nn.utils.prune and parametrizations put something else there
            self._run_hooks()
            return [getattr(module, name) for module, _, name in self._parameter_places]

    def _buffer_values(self):
        return [table[name] for _, table, name in self._buffer_places]

    def _run_hooks(self):
        for layer in self._modules.values():
            if layer._forward_pre_hooks:
                layer()

    def _expect_own(self, operation):
        for (_, table, name), full in zip(self._parameter_places, self._program.parameters):
            if table.get(name) is None:
                _refuse("stale", operation, full, "prune or a parametrization in its place", "a parameter",
                        "Remove it first: prune.remove, parametrize.remove_parametrizations.")

    def _relink(self):
        """Every parameter and buffer lies in the network's memory again, with the values that it has now."""
        places, views = self._parameter_places + self._buffer_places, self._network.parameters() + self._network.states()
        with _torch.inference_mode(False), _torch.no_grad():
            for (module, table, name), view in zip(places, views):
                p = table.get(name)
                if p is None or (p.data_ptr() == view.value.data_ptr and p.is_contiguous()):
                    continue
                home = _torch.from_dlpack(view.value)
                home.copy_(p.contiguous())  # which may be a view of the same memory
                if not p.is_inference():
                    p.data = home
                else:  # its data cannot be set
                    table[name] = _torch.nn.Parameter(home, p.requires_grad) if isinstance(p, _torch.nn.Parameter) else home
        self._find_own()

    def _find_own(self):
        object.__setattr__(self, "_own", [table.get(name) for _, table, name in self._parameter_places + self._buffer_places])

    def _repair(self, values, buffers):
        """After a call with memory elsewhere: our own objects come home; those of functional_call and the like do not."""
        if all(v is p for v, p in zip((*values, *buffers), self._own)):
            self._relink()

    @property
    def network(self) -> Network:
        """The network, over the same memory as the parameters."""
        self._expect_own("Block.network")
        if not self._program.linked(self._parameter_values(), self._buffer_values()):
            self._relink()
        return self._network

    def _apply(self, fn, recurse=True):
        probe = fn(_torch.empty(0, dtype=self._parameter_dtype, device="cpu"))
        if probe.dtype != self._parameter_dtype:
            _refuse("dtype", "Block.to", "dtype", probe.dtype, self._parameter_dtype, "Build the network with another dtype.")
        if probe.device.type != "cpu":
            _refuse("device", "Block.to", "device", probe.device, "cpu", "This network computes on the host.")
        if probe.is_shared():
            _refuse("value out of range", "Block.share_memory", "memory", "a move to shared memory", "the network's own",
                    "Make the Block in each process, and load its state_dict.")
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
                    _refuse("dtype", "Block.load_state_dict", prefix + full, new.dtype, p.dtype, "Load it with assign=False.")
                if new.device.type != "cpu":
                    _refuse("device", "Block.load_state_dict", prefix + full, new.device, "cpu", "Load it with assign=False.")
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *more)

    # -- running --
    def forward(self, x):
        training = self.training
        if (_torch.compiler.is_compiling() or type(x) not in _PLAIN or _in_transform() is not None or _modes()
                or _trace() is not None):
            return self._forward_operator(x, training)
        if x.dtype is not self._dtype:
            x = self._cast(x)
        values = self._parameter_values()
        draw = _draw if training and self._draws else None
        if _torch.is_grad_enabled() and (x.requires_grad or any([v.requires_grad for v in values])):
            # a network that computes the same in both modes can go back over an eval forward too
            y = _Run.apply(self, training or not self._has_modes, draw, x, *values)
        else:
            buffers = self._buffer_values()
            y, _, _, linked = self._program.forward(x, values, buffers, draw, training, False)
            if not linked:
                self._repair(values, buffers)
        if training and self._counters:
            for layer in self._counters:
                layer.num_batches_tracked.add_(1)
        return y

    def _cast(self, x):
        """Under CPU autocast the layer before gives fewer bits. torch leaves float64 alone, and so do we."""
        if _torch.is_autocast_enabled("cpu") and x.is_floating_point() and x.dtype != _torch.float64:
            return x.to(self._dtype)
        return x

    def _forward_operator(self, x, training):
        """The same by registered operators: for compilers, fake tensors, function transforms and subclasses of Tensor."""
        if not isinstance(x, _torch.Tensor):
            _refuse("dtype", "forward", "x", type(x).__name__, "torch.Tensor", "Pass torch.from_dlpack(x).")
        if x.dtype != self._dtype:
            x = self._cast(x)
        self._run_hooks()
        values = [getattr(getattr(self, path), name) for path, name in self._parameter_names]
        buffers = [getattr(getattr(self, path), name) for path, name in self._buffer_names]
        draw = _torch.randint(1 << 62, (), device="cpu") if training and self._draws else None
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
        """One step of a rule of ours (`pytenon.sgd`, `adam`, `adamw`) with the parameters' `.grad`. As in torch, those
        without one stay as they are; the step that bias corrections count is the network's, not each parameter's."""
        self._expect_own("Block.update")
        values = self._parameter_values()
        if not self._program.linked(values, self._buffer_values()):
            self._relink()
            values = self._parameter_values()
        if any([p.grad is not None for p in values]):
            self._network._update_from([None if p.grad is None else p.grad.contiguous() for p in values], rule)
            _torch.autograd.graph.increment_version([p for p in values if p.grad is not None])

    def extra_repr(self):
        return f"dtype={self._network.dtype}, threads={self._network.threads}"
