#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Planted bugs that the tests must find: mutants.py [FILTER…]

tests/mutants/NAME.mutant:
  file: include/tenon/ops/gemm.hpp        where the bug is planted
  test: tests/ops/test_gemm.cpp           the one test that must find it (or a tests/compile_fail/NAME.cpp)
  why: the leading dimension of b is ignored
  - b[k * ldb + j]                        the old text, found exactly once in the file; line ends and spaces do not count
  + b[k * n + j]                          the new text; several lines of either make one text, several pairs several changes
  expect: compile                         only where the bug is that it no longer compiles
  expect: hang                            only where it is that the test never ends

The test is built as build/gcc builds it, but by clang where it is there, with the changed copies of include/ and cuda_kernels/ in front, and run: it must fail.
Unchanged it must pass. A mutant whose old text is not there, or there twice, has failed: it says nothing any more. A kill is remembered in
build/passed.json for as long as no header, test, tool or the mutant itself changes."""
import functools
import json
import os
import pathlib
import re
import shlex
import shutil
import sys
import tempfile
import threading

import common
import compile_fail

BUILD = common.ROOT / "build/gcc"
FOLDER = common.ROOT / "tests/mutants"
PLANTED = ("include", "cuda_kernels")  # where bugs may be planted
TIMEOUT = 60
HEAP_FAULT = re.compile(r"^(malloc|free|realloc|corrupted|double free|munmap_chunk|tcache)\b.*", re.M)  # what glibc says before it aborts
ONE_AT_A_TIME = threading.Lock()  # for what works in build/gcc
COMPILER = next((c for c in common.compilers() if c != common.GXX and shutil.which(c)), None)  # at -O0 clang takes two thirds of g++'s time


def read(path):
    """The `key: text` lines, and the (old, new) pairs."""
    fields, pairs, last = {}, [], None
    for line in path.read_text().splitlines():
        sign = line[:2] if line[:2] in ("- ", "+ ") or line in ("-", "+") else None
        if sign is None:
            if found := re.match(r"(\w+): (.+)", line):
                fields[found[1]] = found[2].strip()
        elif sign[0] == "-":
            if last != "-":
                pairs.append([[], []])
            pairs[-1][0].append(line[2:])
        else:
            pairs[-1][1].append(line[2:])
        last = sign and sign[0]
    return fields, [("\n".join(old), "\n".join(new)) for old, new in pairs]


def plant(text, pairs):
    for old, new in pairs:
        pattern = r"\s*".join(re.escape(word) for word in re.findall(r"\w+|[^\w\s]", old))
        found = list(re.finditer(pattern, text))
        if len(found) != 1:
            raise ValueError(f"the old text is there {len(found)} times, not once: {old}")
        text = text[:found[0].start()] + new + text[found[0].end():]
    return text


@functools.cache
def built():
    """Of each test program of build/gcc: source → (compile command, link command, meson's entry)."""
    found = {}
    for test in json.loads(common.run(["meson", "introspect", "--tests", BUILD])[1]):
        program = common.program_of(test, BUILD)
        commands = [shlex.split(line) for line in common.run(["ninja", "-C", BUILD, "-t", "commands", program])[1].splitlines()
                    if " -c " in line or " -o " in line]
        compile_command = next(c for c in commands if "-c" in c)
        source = (BUILD / compile_command[compile_command.index("-c") + 1]).resolve()
        found[source] = compile_command, commands[-1], test
    return found


def without(command, *options):
    """The command less these options and the word after each."""
    kept, words = [], iter(command)
    for word in words:
        next(words, None) if word in options else kept.append(word)
    return kept


def run_test(entry, program, until_first=False):
    stop = ["--abort"] if until_first else []  # the first failure says all
    return common.run([program, *entry["cmd"][1:], *stop], timeout=TIMEOUT, cwd=entry["workdir"] or BUILD, env={**os.environ, **entry["env"]})


@functools.cache
def control(source):
    """What is wrong with the unchanged test; nothing when it passes."""
    if source.parent == compile_fail.FOLDER:
        return compile_fail.check(source, common.GXX)
    if source not in built():
        return f"{source} is no test of tests/meson.build"
    program = pathlib.Path(built()[source][2]["cmd"][0])
    if trouble := common.compiles(["ninja", "-C", BUILD, os.path.relpath(program, BUILD)]):
        return trouble
    status, output = run_test(built()[source][2], program)
    return f"the unchanged test fails:\n{output}" if status else None


def check(path):
    fields, pairs = read(path)
    if not pairs or not {"file", "test", "why"} <= fields.keys():
        return "needs the lines `file:`, `test:`, `why:`, `- old` and `+ new`"
    source = (common.ROOT / fields["test"]).resolve()
    with ONE_AT_A_TIME:
        if trouble := control(source):
            return trouble
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for part in PLANTED:
            shutil.copytree(common.ROOT / part, folder / part)
        target = folder / fields["file"]
        target.write_text(plant(target.read_text(), pairs))
        if source.parent == compile_fail.FOLDER:
            return None if compile_fail.check(source, common.GXX, folder / "include") else survived(fields)
        compile_command, link_command, entry = built()[source]
        made, program = folder / "test.o", folder / "test"
        old = compile_command[compile_command.index("-o") + 1]
        compiler = common.run([COMPILER or compile_command[0], "-I", folder / "include", "-I", folder, *without(compile_command[1:], "-o", "-MF", "-MQ"),
                               "-O0", "-w", "-MF", os.devnull, "-o", made], cwd=BUILD)
        if fields.get("expect") == "compile":
            return None if compiler[0] else survived(fields)
        if compiler[0]:
            return f"no longer compiles; say `expect: compile` if that is meant\n{compiler[1]}"
        link = [str(made) if word == old else word for word in without(link_command, "-o")]
        if trouble := common.compiles([*link, "-o", program], cwd=BUILD):
            return trouble
        status, output = run_test(entry, program, until_first=any("Catch2" in word for word in link_command))
        if status == common.TIMED_OUT and HEAP_FAULT.search(output):
            return None  # it was aborted with the heap's lock held, on which Catch2's report of the abort then waits for ever
        if status == common.TIMED_OUT and fields.get("expect") != "hang":
            return f"neither passes nor fails; say `expect: hang` if that is meant\n{output}"
        return None if status else survived(fields)


def survived(fields):
    return f"survived: {fields['test']} does not notice that {fields['why']}"


def self_test():
    """The old text may be broken and spaced otherwise; gone or doubled it is an error."""
    if plant("a (b,\n    c); d", [("a(b, c);", "x;")]) != "x; d":
        return "spaces and line ends must not count"
    for text in ("nothing", "ab ab"):
        try:
            plant(text, [("ab", "c")])
            return f"planted in {text!r}"
        except ValueError:
            pass
    return None


if __name__ == "__main__":
    mutants = [(path.stem, common.remembered(f"mutants/{path.stem}", lambda p=path: check(p), path.read_bytes()))
               for path in sorted(FOLDER.glob("*.mutant"))]
    sys.exit(common.main("mutants", [("self-test", self_test), *mutants], sys.argv[1:]))
