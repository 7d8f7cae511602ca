# SPDX-License-Identifier: Apache-2.0
"""Registers what jax_ffi.cpp became with JAX, and calls it: jax_ffi.py LIBRARY"""
import ctypes
import sys

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)
library = ctypes.CDLL(sys.argv[1])
for name in ("Scale", "Overwrite", "Total", "Elsewhere", "Kind"):
    jax.ffi.register_ffi_target(name.lower(), jax.ffi.pycapsule(getattr(library, name)), platform="cpu")


def call(name, x, out=None, **attributes):
    return jax.ffi.ffi_call(name, jax.ShapeDtypeStruct(x.shape, x.dtype) if out is None else out)(x, **attributes)


x = jnp.arange(6, dtype=jnp.float32).reshape(2, 3)
assert (call("scale", x, by=np.float32(2)) == 2 * x).all()
assert (jax.jit(lambda x: call("scale", x, by=np.float32(3)))(x) == 3 * x).all()
assert call("total", x, jax.ShapeDtypeStruct((), jnp.float32)) == 15
assert call("total", jnp.zeros((0, 3), jnp.float32), jax.ShapeDtypeStruct((), jnp.float32)) == 0
for dtype, number in ((jnp.bfloat16, 4016), (jnp.bool_, 6008), (jnp.int64, 64), (jnp.uint16, 1016), (jnp.float8_e4m3fn, 10008),
                      (jnp.complex64, 5064), (jnp.float16, 2016), (jnp.float8_e8m0fnu, 14008)):
    assert call("kind", jnp.zeros(2, dtype), jax.ShapeDtypeStruct((), jnp.int32)) == number, dtype


def says(call, *words):
    try:
        jax.block_until_ready(call())
    except Exception as e:
        assert all(w in str(e) for w in words), e
    else:
        raise SystemExit(f"nothing said {words}")


says(lambda: call("scale", x[0], by=np.float32(2)), "INVALID_ARGUMENT", "[view_as]", "rank", "got 1, expected 2")
says(lambda: call("scale", x.astype(jnp.int32), by=np.float32(2)), "got int32, expected float32")
says(lambda: call("overwrite", x), "[view_as]", "read-only memory")
says(lambda: call("elsewhere", x), "[view_as]", "got cuda:1, expected cpu:0")
says(lambda: call("kind", jnp.zeros(2, jnp.int4), jax.ShapeDtypeStruct((), jnp.int32)), "no name for")
print("ok")
