"""A temporary folder of this process, removed when the process ends in any way."""

from __future__ import annotations

import atexit
import fcntl
import os
import re
import shutil
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

_PREFIX = "ghsl-beam-of-"
_LOCK = "in-use"
_NAME = re.compile(rf"{_PREFIX}[a-z0-9_]{{8}}")
"""The form of the names that `mkdtemp` makes from the prefix."""


@cache
def process_folder() -> Path:
    """The folder of this process, below the folder for temporary files (`TMPDIR`).

    It is removed when the process ends. A killed process cannot do that, so the next process
    removes what killed processes left. A lock on a file shows whether the owner still runs. The
    lock also works across containers that share the folder, where process numbers say nothing.
    """
    _remove_left_behind(Path(tempfile.gettempdir()))
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    beside = folder / f"{_LOCK}.new"
    handle = os.open(beside, os.O_CREAT | os.O_RDWR, 0o600)  # stays open: the lock is on it
    with suppress(OSError):  # without locks, nobody removes this folder either
        fcntl.flock(handle, fcntl.LOCK_EX)
    beside.rename(folder / _LOCK)  # the file gets its name only after it is locked
    owner = os.getpid()

    def remove() -> None:
        if os.getpid() == owner:  # not in a forked child
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return folder


def _remove_left_behind(below: Path) -> None:
    for folder in below.glob(f"{_PREFIX}*"):
        if not _NAME.fullmatch(folder.name) or folder.is_symlink():
            continue  # not made here
        try:
            handle = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            continue  # it is being created, or belongs to another user
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue  # in use
        finally:
            os.close(handle)
