"""Downloads model files: in parallel, with continuation of partial files, and with checks."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ghsl_beam.models.checksums import read_sums
from ghsl_beam.models.manifest import PublishedModel
from transforms.elements import ModelError, StorageError, fingerprint
from transforms.inference.models import model_names
from transforms.inference.weights import load_model
from transforms.storage.remote import Limits, TooLarge, Unavailable, bounded, open_part, retrying
from transforms.storage.room import why_not_written
from transforms.storage.storage import join, masked, published

THREADS = 4
Report = Callable[[str, int, int | None], None]
"""Receives a zone, its bytes so far, and the total bytes, during a download."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A complete model of a zone in the folder; `new` if it was downloaded just now."""

    zone: str
    path: Path
    sha256: str
    new: bool


@dataclass(frozen=True, slots=True)
class NotFetched:
    """A zone whose model could not be fetched, with the reason in one line."""

    zone: str
    reason: str


def fetch_models(
    zones: Sequence[tuple[str, PublishedModel | None]],
    base: str,
    folder: Path,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    report: Report = lambda zone, done, total: None,
) -> Iterator[Fetched | NotFetched]:
    """Fetch models, a few at a time; yield each outcome when it is ready.

    Args:
        zones: grid zones, each with the known facts about its file, or None.
        base: URL or local path of the folder that contains the files.
        folder: where to put them.
        limits: limits of size, time and attempts.
        report: called from several threads.
    """
    stop = threading.Event()

    def report_or_stop(zone: str, done: int, total: int | None) -> None:
        if stop.is_set():
            raise ModelError(zone, "stopped; the part that was downloaded is kept")
        report(zone, done, total)

    with ThreadPoolExecutor(THREADS, thread_name_prefix="fetch") as pool:
        futures = {
            pool.submit(fetch_model, zone, base, folder, known, limits, report_or_stop): zone
            for zone, known in zones
        }
        try:
            for future in as_completed(futures):
                try:
                    yield future.result()
                except ModelError as error:
                    yield NotFetched(futures[future], str(error))
        finally:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)


def fetch_model(
    zone: str,
    base: str,
    folder: Path,
    known: PublishedModel | None = None,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    report: Report = lambda zone, done, total: None,
) -> Fetched:
    """Fetch the model of one zone, check it, and put it in the folder, unless a good one is there.

    A partial file stays in the folder as `.NAME.part`. The next call continues it, if the server
    still has the same content.

    Raises:
        ModelError: it cannot be fetched, or the file is not a GHS-S2Net or not the known one. Such
            a file is removed.
    """
    names = [known.file] if known else model_names(zone)
    for name in names:
        if (folder / name).is_file():
            return _present(zone, folder / name, known)
    for name in names:
        url = join(base, name)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path, digest = _fetch(url, folder / name, known, limits, _named(report, zone))
        except Unavailable as error:
            if error.missing and name != names[-1]:
                continue
            raise ModelError(masked(url), str(error)) from error
        except OSError as error:
            reason = f"cannot be written: {why_not_written(error, folder / name)}"
            raise ModelError(str(folder / name), reason) from error
        except StorageError as error:
            raise ModelError(error.file, error.reason) from error
        return Fetched(zone, path, digest, new=True)
    raise AssertionError("the last name returns or raises")


def _named(report: Report, zone: str) -> Callable[[int, int | None], None]:
    return lambda done, total: report(zone, done, total)


def _present(zone: str, path: Path, known: PublishedModel | None) -> Fetched:
    try:
        digest = load_model(path)[1]
        recorded = read_sums(str(path.parent)).get(path.name, digest)
        if recorded != digest:
            raise ModelError(str(path), f"has SHA-256 {digest}, but {recorded} is recorded")
        if known:
            _compare(path, path, known)
    except ModelError as error:
        reason = f"{error.reason}; move it away to fetch it again"
        raise ModelError(str(path), reason) from error
    return Fetched(zone, path, digest, new=False)


def _fetch(
    url: str,
    target: Path,
    known: PublishedModel | None,
    limits: Limits,
    report: Callable[[int, int | None], None],
) -> tuple[Path, str]:
    part = target.with_name(f".{target.name}.part")
    state = part.with_suffix(".json")
    with _claimed(part, state) as stream:
        try:
            for attempt in retrying(limits):
                with attempt:
                    _continue(url, stream, state, limits, report)
        except TooLarge:
            stream.truncate(0)
            raise
        try:
            if known:
                _compare(part, target, known)
            digest = load_model(part)[1]
        except ModelError as error:
            stream.truncate(0)
            raise ModelError(masked(url), error.reason) from error
        with published(str(target)) as partial:
            os.replace(part, partial)
        state.unlink()
    return target, digest


@contextmanager
def _claimed(part: Path, state: Path) -> Iterator[BinaryIO]:
    """Open the partial file for appending, for this process and thread alone."""
    with part.open("a+b") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mine = part.exists() and os.path.samestat(os.fstat(stream.fileno()), part.stat())
        except BlockingIOError:
            mine = False
        if not mine:
            raise ModelError(str(part), "another process downloads it now")
        try:
            yield stream
        finally:
            stream.flush()
            if part.exists() and part.stat().st_size == 0:  # nothing useful was received
                part.unlink()
                state.unlink(missing_ok=True)


def _continue(
    url: str,
    stream: BinaryIO,
    state: Path,
    limits: Limits,
    report: Callable[[int, int | None], None],
) -> None:
    """Make one attempt, from where the last one stopped."""
    done = stream.seek(0, os.SEEK_END)
    mark, total = _read_state(state, url)
    if not mark:
        done = 0
    if done and done == total:
        return
    with open_part(url, limits, done, mark, total) as part:
        if part.start == 0:
            stream.truncate(0)
            state.write_text(json.dumps([fingerprint(url), part.mark, part.total]))
        done = part.start
        for piece in bounded(part.pieces, limits.size, done):
            stream.write(piece)
            done += len(piece)
            report(done, part.total)
    stream.flush()


def _read_state(state: Path, url: str) -> tuple[str, int | None]:
    """Mark and size of a partial file's content; no mark if the file is of no use."""
    try:
        source, mark, total = json.loads(state.read_text())
    except (OSError, ValueError, TypeError):  # missing or damaged: start from the beginning
        return "", None
    return (mark, total) if source == fingerprint(url) else ("", None)


def _compare(path: Path, target: Path, known: PublishedModel) -> None:
    """Compare a file with the facts in the manifest."""
    content = path.read_bytes()
    blob = b"blob %d\0" % len(content)
    facts = {
        "bytes": len(content),
        "git_blob": hashlib.sha1(blob + content, usedforsecurity=False).hexdigest(),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    for key, value in facts.items():
        expected = getattr(known, key)
        if expected is not None and value != expected:
            raise ModelError(str(target), f"has {key} {value}, expected {expected} by the manifest")
