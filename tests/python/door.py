# SPDX-License-Identifier: Apache-2.0
"""What the tests of the Python door (test_door_*.py) share: the extension module over the headers alone (extension.cpp), built here, and
the objects that are handed to it. Needs no torch:
tests that ask for it are then skipped. Where torch is not, say `pytest --noconftest -p door test_door_*.py`, as tests/tools/free_threaded.sh does."""
import ctypes
import importlib.util
import os
import pathlib
import subprocess
import sys
import sysconfig

import pytest

try:
    import torch
except ImportError:
    class Absent:
        def __getattr__(self, name):
            if name.startswith("__"):
                raise AttributeError(name)
            pytest.skip("no torch here")

    torch = Absent()

HERE = pathlib.Path(__file__).parent


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """The extension's path: compiled with what a user would pass, as warnings are errors."""
    to = tmp_path_factory.mktemp("extension") / ("extension" + sysconfig.get_config_var("EXT_SUFFIX"))
    include = os.environ.get("TENON_INCLUDE") or HERE.parents[1] / "include"
    done = subprocess.run([os.environ.get("CXX", "g++"), "-std=c++20", "-O1", "-fPIC", "-shared", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror",
                           "-isystem", sysconfig.get_paths()["include"], f"-I{include}", HERE / "extension.cpp", "-o", to, "-pthread"],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:4000]
    return to


@pytest.fixture(scope="session")
def ext(built):
    spec = importlib.util.spec_from_file_location("extension", built)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def in_a_process(built, text, status=0, seconds=120):
    """Runs the text with the extension loaded as ext; gives what it printed."""
    start = f"import importlib.util as u; s = u.spec_from_file_location('extension', {str(built)!r}); ext = u.module_from_spec(s); s.loader.exec_module(ext)\n"
    done = subprocess.run([sys.executable, "-c", start + text], capture_output=True, text=True, timeout=seconds)
    assert done.returncode == status, f"exit status {done.returncode}\n{done.stderr[-3000:]}"
    return done.stdout


def address(x):
    return x.__array_interface__["data"][0] if hasattr(x, "__array_interface__") else x.data_ptr()


class producer:
    """An object of the DLPack protocol that remembers how it was asked."""

    def __init__(self, capsule, device=(1, 0), keywords=("stream", "max_version", "dl_device", "copy")):
        self.capsule, self.device, self.keywords, self.asked = capsule, device, keywords, []

    def __dlpack_device__(self):
        return self.device

    def __dlpack__(self, **keywords):
        self.asked.append(keywords)
        if unknown := set(keywords) - set(self.keywords):
            raise TypeError(f"unexpected keyword argument {unknown}")
        return self.capsule(keywords) if callable(self.capsule) else self.capsule


def buffer_of(x, flags):
    """PyObject_GetBuffer and back; raises what it raises."""
    space = (ctypes.c_char * 80)()
    get = ctypes.pythonapi.PyObject_GetBuffer
    get.argtypes = [ctypes.py_object, ctypes.c_void_p, ctypes.c_int]
    get(x, space, flags)
    ctypes.pythonapi.PyBuffer_Release(space)
