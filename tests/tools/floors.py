#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The floors of the house: floors.py [FILTER…]

An include goes to its own folder or to a lower floor; every source begins with the licence; macros stay in core/config.hpp;
headers are short; the umbrella reaches none of the slow standard headers."""
import pathlib
import re
import sys
import tempfile

import common

FLOORS = {"core": 0, "tensor": 1, "io": 2, "ops": 3, "layers": 4, "graph": 5, "train": 6, "check": 6, "pipeline": 6, "compress": 6,
          "models": 7, "interop": 7, "tenon.hpp": 8}
ALLOWED = {("compress", "train")}
BANNED = {"regex", "iostream", "ranges", "functional", "filesystem", "sstream"}
LICENCE = "SPDX-License-Identifier: Apache-2.0"
SOURCES = {".hpp", ".h", ".inl", ".cpp", ".cu", ".cuh", ".py", ".sh"}
SCRIPTS = {"run", "meson.build"}
FOLDERS = ["include", "tests", "bench", "examples", "python", "cuda_kernels"]
LONG = 400

INCLUDE = re.compile(r'\s*#\s*include\s*([<"])([^>"]+)')


def headers(include):
    return sorted(p for p in (include / "tenon").rglob("*") if p.suffix in {".hpp", ".h", ".inl"})


def includes(path, include):
    """(line number, name, file or None) of every include; a file is one of ours."""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if found := INCLUDE.match(line):
            name = found[2]
            near = path.parent / name if found[1] == '"' else include / name
            ours = near if near.is_file() else include / name
            yield number, name, (ours.resolve() if name.startswith("tenon/") or near.is_file() else None)


def folder_of(path, include):
    return path.resolve().relative_to((include / "tenon").resolve()).parts[0]


def upward(include):
    for path in headers(include):
        here = folder_of(path, include)
        if here not in FLOORS:
            yield f"{path}:1: {here} is on no floor (tests/tools/floors.py)"
            continue
        for number, name, target in includes(path, include):
            if not target:
                continue
            there = folder_of(target, include)
            if there == here or (here, there) in ALLOWED or FLOORS.get(there, 99) < FLOORS[here]:
                if here == "tenon.hpp" and FLOORS[there] > 6:
                    yield f"{path}:{number}: the umbrella must not include {name}"
                continue
            yield f"{path}:{number}: {here} (floor {FLOORS[here]}) must not include {name} (floor {FLOORS.get(there, '?')})"


def macros(include):
    for path in headers(include):
        if path.match("core/config.hpp"):
            continue
        text = path.read_text()
        undefined = set(re.findall(r"^\s*#\s*undef\s+(\w+)", text, re.M))
        for number, line in enumerate(text.splitlines(), 1):
            if (found := re.match(r"\s*#\s*define\s+(\w+)", line)) and found[1] not in undefined:
                yield f"{path}:{number}: macro {found[1]} belongs in core/config.hpp, or must be #undef'ed here"


def unlicensed(root):
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if (path.suffix in SOURCES or path.name in SCRIPTS) and path.is_file():
                first = path.read_text(errors="replace").splitlines()[:2]
                if LICENCE not in "\n".join(first[:2] if first and first[0].startswith("#!") else first[:1]):
                    yield f"{path}:1: the first line must be the licence: {LICENCE}"


def banned(include):
    seen, todo = set(), [(include / "tenon" / "tenon.hpp").resolve()]
    while todo:
        path = todo.pop()
        if path in seen or not path.is_file():
            continue
        seen.add(path)
        for number, name, target in includes(path, include):
            if name in BANNED:
                yield f"{path}:{number}: <{name}> is too slow to compile for what the umbrella reaches"
            if target:
                todo.append(target)


def long_headers(include):
    return [f"warning: {p}: {n} lines, aim at {LONG} or fewer" for p in headers(include)
            if (n := len(p.read_text().splitlines())) > LONG]


def cases(root):
    include = root / "include"
    rules = {"upward": lambda: upward(include), "macros": lambda: macros(include), "licence": lambda: unlicensed(root),
             "banned": lambda: banned(include)}
    return [(name, lambda rule=rule: "\n".join(rule())) for name, rule in rules.items()]


def self_test():
    """Each rule must find what is planted, and only that."""
    planted = {
        "core/config.hpp": "#define TENON_X 1\n",
        "core/up.hpp": '#include <tenon/tensor/view.hpp>\n#include "config.hpp"\n',
        "tensor/view.hpp": "#include <tenon/core/config.hpp>\n#include <tenon/tensor/view.hpp>\n",
        "train/sgd.hpp": "#include <tenon/check/dual.hpp>\n",
        "check/dual.hpp": "#define HELPER 1\n#undef HELPER\n#define KEPT 2\n",
        "compress/prune.hpp": "#include <tenon/train/sgd.hpp>\n",
        "interop/eigen.hpp": "#include <sstream>\n",
        "ops/cpu/simd.hpp": '#include "../map.hpp"\n#include <tenon/layers/relu.hpp>\n',
        "ops/map.hpp": "#include <regex>\n",
        "layers/relu.hpp": "\n",
        "attic/old.hpp": "\n",
        "tenon.hpp": "#include <tenon/ops/map.hpp>\n#include <tenon/interop/eigen.hpp>\n",
    }
    wanted = {"upward": {"core/up.hpp:2", "train/sgd.hpp:2", "ops/cpu/simd.hpp:3", "attic/old.hpp:1", "tenon.hpp:3"},
              "macros": {"check/dual.hpp:4"}, "licence": {"layers/bare.hpp:1"},
              "banned": {"ops/map.hpp:2", "interop/eigen.hpp:2"}}
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in planted.items():
            path = root / "include/tenon" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"// {LICENCE}\n{text}")
        (root / "include/tenon/layers/bare.hpp").write_text("// no licence\n")
        found = {name: {":".join(line.split("include/tenon/")[1].split(":")[:2]) for line in check().splitlines()}
                 for name, check in cases(root)}
    return None if found == wanted else f"planted {wanted}\nfound   {found}"


if __name__ == "__main__":
    print("".join(f"{line}\n" for line in long_headers(common.INCLUDE)), end="")
    common.tool("floors", [("self-test", self_test), *cases(common.ROOT)])
