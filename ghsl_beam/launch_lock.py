"""One launch at a time on an output.

On a local disk the lock is the operating system's: it ends with the process, however that ends.
On object storage it is a small object that its holder writes anew at intervals; one that has not
changed for some intervals was left behind. No clock of another machine is believed.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from transforms.elements import RequestError, StorageError
from transforms.raster import storage

BEAT = 15.0
"""Seconds between two signs of life on object storage."""
_BEATS_TO_DEATH = 4
_LONGEST = 4096


@contextmanager
def only_launch(output: str, beat: float = BEAT) -> Iterator[None]:
    """Within, no other launch works on the output.

    Args:
        output: location of the products.
        beat: seconds between signs of life, on object storage.

    Raises:
        RequestError: another launch is at work there.
    """
    location = storage.join(output, "work", "launch.lock")
    if storage.is_url(output):
        with _leased(output, location, beat):
            yield
    else:
        with _locked(output, Path(location)):
            yield


def _refused(output: str, holder: str) -> RequestError:
    return RequestError(
        f"output: another launch is at work on {output} ({holder or 'just started'}): "
        "wait until it has ended"
    )


def _whoami() -> str:
    return f"process {os.getpid()} on {platform.node()}"


@contextmanager
def _locked(output: str, path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with path.open("a+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise _refused(output, file.read(_LONGEST)) from None
            if not _is_still(path, file.fileno()):
                continue  # its last holder has just removed the work area
            file.truncate(0)
            file.write(_whoami())
            file.flush()
            yield
            return


def _is_still(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


@contextmanager
def _leased(output: str, location: str, beat: float) -> Iterator[None]:
    _wait_for_a_sign_of_life(output, location, beat)
    mine = uuid.uuid4().hex
    _sign(location, mine, 0)
    time.sleep(beat / 8)  # who wrote last, of two that came together, has it
    if mine not in _read(location):
        raise _refused(output, _holder(_read(location)))
    stop = threading.Event()

    def live() -> None:
        number = 0
        while not stop.wait(beat):
            number += 1
            _sign(location, mine, number)

    thread = threading.Thread(target=live, name="launch lock", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        storage.remove(location)


def _wait_for_a_sign_of_life(output: str, location: str, beat: float) -> None:
    """Return where there is no lock, or one that its holder left behind."""
    first = _read(location)
    end = time.monotonic() + _BEATS_TO_DEATH * beat
    while first and time.monotonic() < end:
        time.sleep(beat / 2)
        now = _read(location)
        if now and now != first:
            raise _refused(output, _holder(now))
        first = now


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
