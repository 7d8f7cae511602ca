#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Users' functions that call us compile without a warning at every -O, and as well as without us: callers.py [FILTER…]

tests/callers/*.cpp: a loop whose line ends in `// vectorised` must be, at -O3 (g++ reports it)."""
import re

import common

FOLDER = common.ROOT / "tests/callers"
FLAGS = ["-std=c++20", "-Wall", "-Wextra", "-Werror", "-I", common.INCLUDE, "-c", "-o", "/dev/null"]


def vectorised(path):
    status, output = common.run([common.GXX, *FLAGS, "-O3", "-fopt-info-vec-optimized", path])
    if status:
        return output
    wanted = {n for n, line in enumerate(path.read_text().splitlines(), 1) if line.endswith("// vectorised")}
    if not wanted:
        return f"no line of {path} ends in // vectorised"
    found = {int(n) for n in re.findall(rf"^{re.escape(str(path))}:(\d+):\d+: optimized: loop vectorized", output, re.M)}
    return "".join(f"{path.relative_to(common.ROOT)}:{n}: this loop is not vectorised\n" for n in sorted(wanted - found))


def main():
    cases = [(f"{path.stem} vectorised", lambda p=path: vectorised(p)) for path in sorted(FOLDER.glob("*.cpp"))]
    cases += [(f"{path.stem} {compiler} -O{level}", lambda p=path, c=compiler, o=level: common.compiles([c, *FLAGS, f"-O{o}", p]))
              for path in sorted(FOLDER.glob("*.cpp")) for compiler in common.compilers() for level in (1, 2, 3)]
    common.tool("callers", cases, remember=True)


if __name__ == "__main__":
    main()
