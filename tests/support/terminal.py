"""Runs a command at a pseudo-terminal, to see its display."""

import os
import pty
import re
import select
import subprocess
import time


def on_terminal(arguments, seconds=600):
    """Exit code, and the output on a pseudo-terminal that was the command's stderr.

    A command that takes longer is killed, and the test fails.
    """
    until = time.monotonic() + seconds
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=theirs, env=environment)
    os.close(theirs)
    shown = b""
    try:
        while True:
            ready, _, _ = select.select([ours], [], [], max(0, until - time.monotonic()))
            assert ready, f"no end after {seconds} s: {shown.decode()[-2000:]}"
            try:
                part = os.read(ours, 65536)
            except OSError:  # Linux's word for the end of a terminal that nobody has open
                break
            if not part:
                break
            shown += part
        return process.wait(timeout=60), shown.decode()
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def counts_of(stage, shown):
    """The states of a stage's bar, in order: pairs of what is done and the total."""
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    return [(int(a), int(b)) for a, b in re.findall(rf"{stage}\s+\S+\s+(\d+)/(\d+)\b", plain)]
