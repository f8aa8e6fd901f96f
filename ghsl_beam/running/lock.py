"""One launch at a time on an output.

On a local disk the lock is the operating system's: it ends with the process, however that ends.
On object storage it is a small object that its holder writes anew at intervals; one that has not
changed for some intervals was left behind. No clock of another machine is believed. Of two that
come together who wrote last has it, and who took so long to write that it may have come over one
that has it already waits until that one had to show itself.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import platform
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ghsl_beam.process import stopping
from transforms.elements import RequestError, StorageError, UnavailableError
from transforms.storage import storage
from transforms.work import work_files
from transforms.work.work_files import LOCK

BEAT = 15.0
"""Seconds between two signs of life on object storage."""
_BEATS_TO_DEATH = 4
_LONGEST = 4096
_LOG = logging.getLogger(__name__)


class Lock:
    """A launch's hold on its output. A storage that fails for long may have given it to another."""

    def __init__(self) -> None:
        """Held."""
        self.held = True


@contextmanager
def only_launch(output: str, beat: float = BEAT) -> Iterator[Lock]:
    """Within, no other launch works on the output.

    Args:
        output: location of the products.
        beat: seconds between signs of life, on object storage.

    Raises:
        UnavailableError: another launch is at work there.
        RequestError: the folder of the work area is somebody else's.
    """
    check_work_area(output)
    work = storage.join(output, "work")
    location = storage.join(work, LOCK)
    if storage.is_url(output):
        with _leased(output, location, beat) as lock:
            work_files.claim(work)
            yield lock
    else:
        with stopping.in_order(), _locked(output, Path(location)):
            work_files.claim(work)
            yield Lock()


def check_work_area(output: str) -> None:
    """Make sure that no launch works in a folder `work` that is somebody else's.

    Raises:
        RequestError: there is one.
        StorageError: the storage does not say what is there.
    """
    work = storage.join(output, "work")
    reason = work_files.problem(work)
    if reason:
        raise RequestError(
            f"output: {work} {reason}: move it away (or remove it, if an earlier version of "
            "ghsl-beam made it), or choose another output"
        )


def _refused(output: str, holder: str) -> UnavailableError:
    return UnavailableError(
        f"output: another launch is at work on {output} ({holder or 'just started'}): "
        "wait until it has ended"
    )


def _whoami() -> str:
    return f"process {os.getpid()} on {platform.node()}"


@contextmanager
def _locked(output: str, path: Path) -> Iterator[None]:
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = path.open("a+", encoding="utf-8")
        except FileNotFoundError:
            continue  # an ending launch has just removed the work area
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise _refused(output, file.read(_LONGEST)) from None
            if not _is_still(path, file.fileno()):
                continue  # so has its last holder
            with suppress(OSError):  # on a full disk: the lock holds, and who has it is not told
                file.truncate(0)
                os.write(file.fileno(), _whoami().encode())
            yield
            return


def _is_still(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


@contextmanager
def _leased(output: str, location: str, beat: float) -> Iterator[Lock]:
    left_behind = _wait_for_a_sign_of_life(output, location, beat)
    mine, settled = uuid.uuid4().hex, beat / 8
    began = time.monotonic()
    found = _read(location)
    if found not in ("", left_behind):
        raise _refused(output, _holder(found))
    with stopping.in_order(duty=lambda: _release(location, mine)):
        try:
            _sign(location, mine, 0)
            # Whoever looked before this was written writes within the same time, or waits for a
            # beat of us.
            slow = time.monotonic() - began > settled / 2
            time.sleep(2 * beat if slow else settled)
            found = _read(location)
            if mine not in found:
                raise _refused(output, _holder(found))
            with _alive(location, mine, beat) as lock:
                yield lock
        finally:
            _release(location, mine)


@contextmanager
def _alive(location: str, mine: str, beat: float) -> Iterator[Lock]:
    """Within, a thread signs at every beat."""
    lock, stop = Lock(), threading.Event()
    thread = threading.Thread(
        target=_live, args=(lock, stop, location, mine, beat), name="launch lock", daemon=True
    )
    thread.start()
    try:
        yield lock
    finally:
        stop.set()
        thread.join()


def _live(lock: Lock, stop: threading.Event, location: str, mine: str, beat: float) -> None:
    """Sign at every beat. Beats that fail are made up for, unless another has come by then."""
    number, last = 0, time.monotonic()
    while not stop.wait(beat):
        number += 1
        try:
            late = time.monotonic() - last > 2 * beat
            if late and (found := _read(location)) and mine not in found:
                _LOG.error("%s: taken over by %s", location, _holder(found))
                lock.held = False
                return
            _sign(location, mine, number)
            last = time.monotonic()
        except StorageError as error:
            _LOG.warning("no sign of life: %s", error)


def _release(location: str, mine: str) -> None:
    try:
        if mine in _read(location):
            storage.remove(location)
    except StorageError as error:
        _LOG.warning("the lock is left behind: %s", error)


def _wait_for_a_sign_of_life(output: str, location: str, beat: float) -> str:
    """The lock that its holder left behind; nothing where there is none."""
    first = _read(location)
    end = time.monotonic() + _BEATS_TO_DEATH * beat
    while first and time.monotonic() < end:
        time.sleep(beat / 2)
        now = _read(location)
        if now and now != first:
            raise _refused(output, _holder(now))
        first = now
    return first


def _sign(location: str, mine: str, number: int) -> None:
    content = {"launch": mine, "holder": _whoami(), "beat": number}
    storage.write_whole(location, json.dumps(content).encode())


def _read(location: str) -> str:
    try:
        return storage.read_bytes(location, _LONGEST).decode(errors="replace")
    except StorageError as error:
        if error.absent:
            return ""
        raise


def _holder(content: str) -> str:
    try:
        return str(json.loads(content)["holder"])
    except (ValueError, KeyError, TypeError):
        return ""
