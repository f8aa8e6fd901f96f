"""The limits of a service, shared by all processes of a machine.

Each service has its own folder in the temporary directory. Each slot is a file there: a thread that
has locked it may have one request in flight. Another file has the time when the next request may be
sent. The system releases a lock when its process ends, also if it is killed.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import random
import stat
import struct
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from transforms.elements import StorageError

from .service import BURST, Service, host_of

_LOOK_EVERY = (0.005, 0.03)
"""Seconds between two tries to lock a slot: random, so that every thread gets one."""
_LONGEST_QUEUE = 600.0
"""The next request is due within this number of seconds; if not, the clock was set back."""
_held = threading.local()


@contextmanager
def slot(service: Service | None) -> Iterator[float]:
    """Wait for a free connection of the service and hold it; yield the seconds waited.

    A thread that already holds one uses it again: it has one request in flight at a time.

    Raises:
        StorageError: no connection is left for this machine, or the files of the limits cannot
            be used.
    """
    if service is None or service.slots is None:
        yield 0.0
        return
    folder = _folder(service)
    mine: set[Path] = _held.__dict__.setdefault("folders", set())
    if folder in mine:
        yield 0.0
        return
    if not service.slots:
        raise StorageError(
            service.endpoint or "Amazon S3",
            f"storage service {service.name} has no connection for this machine, because "
            f"{service.machines} machines share {service.connections}; lower --parallelism",
        )
    begun = time.monotonic()
    handle = _lock_one(folder, service.slots)
    mine.add(folder)
    try:
        yield time.monotonic() - begun
    finally:
        mine.discard(folder)
        os.close(handle)


def _lock_one(folder: Path, slots: int) -> int:
    while True:
        for number in random.sample(range(slots), slots):
            handle = _open(folder / f"slot-{number}")
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return handle
            except BlockingIOError:
                os.close(handle)
            except OSError as error:
                os.close(handle)
                raise _unusable(folder, error) from error
        time.sleep(random.uniform(*_LOOK_EVERY))  # noqa: S311 - no secret


def count_requests(service: Service) -> Callable[..., Awaitable[None]]:
    """A function that a client calls before each request; it waits for the turn of the request."""

    async def wait(**_: object) -> None:
        if (seconds := turn(service)) > 0:
            await asyncio.sleep(seconds)

    return wait


def turn(service: Service) -> float:
    """Reserve the turn of one request; return the seconds until then. It must be sent then.

    Raises:
        StorageError: the files of the limits cannot be used.
    """
    if service.pause is None:
        return 0.0
    folder = _folder(service)
    handle = _open(folder / "turn")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        now = time.time()
        stored = os.pread(handle, 8, 0)
        due = struct.unpack("<d", stored)[0] if len(stored) == 8 else now
        # `due` is the time of the next request if all requests come at even intervals.
        if not 0 <= due <= now + max(_LONGEST_QUEUE, 100 * service.pause):
            due = now
        due = max(due, now)
        os.pwrite(handle, struct.pack("<d", due + service.pause), 0)
        return max(0.0, due - BURST - now)
    except OSError as error:
        raise _unusable(folder, error) from error
    finally:
        os.close(handle)


def _folder(service: Service) -> Path:
    """The folder of a service; it is created if necessary, and no other user can write to it."""
    mark = hashlib.sha256(host_of(service.endpoint or "Amazon S3").encode()).hexdigest()[:16]
    base = Path(tempfile.gettempdir(), f"ghsl-beam-limits-{os.getuid()}")
    folder = base / mark
    try:
        for part in (base, folder):
            part.mkdir(mode=0o700, exist_ok=True)
        about = base.lstat()
    except OSError as error:
        raise _unusable(folder, error) from error
    if about.st_uid != os.getuid() or not stat.S_ISDIR(about.st_mode) or about.st_mode & 0o022:
        raise StorageError(str(base), "belongs to another user; remove it, or set TMPDIR")
    return folder


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unusable(path, error) from error


def _unusable(path: Path, error: OSError) -> StorageError:
    reason = f"cannot hold the limits of a storage service ({error.strerror}); set TMPDIR"
    return StorageError(str(path), reason)
