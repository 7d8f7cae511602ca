# SPDX-License-Identifier: Apache-2.0
"""What the tools share: the checkout's paths, running a command, and running named cases side by side.

A case is (label, check); check() returns nothing when all is well, else the text to show. `TITLE/label` is what a filter on the
command line is matched against. Every tool ends with `TITLE: N passed, N failed`, which tests/run adds up.
"""
import concurrent.futures
import functools
import hashlib
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import sysconfig
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
INCLUDE = ROOT / "include"
GXX, CLANGXX = "g++", "clang++-19"
JOBS = int(os.environ.get("JOBS") or len(os.sched_getaffinity(0)))
TIMED_OUT = 124
WARNINGS = "-Wall -Wextra -Wpedantic -Wconversion -Wno-sign-conversion -Wshadow -Wold-style-cast -Werror".split()


def compilers():
    return [GXX] if os.environ.get("QUICK") else [GXX, CLANGXX]


def run(command, timeout=300, **more):
    """(exit status, output); a command that is missing or too slow has a status of its own."""
    try:
        done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
                              if "input" not in more else None, text=True, errors="replace", timeout=timeout, **more)
        return done.returncode, done.stdout
    except FileNotFoundError:
        return 127, f"{command[0]} is not there"
    except subprocess.TimeoutExpired as slow:
        return TIMED_OUT, f"{(slow.stdout or b'').decode(errors='replace')}\nstopped after {timeout} s"


def text_of(command):
    return shlex.join(str(c) for c in command)


def compiles(command, **more):
    """The check that a command ends well: nothing, or the command and what it said."""
    status, output = run(command, **more)
    return None if status == 0 else f"{text_of(command)}\n{output}"


def program_of(test, build):
    """What of a test's command is built, by Ninja's name; a test may be a script that runs it."""
    return next(os.path.relpath(build / word, build) for word in test["cmd"] if (build / word).is_relative_to(build))


def has_header(name, flags=()):
    return shutil.which(GXX) and run([GXX, "-fsyntax-only", "-x", "c++", *flags, "-"], input=f"#include <{name}>\n")[0] == 0


def eigen_flags():
    status, output = run(["pkg-config", "--cflags", "eigen3"])
    return [f.replace("-I", "-isystem", 1) for f in output.split()] if status == 0 else []


def cuda_flags():
    """Where CUDA keeps its C++ library, which has an mdspan."""
    place = pathlib.Path("/usr/local/cuda/include/cccl")
    return ["-isystem", str(place)] if (place / "cuda/std/mdspan").exists() else []


def python_flags():
    """Where the C headers of the Python that runs this are."""
    place = pathlib.Path(sysconfig.get_paths()["include"])
    return ["-isystem", str(place)] if (place / "Python.h").exists() else []


MEMORY = ROOT / "build/passed.json"
ONE_AT_A_TIME = threading.Lock()


@functools.cache
def passed():
    return json.loads(MEMORY.read_text()) if MEMORY.exists() else {}


def hash_of(files, *words):
    sum = hashlib.sha256("\0".join(words).encode())
    for path in files:
        sum.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return sum.hexdigest()


def watched():
    """What a check of this folder hangs on, but for the mutants: all headers, kernels, tests and tools."""
    files = [ROOT / "meson.build", ROOT / "meson.options"]
    for folder in (INCLUDE, ROOT / "cuda_kernels", ROOT / "tests", ROOT / "bench/compile"):
        files += sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix not in {".mutant", ".pyc"})
    return files


def stamps():
    return [(path, (s := path.stat()).st_mtime_ns, s.st_size) for path in watched()]


@functools.cache
def content():
    """Of these files, the compilers and the optional parts; and how the files were then."""
    decides = [run([c, "--version"])[1] for c in compilers()]
    decides += [run(["pkg-config", "--modversion", part])[1] for part in ("eigen3", "zlib", "catch2-with-main")]
    decides += [f"{name}={os.environ.get(name)}" for name in ("CPATH", "CPLUS_INCLUDE_PATH", "LIBRARY_PATH", "PATH")]
    decides += [str(has_header(h)) for h in ("zlib.h", "dlpack/dlpack.h")]
    decides += python_flags()
    before = stamps()
    return hash_of(watched(), *decides), before


def remembered(label, check, on=b""):
    """check(), unless it passed before with the same content() and `on`. Neither a failure is remembered, nor a pass during
    which a file changed."""
    def go():
        key = hashlib.sha256(f"{content()[0]} {label} ".encode() + on).hexdigest()
        with ONE_AT_A_TIME:
            if key in passed():
                return None
        if trouble := check():
            return trouble
        with ONE_AT_A_TIME:
            if stamps() != content()[1]:
                return None
            passed()[key] = label
            MEMORY.parent.mkdir(exist_ok=True)
            MEMORY.with_suffix(".new").write_text(json.dumps(passed(), indent=0))
            MEMORY.with_suffix(".new").replace(MEMORY)
    return go


def main(title, cases, filters=(), after=()):
    """Runs the cases side by side, then those `after` one by one; prints a line each and the sum; 1 if any failed, else 0."""
    chosen = [c for c in cases if not filters or any(f in f"{title}/{c[0]}" for f in filters)]
    failed = 0

    def report(label, outcome):
        nonlocal failed
        try:
            trouble = outcome()
        except Exception as error:  # a check that breaks has failed, the others go on
            trouble = f"{type(error).__name__}: {error}"
        failed += bool(trouble)
        print(f"FAIL {title}/{label}\n{trouble.rstrip()}\n" if trouble else f"ok   {title}/{label}", flush=True)

    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        for label, future in [(label, pool.submit(check)) for label, check in chosen]:
            report(label, future.result)
    for label, check in after:
        report(label, check)
    print(f"{title}: {len(chosen) + len(after) - failed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


def tool(title, cases, remember=False):
    """remember: for checks that hang on content() alone."""
    if remember:
        cases = [(label, remembered(f"{title}/{label}", check)) for label, check in cases]
    sys.exit(main(title, cases, sys.argv[1:]))
