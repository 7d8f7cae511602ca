#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Where nvcc is: the CUDA library builds for every target, no kernel spills a register, and a program without a GPU is told so:
cuda.py [FILTER…]

Kernels are compiled only when something under cuda_kernels/ changed since they last passed."""
import functools
import os
import re
import shutil
import threading

import common

BUILD = common.ROOT / "build/cuda"
PASSED = BUILD / "passed"
LIBRARY = BUILD / "cuda_kernels/libtenon_cuda.so.1"
ONE_AT_A_TIME = threading.Lock()
TARGETS = ("sm_80", "sm_90a")
PRODUCTS = 4 * 4  # kernels of products: tiles times layouts


def content():
    files = [p for p in sorted((common.ROOT / "cuda_kernels").rglob("*")) if p.is_file()]
    files += [common.INCLUDE / "tenon/ops/cuda/abi.h", common.ROOT / "meson.build", common.ROOT / "meson.options",
              common.ROOT / "tests/tools/cuda.py"]
    return common.hash_of(files, *(common.run([c, "--version"])[1] for c in ("nvcc", common.GXX)))


def spills(log):
    """What ptxas says of each kernel: a line for each that uses memory for its registers, and for what is missing."""
    found = re.findall(r"Compiling entry function '(\w+)' for '(\w+)'.*?(\d+) bytes stack frame, (\d+) bytes spill stores, "
                       r"(\d+) bytes spill loads", log, re.S)
    faults = [f"{kernel} for {target}: {stack} bytes of stack, {stores} and {loads} of spills"
              for kernel, target, stack, stores, loads in found if (stack, stores, loads) != ("0", "0", "0")]
    for target in TARGETS:
        if (n := sum(t == target and "gemm_kernel" in kernel for kernel, t, *_ in found)) != PRODUCTS:
            faults.append(f"{n} kernels of products for {target}, expected {PRODUCTS}")
    return faults + re.findall(r".*\bwarning\b.*", log)


def build():
    with ONE_AT_A_TIME:
        return build_once()


@functools.cache
def build_once():
    key = content()
    if LIBRARY.exists() and PASSED.exists() and PASSED.read_text() == key:
        return None
    shutil.rmtree(BUILD, ignore_errors=True)
    off = ["-Dtests=disabled", "-Dexamples=disabled", "-Dbenches=disabled"]
    if trouble := common.compiles(["meson", "setup", BUILD, common.ROOT, "--buildtype=release", "-Dcuda=enabled", *off]):
        return trouble
    status, log = common.run(["ninja", "-C", BUILD, "-j", common.JOBS], timeout=600)
    if status:
        return log
    if faults := spills(log):
        return "\n".join(faults)
    PASSED.write_text(key)
    return None


def exports():
    """The library's only symbols are those of abi.h."""
    if trouble := build():
        return trouble
    declared = set(re.findall(r"\b(tenon_cuda_\w+)\(", (common.INCLUDE / "tenon/ops/cuda/abi.h").read_text()))
    exported = {line.split()[-1] for line in common.run(["nm", "-D", "--defined-only", LIBRARY])[1].splitlines()}
    return None if exported == declared else f"declared {sorted(declared)}\nexported {sorted(exported)}"


def program():
    """A program that was compiled without CUDA loads it, and runs there or is told that there is no device."""
    if trouble := build():
        return trouble
    source = r"""
    #include <cstdio>
    #include "tenon/ops/cuda/device.hpp"
    int main() {
      tenon::storage s;
      tenon::failure why;
      const tenon::errc c = tenon::cuda_device{}.try_allocate(4, s, why);
      std::puts(why.message().c_str());
      return c == tenon::errc::ok || c == tenon::errc::no_device ? 0 : 1;
    }"""
    made = BUILD / "program"
    flags = ["-std=c++20", "-O0", "-I", common.INCLUDE, "-x", "c++", "-", "-o", made, "-pthread"]
    status, said = common.run([common.GXX, *flags], input=source)
    if status == 0:
        status, said = common.run([made], env={**os.environ, "TENON_CUDA_LIBRARY": str(LIBRARY)})
    return said if status else None


def self_test():
    line = "Compiling entry function 'gemm_kernel{}' for '{}'\n    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n"
    good = "".join(line.format(i, t) for t in TARGETS for i in range(PRODUCTS))
    bad = good.replace("0 bytes spill loads", "8 bytes spill loads", 1)
    missing = good.replace("gemm_kernel3", "other", 1)
    seen = not spills(good) and len(spills(bad)) == len(spills(missing)) == 1
    return None if seen else "spills() does not see what it must"


def bench(name, *compiler):
    """A program of bench/cuda compiles."""
    flags = ["-std=c++20", "-I", common.ROOT, "-I", common.INCLUDE, "-c"]
    return common.compiles([*compiler, *flags, common.ROOT / f"bench/cuda/{name}.cpp"])


if __name__ == "__main__":
    gxx, nvcc = [common.GXX, "-fsyntax-only", *common.WARNINGS], ["nvcc", "-Xcompiler", "-fsyntax-only,-Wall,-Wextra,-Werror", "-o", BUILD / "unused.o"]
    cases = [("self-test", self_test), *((f"bench {name}", lambda n=name: bench(n, *gxx)) for name in ("check", "train"))]
    if shutil.which("nvcc"):
        cases += [("library", build), ("exports", exports), ("program", program)]
        cases += [(f"bench {name}", lambda n=name: bench(n, *nvcc)) for name in ("time", "sweep")]
    else:
        print("-- cuda/library left out: there is no nvcc here")
    common.tool("cuda", cases)
