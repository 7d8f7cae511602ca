#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The Python package: python.py [--any] [FILTER…]   (--any: only whether there is such a test, as exit status)

`pip install .` into an empty environment, a look at it there without NumPy and torch, then tests/python and examples/python from
another folder, against the installed wheel. torch, NumPy and pytest come from .deps/python, by a path file."""
import ast
import os
import pathlib
import re
import shutil
import sys
import tempfile
import time
import xml.etree.ElementTree
import zipfile

import common

TESTS = common.ROOT / "tests/python"
LENDER = common.ROOT / ".deps/python"
SECONDS_TO_INSTALL = 20  # on an idle machine; a busy one is told, not failed
BARE = """
import pytenon, sys
from pytenon import layers
net = pytenon.Network([layers.linear(3)], input=(2,))
assert "9 parameters" in net.summary()
assert not {"numpy", "torch"} & set(sys.modules)
try:
    import pytenon.torch
except ModuleNotFoundError as e:
    assert e.name == "torch"
else:
    raise SystemExit("torch is not empty here")
print(pytenon.__file__)
"""


def tests_in(path):
    """file/function of every test; parametrised ones are one."""
    return [f"{path.stem.removeprefix('test_')}/{n.name.removeprefix('test_')}" for n in ast.parse(path.read_text()).body
            if isinstance(n, ast.FunctionDef) and n.name.startswith("test_")]


def wanted(labels, filters):
    return [label for label in labels if not filters or any(f in f"python/{label}" for f in filters)]


class Package:
    """The wheel, and an environment that has nothing else."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.env = self.folder / "env"
        self.python = self.env / "bin/python"
        self.elsewhere = self.folder / "elsewhere"
        self.elsewhere.mkdir()

    def install(self):
        if trouble := common.compiles([sys.executable, "-m", "venv", self.env]):
            return trouble
        started = time.monotonic()
        pip = [self.python, "-m", "pip", "--disable-pip-version-check"]
        if trouble := common.compiles([*pip, "wheel", "-q", "--no-deps", "-w", self.folder, common.ROOT], timeout=600):
            return trouble
        (wheel,) = self.folder.glob("*.whl")
        if trouble := common.compiles([*pip, "install", "-q", "--no-index", wheel]):
            return trouble
        print(f"-- pip install took {time.monotonic() - started:.1f} s ({SECONDS_TO_INSTALL} on an idle machine); "
              f"{wheel.name} has {wheel.stat().st_size / 1e3:.0f} kB", file=sys.stderr)
        return None

    def holds_only_the_package(self):
        (wheel,) = self.folder.glob("*.whl")
        names = sorted(zipfile.ZipFile(wheel).namelist())
        own = {"__init__.py", "info.py", "torch/__init__.py", "torch/_block.py", "torch/_operators.py", "py.typed", "_core.pyi", "layers.pyi"}
        there = {n.removeprefix("pytenon/") for n in names if n.startswith("pytenon/")}
        strange = [n for n in names if not n.startswith(("pytenon/", "pytenon-"))]
        if strange or {n for n in there if not n.startswith("_core.cpython")} != own:
            return f"in the wheel: {names}"

    def works_alone(self):
        status, output = common.run([self.python, "-I", "-c", BARE], cwd=self.elsewhere)
        return None if status == 0 and str(self.env) in output else output

    def lend(self):
        """torch, NumPy and pytest of .deps/python, after the environment's own."""
        (own,) = self.env.glob("lib/python*/site-packages")
        (other,) = LENDER.glob("lib/python*/site-packages")
        (own / "lent.pth").write_text(f"{other}\n")

    def environment(self):
        return dict(os.environ, TENON_DATA=str(common.ROOT / "tests/data"), TENON_EXAMPLES=str(common.ROOT / "examples/python"),
                    TENON_README=str(common.ROOT / "README.md"), TENON_CONFORMANCE=str(common.ROOT / "tests/conformance"),
                    TENON_INCLUDE=str(common.INCLUDE), PYTHONDONTWRITEBYTECODE="1", OMP_NUM_THREADS="1")

    def run(self, labels):
        """Runs tests/python once; gives what failed of each label."""
        report = self.folder / "report.xml"
        files = sorted({TESTS / f"test_{label.split('/')[0]}.py" for label in labels})
        options = ["-q", "-p", "no:cacheprovider", "-o", "faulthandler_timeout=200", "--tb=short", f"--junitxml={report}"]
        status, output = common.run([self.python, "-m", "pytest", *options, *files],
                                    timeout=900, cwd=self.elsewhere, env=self.environment())
        results = {}
        if report.exists():
            for case in xml.etree.ElementTree.parse(report).iter("testcase"):
                file = case.get("classname").split(".")[-1].removeprefix("test_")
                name = re.sub(r"\[.*", "", case.get("name")).removeprefix("test_")
                bad = [b.text or b.get("message") for b in case if b.tag in {"failure", "error"}]
                results.setdefault(f"{file}/{name}", []).extend(f"{case.get('name')}\n{b}" for b in bad)
        return lambda label: ("\n".join(results[label]) or None) if label in results else f"it did not run:\n{output[-3000:]}"


def main(filters):
    of_package = ["package/installs", "package/holds_only_the_package", "package/works_alone"]
    only_ask, filters = "--any" in filters, [f for f in filters if f != "--any"]
    tests = wanted([label for path in sorted(TESTS.glob("test_*.py")) for label in tests_in(path)], filters)
    if only_ask:
        return 0 if tests or wanted(of_package, filters) else 1
    if not tests and not wanted(of_package, filters):
        return common.main("python", [], filters)
    folder = tempfile.mkdtemp(prefix="pytenon-")
    try:
        package = Package(folder)
        outcome = {"package/installs": package.install()}
        if outcome["package/installs"] is None:
            outcome["package/holds_only_the_package"] = package.holds_only_the_package()
            outcome["package/works_alone"] = package.works_alone()
            if tests:
                package.lend()
                of_test = package.run(tests)
                outcome.update((label, of_test(label)) for label in tests)
        cases = [(label, lambda label=label: outcome.get(label, "the package did not install")) for label in [*of_package, *tests]]
        return common.main("python", cases)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
