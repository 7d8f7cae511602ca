#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Which conditions of the bridge's core its tests never show to matter: tests/tools/coverage.sh [FOLDER] [HEADER.hpp…]   (default: tensor)
#
# MC/DC and branch coverage of include/tenon/FOLDER by tests/FOLDER and the fuzz corpus, with clang 19; mcdc.py says how it counts. Not part of
# tests/run: takes half a minute the first time.
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
cd "$root"
need_apt clang-19 libclang-rt-19-dev llvm-19 g++ pkg-config
need_catch2
exec python3 tests/tools/mcdc.py "$@"
