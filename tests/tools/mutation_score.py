#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How many small bugs in the bridge's core its tests notice: mutation_score.py [--sample N] [--seed S] [FILE…]

Each mutant changes one operator, constant, condition or statement of a header in include/tenon/tensor. It is compiled into the tests that
use the header, one after the other, until one fails: then it is killed. What does not compile is no mutant. Survivors are printed as
`header:line: old -> new`; those that tests/mutants/equivalent.txt lists, with the reason why no test can tell them apart, are not counted.
Takes a second or two a mutant; not part of tests/run. The last line is `mutation_score: K of N killed (P %), E equivalent`."""
import argparse
import concurrent.futures
import pathlib
import random
import re
import shutil
import sys
import tempfile

import common

CORE = common.INCLUDE / "tenon/tensor"
TESTS = common.ROOT / "tests/tensor"
EQUIVALENT = common.ROOT / "tests/mutants/equivalent.txt"
# The tests most likely to notice, first; then all others that include the header.
FIRST = {"view_as.hpp": ["typed_view"], "typed_view.hpp": ["typed_view"], "typed_tensor.hpp": ["typed_view"], "overlap.hpp": ["overlap"],
         "layout.hpp": ["layout", "typed_view"], "check_import.hpp": ["import", "typed_view"], "import.hpp": ["import", "typed_view"],
         "export.hpp": ["export"], "storage.hpp": ["storage"], "view.hpp": ["view"], "tensor.hpp": ["view", "import", "export"],
         "pack.hpp": ["import", "export"], "dlpack.hpp": ["import", "export"], "adapter.hpp": ["view"], "numbers.hpp": ["view"]}
CATCH = common.run(["pkg-config", "--cflags", "--libs", "catch2-with-main"])[1].replace("-I", "-isystem").split()
SWAPS = [(" < ", " <= "), (" <= ", " < "), (" > ", " >= "), (" >= ", " > "), (" == ", " != "), (" != ", " == "), (" && ", " || "),
         (" || ", " && "), (" + ", " - "), (" - ", " + "), (" * ", " + "), (" % ", " * "), (" |= ", " &= "), (" += ", " -= "),
         ("true", "false"), ("false", "true"), (" = 0;", " = 1;"), (" = 1;", " = 0;"), ("++", "--"), ("!", ""), (" - 1", ""), (" + 1", "")]
SKIP = re.compile(r"^\s*(//|#|static_assert|template|requires|using|namespace|friend|struct|class|\[\[|@)|static_assert|operator|gnu::|= delete|offsetof|\.argument|\.remedy|\.relation")
STATEMENT = re.compile(r"^\s+(?!return|if|for|const|auto|constexpr|else|break|continue|case|default|do|while|switch|using|static|public|private|extent |std::|int |bool )[\w:>\-.\[\]*&]+(\(.*\)| [|+\-]?= .*);$")


def mutants_of(path):
    """(line number, old line, new line)."""
    for number, line in enumerate(path.read_text().splitlines()):
        code = line.split("//")[0].rstrip()
        if not code.strip() or SKIP.search(code):
            continue
        found = set()
        for old, new in SWAPS:
            for at in (m.start() for m in re.finditer(re.escape(old), code)):
                if old == "!" and (code[at + 1:at + 2] == "=" or not re.match(r"[\w(]", code[at + 1:at + 2])):
                    continue
                if code.count('"', 0, at) % 2 or (old in ("true", "false") and re.match(r"\w", code[at - 1:at] or " ")):
                    continue
                found.add(code[:at] + new + code[at + len(old):])
        if STATEMENT.match(code):
            found.add(re.match(r"^\s*", code)[0] + ";")
        yield from ((number, line, new) for new in sorted(found))


def tests_of(header):
    first = FIRST.get(header.name, [])
    others = sorted(p.stem.removeprefix("test_") for p in TESTS.glob("test_*.cpp") if p.stem not in ("test_soak",))
    return first + [t for t in others if t not in first]


def check(mutant):
    """"killed", "survived" or "invalid"."""
    header, number, _, new = mutant
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        shutil.copytree(common.INCLUDE, folder / "include")
        target = folder / "include" / header.relative_to(common.INCLUDE)
        lines = target.read_text().splitlines()
        lines[number] = new
        target.write_text("\n".join(lines) + "\n")
        for k, test in enumerate(tests_of(header)):
            source = TESTS / f"test_{test}.cpp"
            plain = "int main(" in source.read_text()
            command = [common.CLANGXX if shutil.which(common.CLANGXX) else common.GXX, "-std=c++20", "-O0", "-w", "-DTENON_LONG=0", "-I", folder / "include", "-I", common.ROOT / "tests",
                       source, "-o", folder / "test", "-pthread", *([] if plain else CATCH)]
            if common.run(command)[0]:
                return "invalid" if k == 0 else "killed"  # the others compile what the first does not use
            if common.run([folder / "test", *([] if plain else ["--abort"])], timeout=60)[0]:
                return "killed"
        return "survived"


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--sample", type=int, default=0, help="as many mutants, drawn at random; 0: all")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("files", nargs="*")
    arguments = arguments.parse_args()
    headers = [h for h in sorted(CORE.glob("*.hpp")) if not arguments.files or h.name in arguments.files]
    all_mutants = [(h, *m) for h in headers for m in mutants_of(h)]
    if arguments.sample:
        all_mutants = random.Random(arguments.seed).sample(all_mutants, min(arguments.sample, len(all_mutants)))
    if common.run(["pkg-config", "--exists", "catch2-with-main"])[0]:
        raise SystemExit("no Catch2 3: ./tests/run core installs it; then export PKG_CONFIG_PATH=.deps/sysroot/pkgconfig")
    known = EQUIVALENT.read_text() if EQUIVALENT.exists() else ""
    counts = {"killed": 0, "survived": 0, "invalid": 0, "equivalent": 0}
    with concurrent.futures.ThreadPoolExecutor(common.JOBS) as pool:
        for mutant, verdict in zip(all_mutants, pool.map(check, all_mutants)):
            header, number, old, new = mutant
            change = f"{header.name}: {old.split('//')[0].strip()} -> {new.strip()}"
            if verdict == "survived" and change in known:
                verdict = "equivalent"
            counts[verdict] += 1
            if verdict == "survived":
                print(f"survived {header.name}:{number + 1}: {change.split(': ', 1)[1]}", flush=True)
    judged = counts["killed"] + counts["survived"]
    print(f"mutation_score: {counts['killed']} of {judged} killed ({100 * counts['killed'] / max(judged, 1):.1f} %), "
          f"{counts['equivalent']} equivalent, {counts['invalid']} do not compile")
    return 0 if counts["survived"] * 50 <= judged else 1


if __name__ == "__main__":
    sys.exit(main())
