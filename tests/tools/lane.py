#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds and runs the tests of one build directory: lane.py build/NAME [--suite SUITE] [FILTER…]

Like `meson test`, but a program that does not build fails alone, and the filter is a part of `NAME/folder/test`."""
import argparse
import json
import os
import pathlib
import re

import common

arguments = argparse.ArgumentParser()
arguments.add_argument("build", type=pathlib.Path)
arguments.add_argument("--suite", default="")
arguments.add_argument("filters", nargs="*")
arguments = arguments.parse_args()
build = arguments.build.resolve()
title = build.name


def introspect():
    status, output = common.run(["meson", "introspect", "--tests", build])
    if status:
        raise SystemExit(f"{output}\n{title}: 0 passed, 1 failed")
    return json.loads(output)


def label(test):
    return re.sub(r"^[^/]*:", "", test["name"])


def chosen(test):
    suites = [s.split(":")[-1] for s in test["suite"]]
    return ((not arguments.suite or arguments.suite in suites)
            and (not arguments.filters or any(f in f"{title}/{label(test)}" for f in arguments.filters)))


# Ninja runs first so that it can configure again where a meson.build changed.
common.run(["ninja", "-C", build, "build.ninja"])
tests = [t for t in introspect() if chosen(t)]
targets = sorted({common.program_of(t, build) for t in tests})
if targets:
    status, output = common.run(["ninja", "-C", build, "-k", "0", "-j", str(common.JOBS), *targets], timeout=3600)
    if status:
        print(output, flush=True)


def check(test):
    def go():
        target = common.program_of(test, build)
        if status and common.run(["ninja", "-C", build, "-n", target])[1].count("no work to do") == 0:
            return "does not build: see above"
        result, output = common.run(test["cmd"], timeout=test["timeout"] * (5 if "san" in title else 1), cwd=test["workdir"] or build,
                                    env={**os.environ, **test["env"]})
        return None if result == 0 else f"{common.text_of(test['cmd'])}: exit status {result}\n{output}"
    return go


side_by_side = [(label(t), check(t)) for t in tests if t["is_parallel"]]
alone = [(label(t), check(t)) for t in tests if not t["is_parallel"]]
raise SystemExit(common.main(title, side_by_side, after=alone))
