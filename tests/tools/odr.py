#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""All headers, in translation units with different flags, make one program that links and runs: odr.py [FILTER…]"""
import pathlib
import platform
import tempfile

import common
import headers

PARTS = {
    "debug": ["-O0"],
    "release": ["-O2", "-DNDEBUG"],
    "bare": ["-O1", "-fno-exceptions", "-fno-rtti"],
    **({"newer": ["-O2", "-march=x86-64-v3"], "older": ["-O2", "-march=x86-64"]} if platform.machine() == "x86_64" else {}),
}
MAIN = """#include <cmath>
#include <cstdio>
{declarations}
int main() {{
  const double got[] = {{{calls}}};
  for (double g : got) std::printf("%.9g ", g);
  for (double g : got) if (g != 0 && !(std::abs(g - got[0]) <= 1e-5 * std::abs(got[0]))) return 1;
}}
"""


def can_run(part):
    return part != "newer" or "avx2" in pathlib.Path("/proc/cpuinfo").read_text().split()


def check(compiler):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "everything.hpp").write_text("".join(f"#include <{h}>\n" for h in headers.usable()))
        (folder / "main.cpp").write_text(MAIN.format(
            declarations="\n".join(f"double {p}_part();" for p in PARTS),
            calls=", ".join(f"{p}_part()" for p in PARTS if can_run(p))))
        common_flags = [compiler, "-std=c++20", "-Wall", "-Wextra", "-Werror", "-I", common.INCLUDE, "-I", folder, *headers.FLAGS, "-pthread"]
        for part, flags in PARTS.items():
            if trouble := common.compiles([*common_flags, *flags, f"-DPART={part}_part", "-DEVERYTHING=<everything.hpp>", "-c",
                                           common.ROOT / "tests/odr/part.cpp", "-o", folder / f"{part}.o"]):
                return trouble
        program = folder / "odr"
        libraries = ["-lz"] if common.has_header("zlib.h") else []
        return (common.compiles([*common_flags, folder / "main.cpp", *(folder / f"{p}.o" for p in PARTS), *libraries, "-o", program])
                or common.compiles([program]))


if __name__ == "__main__":
    common.tool("odr", [(f"{' '.join(PARTS)} {compiler}", lambda c=compiler: check(c)) for compiler in common.compilers()], remember=True)
