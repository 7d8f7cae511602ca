#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Which decisions of the bridge's core its tests never take: tests/tools/coverage.sh [FOLDER]   (default: tensor)
#
# Line, branch and MC/DC coverage of include/tenon/FOLDER by tests/FOLDER and the fuzz corpus, with clang 19: a table, and below it every condition
# whose independent effect no test shows. Not part of tests/run: takes a minute.
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
cd "$root"
folder=${1:-tensor}
need_apt clang-19 libclang-rt-19-dev llvm-19 g++ pkg-config
need_catch2
work=build/coverage/$folder
rm -rf "$work" && mkdir -p "$work"
flags=(-std=c++20 -O0 -g -fprofile-instr-generate -fcoverage-mapping -fcoverage-mcdc -DTENON_LONG=0 -I include -I tests)
build() {  # NAME SOURCE… : catch2 where the source has no main of its own
  local name=$1 catch=; shift
  grep -lq 'int main(' "$@" || catch=$(pkg-config --cflags --libs catch2-with-main | sed 's/-I/-isystem/g')
  # shellcheck disable=SC2086
  clang++-19 "${flags[@]}" "$@" $catch -pthread -o "$work/$name"
}
programs=()
for source in tests/"$folder"/test_*.cpp; do
  name=$(basename "$source" .cpp)
  build "$name" "$source" && LLVM_PROFILE_FILE=$work/$name.raw "$work/$name" > /dev/null && programs+=("$work/$name")
done
if [ "$folder" = tensor ]; then
  build fuzz tests/fuzz/import.cpp tests/fuzz/replay.cpp
  LLVM_PROFILE_FILE=$work/fuzz.raw "$work/fuzz" tests/fuzz/import.corpus > /dev/null && programs+=("$work/fuzz")
fi
llvm-profdata-19 merge -o "$work/all" "$work"/*.raw
objects=(); for p in "${programs[@]:1}"; do objects+=(-object "$p"); done
llvm-cov-19 report "${programs[0]}" "${objects[@]}" -instr-profile="$work/all" -show-mcdc-summary -show-branch-summary include/tenon/"$folder" 2> /dev/null
llvm-cov-19 show "${programs[0]}" "${objects[@]}" -instr-profile="$work/all" -show-mcdc -show-expansions=false -show-instantiations=false include/tenon/"$folder" > "$work/lines.txt" 2> /dev/null
echo "each line: $work/lines.txt"
