"""A folder of archive files, of limited size, that many processes and many jobs share.

An entry is a data file, and a note with its size and its SHA-256. It appears whole or not at all.
Each entry has a lock file. A reader shares the lock; a process that fetches or removes the entry
has the lock alone. So one process fetches while the others wait, and no file in use is removed. A
lock ends with its process. There is no deadlock: no process waits for the locks of two entries, and
the lock of the folder is held only for a short time.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from transforms.elements import SourceFile, StorageError
from transforms.storage import storage
from transforms.storage.files.writing import to_disk
from transforms.storage.locations import is_url
from transforms.storage.room import in_words, why_not_written
from transforms.storage.services import KeysError

from . import checksums, entries
from .downloading import download
from .entries import Entry, Note
from .locks import locked, remove_locked

_WAIT_FOR_ROOM = 60.0
"""Seconds that a file waits for room, if all other files are in use."""
_LOOK_AGAIN = 0.2
_TOUCH_EVERY = 1.0
"""Smallest number of seconds between two updates of a file's time of last use."""
_OLD = 86_400.0
"""Age in seconds at which notes and locks without a data file are removed."""
_TURNS = 5
"""Largest number of times that other jobs may remove an entry between its download and its use."""


class CacheError(StorageError):
    """The error is in the folder of a cache, not in a file of the archive."""


@dataclass(frozen=True, slots=True)
class Cache:
    """A folder of whole files of an archive; it keeps the most recently used ones up to a limit.

    Attributes:
        folder: a folder on a local or shared disk that locks files; it is created if necessary.
        limit: bytes. Each job keeps the folder within its own limit when it adds a file.
        verify: whether the content of an entry is compared before its first use in a process.
    """

    folder: str
    limit: int
    verify: bool = False

    def check(self) -> None:
        """Create the folder, or check that it is a cache that can be written and locked.

        Raises:
            CacheError: it is not, or it contains other files.
        """
        if is_url(self.folder):
            raise CacheError(self.folder, "is on object storage, expected a folder on a disk")
        folder, marker = Path(self.folder), Path(self.folder, entries.MARKER)
        if os.path.lexists(folder) and not folder.is_dir():
            raise CacheError(self.folder, "is not a folder; give the name of a folder")
        with self._written(folder / entries.FOLDER_LOCK):
            folder.mkdir(parents=True, exist_ok=True)
            if not marker.exists():
                self._refuse_others()
            elif marker.read_bytes() != entries.MARKER_TEXT.encode():
                raise CacheError(
                    self.folder, f"has a {marker.name} of another program; name another folder"
                )
            with locked(folder / entries.FOLDER_LOCK):
                if not marker.exists():
                    new = folder / entries.NEW_MARKER
                    new.write_text(entries.MARKER_TEXT, encoding="utf-8")
                    os.replace(new, marker)

    def _refuse_others(self) -> None:
        """Raise CacheError if a folder without a marker contains files."""
        listed = entries.read_folder(self.folder)
        found = [*listed.others, *(entry.name for entry in listed.entries)]
        if found:
            raise CacheError(
                self.folder,
                f"is not a cache of ghsl-beam: it has no {entries.MARKER}, but "
                f"{', '.join(found[:3])}; name a new or an empty folder (nothing in this folder "
                "was changed)",
            )

    def has(self, file: SourceFile) -> bool:
        """Whether a file is in the cache with the right size."""
        return _whole(self.folder, entries.name_of(_identified(file)), file.size) is not None

    @contextmanager
    def held(self, file: SourceFile) -> Iterator[str]:
        """Inside the context, a file of the archive is a local file; it is fetched if necessary.

        A process holds one file at a time. If it held a file and waited for room for another, the
        other processes could wait for it.

        Yields:
            The path of the local file.

        Raises:
            StorageError: the archive does not give the file.
            CacheError: the folder cannot take it: no room, not writable, not ours.
        """
        _checked(self)
        file = _identified(file)
        name = entries.name_of(file)
        path, lock = Path(self.folder, name), self._lock(name)
        begin = time.time()
        for _ in range(_TURNS):
            with self._locked(lock, shared=True):
                if self._is_good(name, file):
                    self._touch(path)
                    yield str(path)
                    return
            with self._locked(lock) as handle:
                if not self._is_good(name, file):
                    _raise_failure(handle, begin)
                    self._fetch_or_note(name, file, handle)
        raise CacheError(
            self.folder,
            f"{file.location} was removed {_TURNS} times before its use: jobs with other limits "
            "fill the folder; give each a folder of its own, or a higher input.cache.gigabytes",
        )

    def discard_if_damaged(self, file: SourceFile) -> bool:
        """Remove a kept file if its bytes have changed; return whether it was removed.

        Raises:
            CacheError: it cannot be removed.
        """
        file = _identified(file)
        name = entries.name_of(file)
        with self._locked(self._lock(name)):
            if self._is_sound(name, file):
                return False
            with self._written(Path(self.folder, name)):
                self._unlink(name)
        return True

    def _is_good(self, name: str, file: SourceFile) -> bool:
        """Whether an entry can be used: the right size and, if verified, the right content."""
        note = _whole(self.folder, name, file.size)
        if note is None:
            return False
        path = str(Path(self.folder, name))
        try:
            # The note is written with each new file, and never changed.
            came = os.stat(Path(self.folder, f"{name.partition('.')[0]}.note")).st_mtime_ns
            # Another job, whose catalogue has no checksums, may have fetched the file.
            new = checksums.is_known(file.checksum) and note.checksum != file.checksum
            if new and not _has_checksum_once(path, came, file.checksum):
                return False
            return not self.verify or _sha256_once(path, came) == note.sha256
        except OSError:
            return False

    def _is_sound(self, name: str, file: SourceFile) -> bool:
        note = _whole(self.folder, name, file.size)
        try:
            return note is not None and _sha256(str(Path(self.folder, name))) == note.sha256
        except OSError:
            return False  # a sector that cannot be read

    def _fetch_or_note(self, name: str, file: SourceFile, handle: int) -> None:
        """Fetch an entry that is locked; on failure, leave the reason for the waiting processes.

        A reason about keys or limits is not left, because another job may have others.
        """
        self._check_size(file)
        try:
            self._fetch(name, file)
        except KeysError:
            raise
        except StorageError as error:
            content = (time.time(), type(error) is CacheError, *error.__reduce__()[1])
            with suppress(OSError):
                os.ftruncate(handle, 0)
                os.pwrite(handle, json.dumps(content).encode(), 0)
            raise
        with suppress(OSError):
            os.ftruncate(handle, 0)

    def _check_size(self, file: SourceFile) -> None:
        if not file.size:
            raise StorageError(
                file.location, "is empty, or has no known size; then set input.access to direct"
            )
        if file.size > self.limit:
            raise CacheError(
                self.folder,
                f"holds up to {in_words(self.limit)}, but {file.location} alone has "
                f"{in_words(file.size)}: raise input.cache.gigabytes",
            )

    def _fetch(self, name: str, file: SourceFile) -> None:
        key = name.partition(".")[0]
        with self._written(Path(self.folder, name)):
            self._unlink(name)  # damaged: make room for the new bytes
        partial = self._reserved(key, file)
        try:
            try:
                sha256 = download(file, partial)
            except StorageError as error:
                if error.file == str(partial):
                    raise CacheError(self.folder, error.reason) from error
                raise
            path = Path(self.folder, name)
            with self._written(path, file.size):
                entries.write_note(self.folder, key, Note(file.size, sha256, file.checksum), file)
                os.replace(partial, path)
                to_disk(Path(self.folder))
        finally:
            partial.unlink(missing_ok=True)

    def _reserved(self, key: str, file: SourceFile) -> Path:
        """Make an empty file whose name reserves room for a file; older entries are removed for it.

        Raises:
            CacheError: all older entries are in use for too long.
        """
        end = time.monotonic() + _WAIT_FOR_ROOM
        path = Path(self.folder, entries.partial_name(key, file.size))
        while True:
            with self._locked(Path(self.folder, entries.FOLDER_LOCK)), self._written(path):
                self._tidy(key)
                listed = entries.read_folder(self.folder)
                needed = listed.size + file.size - self.limit
                if entries.make_room(listed.entries, needed, self._removed) >= needed:
                    path.open("xb").close()
                    return path
            if time.monotonic() > end:
                raise CacheError(
                    self.folder,
                    f"{in_words(file.size)} do not fit: {in_words(listed.size)} of "
                    f"{in_words(self.limit)} are in use; raise input.cache.gigabytes",
                    passing=True,
                )
            time.sleep(_LOOK_AGAIN)

    def _removed(self, entry: Entry) -> bool:
        """Remove an entry; return False if it is in use."""
        lock = self._lock(entry.name)
        with locked(lock, wait=False) as handle:
            if handle is None:
                return False
            self._unlink(entry.name)
            remove_locked(lock)
        return True

    def _tidy(self, own: str) -> None:
        """Remove partial files of killed processes, and old locks and notes without a data file.

        `own` is the entry that the caller has locked.
        """
        listed = entries.read_folder(self.folder)
        kept = {entry.key for entry in listed.entries}
        dead = [(key, name, True) for key, _, name in listed.partials]
        before = time.time() - _OLD
        dead += [(k, name, False) for k, name, at in listed.beside if k not in kept and at < before]
        for key, name, partial in dead:
            lock = self._lock(name)
            if key == own:
                if partial:
                    Path(self.folder, name).unlink(missing_ok=True)
                continue
            with locked(lock, wait=False) as handle:
                if handle is None:
                    continue  # it is being written
                here = any(Path(self.folder, f"{key}.{end}").exists() for end in ("file", "zip"))
                if partial or not here:
                    Path(self.folder, name).unlink(missing_ok=True)
                if not here:
                    remove_locked(lock)

    def _unlink(self, name: str) -> None:
        Path(self.folder, name).unlink(missing_ok=True)
        Path(self.folder, f"{name.partition('.')[0]}.note").unlink(missing_ok=True)

    def _touch(self, path: Path) -> None:
        with suppress(
            OSError
        ):  # a process that cannot write the time cannot remove the file either
            if time.time() - path.stat().st_mtime > _TOUCH_EVERY:
                os.utime(path)

    def _lock(self, name: str) -> Path:
        return Path(self.folder, f"{name.partition('.')[0]}.lock")

    @contextmanager
    def _locked(self, path: Path, *, shared: bool = False) -> Iterator[int]:
        """A lock; an error of locking becomes a `CacheError`, an error of the body stays."""
        lock = locked(path, shared=shared)
        with self._written(path):
            handle = lock.__enter__()
        try:
            yield handle if handle is not None else -1
        finally:
            lock.__exit__(None, None, None)

    @contextmanager
    def _written(self, path: Path, needed: int = 0) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = f"cannot be written: {why_not_written(error, path, needed)}"
            raise CacheError(self.folder, reason) from error


@lru_cache(maxsize=16)
def _checked(cache: Cache) -> None:
    """Check a cache once in a process."""
    cache.check()


def _identified(file: SourceFile) -> SourceFile:
    """The file with its present size and time if it is local: only they show a change.

    Raises:
        StorageError: there is none.
    """
    if is_url(file.location):
        return file
    about = storage.stored(file.location)
    return SourceFile(file.location, about.size, about.version, file.checksum)


def _whole(folder: str, name: str, size: int) -> Note | None:
    """The note of an entry with the right size; None for any other."""
    note = entries.read_note(folder, name.partition(".")[0])
    try:
        about = os.stat(Path(folder, name), follow_symlinks=False)
    except OSError:
        return None
    known = note is not None and note.size == about.st_size and size in (0, about.st_size)
    return note if known else None


def _raise_failure(handle: int, begin: float) -> None:
    """Raise the error of a fetch that failed while this process waited for it."""
    try:
        told, ours, *parts = json.loads(os.pread(handle, 1 << 16, 0))
    except (OSError, ValueError):
        return
    if begin < told <= time.time():
        raise (CacheError if ours else StorageError)(*parts)


@lru_cache(maxsize=65536)
def _has_checksum_once(path: str, came: int, checksum: str) -> bool:
    with open(path, "rb") as file:
        return checksums.same(checksum, hashlib.file_digest(file, lambda: checksums.new(checksum)))


@lru_cache(maxsize=65536)
def _sha256_once(path: str, came: int) -> str:
    return _sha256(path)


def _sha256(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
