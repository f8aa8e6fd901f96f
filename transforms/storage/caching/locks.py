"""Locks on files (`flock`), which end with their process; on a shared folder, across machines.

Each open lock file is a separate lock, so threads of one process exclude each other too.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def locked(path: Path, *, shared: bool = False, wait: bool = True) -> Iterator[int | None]:
    """Inside the context, a lock file is locked; it is created if it does not exist.

    Args:
        path: the lock file.
        shared: others may share the lock; if not, it is held alone.
        wait: whether to wait for others; if not, None is yielded if they have the lock.

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
    """Remove a lock file that the caller holds alone; waiting processes open a new one."""
    with suppress(FileNotFoundError):
        path.unlink()


def _is_there(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False
