# SPDX-License-Identifier: Apache-2.0
"""How a Python door behaves: the probes of producer.py that are asked of Python targets alone. Each gets a Probe, brings well-formed
tensors in, and says what it found."""
import ctypes as C

import craft
from consumer import settled
from targets import Refused


def generations(p):
    made, x = p.give(strides=(1,))
    for asked, wanted in ((None, 0), ((0, 8), 0), ((1, 0), 1), ((1, 3), 1), ((2, 0), 1)):
        try:
            capsule = p.target.capsule(x, max_version=asked)
        except Refused as refused:
            p.found("I8", False, f"max_version={asked}: {refused}", lesser=wanted == 0)
            continue
        g = p.helper.py.generation(capsule)
        p.found("I1", g >= 0, f"max_version={asked}")
        p.found("I8", g == wanted, f"max_version={asked} gives {['nothing', 'the old struct', 'the versioned struct'][g + 1]}")
        if wanted and asked < (2, 0):
            p.found("A3", g == 1, f"max_version={asked}")


def capsules(p):
    for versioned in (True, False):
        made, x = p.give(strides=(1,))
        try:
            capsule = p.target.capsule(x, max_version=(1, 3) if versioned else None)
        except Refused:
            continue
        p.target.release(x)
        del capsule
        p.found("I2", settled(p.target, made, 1) == 1, f"dropped: freed {made.deleted} times")
        made, x = p.give(strides=(1,))
        capsule = p.target.capsule(x, max_version=(1, 3) if versioned else None)
        p.target.release(x)
        C.pythonapi.Py_IncRef(C.py_object(capsule))
        address = id(capsule)
        del capsule
        p.found("I2", p.helper.py.drop_while_raising(address), "a pending exception is lost")
        p.found("I2", settled(p.target, made, 1) == 1, f"dropped while raising: freed {made.deleted} times")
        made, x = p.give(strides=(1,))
        capsule = p.target.capsule(x, max_version=(1, 3) if versioned else None)
        p.target.release(x)
        e = p.target.consumed(capsule)
        del capsule
        p.target.settle()
        p.found("I2", e.seen().data != made.middle or made.deleted == 0, "a capsule that was taken frees, too")
        e.free()
        p.found("I2", settled(p.target, made, 1) == 1, f"taken: freed {made.deleted} times")


def taken_twice(p):
    for versioned in (True, False):
        made = craft.Made(p.helper, versioned, strides=(1,))
        offer = p.target.offer(made)
        speaker = offer[0]
        try:
            x = p.target.take(offer)
        except Refused:
            continue
        try:
            p.target.take([speaker])
            p.found("I4", False, "taken a second time")
        except Refused:
            p.found("I4", True)
        del speaker
        p.target.release(x)
        p.target.withdraw(offer)
        p.found("I4", settled(p.target, made, 1) == 1, f"freed {made.deleted} times")


def asks(p):
    made = craft.Made(p.helper, False, strides=(1,))
    speaker = craft.Speaker(made.capsule())
    p.target.take([speaker])
    p.found("I6", any((k.get("max_version") or (0,)) >= (1, 0) for k in speaker.asked), f"it asks with {speaker.asked}")
    made = craft.Made(p.helper, False, strides=(1,))
    speaker = craft.OldSpeaker(made.capsule())
    try:
        p.target.take([speaker])
        p.found("I6", True)
    except Refused as refused:
        p.found("I6", False, f"a producer without keywords: {refused}")


def wrong_object(p):
    for thing in (object(), 3, None, "text", C.py_object):
        try:
            p.target.take([craft.Speaker(thing) if p.target.raw else thing])
            p.found("I11", False, f"{thing!r} was taken")
        except Refused as refused:
            p.found("I11", "SystemError" not in refused.kinds, f"{type(thing).__name__}: {refused}")


def devices(p):
    made, x = p.give(strides=(1,))
    try:
        p.target.capsule(x, dl_device=(2, 0))
        p.found("I9", False, "dl_device=(2, 0) is not refused")
    except Refused as refused:
        p.found("I9", "BufferError" in refused.kinds, f"dl_device=(2, 0): {refused}")
    try:
        p.target.capsule(x, dl_device=(1, 0))
        p.found("I9", True)
    except Refused as refused:
        p.found("I9", False, f"dl_device=(1, 0): {refused}")


def copies(p):
    made, x = p.give(strides=(1,))
    at = p.target.consumed(p.target.capsule(x))
    address = at.seen().data
    at.free()
    try:
        e = p.target.consumed(p.target.capsule(x, max_version=(1, 3), copy=True))
    except Refused as refused:
        p.found("I10", False, f"copy=True: {refused}")
    else:
        p.found("I10", e.seen().data != address, "copy=True shares")
        if e.versioned:
            p.found("I10", e.seen().flags & 2, "copy=True does not say IS_COPIED")
        e.free()
    try:
        e = p.target.consumed(p.target.capsule(x, max_version=(1, 3), copy=False))
    except Refused as refused:
        p.found("I10", "BufferError" in refused.kinds, f"copy=False: {refused}")
    else:
        p.found("I10", e.seen().data == address and not (e.versioned and e.seen().flags & 2), "copy=False copies")
        e.free()


def streams(p):
    made, x = p.give(strides=(1,))
    try:
        p.target.capsule(x, stream=1)
        p.found("J3", False, "stream=1 is taken")
    except Refused as refused:
        p.found("J3", True, str(refused))


def exchange(p):
    made, x = p.give(strides=(1,))
    table = getattr(type(x[0]), "__dlpack_c_exchange_api__", None)
    if table is not None:
        found = p.helper.py.exchange_table(table)
        p.found("K3", found == 3, {-1: "no capsule named dlpack_exchange_api", 0: "no major version 1", 1: "a function is missing"}.get(found, ""))


def natives(p):
    """Arrays of the target's own making."""
    for name, (wanted, arrays) in p.target.natives.items():
        rule, _, what = name.partition(" ")
        for array in arrays:
            try:
                e = p.target.export([array], True)
            except Refused as refused:
                p.found(rule, wanted == "refuse", f"{what} {refused}".strip())
                continue
            if wanted == "refuse":
                p.found(rule, False, f"{what or 'it'} is shared")
            elif e.versioned:
                p.found(rule, e.seen().flags & 1, f"flags {e.seen().flags:#x}")
            e.free()


PROBES = {"generations": (generations, ["I1", "I8", "A3"]), "capsules": (capsules, ["I2"]), "devices": (devices, ["I9"]),
          "copies": (copies, ["I10"]), "streams": (streams, ["J3"]), "exchange": (exchange, ["K3"]),
          "asks": (asks, ["I6"]), "taken twice": (taken_twice, ["I4"]), "wrong object": (wrong_object, ["I11"]), "natives": (natives, [])}
