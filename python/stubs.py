# SPDX-License-Identifier: Apache-2.0
"""Writes _core.pyi and layers.pyi: stubs.py FOLDER_OF_THE_MODULE FOLDER_OF_THE_STUBS"""
import pathlib
import sys

from nanobind.stubgen import StubGen

built, to = sys.argv[1:]
sys.path.insert(0, built)
import _core  # noqa: E402  (it is where the argument says)

# Methods that the door's headers put into the type: what their text says of them has no types.
DOOR = {
    "__dlpack__: types.MethodDescriptorType = ...":
        "def __dlpack__(self, *, stream: int | None = None, max_version: tuple[int, int] | None = None,\n"
        "                   dl_device: tuple[int, int] | None = None, copy: bool | None = None) -> object: ...",
    "__dlpack_device__: types.MethodDescriptorType = ...": "def __dlpack_device__(self) -> tuple[int, int]: ...",
    "__dlpack_c_exchange_api__: PyCapsule = ...": "__dlpack_c_exchange_api__: object = ...",
}

for module, name in [(_core, "_core.pyi"), (_core.layers, "layers.pyi")]:
    stubs = StubGen(module, include_private=True)
    stubs.put(module)
    text = stubs.get().replace("_core.", "pytenon._core.").replace("from _core", "from pytenon._core").replace("import _core", "import pytenon._core")
    for found, said in DOOR.items() if module is _core else ():
        assert found in text, f"nanobind's stubs no longer say {found!r}"
        text = text.replace(found, said)
    if module is not _core:
        text = "from pytenon._core import Layer\n\n" + text
    pathlib.Path(to, name).write_text(text)
