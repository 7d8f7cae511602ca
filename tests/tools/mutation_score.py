#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How many small bugs in the bridge's core its tests notice: mutation_score.py [--sample N] [--seed S] [--recheck] [--plain] [--lines FROM-TO] [HEADER.hpp…]

Each mutant changes one operator, number, condition or statement of a header in include/tenon/tensor. Every test that includes the header, and
the fuzz corpus, is compiled with it and run, one after the other, those first that killed most, until one fails: then it is killed. What they
do not see is tried once more under the address and undefined-behaviour sanitizers, which see reads that change no result. A program that ends
in no 20 seconds is a kill. What does not compile is no mutant, unless a static_assert said so; what the compiler cannot do in 60 seconds and
4 GiB is printed, and not judged.

Survivors are printed as `header.hpp:line: old -> new`. tests/mutants/equivalent.txt lists those that no test can tell apart,
`header.hpp: old -> new   # reason`, one a line (a line of code that is there twice needs two): they are neither run (--recheck runs them) nor
counted. Takes about a second a kill and 40 a survivor; not part of tests/run. The exit status is 1 below 98 %, where an entry of the list
fits no mutant, and where --recheck kills one.
The last line is `mutation_score: K of N killed (P %), E equivalent, …`; before it comes the same of each header."""
import argparse
import collections
import concurrent.futures
import functools
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading

import common

CORE = common.INCLUDE / "tenon/tensor"
FOLDER = common.ROOT / "tests"
EQUIVALENT = FOLDER / "mutants/equivalent.txt"
COMPILER = common.CLANGXX if shutil.which(common.CLANGXX) else common.GXX
FOREIGN = ("eigen", "mdspan")  # tests that include other libraries
LIMITED = ["prlimit", f"--as={4 << 30}"] if shutil.which("prlimit") else []  # bytes: mutants make compilers and programs eat memory
ENVIRONMENT = {**os.environ, "ASAN_OPTIONS": "hard_rss_limit_mb=2000:allocator_may_return_null=1", "UBSAN_OPTIONS": "print_stacktrace=0"}
TIMEOUT = 20  # seconds of a test that takes one at most
CATCH = common.run(["pkg-config", "--cflags", "catch2-with-main"])[1].replace("-I", "-isystem").split()
CATCH_LIBRARY = common.run(["pkg-config", "--libs", "catch2-with-main"])[1].split()
PLAIN, SANITIZED = (), ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
# A test that likely notices, besides that of the same name; the others follow by what they killed so far.
LIKELY = {"view_as.hpp": "typed_view", "typed_tensor.hpp": "typed_view", "check_import.hpp": "import_ways", "tensor.hpp": "view", "pack.hpp": "export",
          "dlpack.hpp": "import", "adapter.hpp": "static", "region.hpp": "subview", "extents.hpp": "static"}

SWAPS = [(" < ", " <= "), (" <= ", " < "), (" > ", " >= "), (" >= ", " > "), (" == ", " != "), (" != ", " == "), (" && ", " || "),
         (" || ", " && "), (" + ", " - "), (" - ", " + "), (" * ", " + "), (" / ", " * "), (" % ", " * "), (" | ", " & "), (" & ", " | "),
         (" ^ ", " & "), (" << ", " >> "), (" >> ", " << "), (" |= ", " &= "), (" += ", " -= "), (" -= ", " += "), (" *= ", " += "),
         ("true", "false"), ("false", "true"), (" = 0;", " = 1;"), (" = 1;", " = 0;"), ("++", "--"), ("--", "++"), ("!", ""), (" - 1", ""),
         (" + 1", "")]
NOT_CODE = re.compile(r"^\s*(//|#|static_assert|template|requires|using|namespace|friend|struct|class|@)|static_assert|= delete|offsetof")
ATTRIBUTE = re.compile(r"\[\[.*?\]\]|__attribute__\(\(.*?\)\)")
STATEMENT = re.compile(r"^\s+(?!return|if|for|const|auto|constexpr|else|break|continue|case|default|do|while|switch|using|static|public|private|extent |std::|int |bool )[\w:>\-.\[\]*&]+(\(.*\)| [|+\-*]?= .*);$")
BRANCH = re.compile(r"^\s+(?:else )?if \(")
NUMBER = re.compile(r"(?<![\w.\"])([2-9]|[1-9]\d+)(?![\w.\"])")
HEADER_FAULT = re.compile(r"static assertion failed|static_assert expression|must be initialized by a constant expression|is not a constant expression")


def mutants_of(path):
    """(line number, old line, new line)."""
    asserting = False  # the compiler's own checks may span lines
    for number, line in enumerate(path.read_text().splitlines()):
        code = line.split("//")[0].rstrip()
        within, asserting = asserting, (asserting or "static_assert" in code) and not code.endswith(";")
        if within or not code.strip() or NOT_CODE.search(code):
            continue
        blind = ATTRIBUTE.sub(lambda m: " " * len(m[0]), code)  # the same length
        found = set()
        for old, new in SWAPS:
            for at in (m.start() for m in re.finditer(re.escape(old), blind)):
                if old == "!" and not re.match(r"[\w(]", blind[at + 1:at + 2]):
                    continue
                if code.count('"', 0, at) % 2 or (old in ("true", "false") and re.match(r"\w", blind[at - 1:at] or " ")):
                    continue
                found.add(code[:at] + new + code[at + len(old):])
        for m in NUMBER.finditer(blind):
            if code.count('"', 0, m.start()) % 2 == 0:
                found.add(code[:m.start()] + str(int(m[0]) + 1) + code[m.end():])
        if STATEMENT.match(code):
            found.add(re.match(r"^\s*", code)[0] + ";")
        if (m := BRANCH.match(code)) and (end := closing(code, m.end())):
            start = max(m.end(), code.rfind("; ", 0, end) + 2)  # behind what it declares
            found |= {f"{code[:start]}{decided}{code[end:]}" for decided in ("false", "true")}
        yield from ((number, line, new) for new in sorted(found - {code}))


def closing(code, start):
    """Where the bracket is closed that was opened before `start`; 0 where it is not."""
    depth = 1
    for at in range(start, len(code)):
        depth += (code[at] == "(") - (code[at] == ")")
        if depth == 0:
            return at
    return 0


def change(header, old, new):
    return f"{header.name}: {old.split('//')[0].strip()} -> {new.strip()}"


@functools.cache
def included(path):
    """The file and all that it includes of ours."""
    all_of_it, left = set(), [path]
    while left:
        file = left.pop()
        if file in all_of_it:
            continue
        all_of_it.add(file)
        for name in re.findall(r'^\s*#include ["<]([\w/.]+)[">]', file.read_text(), re.M):
            left += [p for p in (file.parent / name, common.INCLUDE / name, FOLDER / name) if p.is_file()][:1]
    return all_of_it


@functools.cache
def tests():
    """Name → its sources, what it is run with, what it needs to compile."""
    found = {p.stem.removeprefix("test_"): ([p], [], []) for p in sorted((FOLDER / "tensor").glob("test_*.cpp")) if p.stem != "test_soak"}
    found["static"] = [FOLDER / "static/test_tensor.cpp"], [], []
    found["fuzz"] = [FOLDER / "fuzz/import.cpp", FOLDER / "fuzz/replay.cpp"], [FOLDER / "fuzz/import.corpus"], []
    if flags := common.eigen_flags():
        found["eigen"] = [FOLDER / "interop/test_eigen.cpp"], [], flags
    if flags := common.cuda_flags():
        found["mdspan"] = [FOLDER / "interop/test_mdspan.cpp"], [], flags
    return found


class workshop:
    """Builds and runs the tests; keeps what all builds of a run share in one folder."""

    def __init__(self, folder, flavours):
        self.flavours = flavours
        self.folder, self.lock, self.kills, self.told = folder, threading.Lock(), collections.Counter(), set()

    def command(self, flavour):
        return [COMPILER, "-std=c++20", "-O0", "-w", "-pthread", "-DTENON_LONG=0", *flavour, *CATCH]

    @functools.cache
    def once(self, flavour):
        """What no mutant changes: Catch2 and the standard's headers compiled, and the replay of a corpus."""
        files = {path for name, t in tests().items() if name not in FOREIGN for path in included(t[0][0])}
        text = "\n".join(sorted({line for f in files for line in re.findall(r"^#include <\w+>$", f.read_text(), re.M)}))
        suffix = "sanitized" if flavour else "plain"
        source, made, replay = self.folder / f"{suffix}.hpp", self.folder / f"{suffix}.pch", self.folder / f"{suffix}.o"
        source.write_text('#include "catch.hpp"\n' + text + "\n")
        again = []
        if COMPILER == common.CLANGXX:
            if trouble := common.compiles([*self.command(flavour), "-I", FOLDER, "-x", "c++-header", source, "-o", made]):
                raise SystemExit(trouble)
            again = ["-include-pch", made]
        if trouble := common.compiles([*self.command(flavour), "-c", FOLDER / "fuzz/replay.cpp", "-o", replay]):
            raise SystemExit(trouble)
        return again, replay

    def try_test(self, name, flavour, folder, overlay):
        """"passed", "failed", "invalid" where it is no C++, or "unjudged" where the compiler gave up."""
        with self.lock:
            again, replay = self.once(flavour)
        sources, arguments, more = tests()[name]
        plain = any("int main(" in s.read_text() for s in sources)
        path = ["-I", folder / "include"] if overlay else []
        program = folder / "test"
        command = [*LIMITED, *self.command(flavour), *again, *path, "-I", common.INCLUDE, "-I", FOLDER, *more, sources[0], *([replay] if len(sources) > 1 else []),
                   "-o", program, *([] if plain else CATCH_LIBRARY)]
        status, output = common.run(command, timeout=60)
        if status:
            return "failed" if HEADER_FAULT.search(output) else "invalid" if " error: " in output else "unjudged"
        try:
            run = subprocess.run([*([] if flavour else LIMITED), program, *arguments, *([] if plain else ["--abort"])], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=TIMEOUT * (3 if flavour else 1), env=ENVIRONMENT)
            return "failed" if run.returncode else "passed"
        except subprocess.TimeoutExpired:
            return "failed"

    @functools.cache
    def sound(self, name, flavour):
        """Whether the test passes as it is. One that does not under the sanitizers is left out there; plainly it ends everything."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            good = self.try_test(name, flavour, pathlib.Path(folder), False) == "passed"
        if not good and not flavour:
            raise SystemExit(f"{name}: the unchanged test does not pass")
        if not good and name not in self.told:
            self.told.add(name)
            print(f"left out under the sanitizers, where it does not pass unchanged: {name}", flush=True)
        return good

    def tests_of(self, header):
        reach = [name for name, (sources, *_) in tests().items() if header in included(sources[0])]
        first = [header.stem, LIKELY.get(header.name)]
        return sorted(reach, key=lambda n: (-self.kills[header, n], first.index(n) if n in first else 9, n in (*FOREIGN, "fuzz"), n))

    def judge(self, mutant):
        """"killed", "survived", "invalid" or "unjudged"."""
        header, number, _, new = mutant
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            folder = pathlib.Path(folder)
            target = folder / "include" / header.relative_to(common.INCLUDE)  # the one header in front: all say tenon/…
            target.parent.mkdir(parents=True)
            lines = header.read_text().splitlines()
            lines[number] = new
            target.write_text("\n".join(lines) + "\n")
            for flavour in self.flavours:
                for name in self.tests_of(header):
                    if not self.sound(name, flavour):
                        continue
                    verdict = self.try_test(name, flavour, folder, True)
                    if verdict == "failed":
                        self.kills[header, name] += 1
                        return "killed"
                    if verdict != "passed":
                        return verdict
        return "survived"


def equivalents():
    """How often each change is listed; each with its reason."""
    listed = collections.Counter()
    for number, line in enumerate(EQUIVALENT.read_text().splitlines() if EQUIVALENT.exists() else []):
        if not line.strip() or line.startswith("#"):
            continue
        what, mark, reason = line.partition("   # ")
        if not mark or not reason.strip() or " -> " not in what:
            raise SystemExit(f"{EQUIVALENT.name}:{number + 1}: needs the form `header.hpp: old -> new   # reason`")
        listed[what.strip()] += 1
    return listed


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--sample", type=int, default=0, help="as many mutants, drawn at random; 0: all")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--recheck", action="store_true", help="runs what is listed as equivalent, too")
    arguments.add_argument("--plain", action="store_true", help="without the sanitizers: a first look, in half the time")
    arguments.add_argument("--lines", default="", help="FROM-TO: mutants of these lines alone")
    arguments.add_argument("headers", nargs="*")
    arguments = arguments.parse_args()
    if common.run(["pkg-config", "--exists", "catch2-with-main"])[0]:
        raise SystemExit("no Catch2 3: ./tests/run core installs it; then export PKG_CONFIG_PATH=.deps/sysroot/pkgconfig")
    headers = [h for h in sorted(CORE.glob("*.hpp")) if not arguments.headers or h.name in arguments.headers]
    mutants = [(h, *m) for h in headers for m in mutants_of(h)]
    there = collections.Counter(change(h, old, new) for h, _, old, new in mutants)
    listed = equivalents()
    names = {h.name for h in headers}
    stale = [c for c in listed if c.split(":")[0] in names and listed[c] > there[c]]
    untrue = 0
    if arguments.lines:
        least, most = map(int, arguments.lines.split("-"))
        mutants = [m for m in mutants if least <= m[1] + 1 <= most]
    if arguments.sample:
        mutants = random.Random(arguments.seed).sample(mutants, min(arguments.sample, len(mutants)))
    counts = {h.name: collections.Counter() for h in headers}
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(common.JOBS) as pool:
        shop = workshop(pathlib.Path(folder), (PLAIN,) if arguments.plain else (PLAIN, SANITIZED))

        def judge(mutant):
            c = change(mutant[0], *mutant[2:])
            return "equivalent" if not arguments.recheck and listed[c] >= there[c] else shop.judge(mutant)

        for (header, number, old, new), verdict in zip(mutants, pool.map(judge, mutants)):
            c = change(header, old, new)
            if verdict == "survived" and listed[c] > 0:
                listed[c] -= 1
                verdict = "equivalent"
            counts[header.name][verdict] += 1
            if verdict in ("survived", "unjudged"):
                print(f"{verdict} {header.name}:{number + 1}: {c.split(': ', 1)[1]}", flush=True)
            if verdict == "killed" and arguments.recheck and listed[c] >= there[c]:
                untrue += 1
                print(f"killed, though listed as equivalent: {c}", flush=True)
    total = collections.Counter()
    for name, count in counts.items():
        total += count
        print(line_of(name, count))
    for c in stale:
        print(f"listed as equivalent, but not so often a mutant: {c}")
    print(line_of("mutation_score", total))
    return 1 if stale or untrue or total["survived"] * 50 > total["killed"] + total["survived"] else 0


def line_of(name, count):
    judged = count["killed"] + count["survived"]
    return (f"{name}: {count['killed']} of {judged} killed ({100 * count['killed'] / max(judged, 1):.1f} %), "
            f"{count['equivalent']} equivalent, {count['invalid']} do not compile, "
            f"{count['unjudged']} not judged")


if __name__ == "__main__":
    sys.exit(main())
