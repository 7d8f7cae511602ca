#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The main job as its user sees it: main_job.py PROGRAM

Equal bits for equal seeds and any number of threads; Ctrl-C keeps a check-point that --resume continues to the same bits; a missing
data set and a wrong option give one clear line.
"""
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

PROGRAM = os.path.abspath(sys.argv[1])
SHORT = ["--epochs", "2", "--limit", "3000"]


def run(*args):
    r = subprocess.run([PROGRAM, *args], capture_output=True, text=True, timeout=100)
    return r.returncode, r.stdout, r.stderr


def trained(*args):
    code, out, err = run(*SHORT, *args)
    assert code == 0, (args, code, err)
    lines = dict(line.split(": ", 1) for line in out.splitlines()[-4:])
    assert list(lines) == ["test accuracy", "images/s", "parameters crc32", "bytes copied at the doors"], out
    assert lines["bytes copied at the doors"] == "0", out
    assert float(lines["test accuracy"]) > 0.5, out
    return lines["parameters crc32"]


def interrupted(how):
    """Stops a training half-way: the signal is sent earlier until it comes before the end."""
    delay = 1.0
    while delay > 0.005:
        pathlib.Path("kept").unlink(missing_ok=True)
        p = subprocess.Popen([PROGRAM, *SHORT, "--checkpoint", "kept"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))  # a job in the background ignores it
        if how == signal.SIGKILL:  # loses what came after the last check-point: wait for the first
            while not os.path.exists("kept") and p.poll() is None:
                time.sleep(0.001)
        else:
            time.sleep(delay)
        p.send_signal(how)
        out, err = p.communicate(timeout=100)
        if p.returncode == (130 if how == signal.SIGINT else -how) and os.path.exists("kept"):
            return out, err
        delay /= 1.5
    raise AssertionError("it always ends before the signal")


with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    crc = trained()
    assert trained() == crc, "two runs differ"
    assert trained("--threads", "2") == crc, "two threads change the bits"
    assert trained("--seed", "2") != crc, "the seed changes nothing"
    assert os.listdir(".") == [], f"left behind: {os.listdir('.')}"

    _, err = interrupted(signal.SIGINT)
    assert "--resume" in err, err
    assert trained("--checkpoint", "kept", "--resume") == crc, "resumed after Ctrl-C to other bits"
    interrupted(signal.SIGKILL)
    assert trained("--checkpoint", "kept", "--resume") == crc, "resumed after a kill to other bits"
    os.truncate("kept", os.path.getsize("kept") - 1)
    code, _, err = run(*SHORT, "--checkpoint", "kept", "--resume")
    assert code == 1 and "truncated" in err, (code, err)

    code, out, err = run("--data", "nowhere")
    assert code == 1 and out == "" and len(err.splitlines()) == 1 and "dataset-fashion-mnist" in err, (code, out, err)
    for wrong in (["--epoch", "1"], ["--epochs"], ["--threads", "none"], ["--threads", "0"]):
        code, out, err = run(*wrong)
        assert code == 2 and out == "" and len(err.splitlines()) == 1, (wrong, code, out, err)
print("equal bits over runs, threads, Ctrl-C and a kill; clear errors")
