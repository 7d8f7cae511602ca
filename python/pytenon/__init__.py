# SPDX-License-Identifier: Apache-2.0
"""Tensors in and out by DLPack without a copy, and layer graphs with explicit forward, backward and update.

    import pytenon
    from pytenon import layers

    net = pytenon.Network([layers.linear(120), layers.relu(), layers.linear(10)], input=(784,), seed=1)
    y = net.forward(x)                              # anything that speaks DLPack: NumPy, PyTorch, JAX …
    l, dy = pytenon.cross_entropy()(y, labels)
    net.backward(dy)
    net.update(pytenon.adamw(lr=1e-3))

`pytenon.torch.Block(net)` is the same network as a torch.nn.Module over the same memory. Everything that is refused is a
`pytenon.Error`, and also the built-in exception that one expects: `TypeError`, `ValueError`, `IndexError`, `BufferError` …
"""
import sys as _sys

from . import _core
from ._core import (ArgumentError, BridgeError, DeviceError, DtypeError, Error, FileError, Input, Layer, Network, OutOfMemoryError,
                    Parameter, RangeError, ShapeError, StateError, Tape, Tensor, adam, adamw, bytes_moved, cross_entropy, from_dlpack,
                    layers, mse, sgd)

_sys.modules[__name__ + ".layers"] = layers  # so that `from pytenon.layers import conv2d` works
layers.__name__ = __name__ + ".layers"

__version__ = "0.1.0"
__all__ = ["ArgumentError", "BridgeError", "DeviceError", "DtypeError", "Error", "FileError", "Input", "Layer", "Network",
           "OutOfMemoryError", "Parameter", "RangeError", "ShapeError", "StateError", "Tape", "Tensor", "adam", "adamw", "bytes_moved",
           "cross_entropy", "from_dlpack", "layers", "mse", "sgd"]

for _name in __all__:  # where users meet them, and where pickle looks
    if isinstance(getattr(_core, _name, None), type):
        getattr(_core, _name).__module__ = __name__
