# SPDX-License-Identifier: Apache-2.0
"""Which conditions of the bridge's core its tests never show to matter; run by coverage.sh: mcdc.py [FOLDER] [HEADER.hpp…]

Builds the tests of tests/FOLDER, and for tensor the fuzz corpus, with clang's MC/DC coverage (what did not change is not built again), runs
them, and prints of each header of include/tenon/FOLDER how many conditions were shown, then each that was not. A condition in a decision of
several is shown where two runs of one instantiation differ in it and in the outcome, and in nothing else that was evaluated; one that stands
alone where it was true once and false once. One instantiation of a template is enough; one that no test instantiates is not seen. What is constant in every instantiation is not counted;
decisions that clang cannot measure count as one condition that was not shown. tests/tools/mcdc_reasons.txt lists those that cannot be shown,
`header.hpp: text   # reason`, where the text is what stands from the condition on."""
import collections
import concurrent.futures
import os
import pathlib
import re
import sys

import common

REASONS = common.ROOT / "tests/tools/mcdc_reasons.txt"
FLAGS = ["-std=c++20", "-O0", "-g", "-fprofile-instr-generate", "-fcoverage-mapping", "-fcoverage-mcdc", "-DTENON_LONG=0", "-pthread", "-Wno-everything",
         "-Wpgo-coverage", "-I", common.INCLUDE, "-I", common.ROOT / "tests"]
CATCH = common.run(["pkg-config", "--cflags", "catch2-with-main"])[1].replace("-I", "-isystem").split()
CATCH_LIBRARY = common.run(["pkg-config", "--libs", "catch2-with-main"])[1].split()


def build(work, sources, arguments):
    """The report of llvm-cov of one program, and what clang said of decisions that it cannot measure."""
    program = work / sources[0].stem
    needs = program.with_suffix(".d")
    plain = any("int main(" in s.read_text() for s in sources)
    files = re.findall(r"\S+\.[ch]pp", needs.read_text()) if needs.exists() else []
    if not program.exists() or not files or any(not os.path.exists(f) or os.stat(f).st_mtime > program.stat().st_mtime for f in [*files, *sources]):
        status, output = common.run([common.CLANGXX, *FLAGS, *CATCH, *sources, "-o", program, *([] if plain else CATCH_LIBRARY)])
        if status:
            raise SystemExit(output)
        program.with_suffix(".warnings").write_text(output)
        needs.write_text(common.run([common.CLANGXX, *FLAGS, *CATCH, "-MM", sources[0]])[1])
    raw, merged = program.with_suffix(".raw"), program.with_suffix(".data")
    status, output = common.run([program, *arguments], env={**os.environ, "LLVM_PROFILE_FILE": str(raw)})
    if status:
        raise SystemExit(f"{program.name} fails\n{output}")
    common.run(["llvm-profdata-19", "merge", "-o", merged, raw])
    shown = common.run(["llvm-cov-19", "show", program, f"-instr-profile={merged}", "-show-mcdc", "-show-branches=count", "-show-instantiations=false",
                        common.INCLUDE])[1]
    return shown, program.with_suffix(".warnings").read_text()


class conditions:
    """What all programs together showed: place of a condition → what became of it."""

    def __init__(self):
        self.of_decisions, self.alone = {}, collections.defaultdict(lambda: [False, False, True])
        self.unmeasured = set()

    def read(self, text, warnings):
        file, places = None, []
        for line in text.splitlines():
            if line.endswith(".hpp:") and line.startswith("/"):
                file = pathlib.Path(line[:-1])
            elif "Decision Region" in line:
                places = []
            elif m := re.search(r"Condition C\d+ --> \((\d+):(\d+)\)", line):
                places.append((file, int(m[1]), int(m[2])))
            elif m := re.search(r"C(\d+)-Pair: (covered|not covered|constant folded)", line):
                place = places[int(m[1]) - 1]
                order = ("constant folded", "not covered", "covered")
                self.of_decisions[place] = max(self.of_decisions.get(place, order[0]), m[2], key=order.index)
            elif m := re.search(r"Branch \((\d+):(\d+)\): \[(.*)\]", line):
                found = self.alone[file, int(m[1]), int(m[2])]
                if not m[3].startswith("Folded"):
                    sides = re.findall(r"(?:True|False): ([\w.]+)", m[3])
                    found[0] |= sides[0] != "0"
                    found[1] |= sides[1] != "0"
                    found[2] = False
        for m in re.finditer(r"^(\S+?):(\d+):(\d+): warning: unsupported MC/DC", warnings, re.M):
            self.unmeasured.add(((common.ROOT / m[1]).resolve(), int(m[2]), int(m[3])))

    def verdicts(self):
        """(place, verdict) of every condition that is not constant."""
        for place, verdict in self.of_decisions.items():
            if verdict != "constant folded":
                yield place, "" if verdict == "covered" else "not shown to matter by itself"
        for place, (true, false, folded) in self.alone.items():
            if place not in self.of_decisions and not folded:
                yield place, "" if true and false else "never true" if false else "never false" if true else "never evaluated"
        for place in self.unmeasured:
            yield place, "a decision that clang cannot measure"


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else "tensor"
    chosen = sys.argv[2:]
    work = common.ROOT / "build/coverage" / folder
    work.mkdir(parents=True, exist_ok=True)
    tests = common.ROOT / "tests"
    programs = [([p], []) for p in sorted((tests / folder).glob("test_*.cpp"))]
    if folder == "tensor":
        programs.append(([tests / "fuzz/import.cpp", tests / "fuzz/replay.cpp"], [tests / "fuzz/import.corpus"]))
    seen = conditions()
    with concurrent.futures.ThreadPoolExecutor(common.JOBS) as pool:
        for shown, warnings in pool.map(lambda p: build(work, *p), programs):
            seen.read(shown, warnings)
    reasons = []
    for line in REASONS.read_text().splitlines() if REASONS.exists() else []:
        what, _, reason = line.partition("   # ")
        if line.strip() and line[0] != "#":
            if not reason.strip():
                raise SystemExit(f"{REASONS.name}: needs a reason: {line}")
            reasons.append(what.partition(": "))
    used = set()
    counts = collections.defaultdict(collections.Counter)
    missing = []
    for (file, line, column), verdict in sorted(seen.verdicts(), key=str):
        if file.parent != common.INCLUDE / "tenon" / folder or (chosen and file.name not in chosen):
            continue
        text = file.read_text().splitlines()[line - 1].encode()[column - 1:].decode()
        reason = next((r for r in reasons if r[0] == file.name and text.startswith(r[2].strip())), None)
        if verdict and reason:
            used.add(reason)
            counts[file.name]["reason"] += 1
            continue
        counts[file.name]["shown" if not verdict else "missing"] += 1
        if verdict:
            missing.append((file.name, line, column, verdict, text[:60]))
    for name, line, column, verdict, text in sorted(missing):
        print(f"{name}:{line}:{column}: {verdict}: {text}")
    total = collections.Counter()
    for name, count in sorted(counts.items()):
        total += count
        print(f"{name}: {count['shown']} of {count['shown'] + count['missing']} conditions shown, {count['reason']} with a reason")
    stale = [r for r in reasons if r not in used and (not chosen or r[0] in chosen) and (common.INCLUDE / "tenon" / folder / r[0]).exists()]
    for r in stale:
        print(f"{REASONS.name} lists what was shown or is not there: {''.join(r)}")
    judged = total["shown"] + total["missing"]
    print(f"mcdc: {total['shown']} of {judged} conditions shown ({100 * total['shown'] / max(judged, 1):.1f} %), {total['reason']} with a reason")
    return 1 if total["missing"] or stale else 0


if __name__ == "__main__":
    sys.exit(main())
