"""Locks on files, which end with their process: `flock`, also across machines on a shared folder.

Each opening of a lock file is a lock of its own, so threads of one process exclude each other too.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def locked(path: Path, *, shared: bool = False, wait: bool = True) -> Iterator[int | None]:
    """Within, a lock file is locked; it is made where it is not there.

    Args:
        path: the lock file.
        shared: others may share the lock; else nobody else has it.
        wait: whether to wait for others; else None is yielded where they have it.

    Yields:
        The file's descriptor, or None.

    Raises:
        OSError: it cannot be made or locked.
    """
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        try:
            try:
                fcntl.flock(handle, kind if wait else kind | fcntl.LOCK_NB)
            except BlockingIOError:
                yield None
                return
            if not _is_there(handle, path):
                continue  # it was removed while we waited: another file has the name now
            yield handle
            return
        finally:
            os.close(handle)


def remove_locked(path: Path) -> None:
    """Remove a lock file that the caller has locked alone: those who wait for it open a new one."""
    with suppress(FileNotFoundError):
        path.unlink()


def _is_there(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False
