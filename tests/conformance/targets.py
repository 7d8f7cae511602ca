# SPDX-License-Identifier: Apache-2.0
"""What can be tested: a shared library with target.h's functions, a Python module, or one of the names below, whose differences
from the default are said here. A target takes an offer (a capsule's speaker, or a raw struct), reads, shares again, and lets go."""
import ctypes as C
import gc
import importlib
import importlib.util
import pathlib
import sys
import sysconfig

import craft


class Refused(Exception):
    """A clean error of the target, as text: whatever its own exception held is gone. `kinds`: names of its classes."""

    def __init__(self, text, kinds=()):
        super().__init__(text)
        self.kinds = kinds


class Absent(Exception):
    """The target is not installed here."""


class Export:
    """A managed struct that is ours to delete; `keep`: what must live on meanwhile."""

    def __init__(self, helper, versioned, managed, name=""):
        self.helper, self.versioned, self.managed, self.name = helper, versioned, managed, name

    def seen(self):
        s = craft.Seen()
        self.helper.c.look(self.versioned, self.managed, C.byref(s))
        return s

    def total(self):
        return self.helper.c.total_of(self.versioned, self.managed)

    def free(self):
        managed, self.managed = self.managed, None
        if managed:
            self.helper.py.free_managed(self.versioned, managed)

    def free_on_thread(self):
        managed, self.managed = self.managed, None
        self.helper.c.free_on_thread(self.versioned, managed)


class Library:
    """A shared library with the functions of target.h."""
    python = False
    natives = {}

    def __init__(self, helper, path, name=None):
        self.helper, self.library = helper, C.CDLL(str(path))
        l, text = self.library, [C.c_char_p, C.c_ulong]
        for function in ("target_import", "target_read", "target_release"):
            if not hasattr(l, function):
                raise Absent(f"{path} has no {function}: see target.h")
        l.target_import.argtypes = [C.c_int, C.c_void_p, C.POINTER(C.c_void_p), *text]
        l.target_read.argtypes = [C.c_void_p, C.POINTER(C.c_double), C.POINTER(C.c_int)]
        l.target_release.argtypes, l.target_release.restype = [C.c_void_p], None
        self.exports = hasattr(l, "target_export")
        if self.exports:
            l.target_export.argtypes = [C.c_void_p, C.c_int, C.POINTER(C.c_void_p), *text]
        self.name = self.version = name or pathlib.Path(path).stem
        if hasattr(l, "target_name"):
            l.target_name.restype = C.c_char_p
            self.version = l.target_name().decode()

    def offer(self, made):
        return [made]

    def take(self, offer):
        x, said = C.c_void_p(), C.create_string_buffer(512)
        if self.library.target_import(offer[0].versioned, offer[0].managed, C.byref(x), said, len(said)):
            raise Refused(said.value.decode(errors="replace") or "no text")
        offer.clear()
        return x

    def withdraw(self, offer):
        """What was refused is still the caller's."""
        for made in offer:
            self.helper.py.free_managed(made.versioned, made.managed)

    def settle(self):
        pass

    def total(self, x):
        total = C.c_double()
        if self.library.target_read(x, C.byref(total), C.byref(C.c_int(-1))):
            raise Refused("target_read says that it cannot")
        return total.value

    def read_only(self, x):
        known = C.c_int(-1)
        self.library.target_read(x, None, C.byref(known))
        return {0: False, 1: True}.get(known.value)

    def release(self, x):
        self.library.target_release(x)

    def export(self, x, versioned):
        managed, said = C.c_void_p(), C.create_string_buffer(512)
        if self.library.target_export(x, versioned, C.byref(managed), said, len(said)):
            raise Refused(said.value.decode(errors="replace") or "no text")
        return Export(self.helper, bool(versioned), managed.value)


def clean(function, *arguments, **keywords):
    """Calls; an exception becomes Refused, and is gone before that is raised, with all that its traceback held."""
    try:
        return function(*arguments, **keywords)
    except Exception as error:
        said, kinds = (str(error).strip().splitlines() or [""])[0][:160], [c.__name__ for c in type(error).__mro__]
    raise Refused(f"{kinds[0]}: {said}", kinds)


class Python:
    """A module with from_dlpack, whose arrays have __dlpack__. Another way in, or to the values, comes as a function."""
    python = exports = True

    def __init__(self, helper, name, version, take, total=None, read_only=None, raw=False, natives=None):
        self.helper, self.name, self.version, self.take_, self.raw = helper, name, version, take, raw
        self.total_, self.read_only_, self.natives = total, read_only, natives or {}

    def offer(self, made):
        return [craft.Speaker(made.capsule())]

    def take(self, offer):
        return [clean(self.take_, offer[0].capsule if self.raw else offer[0])]

    def withdraw(self, offer):
        offer.clear()

    def settle(self):
        gc.collect()

    def total(self, x):
        if self.total_:
            return clean(self.total_, x[0])
        e = self.export(x, True)
        try:
            return e.total()
        finally:
            e.free()

    def read_only(self, x):
        """By itself, or by the flag of what it shares."""
        if self.read_only_:
            return bool(clean(self.read_only_, x[0]))
        e = self.export(x, True)
        flags = e.seen().flags if e.versioned else None
        e.free()
        return None if flags is None else bool(flags & 1)

    def release(self, x):
        x.clear()

    def capsule(self, x, **keywords):
        return clean(x[0].__dlpack__, **keywords)

    def consumed(self, capsule):
        generation = self.helper.py.generation(capsule)
        if generation < 0:
            raise Refused("what it gives is no DLPack capsule")
        return Export(self.helper, bool(generation), self.helper.py.consume(capsule))

    def export(self, x, versioned):
        try:
            return self.consumed(self.capsule(x, max_version=(1, 3) if versioned else None))
        except Refused as refused:
            if "TypeError" not in refused.kinds:
                raise
        return self.consumed(self.capsule(x))


def module(name):
    try:
        return importlib.import_module(name)
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and error.name == name.split(".")[0]:
            raise Absent(f"{name} is not installed") from None
        raise Absent(f"{name} cannot be imported: {error}") from None


def of_numpy(helper, _):
    np = module("numpy")
    four = np.arange(4, dtype="f4")
    frozen = four.copy()
    frozen.flags.writeable = False
    halves = np.zeros(4, dtype=[("a", "f4"), ("b", "u1")])["a"]  # 5 bytes from one to the next
    natives = {"C2": ("read_only", [frozen]),
               "E4": ("refuse", [halves]),
               "E11": ("refuse", [four.astype(">f4")]),
               "F7": ("refuse", [four.astype("longdouble")])}
    return Python(helper, "numpy", f"NumPy {np.__version__}", np.from_dlpack, lambda x: float(x.sum(dtype="f8")),
                  lambda x: not x.flags.writeable, natives=natives)


def of_torch(helper, _):
    torch = module("torch")
    z = torch.tensor([1 + 2j, 3 - 4j])
    natives = {"I12 requires_grad": ("refuse", [torch.ones(4, requires_grad=True)]),
               "I12 conjugated": ("refuse", [torch.conj(z)]), "I12 negative": ("refuse", [torch.conj(z).imag])}
    return Python(helper, "torch", f"PyTorch {torch.__version__}", torch.from_dlpack, lambda x: float(x.sum(dtype=torch.float64)),
                  natives=natives)


def of_jax(helper, _):
    jax = module("jax")
    import jax.dlpack
    jax.config.update("jax_enable_x64", True)
    return Python(helper, "jax", f"JAX {jax.__version__}", jax.dlpack.from_dlpack, lambda x: float(x.sum()), lambda x: True)


def of_tensorflow(helper, _):
    tf = module("tensorflow")
    door = tf.experimental.dlpack
    return Python(helper, "tensorflow", f"TensorFlow {tf.__version__}", door.from_dlpack, lambda x: float(tf.reduce_sum(x)),
                  lambda x: True, raw=True)


def of_paddle(helper, _):
    paddle = module("paddle")
    return Python(helper, "paddle", f"Paddle {paddle.__version__}", paddle.utils.dlpack.from_dlpack, lambda x: float(x.sum()))


def of_tvm_ffi(helper, _):
    tvm_ffi = module("tvm_ffi")
    # An object is asked for the old struct alone; a capsule may be of both.
    return Python(helper, "tvm_ffi", f"tvm-ffi {tvm_ffi.__version__}", tvm_ffi.from_dlpack, raw=True)


def of_pytenon(helper, _):
    pytenon = module("pytenon")
    return Python(helper, "pytenon", f"pytenon {getattr(pytenon, '__version__', '')}".strip(), pytenon.from_dlpack, lambda x: read_copy(helper, x),
                  lambda x: x.readonly)


def read_copy(helper, x):
    """By a dense copy of its own making, since it shares no negative strides."""
    capsule = x.copy().__dlpack__(max_version=(1, 3))
    return helper.c.total_of(1, helper.py.peek(capsule))


def of_nanobind(helper, folder, take="take", element="ndarray<ro>"):
    nanobind = module("nanobind")
    root, here = pathlib.Path(nanobind.__file__).parent, craft.HERE / "targets/nanobind_target.cpp"
    file = folder / f"nanobind_target{sysconfig.get_config_var('EXT_SUFFIX')}"
    craft.build(here, file, ["g++", "-std=c++17", "-O1", "-w", "-shared", "-fPIC", "-fvisibility=hidden", "-fno-strict-aliasing",
                             "-isystem", sysconfig.get_path("include"), "-isystem", nanobind.include_dir(),
                             "-isystem", root / "ext/robin_map/include", here, pathlib.Path(nanobind.source_dir()) / "nb_combined.cpp",
                             "-o", file])
    spec = importlib.util.spec_from_file_location("nanobind_target", file)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return Python(helper, "nanobind", f"nanobind {nanobind.__version__}, {element}", getattr(made, take), lambda x: x.total(), lambda x: True)


def of_core(helper, folder, element="void"):
    """The C++ core of this repository."""
    source, file = craft.HERE / "targets/tenon_core.cpp", folder / f"tenon_{element}.so"
    headers = craft.HERE.parents[1] / "include"
    newest = max(p.stat().st_mtime for p in [source, *headers.rglob("*.hpp")])
    if file.exists() and file.stat().st_mtime < newest:
        file.unlink()
    craft.build(source, file, ["g++", "-std=c++20", "-O2", "-shared", "-fPIC", "-fvisibility=hidden", "-I", headers, "-I", craft.HERE,
                               f"-DELEMENT={'const float' if element == 'float' else element}", source, "-o", file])
    return Library(helper, file, f"tenon_{element}" if element != "void" else "tenon")


NAMED = {"tenon": of_core, "tenon_float": lambda helper, folder: of_core(helper, folder, "float"), "pytenon": of_pytenon, "numpy": of_numpy,
         "torch": of_torch, "jax": of_jax, "tensorflow": of_tensorflow, "paddle": of_paddle, "nanobind": of_nanobind,
         "nanobind_float": lambda helper, folder: of_nanobind(helper, folder, "take_float", "ndarray<const float, cpu>"), "tvm_ffi": of_tvm_ffi}


def of_module(helper, text):
    """`module`, `module:function`, or a file with take(x) and, where the default does not do, total(x), read_only(x), raw, natives,
    version."""
    name, _, function = text.partition(":")
    if not name.endswith(".py"):
        m = module(name)
        take = getattr(m, function or "from_dlpack", None)
        if take is None:
            raise Absent(f"{name} has no {function or 'from_dlpack'}: say which function it is, as {name}:function")
        return Python(helper, text, f"{name} {getattr(m, '__version__', '')}".strip(), take)
    sys.path.insert(0, str(pathlib.Path(name).resolve().parent))
    name = pathlib.Path(name).stem
    m = module(name)
    if not hasattr(m, "take"):
        raise Absent(f"{text} defines no take(x)")
    return Python(helper, name, getattr(m, "version", name), m.take, *(getattr(m, n, None) for n in ("total", "read_only", "raw", "natives")))


def target(text, helper, folder):
    if text in NAMED:
        return NAMED[text](helper, pathlib.Path(folder))
    if text.endswith(".so"):
        return Library(helper, pathlib.Path(text).resolve())
    return of_module(helper, text)
