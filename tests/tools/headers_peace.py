#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Our headers beside every dlpack.h, before or after it, in one file and in one program: headers_peace.py [FILTER…]

All dlpack.h share one include guard, so the first in a file wins. tests/peace/part.cpp is compiled once a header and order; each
part runs alone, then all in one program that hands tensors from every part to every part: plain, with -flto, and with parts of both
compilers. What -Wodr says of the foreign structs is theirs to settle; of ours it must say nothing.

Where the headers come from: 0.6 from the system's libdlpack-dev; 1.2, 1.3 and the libraries' tvm_ffi from wheels that tests/run
unpacks into .deps/wheels; torch's copy from .deps/python. Where one is not there, and for 1.0, 1.1, CuPy's (a 1.0) and torch's of
2.4 to 2.8 (const extents), which no small package has: tests/interop/imitated_dlpack.h, ours, declaring what that version does. On
2026-11-26 it was held against the real 1.0 and 1.1 (tags of dmlc/dlpack), by g++ 12.2 and clang 19: all sizes, offsets and values that it
declares are theirs, and with the two real files in its place all 39 cases passed."""
import functools
import pathlib
import re
import shutil
import tempfile
import threading

import common

PEACE = common.ROOT / "tests/peace"
IMITATED = common.ROOT / "tests/interop/imitated_dlpack.h"
DEPS = common.ROOT / ".deps"
FLAGS = ["-std=c++20", *common.WARNINGS, "-O2", "-flto", "-ffat-lto-objects", "-I", common.INCLUDE, "-pthread"]
ORDERS = ["first", "last"]


def found(pattern, version):
    """The header of this version, if it lies where tests/run puts it."""
    major, minor = version
    for path in sorted(DEPS.glob(pattern)):
        text = path.read_text(errors="replace")
        if f"define DLPACK_MAJOR_VERSION {major}\n" in text and f"define DLPACK_MINOR_VERSION {minor}\n" in text:
            return path
    return None


def imitation(minor, *more):
    return IMITATED, [f"-DIMITATED_MINOR={minor}", *more]


@functools.cache
def headers():
    """name: (file, flags) of each foreign header; (None, []) for none."""
    all = {"none": (None, [])}
    system = pathlib.Path("/usr/include/dlpack/dlpack.h")
    if system.is_file():
        version = re.search(r"define DLPACK_VERSION (\d+)", system.read_text())
        all["v0_6" if version and version[1] == "60" else "system"] = (system, [])
    else:
        print("not checked: 0.6 needs libdlpack-dev")
    all["v1_0"] = imitation(0)
    all["v1_1"] = imitation(1)
    for minor in (2, 3):
        real = found("wheels/apache-tvm-ffi-*/tvm_ffi/**/dlpack.h", (1, minor))
        all[f"v1_{minor}"] = (real, []) if real else imitation(minor)
    all["torch_old"] = imitation(0, "-DIMITATED_EXTENT=const std::int64_t")
    real = next(iter(DEPS.glob("python/lib/python*/site-packages/torch/include/ATen/dlpack.h")), None)
    if real:
        all["torch"] = (real, [])
    else:
        print("not checked: torch's own copy needs .deps/python")
    for name, (path, _) in all.items():
        if path == IMITATED:
            print(f"-- {name} is imitated")
    return all


def parts():
    yield "none", None
    for name in headers():
        if name != "none":
            yield from ((name, order) for order in ORDERS)


def symbol(name, order, compiler):
    return "_".join(filter(None, ["part", name, order, "clang" if "clang" in compiler else "gcc"]))


FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="peace-"))
LOCKS = {}


@functools.cache
def build(name, order, compiler):
    path, more = headers()[name]
    sees = [f'-D{order.upper()}="{path}"', *more] if path else []
    # The foreign file is no business of our warnings; it is named by its path, so a #pragma cannot tell.
    theirs = ["-isystem", path.parent] if path else []
    at = FOLDER / f"{symbol(name, order, compiler)}.o"
    trouble = common.compiles([compiler, *FLAGS, *theirs, *sees, f'-DNAME="{name} {order or ""}"', f"-DPART={symbol(name, order, compiler)}",
                               "-c", PEACE / "part.cpp", "-o", at])
    return at, trouble


def built(name, order, compiler):
    """(object, trouble): compiled once, whoever asks first."""
    with LOCKS.setdefault((name, order, compiler), threading.Lock()):
        return build(name, order, compiler)


def program(label, compiler, wanted, *flags):
    """Links the parts with the main program by `compiler` and runs it: (trouble, what the linker said)."""
    objects = []
    for name, order, by in wanted:
        at, trouble = built(name, order, by)
        if trouble:
            return trouble, ""
        objects.append(at)
    names = "".join(f" X({symbol(*w)})" for w in wanted)
    main, exe = FOLDER / f"{label}.o", FOLDER / label
    trouble = common.compiles([compiler, *FLAGS, f"-DPARTS(X)={names}", "-c", PEACE / "main.cpp", "-o", main])
    if trouble:
        return trouble, ""
    link = [compiler, *flags, main, *objects, "-o", exe, "-pthread"]
    status, said = common.run(link)
    if status:
        return f"{common.text_of(link)}\n{said}", ""
    return common.compiles([exe]), said


def alone(name, order, compiler):
    return program(symbol(name, order, compiler) + "_alone", compiler, [(name, order, compiler)], "-fno-lto")[0]


def ours_in(said):
    """The lines of a linker's report on types that name ours as the one that differs."""
    return [line for line in said.splitlines() if "violates the C++ One Definition Rule" in line and "tenon" in line]


def together(compiler):
    wanted = [(name, order, compiler) for name, order in parts()]
    label = "together_" + ("clang" if "clang" in compiler else "gcc")
    trouble, _ = program(label, compiler, wanted, "-fno-lto")
    if trouble:
        return trouble
    trouble, said = program(f"{label}_lto", compiler, wanted, "-flto", "-O2", *([] if "clang" in compiler else ["-Wodr"]))
    if trouble:
        return trouble
    if ours := ours_in(said):
        return "\n".join(ours)
    if "clang" not in compiler and "v0_6" in headers() and "DLDevice" not in said:
        return f"-Wodr did not even name the foreign structs, so it looked at nothing:\n{said}"
    return None


def mixed():
    return program("mixed", common.GXX, [(name, order, c) for name, order in parts() for c in common.compilers()], "-fno-lto")[0]


def refused(flags, words, compiler):
    """A header that is not what it says must stop the compiler at our static_assert."""
    status, said = common.run([compiler, *FLAGS, "-fsyntax-only", *flags, f'-DFIRST="{IMITATED}"', '-DNAME=""', "-DPART=part_of_nobody", PEACE / "part.cpp"])
    return None if status and words in said else f"{words!r} is not in what {compiler} says ({status}):\n{said}"


def torch_stable(compiler):
    """Under TORCH_TARGET_VERSION torch's copy is an #error; ours must not need it."""
    target = "-DTORCH_TARGET_VERSION=0x020a000000000000"
    path, _ = headers()["torch"]
    status, said = common.run([compiler, *FLAGS, "-fsyntax-only", target, f'-DFIRST="{path}"', '-DNAME=""', "-DPART=part_of_nobody", PEACE / "part.cpp"])
    if not status or "#error" not in said:
        return f"torch's dlpack.h no longer refuses TORCH_TARGET_VERSION: this case has nothing left to show\n{said}"
    return common.compiles([compiler, *FLAGS, "-fsyntax-only", target, '-DNAME=""', "-DPART=part_of_nobody", PEACE / "part.cpp"])


def cases():
    on = lambda *names: b"".join(headers()[n][0].read_bytes() for n in names if headers()[n][0])
    remember = lambda label, check, *names: (label, common.remembered(f"headers_peace/{label}", check, on(*names)))
    for compiler in common.compilers():
        for name, order in parts():
            yield remember(f"{name} {order or 'seen'} {compiler}", lambda n=name, o=order, c=compiler: alone(n, o, c), name)
        yield remember(f"another layout {compiler}", lambda c=compiler: refused(["-DIMITATED_SWAPPED"], "static assertion failed", c))
        yield remember(f"another major version {compiler}", lambda c=compiler: refused(["-DIMITATED_MAJOR=2"], "speaks another major version", c))
        if "torch" in headers():
            yield remember(f"torch stable {compiler}", lambda c=compiler: torch_stable(c), "torch")
        yield remember(f"together {compiler}", lambda c=compiler: together(c), *headers())
    if len(common.compilers()) > 1:
        yield remember("together, two compilers", mixed, *headers())


if __name__ == "__main__":
    try:
        common.tool("headers_peace", list(cases()))
    finally:
        shutil.rmtree(FOLDER, ignore_errors=True)
