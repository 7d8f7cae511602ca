#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The conformance suite on the C++ core: conformance.py [FILTER…]

tests/conformance as anybody may run it, on this library: each crafted tensor has its required verdict and no process ends by a
signal. That the suite can fail is shown on a target that checks nothing. The Python package is in tests/python/test_conformance.py."""
import functools
import json
import os
import sys
import threading

import common

SUITE = common.ROOT / "tests/conformance"
BUILD = common.ROOT / "build/conformance"
ROWS = {"legacy": 36, "versioned": 36, "versions": 10}
ONE_AT_A_TIME = threading.Lock()


@functools.cache
def examined(target):
    to = BUILD / f"{os.path.basename(target)}.json"
    to.unlink(missing_ok=True)
    status, output = common.run([sys.executable, SUITE / "run", "--build", BUILD, "--json", to, target])
    if not to.exists():
        raise RuntimeError(output)
    return status, json.loads(to.read_text())["targets"].get(target), output


def examine(target):
    with ONE_AT_A_TIME:
        BUILD.mkdir(parents=True, exist_ok=True)
        return examined(target)


def imports(target, of):
    _, result, output = examine(target)
    rows = (result or {}).get("consumer", {}).get(of) or {}
    bad = [f"{name}: {text}. {why}" for name, (passed, text, why) in rows.items() if not passed or "SIG" in text or "HANG" in text]
    return "\n".join(bad) or (None if len(rows) == ROWS[of] else f"{len(rows)} of {ROWS[of]} cases ran\n{output}")


def exports(target):
    status, result, output = examine(target)
    rules = (result or {}).get("producer", {})
    bad = [f"{rule}: {verdict}: {'; '.join(texts)}" for rule, (verdict, texts) in rules.items() if verdict in ("bad", "note")]
    if sum(verdict == "ok" for verdict, _ in rules.values()) < 19:
        bad.append(f"too few rules were asked\n{output}")
    return "\n".join(bad) or (None if status == 0 else f"exit status {status}")


def careless(*flags):
    """The target that does all of it wrong, as a library."""
    BUILD.mkdir(parents=True, exist_ok=True)
    library = BUILD / f"careless{''.join(flags)}.so"
    if trouble := common.compiles(["cc", "-shared", "-fPIC", "-O1", *flags, SUITE / "targets/careless.c", "-o", library]):
        raise RuntimeError(trouble)
    return str(library)


def found(library, rows, passes, rules):
    """Nothing, or where the suite said anything else of a careless target."""
    status, result, _ = examine(library)
    texts = {name: "" if passed else text for of in result["consumer"].values() for name, (passed, text, _) in of.items()}
    wrong = [f"{name}: {texts[name] or 'passes'}, expected {text}" for name, text in rows.items() if text not in texts[name]]
    wrong += [f"{name} does not pass: {texts[name]}" for name in passes if texts[name]]
    verdicts = {rule: verdict for rule, (verdict, _) in result["producer"].items()}
    wrong += [f"{rule}: {verdicts[rule]}, expected {verdict}" for rule, verdict in rules.items() if verdicts[rule] != verdict]
    wrong += [f"exit status {status}, expected 1"] if status != 1 else []
    return "\n".join(wrong) or None


def finds_the_careless():
    return found(careless(), {"neg_shape": "accepted, reads 0", "bytes_overflow": "SIG11 at read", "null_data": "SIG11 at read",
                              "null_shape": "SIG11 at read", "byte_offset": "WRONG VALUE 2058", "null_deleter": "SIG11 at release",
                              "v_major2": "accepted, reads 2058", "v_readonly": "ok, but writable", "v_padded_fp4": "WRONG VALUE 10"},
                 ["ok", "scalar", "zero_mid", "v_copied", "v_minor99"],
                 {"B6": "bad", "C1": "ok", "C4": "ok", "D3": "note", "E12": "ok", "H1": "bad", "H2": "note"})


def finds_the_greedy():
    return found(careless("-DGREEDY"), {"neg_shape": "error, freed twice", "ok": "freed twice", "scalar": "freed twice"}, [], {"H1": "bad"})


def compiles():
    sources = [[c, "-std=c++20", "-fsyntax-only", *common.WARNINGS, "-I", common.INCLUDE, "-I", SUITE, f"-DELEMENT={element}",
                SUITE / "targets/tenon_core.cpp"] for c in common.compilers() for element in ("void", "const float")]
    sources += [["cc", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", SUITE / name] for name in ("helper.c", "targets/careless.c")]
    return "\n".join(t for s in sources if (t := common.compiles(s)))


if __name__ == "__main__":
    cases = [("compiles without a warning", compiles), ("finds what is careless", finds_the_careless), ("finds what is greedy", finds_the_greedy)]
    for target in ("tenon", "tenon_float"):
        cases += [(f"{target} {of}", lambda target=target, of=of: imports(target, of)) for of in ROWS]
        cases.append((f"{target} exports", lambda target=target: exports(target)))
    common.tool("conformance", cases)
