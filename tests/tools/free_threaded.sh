#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The Python door on a free-threaded CPython, which no distribution's package has: builds one from Debian's source, an environment with
# NumPy and this package, and runs there what needs no torch: tests/python/test_door_*.py, without the GIL; its eight-thread tests with
# more rounds; the Tenon rows of tests/conformance. Not part of tests/run.
#
#   tests/tools/free_threaded.sh [SUITE PACKAGE]     trixie python3.13, if not said
#
# Takes a C and a C++ compiler, apt with Debian's mirror, PyPI, 500 MB in .deps/, 10 minutes of two idle cores the first time and
# three later. CPython is built without its optional modules whose libraries are not there; _ctypes (libffi-dev), ssl (libssl-dev) and
# zlib must be. PYTHON_GIL=0 keeps the GIL away though pytenon's module asks for it: its networks are for one thread at a time.
. "$(dirname "$0")/setup.sh"
suite=${1:-trixie} package=${2:-python3.13}
at=$deps/free-threaded/$package

need_apt g++ make pkg-config libffi-dev libssl-dev zlib1g-dev || die "apt cannot install what CPython is built from"
if [ ! -e "$at/built" ]; then
  rm -rf "$at" && mkdir -p "$at/source"
  other_suite "$suite" deb-src && (cd "$apt" && rm -f "$package"_* && private_apt source --download-only "$package") ||
    die "Debian $suite has no source of $package that can be had"
  tar -xf "$(ls "$apt/$package"_*.orig.tar.* | grep -v '[.]asc$')" --strip-components=1 -C "$at/source"
  say "building $package without a GIL (7 minutes on two cores): $at/log"
  (cd "$at/source" && ./configure -q --disable-gil --prefix="$at/python" && make -s -j"$jobs" && make -s install) > "$at/log" 2>&1 ||
    die "it does not build: $at/log"
  touch "$at/built" && rm -rf "$at/source"
fi

python=$at/env/bin/python
[ -x "$python" ] || "$(ls "$at"/python/bin/python3.*t | head -n 1)" -m venv "$at/env"
"$python" -c 'import sys; assert not sys._is_gil_enabled()' || die "this Python has a GIL"
pip() { "$python" -m pip -q --disable-pip-version-check "$@"; }
pip install --only-binary :all: numpy pytest || die "no wheel of NumPy for it"
pip install --force-reinstall --no-deps "$root"

export TENON_DATA=$root/tests/data TENON_CONFORMANCE=$root/tests/conformance TENON_INCLUDE=$root/include PYTHONPATH=$root/tests/python
export PYTHONDONTWRITEBYTECODE=1 PYTHON_GIL=0
"$python" -c 'import sys, numpy; print(f"{sys.version}, NumPy {numpy.__version__}, GIL {sys._is_gil_enabled()}")'
run() { (cd "$at" && "$python" -m pytest -q -p no:cacheprovider --noconftest -p door --rootdir "$at" --tb=short "$@"); }
status=0
run "$root"/tests/python/test_door_*.py "$root/tests/python/test_conformance.py" || status=1
TENON_ROUNDS=20000 run "$root/tests/python/test_door_threads.py" || status=1
"$python" "$root/tests/conformance/run" tenon tenon_float pytenon | sed '/^## /,$d' || status=1
exit $status
