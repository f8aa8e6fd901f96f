"""Runs of a job in a separate process, which tests disturb."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path


def start(
    file: Path, *options: str, before: Sequence[str] = (), cwd: Path | None = None, **env: str
) -> subprocess.Popen:
    """Start `ghsl-beam run`, by a command `before` it, as the leader of a process group."""
    return subprocess.Popen(
        [*before, sys.executable, "-m", "ghsl_beam", "run", str(file), "--quiet", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=cwd,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **env},
    )


def finish(process: subprocess.Popen, seconds: float = 300) -> tuple[int, str, str]:
    """Wait for the end: exit code, standard output, standard error."""
    out, err = process.communicate(timeout=seconds)
    return process.returncode, out, err


def cut(process: subprocess.Popen) -> None:
    """Kill the launcher and all its processes at once; they cannot tidy up."""
    with suppress(ProcessLookupError):  # it had ended by itself
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def wait_until(condition, process: subprocess.Popen, seconds: float = 120) -> bool:
    """Wait until a condition is true (True), or the process has ended (False)."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        if process.poll() is not None:
            return False
        time.sleep(0.01)
    raise AssertionError("the condition is not true in time, and the process has not ended")


def children(pid: int) -> list[int]:
    """Processes below a process, deepest last."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):  # it ended since it was listed
            for child in task.read_text().split():
                found += [int(child), *children(int(child))]
    return found


def files_of(output: Path, pattern: str) -> dict[str, tuple[int, int]]:
    """Inode and time of each file, by path: the same pair means that it was not written again."""
    found = {}
    try:
        paths = sorted(output.glob(pattern))
    except FileNotFoundError:  # a folder was removed while it was listed: look again
        return files_of(output, pattern)
    for path in paths:
        if ".partial" in path.name:
            continue
        with suppress(FileNotFoundError):  # removed since it was listed
            about = path.stat()
            found[str(path.relative_to(output))] = (about.st_ino, about.st_mtime_ns)
    return found
