# SPDX-License-Identifier: Apache-2.0
"""The findings as Markdown tables: case × target, rule × target, and the sums."""
import cases
import producer

TITLES = {"legacy": "The 36 cases in the old struct", "versioned": "The 36 cases in the versioned struct",
          "versions": "The 10 cases of version and flags"}


def table(head, rows):
    return "\n".join("| " + " | ".join(str(c).replace("|", "\\|") for c in row) + " |" for row in [head, ["---"] * len(head), *rows])


def short(passed, text):
    text = text if len(text) <= 44 else text[:43] + "…"
    return text if passed else f"✗ {text}"


def score(rows):
    return "–" if rows is None else f"{sum(passed for passed, *_ in rows.values())} of {len(rows)}"


def died(rows):
    """How often the process ended by a signal, or never."""
    return sum("SIG" in text or "HANG" in text for _, text, _ in rows.values()) if rows else 0


def producer_score(result):
    asked = [v for v, _ in result["producer"].values() if v != "none"]
    return f"{sum(v == 'ok' for v in asked)} of {len(asked)}" if asked else "–"


def keeps_all(result):
    """Every required verdict; a generation that is not spoken, and a note, break nothing."""
    rows = [row for of in result["consumer"].values() if of for row in of.values()]
    return bool(rows) and all(passed for passed, *_ in rows) and all(v != "bad" for v, _ in result["producer"].values())


def sums(targets):
    lines = [[t["version"], *(score(t["consumer"][s]) for s in cases.SETS), sum(died(rows) for rows in t["consumer"].values()), producer_score(t)]
             for t in targets.values()]
    return table(["", "old struct", "versioned", "versions, flags", "processes ended", "rules of export and door"], lines)


def tables(whole, details=False):
    targets = whole["targets"]
    versions = [t["version"] for t in targets.values()]
    parts = [f"{whole['date']}, {whole['machine']}, Python {whole['python']}", sums(targets)]
    for label, (_, chosen) in cases.SETS.items():
        speak = {n: t for n, t in targets.items() if t["consumer"][label]}
        if not speak:
            continue
        rows = [[name, case.rule, case.must, *(short(*t["consumer"][label][name][:2]) for t in speak.values())]
                for name, case in chosen.items()]
        parts += [f"## {TITLES[label]}", table(["case", "rule", "must", *(t["version"] for t in speak.values())], rows)]
    marks = {"ok": "ok", "bad": "✗", "note": "note", "none": "–"}
    rows = [[rule, text, *(marks[t["producer"][rule][0]] for t in targets.values())] for rule, text in producer.RULES.items()]
    parts += ["## Exports and the door", table(["rule", "", *versions], rows)]
    said = [f"- {t['version']}, {rule}, {verdict}: {text}" for t in targets.values() for rule, (verdict, texts) in t["producer"].items()
            for text in texts]
    if details:
        said += [f"- {t['version']}, {name} ({label}): {text}; {why}" for t in targets.values() for label, rows in t["consumer"].items() if rows
                 for name, (passed, text, why) in rows.items() if why]
    if said:
        parts += ["What was found:\n\n" + "\n".join(said)]
    return "\n\n".join(parts)
