#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A project that uses the library builds and runs in each way the README tells: downstream.py [FILTER…]

The user is tests/downstream. What is read is a copy of what git would give (meson.build, meson.options, include/).
"""
import os
import pathlib
import shutil
import tempfile
import threading

import common

USER = common.ROOT / "tests/downstream"
LOUD = ["-O0", *common.WARNINGS]  # the other tests ask how fast it is


def first_trouble(commands, **more):
    for command in commands:
        if trouble := common.compiles(command, **more):
            return trouble
    return None


def answers(program):
    status, output = common.run([program])
    return None if (status, output) == (0, "all is well\n") else f"{program}: exit status {status}\n{output}"


def with_compiler(compiler, **more):
    return {**os.environ, "CXX": compiler, **more}


class Ways:
    """Each way takes a compiler and an empty folder."""

    def __init__(self, folder):
        self.tree, self.build, self.prefix = folder / "tenon", folder / "build", folder / "prefix"
        self.lock, self.outcome = threading.Lock(), []
        self.tree.mkdir()
        for name in ("meson.build", "meson.options"):
            shutil.copy(common.ROOT / name, self.tree)
        shutil.copytree(common.INCLUDE, self.tree / "include")

    def installed(self):
        with self.lock:
            self.outcome = self.outcome or [self.install()]
        return self.outcome[0]

    def install(self):
        off = ["-Dtests=disabled", "-Dexamples=disabled", "-Dbenches=disabled", "-Dcuda=disabled"]
        return first_trouble([["meson", "setup", self.build, self.tree, f"--prefix={self.prefix}", *off],
                              ["meson", "install", "-C", self.build]], env=with_compiler(common.GXX))

    def plain(self, compiler, folder):
        program = folder / "program"
        return (common.compiles([compiler, "-std=c++20", "-I", self.tree / "include", *LOUD, USER / "program.cpp", "-pthread", "-o", program])
                or answers(program))

    def pkg_config(self, compiler, folder):
        if trouble := self.installed():
            return trouble
        program = folder / "program"
        status, flags = common.run(["pkg-config", "--cflags", "--libs", "tenon"],
                                   env={**os.environ, "PKG_CONFIG_PATH": str(self.prefix / "share/pkgconfig")})
        if status != 0:
            return flags
        return common.compiles([compiler, "-std=c++20", *flags.split(), *LOUD, USER / "program.cpp", "-o", program]) or answers(program)

    def cmake(self, compiler, folder):
        return (self.installed()
                or first_trouble([["cmake", "-S", USER, "-B", folder, f"-DCMAKE_PREFIX_PATH={self.prefix}"],
                                  ["cmake", "--build", folder]], env=with_compiler(compiler))
                or answers(folder / "program"))

    def meson(self, compiler, folder):
        for name in ("program.cpp", "meson.build"):
            shutil.copy(USER / name, folder)
        (folder / "subprojects").mkdir()
        (folder / "subprojects/tenon").symlink_to(self.tree)
        build = folder / "build"
        return first_trouble([["meson", "setup", "--optimization=0", build, folder], ["ninja", "-C", build]],
                             env=with_compiler(compiler)) or answers(build / "program")


def cases(folder):
    ways = Ways(folder)
    yield "install", ways.installed
    first, last = common.compilers()[0], common.compilers()[-1]  # once each is enough behind a build system
    for name, compilers in {"plain": common.compilers(), "pkg_config": [last], "cmake": [last], "meson": [first]}.items():
        if name == "cmake" and not shutil.which("cmake"):
            print("-- downstream/cmake left out: cmake is not installed", flush=True)
            continue
        for compiler in compilers:
            room = folder / f"{name}_{compiler}"
            room.mkdir()
            yield f"{name} {compiler}", lambda way=getattr(ways, name), c=compiler, room=room: way(c, room)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        common.tool("downstream", list(cases(pathlib.Path(scratch))), remember=True)
