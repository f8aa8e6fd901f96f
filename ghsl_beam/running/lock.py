"""One launch at a time on an output.

On a local disk the lock is the operating system's: it ends with the process, however that ends.
On object storage it is a small object. The launch that creates it has the lock: the service
refuses every later one (`If-None-Match`). Its holder writes it anew at intervals, as a sign of
life. A lock without one for some intervals, by the service's own clock, was left behind: the next
launch replaces it, and of two that replace it at once the service refuses one (`If-Match`). No
clock of another machine is believed.

Some services ignore these conditions, which shows when a launch tries to create what it has just
created. There the launch that writes last has the lock: each waits after it wrote until the others
must have written, and looks. One that took so long to write that it may have come over a launch at
work waits until that one had to show itself. Where a service does not tell the lock's age, a launch
that finds a lock waits for its next sign of life.
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
"""Seconds to which the age of a lock is known: it is the difference of two times to the second."""
_LOOKS = 3
"""How often the lock may have changed before it is written."""
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


@dataclass
class _Claim:
    """What a launch writes into the lock, and the ETag of what it replaces: None where nothing."""

    launch: str
    conditional: bool
    etag: str | None = None

    def content(self, number: int) -> bytes:
        """The lock's text at a beat."""
        about = {"launch": self.launch, "holder": _whoami(), "beat": number}
        return json.dumps(about).encode()


class _TakenError(Exception):
    """Another launch has the lock; the text says who."""


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
            claim.conditional = claim.conditional and _is_honoured(location, claim)
            if not claim.conditional:
                _wait_for_others(output, location, claim, beat, began)
            with _alive(location, claim, beat) as lock:
                yield lock
        finally:
            _release(location, claim)


def _left_behind(output: str, location: str, beat: float) -> conditional.StoredText | None:
    """The lock that its holder left behind; None where there is none.

    Raises:
        UnavailableError: its holder is alive.
    """
    found = _look(location)
    if found is None:
        return None
    if found.age is None:
        return _wait_for_a_sign_of_life(output, location, found, beat)
    if found.age <= _BEATS_TO_DEATH * beat + _TOLD_TO:
        raise _refused(output, _holder(found.text))
    return found


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


def _is_honoured(location: str, claim: _Claim) -> bool:
    """Whether the service refuses to create the lock once more; else it took no notice before."""
    try:
        return conditional.enforced(location, claim.content(0))
    except StorageError as error:
        if error.passing:
            raise
        return False


def _wait_for_others(output: str, location: str, claim: _Claim, beat: float, began: float) -> None:
    """Wait until who looked before this launch wrote has written too; who wrote last has the lock.

    Who took long to write waits for a beat of the one that it may have come over.

    Raises:
        UnavailableError: another launch has it.
    """
    settled = beat / 8
    slow = time.monotonic() - began > settled / 2
    time.sleep(2 * beat if slow else settled)
    found = _read(location)
    if claim.launch not in found:
        raise _refused(output, _holder(found))


@contextmanager
def _alive(location: str, claim: _Claim, beat: float) -> Iterator[Lock]:
    """Within, a thread signs at every beat."""
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
    """Sign at every beat. Beats that fail are made up for, unless another has come by then."""
    number, last = 0, time.monotonic()
    while not stop.wait(beat):
        number += 1
        try:
            late = time.monotonic() - last > 2 * beat
            if late and (found := _read(location)) and claim.launch not in found:
                raise _TakenError(_holder(found))
            _sign(location, claim, number)
            last = time.monotonic()
        except _TakenError as error:
            _LOG.error("%s: taken over by %s", location, error)
            lock.held = False
            return
        except StorageError as error:
            _LOG.warning("no sign of life: %s", error)


def _release(location: str, claim: _Claim) -> None:
    try:
        if claim.launch in _read(location):
            storage.remove(location)
    except StorageError as error:
        _LOG.warning("the lock is left behind: %s", error)


def _sign(location: str, claim: _Claim, number: int) -> None:
    """Write the lock, where it is still as this launch knows it.

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
        # An earlier try got through and its answer was lost, or the work area was removed, or
        # another launch came.
        found = conditional.read(location, _LONGEST)
        if found is not None and claim.launch not in found.text:
            raise _TakenError(_holder(found.text))
        claim.etag = found.etag if found else None
    raise StorageError(location, "written by others again and again", passing=True)


def _look(location: str) -> conditional.StoredText | None:
    """The lock with its age, where the service tells it."""
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
