# SPDX-License-Identifier: Apache-2.0
"""What a report of a bug should say: `python -m pytenon.info [FRAMEWORK…]`, or `pytenon.info.report()` from a running program.

Versions, how the package was compiled, what this process copied so far, and which DLPack each installed framework speaks. Each is
asked in a process of its own, for some end theirs, and some cannot share one.
"""
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import sysconfig

from . import __version__, _core

# distribution, module, an expression that makes a small array
FRAMEWORKS = [("numpy", "numpy", "m.ones(3, 'float32')"), ("torch", "torch", "m.ones(3)"), ("jax", "jax.numpy", "m.ones(3)"),
              ("tensorflow", "tensorflow", "m.ones(3)"), ("tensorflow-cpu", "tensorflow", "m.ones(3)"),
              ("paddlepaddle", "paddle", "m.ones([3])"), ("apache-tvm-ffi", "tvm_ffi", "m.from_dlpack(__import__('numpy').ones(3))"),
              ("cupy", "cupy", "m.ones(3)"), ("mlx", "mlx.core", "m.ones(3)"), ("array-api-strict", "array_api_strict", "m.ones(3)")]

# What __dlpack__ does with a keyword is looked at, not believed.
PROBE = """
import importlib, json, sys
sys.path[:0] = json.loads(sys.argv[3])
m = importlib.import_module(sys.argv[1])
x = eval(sys.argv[2])
from pytenon import _core
said = []
api = _core._exchange_version(type(x))
if api: said.append("exchange API %d.%d" % api)
def ask(**keywords):
    try:
        return repr(x.__dlpack__(**keywords))
    except Exception as e:
        return type(e).__name__
versioned = ask(max_version=(1, 3))
if "dltensor_versioned" in versioned: said.append("versioned")
if '"dltensor"' in ask(): said.append("legacy")
if not hasattr(x, "__dlpack__"): said.append("no __dlpack__")
elif versioned == "TypeError": said.append("takes no max_version")
before = _core.bytes_moved()["copied"]
try:
    t = _core.from_dlpack(x)
    shared = _core.bytes_moved()["copied"] == before
    said.append("into pytenon: " + ("shared" if shared else "copied") + (", read-only" if t.readonly else ""))
except Exception as e:
    said.append("into pytenon: " + str(e))
print("pytenon.info:" + json.dumps(said), flush=True)  # some frameworks print, too
"""


def version_of(distribution):
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def dialects(module, make, timeout=60):
    """What a framework speaks, in words; why not, where it does not answer."""
    try:
        asked = subprocess.run([sys.executable, "-c", PROBE, module, make, json.dumps(sys.path)], capture_output=True, text=True, timeout=timeout,
                               env=dict(os.environ, TF_CPP_MIN_LOG_LEVEL="3"))
    except subprocess.TimeoutExpired:
        return f"no answer in {timeout} s"
    if asked.returncode:
        last = (asked.stderr.strip().splitlines() or [f"exit status {asked.returncode}"])[-1]
        return f"fails: {last}"
    said = [line for line in asked.stdout.splitlines() if line.startswith("pytenon.info:")]
    return ", ".join(json.loads(said[-1].split(":", 1)[1])) if said else "no answer"


def report(frameworks=None):
    """The report as text; `frameworks`: names of distributions, all that are installed where it is left out."""
    threads = "free-threaded" if sysconfig.get_config_var("Py_GIL_DISABLED") else "with the GIL"
    lines = [f"pytenon: {__version__}", f"python: {platform.python_version()} ({platform.python_implementation()}, {threads})",
             f"system: {platform.platform()}", *_core._build_info().splitlines()]
    for distribution, module, make in FRAMEWORKS:
        version = version_of(distribution)
        if version is None or (frameworks is not None and distribution not in frameworks):
            continue
        lines.append(f"{distribution} {version}: {dialects(module, make)}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(report(sys.argv[1:] or None))
