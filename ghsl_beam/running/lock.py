"""One launch at a time on an output.

On a local disk the lock is a file lock of the operating system. It ends with the process, in
whatever way the process ends.

On object storage the lock is a small object:

1. The launch that creates the object has the lock. The service refuses to create it a second time
   (`If-None-Match`).
2. The holder rewrites the object at intervals. This is its sign of life.
3. If there is no sign of life for some intervals, by the clock of the service, the lock was left
   behind. The next launch replaces it. If two launches replace it at the same moment, the service
   refuses one of them (`If-Match`).

No clock of another machine is used.

Some services ignore these conditions. A launch notices this when it tries to create the object that
it has just created. Then the launch that writes last has the lock: each launch writes, waits until
the others must have written, and reads the object. A launch that was slow to write may have
overwritten the lock of a running launch. It waits until that launch must have written again. If a
service does not give the age of the lock, a launch that finds a lock waits for its next sign of
life.
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
from dataclasses import dataclass
from pathlib import Path

from ghsl_beam.process import stopping
from transforms.elements import RequestError, StorageError, UnavailableError
from transforms.storage import conditional, storage
from transforms.work import work_files
from transforms.work.work_files import LOCK

BEAT = 15.0
"""Seconds between two signs of life on object storage."""
_BEATS_TO_DEATH = 4
_TOLD_TO = 2.0
"""Accuracy of a lock's age in seconds: it is the difference of two times in whole seconds."""
_LOOKS = 3
"""Attempts to write a lock that changes again and again."""
_LONGEST = 4096
_LOG = logging.getLogger(__name__)


class Lock:
    """The lock of a launch. It may be lost to another launch if the storage fails for long."""

    def __init__(self) -> None:
        """The lock is held at first."""
        self.held = True


@contextmanager
def only_launch(output: str, beat: float = BEAT) -> Iterator[Lock]:
    """Hold the lock: within the context, no other launch works on the output.

    Args:
        output: location of the products.
        beat: seconds between signs of life, on object storage.

    Raises:
        UnavailableError: another launch runs there.
        RequestError: the folder of the work area belongs to somebody else.
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
    """Check that the folder `work` does not belong to somebody else.

    Raises:
        RequestError: it does.
        StorageError: the storage does not say what is in it.
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
        f"output: another launch runs on {output} ({holder or 'just started'}): "
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
                continue  # its last holder has just removed it
            with suppress(OSError):  # a full disk: the lock holds without a name
                file.truncate(0)
                os.write(file.fileno(), _whoami().encode())
            yield
            return


def _is_still(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


@dataclass
class _Claim:
    """The content that a launch writes into the lock, and the ETag that it replaces, or None."""

    launch: str
    conditional: bool
    etag: str | None = None

    def content(self, number: int) -> bytes:
        """The text of the lock at a beat."""
        about = {"launch": self.launch, "holder": _whoami(), "beat": number}
        return json.dumps(about).encode()


class _TakenError(Exception):
    """Another launch has the lock; the text names its holder."""


@contextmanager
def _leased(output: str, location: str, beat: float) -> Iterator[Lock]:
    left_behind = _left_behind(output, location, beat)
    etag = left_behind.etag if left_behind else None
    claim = _Claim(uuid.uuid4().hex, conditional.available(location), etag)
    began = time.monotonic()
    with stopping.in_order(duty=lambda: _release(location, claim)):
        try:
            try:
                _sign(location, claim, 0)
            except _TakenError as error:
                raise _refused(output, str(error)) from None
            claim.conditional = claim.conditional and _is_enforced(location, claim)
            if not claim.conditional:
                _wait_for_others(output, location, claim, beat, began)
            with _alive(location, claim, beat) as lock:
                yield lock
        finally:
            _release(location, claim)


def _left_behind(output: str, location: str, beat: float) -> conditional.StoredText | None:
    """The lock that a dead launch left behind; None if there is no lock.

    Raises:
        UnavailableError: its holder is alive.
    """
    lock = _look(location)
    if lock is None:
        return None
    if lock.age is None:
        return _wait_for_a_sign_of_life(output, location, lock, beat)
    if lock.age <= _BEATS_TO_DEATH * beat + _TOLD_TO:
        raise _refused(output, _holder(lock.text))
    return lock


def _wait_for_a_sign_of_life(
    output: str, location: str, first: conditional.StoredText, beat: float
) -> conditional.StoredText | None:
    end = time.monotonic() + _BEATS_TO_DEATH * beat
    while time.monotonic() < end:
        time.sleep(beat / 2)
        now = _look(location)
        if now is None:
            return None
        if now.text != first.text:
            raise _refused(output, _holder(now.text))
        first = now
    return first


def _is_enforced(location: str, claim: _Claim) -> bool:
    """Whether the service refuses to create the lock again; if not, it ignores the conditions."""
    try:
        return conditional.enforced(location, claim.content(0))
    except StorageError as error:
        if error.passing:
            raise
        return False


def _wait_for_others(output: str, location: str, claim: _Claim, beat: float, began: float) -> None:
    """Wait until all launches that read the lock before this write have written too.

    The launch that wrote last has the lock. A launch that was slow to write waits for the next sign
    of life of the launch whose lock it may have overwritten.

    Raises:
        UnavailableError: another launch has the lock.
    """
    settled = beat / 8
    slow = time.monotonic() - began > settled / 2
    time.sleep(2 * beat if slow else settled)
    content = _read(location)
    if claim.launch not in content:
        raise _refused(output, _holder(content))


@contextmanager
def _alive(location: str, claim: _Claim, beat: float) -> Iterator[Lock]:
    """Run a thread that signs at every beat."""
    lock, stop = Lock(), threading.Event()
    thread = threading.Thread(
        target=_live, args=(lock, stop, location, claim, beat), name="launch lock", daemon=True
    )
    thread.start()
    try:
        yield lock
    finally:
        stop.set()
        thread.join()


def _live(lock: Lock, stop: threading.Event, location: str, claim: _Claim, beat: float) -> None:
    """Sign at every beat; after failed beats, sign again unless another launch has the lock."""
    number, last = 0, time.monotonic()
    while not stop.wait(beat):
        number += 1
        try:
            late = time.monotonic() - last > 2 * beat
            if late and (content := _read(location)) and claim.launch not in content:
                raise _TakenError(_holder(content))
            _sign(location, claim, number)
            last = time.monotonic()
        except _TakenError as error:
            _LOG.error("%s: another launch has taken the lock: %s", location, error)
            lock.held = False
            return
        except StorageError as error:
            _LOG.warning("cannot write the sign of life: %s", error)


def _release(location: str, claim: _Claim) -> None:
    try:
        if claim.launch in _read(location):
            storage.remove(location)
    except StorageError as error:
        _LOG.warning("cannot remove the lock: %s", error)


def _sign(location: str, claim: _Claim, number: int) -> None:
    """Write the lock, if it is still as this launch knows it.

    Raises:
        _TakenError: another launch has written it.
        StorageError: the storage does not answer, or refuses.
    """
    data = claim.content(number)
    if not claim.conditional:
        storage.write_whole(location, data)
        return
    for _ in range(_LOOKS):
        try:
            written = conditional.write(location, data, claim.etag)
        except conditional.UnsupportedError:
            claim.conditional = False
            storage.write_whole(location, data)
            return
        if written is not None:
            claim.etag = written
            return
        # An earlier try succeeded and its answer was lost, or the work area was removed, or another
        # launch took the lock.
        stored = conditional.read(location, _LONGEST)
        if stored is not None and claim.launch not in stored.text:
            raise _TakenError(_holder(stored.text))
        claim.etag = stored.etag if stored else None
    raise StorageError(location, "is written by others again and again", passing=True)


def _look(location: str) -> conditional.StoredText | None:
    """The lock, with its age if the service gives it."""
    if conditional.available(location):
        return conditional.read(location, _LONGEST)
    text = _read(location)
    return conditional.StoredText(text, "", None) if text else None


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
