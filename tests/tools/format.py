#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""clang-format agrees with every C++ file: format.py [--fix] [FILTER…]"""
import sys

import common
import floors


def files():
    return [p for folder in floors.FOLDERS for p in sorted((common.ROOT / folder).rglob("*"))
            if p.suffix in {".hpp", ".h", ".inl", ".cpp", ".cu", ".cuh"}]


def check(path):
    return common.compiles(["clang-format", "--dry-run", "--Werror", "--ferror-limit=3", path])


if __name__ == "__main__":
    if "--fix" in sys.argv:
        sys.exit(common.run(["clang-format", "-i", *files()])[1])
    common.tool("format", [(p.relative_to(common.ROOT), lambda p=p: check(p)) for p in files()])
