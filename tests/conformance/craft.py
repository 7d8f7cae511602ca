# SPDX-License-Identifier: Apache-2.0
"""Crafted tensors from helper.c, as structs and as capsules, and the objects that offer them by `__dlpack__`."""
import ctypes as C
import pathlib
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
AXES = 80
PAGE = 4096
FLOAT, INT, UINT, BFLOAT, BOOL = (2, 32), (0, 64), (1, 8), (4, 16), (6, 8)


class Recipe(C.Structure):
    _fields_ = [*((n, C.c_int32) for n in ("versioned", "null_data", "null_shape", "has_strides", "null_deleter")),
                ("ndim", C.c_int64), ("shift", C.c_int64), ("byte_offset", C.c_uint64),
                *((n, C.c_int32) for n in ("device_type", "device_id", "code", "bits", "lanes")),
                ("major", C.c_uint32), ("minor", C.c_uint32), ("flags", C.c_uint64),
                ("shape", C.c_int64 * AXES), ("strides", C.c_int64 * AXES)]


class Seen(C.Structure):
    _fields_ = [("major", C.c_uint32), ("minor", C.c_uint32), ("flags", C.c_uint64), ("byte_offset", C.c_uint64), ("data", C.c_void_p),
                *((n, C.c_int32) for n in ("device_type", "device_id", "ndim", "code", "bits", "lanes", "has_shape", "has_strides",
                                           "has_deleter")),
                ("shape_", C.c_int64 * 8), ("strides_", C.c_int64 * 8)]

    shape = property(lambda self: tuple(self.shape_[:max(0, min(self.ndim, 8))]))
    strides = property(lambda self: tuple(self.strides_[:max(0, min(self.ndim, 8))]) if self.has_strides else None)
    numel = property(lambda self: product(self.shape))


def product(numbers):
    n = 1
    for k in numbers:
        n *= k
    return n


def build(source, target, command):
    """Runs the compiler where the result is older than its source."""
    if not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
        target.parent.mkdir(parents=True, exist_ok=True)
        done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise RuntimeError(f"{' '.join(map(str, command))}\n{done.stdout}")
    return target


class Helper:
    """The C library: `c` lets go of the GIL, `py` holds it."""

    def __init__(self, folder):
        source, target = HERE / "helper.c", pathlib.Path(folder) / "helper.so"
        build(source, target, ["cc", "-shared", "-fPIC", "-O1", "-pthread", source, "-o", target])
        self.c, self.py = C.CDLL(str(target)), C.PyDLL(str(target))
        for library, name, result, *arguments in (
                (self.c, "make", C.c_void_p, C.POINTER(Recipe)), (self.c, "managed_of", C.c_void_p, C.c_void_p),
                (self.c, "memory_of", C.c_void_p, C.c_void_p),
                (self.c, "times_deleted", C.c_int, C.c_void_p), (self.c, "times_by_capsule", C.c_int, C.c_void_p),
                (self.c, "changed", C.c_int, C.c_void_p), (self.c, "look", None, C.c_int, C.c_void_p, C.POINTER(Seen)),
                (self.c, "total_of", C.c_double, C.c_int, C.c_void_p), (self.c, "free_on_thread", None, C.c_int, C.c_void_p),
                (self.py, "free_managed", None, C.c_int, C.c_void_p), (self.py, "capsule_of", C.py_object, C.c_void_p),
                (self.py, "generation", C.c_int, C.py_object), (self.py, "consume", C.c_void_p, C.py_object),
                (self.py, "peek", C.c_void_p, C.py_object), (self.py, "drop_while_raising", C.c_int, C.c_void_p),
                (self.py, "exchange_table", C.c_int, C.py_object)):
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments


class Made:
    """One crafted tensor. Fields that are left out make four writable floats, dense, on the CPU, of DLPack 1.3 or of the old struct."""

    def __init__(self, helper, versioned, shape=(4,), strides=None, ndim=None, dtype=FLOAT, lanes=1, device=(1, 0), shift=0, byte_offset=0,
                 null_data=False, null_shape=False, null_deleter=False, version=(1, 3), flags=0):
        r = Recipe(versioned=versioned, null_data=null_data, null_shape=null_shape, null_deleter=null_deleter,
                   has_strides=strides is not None, ndim=len(shape) if ndim is None else ndim, shift=shift, byte_offset=byte_offset,
                   device_type=device[0], device_id=device[1], code=dtype[0], bits=dtype[1], lanes=lanes, major=version[0],
                   minor=version[1], flags=flags)
        r.shape[:len(shape)] = shape
        if strides is not None:
            r.strides[:len(strides)] = strides
        self.helper, self.versioned, self.pointer = helper, bool(versioned), helper.c.make(C.byref(r))

    managed = property(lambda self: self.helper.c.managed_of(self.pointer))
    deleted = property(lambda self: self.helper.c.times_deleted(self.pointer))
    by_capsule = property(lambda self: self.helper.c.times_by_capsule(self.pointer))
    changed = property(lambda self: bool(self.helper.c.changed(self.pointer)))
    middle = property(lambda self: self.helper.c.memory_of(self.pointer) + PAGE // 2)

    def capsule(self):
        return self.helper.py.capsule_of(self.pointer)

    def total(self):
        return self.helper.c.total_of(self.versioned, self.managed)


class Speaker:
    """An object that offers one capsule, whatever it is asked for; it remembers what that was."""

    def __init__(self, capsule):
        self.capsule, self.asked = capsule, []

    def __dlpack__(self, **keywords):
        self.asked.append(keywords)
        return self.capsule

    def __dlpack_device__(self):
        return (1, 0)


class OldSpeaker(Speaker):
    """One from before DLPack 1.0, which knows no keyword but `stream`."""

    def __dlpack__(self, stream=None):
        self.asked.append({"stream": stream})
        return self.capsule
