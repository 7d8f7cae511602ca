# SPDX-License-Identifier: Apache-2.0
"""One action in a forked process of its own: what it said, and how it ended."""
import json
import os
import resource
import select
import signal
import time
import traceback

ROOM = 10 << 30  # of address space, beyond what is mapped already


def limit_memory():
    with open("/proc/self/statm") as f:
        most = int(f.read().split()[0]) * resource.getpagesize() + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def isolated(action, seconds=60):
    """action(say) in a fork. Gives the list of what it said, and "" or "SIG11", "HANG", "exit 3"."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reader)
            loud = os.dup(2)
            silence = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silence, 1)
            os.dup2(silence, 2)
            for number in (signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL):
                signal.signal(number, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            limit_memory()
            action(lambda said: os.write(writer, json.dumps(said).encode() + b"\n"))
            status = 0
        except BaseException:  # a fault of the suite itself: what a target throws is caught where it is called
            os.write(loud, traceback.format_exc().encode())
        finally:
            os._exit(status)
    os.close(writer)
    text, ended, late = b"", "", time.monotonic() + seconds
    while True:
        left = late - time.monotonic()
        if left <= 0 or not select.select([reader], [], [], left)[0]:
            os.kill(child, signal.SIGKILL)
            ended = "HANG"
            break
        if not (piece := os.read(reader, 65536)):
            break
        text += piece
    os.close(reader)
    _, status = os.waitpid(child, 0)
    if not ended and os.WIFSIGNALED(status):
        ended = f"SIG{os.WTERMSIG(status)}"
    elif not ended and os.WEXITSTATUS(status):
        ended = f"exit {os.WEXITSTATUS(status)}"
    return [json.loads(line) for line in text.splitlines()], ended
