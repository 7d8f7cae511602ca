#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What must not compile, and what the compiler must say: compile_fail.py [--show] [FILTER…]

The first lines of tests/compile_fail/NAME.cpp, after the licence, say what is wanted:
  // expect: text               must stand in the compiler's output (once a line, as many lines as needed)
  // expect g++: text           the same for one compiler (g++ or clang++)
  // expect-max-lines: 16       the whole output, notes and all, has no more lines (also `expect-max-lines g++:`)
  // control: -DFIXED           with this flag the file must compile: it fails for the reason it names, and for no other
  // only: clang++              on this compiler alone
  // flags: -fno-exceptions     more flags, always
--show prints what the compilers say of the cases that pass, too."""
import re
import sys

import common

FOLDER = common.ROOT / "tests/compile_fail"
KEYS = {"expect", "expect-max-lines", "control", "only", "flags"}


def wishes(source):
    """(key, compiler or None, text) of each line of the comment at the head of the file."""
    for line in source.read_text().splitlines():
        if not line.startswith("//"):
            return
        if (found := re.match(r"// ([\w-]+)(?: (g\+\+|clang\+\+))?: (.+)", line)) and found[1] in KEYS:
            yield found[1], found[2], found[3].strip()


def check(source, compiler, include=common.INCLUDE, show=False):
    kind = "clang++" if "clang" in compiler else "g++"
    wanted = [(key, text) for key, on, text in wishes(source) if on in (None, kind)]
    of = lambda key: [text for k, text in wanted if k == key]
    flags = [flag for text in of("flags") for flag in text.split()]
    command = [compiler, "-std=c++20", "-fsyntax-only", "-I", include, "-I", common.ROOT / "tests", *common.eigen_flags(), *flags, source]
    status, output = common.run(command)
    lines = output.splitlines()
    said = f"{common.text_of(command)}\n{output}({len(lines)} lines)"
    faults = [f"does not say: {text}" for text in of("expect") if text not in output]
    faults += [f"says {len(lines)} lines, at most {most} are allowed" for most in of("expect-max-lines") if len(lines) > int(most)]
    if status == 0:
        faults = ["compiles"]
    elif not of("expect"):
        faults.append("has no `// expect: text` line")
    if not of("control"):
        faults.append("has no `// control: -DFIXED` line")
    for text in of("control"):
        if trouble := common.compiles([*command, *text.split()]):
            faults.append(f"fails with {text} too, so for another reason:\n{trouble}")
    if show and not faults:
        print(said)
    return "\n".join([*faults, said]) if faults else None


def cases(show=False):
    for source in sorted(FOLDER.glob("*.cpp")):
        only = [text for key, _, text in wishes(source) if key == "only"]
        for compiler in common.compilers():
            if not only or compiler.startswith(only[0]):
                label, go = f"{source.stem} {compiler}", lambda s=source, c=compiler: check(s, c, show=show)
                yield label, go if show else common.remembered(f"compile_fail/{label}", go)


if __name__ == "__main__":
    show = "--show" in sys.argv
    sys.exit(common.main("compile_fail", list(cases(show)), [a for a in sys.argv[1:] if a != "--show"]))
