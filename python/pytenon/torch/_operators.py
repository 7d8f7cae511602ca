# SPDX-License-Identifier: Apache-2.0
"""The same forward and backward as operators that torch knows by name: for compilers, fake tensors, function transforms and
subclasses of Tensor."""
import itertools as _itertools
import secrets as _secrets
import weakref as _weakref

import torch as _torch

from .._core import _refuse

_programs = _weakref.WeakValueDictionary()  # the registered operators know a program by its number
# never given twice, and another in each process: a graph that outlives its Block, or its process, finds no other network
_numbers = _itertools.count(_secrets.randbits(61))


def _register(program):
    number = next(_numbers)
    _programs[number] = program
    return number


_library = _torch.library.Library("pytenon", "DEF")
_library.define("forward(Tensor x, Tensor[] parameters, Tensor[] buffers, Tensor? draw, int network, bool saves) -> (Tensor, Tensor)")
_library.define("backward(Tensor dy, Tensor x, Tensor y, Tensor saved, Tensor[] parameters, Tensor? draw, int network, bool wants_dx)"
                " -> (Tensor, Tensor[])")
_library.define("commit(Tensor saved, Tensor(a!)[] buffers, SymInt batch, int network) -> ()")


def _program_of(number):
    program = _programs.get(number)
    if program is None:
        _refuse("stale", "Block", "network", "a number whose Block is gone", "one of this process that lives", "Keep the Block.")
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
        _refuse("stale", "backward", "the forward", "one in eval mode", "one in training mode",
                "Networks with batch_norm or dropout go back over training forwards only: call block.train().")
    dx = _torch.empty(x.shape, dtype=x.dtype, device="cpu") if wants_dx else None
    dp = [_torch.empty(p.shape, dtype=p.dtype, device="cpu") for p in parameters]
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


class _Once(_torch.autograd.Function):
    """The backward, which has no derivative: torch would take a formula that is missing for zeros. `func.grad` always asks for a
    graph of its backward, so only whoever goes back through that graph is refused."""

    @staticmethod
    def forward(dy, x, y, saved, draw, network, wants_dx, *values):
        dx, dp = _torch.ops.pytenon.backward(dy, x, y, saved, list(values), draw, network, wants_dx)
        return dx, *dp

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, *_):
        _refuse_second_derivative()


def _refuse_second_derivative():
    _refuse("stale", "backward", "create_graph=True", "a second derivative", "a first one", "A Block is differentiable once.")


def _setup(ctx, inputs, output):
    x, parameters, buffers, draw, ctx.network, _ = inputs
    ctx.program = _program_of(ctx.network)  # lives until the backward
    ctx.save_for_backward(x, *output, draw, *parameters)
    ctx.buffers = len(buffers)


def _backward(ctx, dy, _):
    x, y, saved, draw, *parameters = ctx.saved_tensors
    wants = ctx.needs_input_grad[0]
    dx, *dp = _Once.apply(dy, x, y, saved, draw, ctx.network, wants, *parameters)
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
        ctx.program = _program_of(ctx.network)
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(x, *output, draw, *values)

    @staticmethod
    def backward(ctx, dy, _):
        x, y, saved, draw, *values = ctx.saved_tensors
        dx, *dp = _Once.apply(dy, x, y, saved, draw, ctx.network, ctx.needs_input_grad[0], *values)
        return dx if ctx.needs_input_grad[0] else None, None, None, None, None, *dp
