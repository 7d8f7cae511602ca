#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every header compiles alone, twice included, without a warning, on both compilers; C headers in C too: headers.py [FILTER…]"""
import common
import floors

# The third-party headers of optional parts: a header of ours that reaches one is checked only where the part is there.
# Those of C++ frameworks are seen with their own flags by frameworks.py; here only where they are on the system's path.
OPTIONAL = {"Eigen/": "Eigen/Core", "zlib.h": "zlib.h", "dlpack/": "dlpack/dlpack.h",
            "cuda/": "cuda/std/mdspan",  # C++20 has no mdspan of its own
            "Python.h": "Python.h", "ATen/": "ATen/core/Tensor.h", "torch/": "torch/csrc/stable/tensor.h",
            "tvm/": "tvm/ffi/container/tensor.h", "opencv2/": "opencv2/core/mat.hpp", "xla/": "xla/ffi/api/ffi.h",
            "onnxruntime_cxx_api.h": "onnxruntime_cxx_api.h"}

FLAGS = [*common.eigen_flags(), *common.cuda_flags(), *common.python_flags()]


def reached(path, seen=None):
    """The names of all headers that `path` includes, through our own ones."""
    seen = set() if seen is None else seen
    if path not in seen:
        seen.add(path)
        for _, name, target in floors.includes(path, common.INCLUDE):
            yield name
            if target and target.is_file():
                yield from reached(target, seen)


def usable():
    """The headers that can be compiled here, as they are written in an #include."""
    absent = tuple(start for start, probe in OPTIONAL.items() if not common.has_header(probe, FLAGS))
    for path in floors.headers(common.INCLUDE):
        if path.suffix == ".inl":  # a part of the header that includes it
            continue
        if missing := [name for name in reached(path.resolve()) if name.startswith(absent)]:
            print(f"not checked: {path.relative_to(common.INCLUDE)} needs <{missing[0]}>")
        else:
            yield str(path.relative_to(common.INCLUDE))


def alone(compiler, header, more=()):
    flags = [*common.WARNINGS, "-I", common.INCLUDE, *FLAGS, *more, "-pthread", "-fsyntax-only"]
    twice = f"#include <{header}>\n" * 2
    trouble = common.compiles([compiler, "-std=c++20", *flags, "-x", "c++", "-"], input=twice)
    if not trouble and header.endswith(".h"):
        flags = [f for f in flags if f != "-Wold-style-cast"]
        trouble = common.compiles([compiler, "-std=c11", *flags, "-x", "c", "-"], input=twice)
    return trouble


if __name__ == "__main__":
    common.tool("headers", [(f"{header} {compiler}", lambda c=compiler, h=header: alone(c, h))
                            for header in usable() for compiler in common.compilers()], remember=True)
