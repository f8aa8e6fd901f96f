"""What a person sees who launches at a terminal."""

import os
import pty
import re
import subprocess


def on_terminal(arguments):
    """Exit code and what came on a pseudo-terminal that was the command's stderr."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=theirs, env=environment)
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # Linux's word for the end of a terminal that nobody has open
            break
        if not part:
            break
        shown += part
    os.close(ours)
    return process.wait(timeout=60), shown.decode()


def counts_of(stage, shown):
    """What a stage's bar showed in turn: pairs of what is done and the total."""
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    return [(int(a), int(b)) for a, b in re.findall(rf"{stage}\s+\S+\s+(\d+)/(\d+)\b", plain)]
