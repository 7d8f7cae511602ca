# SPDX-License-Identifier: Apache-2.0
"""What a target does with crafted tensors: three stages (import, read, release), each case in a process of its own."""
import math
import time

import cases
import craft
from isolate import isolated
from targets import Refused


def settled(target, made, wanted):
    """How often it was freed. Some let go later, on a thread of their own or when garbage is collected: waits for that."""
    late = time.monotonic() + 2
    target.settle()
    while made.deleted < wanted and time.monotonic() < late:
        time.sleep(0.01)
        target.settle()
    return made.deleted


def steps(target, helper, case, versioned):
    def action(say):
        made = craft.Made(helper, versioned, **case.fields)
        owed = 0 if case.fields.get("null_deleter") else 1
        offer = target.offer(made)
        x, refused = None, None
        try:
            x = target.take(offer)
        except Refused as why:
            refused = str(why)
        if refused is not None:  # after the exception is gone, with what its traceback held
            say({"refused": refused, "deleted": made.deleted})
            target.withdraw(offer)
            del offer
            say({"total_deleted": settled(target, made, owed), "owed": owed})
            return
        say({"taken": True})
        if case.touch:
            try:
                say({"total": target.total(x), "read_only": target.read_only(x)})
            except Refused as refused:
                say({"unreadable": str(refused)})
        target.release(x)
        del x
        deleted = settled(target, made, owed)
        target.withdraw(offer)
        del offer
        target.settle()
        say({"total_deleted": max(deleted, made.deleted), "owed": owed, "by_capsule": made.by_capsule})
    return action


def same(a, b):
    return not math.isnan(a) and abs(a - b) <= 1e-3 * max(1.0, abs(b))


def verdict(case, name, said, ended):
    """(passed, in a few words)"""
    known = {}
    for one in said:
        known.update(one)
    taken, refused = "taken" in known, "refused" in known
    if ended:
        stage = "release" if "total" in known or "unreadable" in known else "read" if taken else "import"
        if refused:
            stage = "release of what was refused"
        return False, f"{'accepted, ' if taken and case.must != 'ok' else ''}{ended} at {stage}"
    if refused:
        owed, deleted = known["owed"], known["total_deleted"]
        if deleted > owed:
            return False, "error, freed twice"
        if deleted < owed:
            return False, "error, never freed"
        if known["deleted"] and name != "v_major2":  # whose struct may only be deleted
            return False, "error, yet it was consumed"
        return case.must != "ok", "error" if case.must != "ok" else f"error: {known['refused']}"
    if case.must == "error":
        value = f", reads {known['total']:g}" if "total" in known else ", unreadable" if "unreadable" in known else ""
        return False, "accepted" + value
    if "unreadable" in known:
        return False, f"unreadable: {known['unreadable']}"
    if case.touch and not same(known["total"], case.total):
        return False, f"WRONG VALUE {known['total']:g}"
    if known["total_deleted"] != known["owed"]:
        return False, "freed twice" if known["total_deleted"] > known["owed"] else "never freed"
    if known["by_capsule"]:
        return False, "not consumed"
    if case.read_only and known["read_only"] is not True:
        return False, "ok, but writable" if known["read_only"] is False else "ok, but nobody knows it is read-only"
    return True, "ok"


def run(target, helper):
    """{set: {case: [passed, text, what was said]}}; a generation whose plain tensor is refused is not spoken: None."""
    results = {}
    for label, (versioned, chosen) in cases.SETS.items():
        if label == "versions" and results["versioned"] is None:
            results[label] = None
            continue
        rows = {}
        for name, case in chosen.items():
            said, ended = isolated(steps(target, helper, case, versioned))
            passed, text = verdict(case, name, said, ended)
            why = next((s["refused"] for s in said if "refused" in s), "")
            rows[name] = [passed, text, why]
            if name == "ok" and why:
                rows = None
                break
        results[label] = rows
    return results
