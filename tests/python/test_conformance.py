# SPDX-License-Identifier: Apache-2.0
"""The conformance suite on the package: every crafted capsule has its required verdict, in a process of its own."""
import json
import os
import pathlib
import subprocess
import sys

import pytest

SUITE = pathlib.Path(os.environ["TENON_CONFORMANCE"])


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    to = tmp_path_factory.mktemp("conformance") / "pytenon.json"
    done = subprocess.run([sys.executable, SUITE / "run", "--json", to, "pytenon"], capture_output=True, text=True, timeout=180)
    assert to.exists(), done.stderr
    return json.loads(to.read_text())["targets"]["pytenon"]


@pytest.mark.parametrize("of, rows", [("legacy", 36), ("versioned", 36), ("versions", 10)])
def test_each_crafted_capsule_has_its_verdict(result, of, rows):
    assert len(result["consumer"][of]) == rows
    assert not [(name, text, why) for name, (passed, text, why) in result["consumer"][of].items() if not passed or "SIG" in text or "HANG" in text]


def test_each_rule_of_exports_and_the_door_is_kept(result):
    assert not {rule: found for rule, found in result["producer"].items() if found[0] in ("bad", "note")}
    assert sum(verdict == "ok" for verdict, _ in result["producer"].values()) >= 28
