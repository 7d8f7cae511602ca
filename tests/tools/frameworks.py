#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The doors of C++ frameworks (include/tenon/interop), against the frameworks themselves: frameworks.py [FILTER…]

tests/interop/frameworks/NAME.cpp is a program, or, with a NAME.py beside it, a library that this script loads. A framework that is
not here is left out with a line that says so: torch and tvm-ffi are here after tests/run, the others after tests/run --frameworks."""
import pathlib
import shutil
import tempfile

import common
import headers

SOURCES = common.ROOT / "tests/interop/frameworks"
DEPS = common.ROOT / ".deps"
FLAGS = ["-std=c++20", *common.WARNINGS, "-O1", "-I", common.INCLUDE, "-I", common.ROOT / "tests", "-pthread"]
FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="frameworks-"))


class Framework:
    """Where one framework's headers and libraries are; `why` says what is missing."""

    def __init__(self, name, why, python=None):
        self.name, self.why, self.python = name, why, python
        self.include, self.link, self.defines, self.witness = [], [], [], None

    def at(self, witness, include, *link, defines=()):
        """witness: a file whose content tells the version."""
        if witness and witness.is_file():
            self.why, self.witness, self.include, self.link, self.defines = None, witness, include, list(link), list(defines)
        return self


def first(pattern):
    return next(iter(sorted(DEPS.glob(pattern))), pathlib.Path("/nowhere"))


def of_rpath(folder, *names):
    return [f"-L{folder}", f"-Wl,-rpath,{folder}", *names]


def frameworks():
    site = first("python/lib/python*/site-packages")
    torch = site / "torch"
    libraries = of_rpath(torch / "lib", "-Wl,--no-as-needed", "-ltorch_cpu", "-lc10")
    with_torch = DEPS / "python/bin/python"
    version = torch / "include/torch/headeronly/version.h"
    yield Framework("torch", "no torch in .deps/python").at(version, [torch / "include"], *libraries)
    yield Framework("torch_stable", "no torch in .deps/python", with_torch).at(
        version, [torch / "include"], *libraries, defines=["-DTORCH_TARGET_VERSION=0x020b000000000000"])

    tvm = first("wheels/apache-tvm-ffi-0.1.15*/tvm_ffi")
    yield Framework("tvm_ffi", "no apache-tvm-ffi in .deps/wheels").at(
        tvm / "include/tvm/ffi/c_api.h", [tvm / "include", *{p.parent.parent for p in tvm.rglob("dlpack/dlpack.h")}],
        *of_rpath(tvm / "lib", "-ltvm_ffi"))

    opencv = next((p for p in map(pathlib.Path, ("/usr/include/opencv4", "/usr/local/include/opencv4")) if p.is_dir()), None)
    yield Framework("opencv", "no libopencv-core-dev").at(opencv and opencv / "opencv2/core/version.hpp", [opencv], "-lopencv_core")

    headers_of_ort = DEPS / "onnxruntime/usr/include/onnxruntime"
    library = first("frameworks/lib/python*/site-packages/onnxruntime/capi/libonnxruntime.so.*")
    if library.is_file():
        (FOLDER / "libonnxruntime.so.1").symlink_to(library)  # the wheel holds it under its full version alone
        yield Framework("onnxruntime", "no onnxruntime headers in .deps/onnxruntime").at(
            headers_of_ort / "onnxruntime_c_api.h", [headers_of_ort], library, f"-Wl,-rpath,{FOLDER}")
    else:
        yield Framework("onnxruntime", "no onnxruntime in .deps/frameworks")

    jax = first("frameworks/lib/python*/site-packages/jaxlib/include")
    yield Framework("jax_ffi", "no jaxlib in .deps/frameworks", DEPS / "frameworks/bin/python").at(
        jax / "xla/ffi/api/c_api.h", [jax], defines=["-Wno-pedantic"])  # for g++ 12, XLA's own headers are an error with it


def runs(framework, compiler):
    """Builds the program (or library), and runs it (or its script)."""
    source, out = SOURCES / f"{framework.name}.cpp", FOLDER / f"{framework.name}_{'clang' if 'clang' in compiler else 'gcc'}"
    script = source.with_suffix(".py")
    theirs = [word for folder in framework.include for word in ("-isystem", folder)]
    shape = ["-shared", "-fPIC"] if script.exists() else []
    trouble = common.compiles([compiler, *FLAGS, *theirs, *framework.defines, *shape, source, "-o", out, *framework.link], timeout=600)
    if trouble:
        return trouble
    return common.compiles([framework.python, script, out] if script.exists() else [out], timeout=300)


def header_alone(framework, compiler):
    theirs = [word for folder in framework.include for word in ("-isystem", folder)]
    return headers.alone(compiler, f"tenon/interop/{framework.name}.hpp", [*theirs, *framework.defines])


def cases():
    for framework in frameworks():
        if framework.why:
            print(f"left out: {framework.name}: {framework.why}")
            continue
        on = framework.witness.read_bytes()
        # What a user writes with one compiler is not worth a minute more with the other: torch's headers take that long.
        for compiler in common.compilers() if not framework.name.startswith("torch") else [common.GXX]:
            label = f"{framework.name} {compiler}"
            yield label, common.remembered(f"frameworks/{label}", lambda f=framework, c=compiler: runs(f, c), on)
            label = f"{framework.name} header {compiler}"
            yield label, common.remembered(f"frameworks/{label}", lambda f=framework, c=compiler: header_alone(f, c), on)


if __name__ == "__main__":
    try:
        common.tool("frameworks", list(cases()))
    finally:
        shutil.rmtree(FOLDER, ignore_errors=True)
