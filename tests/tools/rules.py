#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every rule of the DLPack conformance list has a test that carries its number, or a reason why it has none: rules.py [--list] [FILTER…]

The rules are in tests/conformance/rules.md. --list prints the tests of each."""
import re
import sys

import common

COUNTS = {"A": 4, "B": 6, "C": 9, "D": 10, "E": 12, "F": 9, "G": 7, "H": 9, "I": 12, "J": 9, "K": 11}
GPU = "needs CUDA memory, which comes in through a cuda_device and not through this door: its executor states the device"
WITHOUT = {
    "E4": "strides of ours count elements, so a stride of part of one cannot be said; NumPy refuses its own",
    "E11": "no element type of ours has another byte order; NumPy refuses its own",
    "G2": GPU, "G4": GPU, "G7": GPU,
    "G5": "the device of the struct is believed, and nothing compares it with what the object said",
    "H7": "unloading a module while its tensors live cannot be survived; deleters are inline, in the module that made the tensor",
    "H8": "DLPack hands no stream to a deleter; what a GPU still reads must be waited for before",
    "J2": "no ROCm device is supported", "J4": GPU, "J6": GPU, "J7": GPU, "J8": GPU,
    "J5": "a fact about CUDA's handles, which are passed on as they are",
    "J9": "no meaning is defined for streams of other devices",
    "K7": "host tensors have no stream; a caller who names one is served by __dlpack__",
    "K10": "the integer form of the table was in no release that speaks 1.3 (looked for in torch, Paddle and tvm-ffi)",
}


def tests_by_rule():
    found = {f"{letter}{n}": [] for letter, most in COUNTS.items() for n in range(1, most + 1)}
    for path in sorted((common.ROOT / "tests").rglob("test_*.*")):
        if path.suffix == ".cpp":
            names = re.findall(r'TEST_CASE\(\s*"((?:[^"]|"\s*")*)"', path.read_text())
        elif path.suffix == ".py":
            names = [n.replace("_", " ") for n in re.findall(r"^def test_(\w+)", path.read_text(), re.M)]
        else:
            continue
        for name in names:
            for rule in re.findall(r"\b[A-K]\d+\b", name):
                if rule in found:
                    found[rule].append(f"{path.relative_to(common.ROOT)}: {name}")
    return found


def main():
    found = tests_by_rule()
    if "--list" in sys.argv:
        for rule, tests in found.items():
            print("\n    ".join([rule, *(tests or [f"none: {WITHOUT.get(rule, '?')}"])]))
        return 0
    check = lambda rule: lambda: (None if found[rule] or rule in WITHOUT else "no test has this number in its name") or (
        "has a test and a reason for having none" if found[rule] and rule in WITHOUT else None)
    return common.main("rules", [(rule, check(rule)) for rule in found], sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
