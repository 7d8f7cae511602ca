# SPDX-License-Identifier: Apache-2.0
"""What a target's exports must look like, and how its door behaves: well-formed tensors go in and are shared again, each probe in a
process of its own. A finding is (rule, verdict, text); "bad" breaks a rule, "note" breaks a promise of this suite that DLPack does
not ask for, "none" says that the target cannot be asked."""
import math

import craft
import door
from consumer import same, settled
from isolate import isolated
from targets import Refused

RULES = {
    "A3": "a versioned struct where one is asked for",
    "B1": "major version 1",
    "B6": "unknown flags and IS_COPIED of an import are not passed on",
    "C1": "no flags without a reason",
    "C2": "READ_ONLY exactly where the memory may not be written",
    "C4": "what came in read-only goes out read-only",
    "C5": "the old struct, which cannot say read-only, is refused for such memory",
    "C7": "PADDED only with elements below a byte",
    "D3": "byte_offset 0, the address moved instead",
    "D6": "an empty tensor has a null data",
    "E1": "shape and strides are there where ndim > 0",
    "E2": "both null for a scalar",
    "E4": "byte strides that are no whole elements are refused",
    "E5": "no negative strides through the Python door, unless asked for",
    "E10": "an importer writes nothing into its producer's struct",
    "E11": "foreign byte order is refused",
    "E12": "shape, strides and values come out as they came in",
    "F1": "bool is code 6 with 8 bits",
    "F2": "code, bits and lanes as they came in",
    "F7": "long double is refused",
    "G1": "device number 0 on the CPU",
    "H1": "memory lives as long as an export, and is let go of once",
    "H2": "a deleter that is not null",
    "H3": "the deleter runs on a thread that Python does not know",
    "H6": "two exports share no struct",
    "I1": "a capsule's name is dltensor or dltensor_versioned",
    "I2": "a capsule that nobody took frees; a pending exception stays",
    "I4": "a capsule that was taken is refused, without a second free",
    "I6": "a producer is asked with max_version; one that does not know the word is asked again without",
    "I8": "max_version decides the generation",
    "I9": "another device is a BufferError, its own is not",
    "I10": "copy=True copies and says so, copy=False shares or is a BufferError",
    "I11": "an object that speaks no DLPack is a clean error",
    "I12": "values that wait for a sign or a gradient are refused",
    "J3": "on the CPU a stream is refused",
    "K3": "the table of C functions has its version and all it must have",
}
# What comes in.
KINDS = {
    "vector": dict(strides=(1,)),
    "scalar": dict(shape=()),
    "empty": dict(shape=(0, 3), strides=(3, 1), null_data=True),
    "columns": dict(shape=(3, 2), strides=(1, 3)),
    "padded": dict(shape=(3, 2), strides=(4, 1)),
    "one": dict(shape=(2, 1, 3), strides=(3, 3, 1)),
    "broadcast": dict(shape=(3, 4), strides=(0, 1)),
    "offset": dict(strides=(1,), byte_offset=8),
    "int64": dict(strides=(1,), dtype=craft.INT),
    "uint8": dict(strides=(1,), dtype=craft.UINT),
    "bool": dict(strides=(1,), dtype=craft.BOOL),
    "bfloat16": dict(strides=(1,), dtype=craft.BFLOAT),
}


class Probe:
    """What a probe's process says; `give` brings a well-formed tensor in, in the newest generation that the target takes."""

    def __init__(self, target, helper, say):
        self.target, self.helper, self.say = target, helper, say

    def found(self, rule, good, text="", lesser=False):
        self.say([rule, "ok" if good else "note" if lesser else "bad", text])

    def give(self, **fields):
        for versioned in (True, False):
            if not versioned and fields.get("flags"):
                break
            made = craft.Made(self.helper, versioned, **fields)
            made.sum = made.total()  # once it is freed, nothing is left to read
            offer = self.target.offer(made)
            try:
                return made, self.target.take(offer)
            except Refused:
                self.target.withdraw(offer)
        raise Refused("it does not take this")

    def shares(self, x):
        """Its exports in both generations, as it gives them."""
        for versioned in (True, False):
            try:
                e = self.target.export(x, versioned)
            except Refused:
                continue
            if e.versioned == versioned:
                yield e
            else:
                e.free()


def layout(p, kind):
    """A1 … G1 of each export of one kind."""
    fields = KINDS[kind]
    made, x = p.give(**fields)
    dtype, shape = fields.get("dtype", craft.FLOAT), fields.get("shape", (4,))
    total, read_only = made.sum, p.target.read_only(x)
    for e in p.shares(x):
        s, where = e.seen(), f"{kind}, {'versioned' if e.versioned else 'legacy'}"
        if e.versioned:
            p.found("B1", s.major == 1, f"{where}: {s.major}.{s.minor}")
            p.found("C1", s.flags & ~7 == 0 and not s.flags & 2, f"{where}: flags {s.flags:#x}")
            p.found("C7", not s.flags & 4, f"{where}: flags {s.flags:#x}")
            if read_only is not None:
                p.found("C2", bool(s.flags & 1) == read_only, f"{where}: flags {s.flags:#x}, read-only {read_only}")
        p.found("E2" if s.ndim == 0 else "E1", not (s.has_shape or s.has_strides) if s.ndim == 0 else s.has_shape and s.has_strides,
                f"{where}: shape {'there' if s.has_shape else 'null'}, strides {'there' if s.has_strides else 'null'}",
                lesser=s.ndim == 0 or not e.versioned or (s.has_shape and s.minor < 2))
        p.found("G1", (s.device_type, s.device_id) == (1, 0), f"{where}: device ({s.device_type}, {s.device_id})")
        p.found("H2", s.has_deleter, f"{where}: no deleter", lesser=True)
        p.found("F1" if kind == "bool" else "F2", (s.code, s.bits, s.lanes) == (*dtype, 1), f"{where}: ({s.code}, {s.bits}, {s.lanes})")
        p.found("D3", s.byte_offset == 0, f"{where}: {s.byte_offset}", lesser=True)
        if s.numel == 0:
            p.found("D6", not s.data, f"{where}: data is not null")
        right = s.shape == tuple(shape) and s.ndim == len(shape)
        found = e.total() if right else math.nan
        p.found("E12", right and same(found, total), f"{where}: shape {s.shape}, strides {s.strides}, sum {found:g} of {total:g}")
        e.free()


def reversed_(p):
    made, x = p.give(strides=(-1,))
    for versioned in (True, False):
        where = "versioned" if versioned else "legacy"
        try:
            e = p.target.export(x, versioned)
        except Refused:
            p.found("E5", True)
            continue
        s = e.seen()
        p.found("E12", same(e.total(), made.sum), f"reversed, {where}: sum {e.total()} of {made.sum}")
        if p.target.python:
            p.found("E5", all(n >= 0 for n in s.strides or ()), f"{where}: strides {s.strides}", lesser=True)
        e.free()


def read_only(p):
    made, x = p.give(strides=(1,), flags=1)
    for versioned in (True, False):
        try:
            e = p.target.export(x, versioned)
        except Refused:
            if not versioned:
                p.found("C5", True)
            continue
        s = e.seen()
        shared = s.data == made.middle
        if e.versioned:
            p.found("C4", not shared or s.flags & 1, f"the same memory, flags {s.flags:#x}")
        else:
            p.found("C5", not shared, "the same memory, in the old struct")
        e.free()


def flags(p):
    for given, where in ((1 << 63, "bit 63"), (2, "IS_COPIED")):
        made, x = p.give(strides=(1,), flags=given)
        for e in p.shares(x):
            if e.versioned:
                p.found("B6", not e.seen().flags & given, f"{where} came out again")
            e.free()
        p.target.release(x)


def writes_nothing(p):
    for fields in (dict(), dict(shape=(2, 3)), dict(shape=())):
        for versioned in (True, False):
            made = craft.Made(p.helper, versioned, **fields)
            offer = p.target.offer(made)
            try:
                x = p.target.take(offer)
            except Refused:
                p.target.withdraw(offer)
                continue
            if not made.deleted:
                p.found("E10", not made.changed, f"shape {fields.get('shape', (4,))}, {'versioned' if versioned else 'legacy'}")
            p.target.release(x)


def lifetimes(p):
    for versioned in (True, False):
        where = "versioned" if versioned else "legacy"
        for way in ("free", "free_on_thread"):
            made, x = p.give(strides=(1,))
            total = made.sum
            try:
                a, b = p.target.export(x, versioned), p.target.export(x, versioned)
            except Refused:
                break
            p.found("H6", a.managed != b.managed, where)
            rule = "H1" if way == "free" else "H3"
            p.target.release(x)
            del x
            p.target.settle()
            shared = a.seen().data == made.middle
            p.found("H1", not (shared and made.deleted) and same(a.total(), total), f"{where}: gone while an export lives")
            getattr(a, way)()
            p.target.settle()
            p.found("H1", not (shared and made.deleted) and same(b.total(), total), f"{where}: gone while the second export lives")
            getattr(b, way)()
            p.found(rule, settled(p.target, made, 1) == 1, f"{where}: freed {made.deleted} times")


BOTH = {**{f"layout of {kind}": (lambda p, kind=kind: layout(p, kind),
                                 ["F1" if kind == "bool" else "D6" if kind == "empty" else "E2" if kind == "scalar" else "E12"])
           for kind in KINDS},
        "reversed": (reversed_, []),  # whoever dies of importing it has that in the matrix
        "read-only": (read_only, ["C4", "C5"]), "flags": (flags, ["B6"]),
        "lifetimes": (lifetimes, ["H1", "H3", "H6"]), "writes nothing": (writes_nothing, ["E10"])}


def run(target, helper):
    """{rule: [verdict, [texts]]}: the worst finding of each, "none" where there is none."""
    findings = {rule: ["none", []] for rule in RULES}
    order = ["none", "ok", "note", "bad"]
    if not target.exports:
        return findings
    probes = dict(BOTH)
    if target.python:
        probes |= door.PROBES
        if target.raw:
            probes.pop("asks")  # it is given capsules, not objects
    for name, (probe, owed) in probes.items():
        def action(say, probe=probe):
            try:
                probe(Probe(target, helper, say))
            except Refused as refused:
                say(["", "none", str(refused)])
        said, ended = isolated(action)
        if ended:
            said += [[rule, "bad", f"{name}: {ended}"] for rule in owed]
        for rule, verdict, text in said:
            if rule and order.index(verdict) >= order.index(findings[rule][0]):
                if verdict != findings[rule][0]:
                    findings[rule] = [verdict, []]
                if verdict in ("bad", "note") and text not in findings[rule][1]:
                    findings[rule][1].append(text)
    return findings
