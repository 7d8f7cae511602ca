# SPDX-License-Identifier: Apache-2.0
"""The examples and the README's Python run as they stand, from another folder."""
import os
import pathlib
import re
import subprocess
import sys

import pytest

EXAMPLES = pathlib.Path(os.environ["TENON_EXAMPLES"])


def output_of(*command):
    done = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_block():
    assert "trained 75334 parameters, loss 0.8" in output_of(EXAMPLES / "01_block.py")


def test_fashion_mnist():
    if not pathlib.Path("/usr/share/datasets/fashion-mnist").exists():
        pytest.skip("no Fashion-MNIST")
    out = output_of(EXAMPLES / "02_fashion_mnist.py", "--steps", "30")
    first, last = re.findall(r"Block (\d+\.\d{6})", out)[0::2][:2]
    assert float(last) < float(first) and "ms a step" in out


def test_network():
    assert float(re.search(r"circle (\d\.\d+)", output_of(EXAMPLES / "03_network.py"))[1]) >= 0.9


def test_every_example_is_here():
    assert sorted(p.name for p in EXAMPLES.glob("*.py")) == ["01_block.py", "02_fashion_mnist.py", "03_network.py"]


def test_readme(tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", pathlib.Path(os.environ["TENON_README"]).read_text(), re.S)
    assert blocks
    for i, code in enumerate(blocks):
        (tmp_path / f"{i}.py").write_text(code)
        output_of(tmp_path / f"{i}.py")
