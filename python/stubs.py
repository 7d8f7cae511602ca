# SPDX-License-Identifier: Apache-2.0
"""Writes _core.pyi and layers.pyi: stubs.py FOLDER_OF_THE_MODULE FOLDER_OF_THE_STUBS"""
import pathlib
import sys

from nanobind.stubgen import StubGen

built, to = sys.argv[1:]
sys.path.insert(0, built)
import _core  # noqa: E402  (it is where the argument says)

for module, name in [(_core, "_core.pyi"), (_core.layers, "layers.pyi")]:
    stubs = StubGen(module, include_private=True)
    stubs.put(module)
    text = stubs.get().replace("_core.", "pytenon._core.").replace("from _core", "from pytenon._core").replace("import _core", "import pytenon._core")
    if module is not _core:
        text = "from pytenon._core import Layer\n\n" + text
    pathlib.Path(to, name).write_text(text)
