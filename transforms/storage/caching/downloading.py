"""Fetches one file of an archive to the local disk, with one request if nothing fails.

A download that breaks off continues at the same byte if the service says that the file is still the
same. `object_store.call` decides which errors are retried, and when.
"""

from __future__ import annotations

import hashlib
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import fsspec.asyn

from transforms.elements import SourceFile, StorageError
from transforms.storage import object_store, storage
from transforms.storage.locations import is_url, masked, parts
from transforms.storage.room import why_not_written

from . import checksums

_PIECE = 1 << 20
_SLOW = 500_000
"""Bytes a second; a download at this rate or faster has time for another try."""
_SLOWEST = 20_000
"""Bytes a second; a slower download ends as if the service did not answer."""
_ANOTHER, _PARTIAL, _WHOLE = 412, 206, 200


class _Answer(NamedTuple):
    """The answer of a service: its body, the ETag, the MD5 if it has one, the first byte."""

    body: Any
    etag: str
    checksum: str
    start: int
    size: int | None
    """Size of the whole file in the answer; None if the answer does not have it."""


def download(file: SourceFile, path: Path) -> str:
    """Write a file of an archive to a local path, and flush it to the disk.

    Returns:
        The hexadecimal SHA-256 of its bytes.

    Raises:
        StorageError: the archive does not give the file that was listed (its location is named),
            or the local file cannot be written (its path is named).
    """
    partial = _Partial(file, path)
    try:
        if not is_url(file.location):
            storage.with_file(file.location, partial.copy)
        else:
            seconds = object_store.POLICY.seconds + file.size / _SLOW
            policy = object_store.POLICY._replace(seconds=seconds)
            object_store.call(file.location, partial.fetch, policy)
        return partial.finished()
    finally:
        partial.close()


class _Partial:
    """The part of a file that has arrived, and its checksums."""

    def __init__(self, file: SourceFile, path: Path) -> None:
        self.file, self.path = file, path
        self.etag = ""
        self.damaged = False
        """Whether a whole file came with another checksum; then it is fetched once more."""
        self.until = math.inf
        """The time (`time.monotonic`) at which an unfinished download is given up."""
        with self._written():
            self.out = path.open("wb")
        self.begin("")

    def begin(self, checksum: str) -> None:
        """Start again with an empty file."""
        with self._written():
            self.out.seek(0)
            self.out.truncate()
        self.size = 0
        self.sha256 = hashlib.sha256()
        given = (self.file.checksum, checksum)
        self.checksum = next((text for text in given if checksums.is_known(text)), "")
        self.sum = checksums.new(self.checksum) if self.checksum else None

    def copy(self, source: BinaryIO) -> None:
        """Copy all bytes of a file that is open for reading."""
        self.begin("")
        while piece := source.read(_PIECE):
            self.write(piece)
        self.check()

    def fetch(self, system: Any, path: str) -> None:
        """Fetch the rest through the file system of a URL."""
        self.until = time.monotonic() + object_store.POLICY.seconds + self.file.size / _SLOWEST
        ask = _ASK.get(parts(self.file.location)[0])
        if ask is None:
            with system.open(path, "rb", cache_type="readahead", block_size=16 * _PIECE) as source:
                self.copy(source)
            return
        etag = self.etag if self.size else ""
        try:
            answer = fsspec.asyn.sync(system.loop, ask, system, path, self.size, etag)
        except OSError as error:
            if object_store.status_of(error) == _ANOTHER:
                self.begin("")  # the object was rewritten, so the next try starts again
            raise
        try:
            self._check(answer)
            if answer.start == 0:
                self.begin(answer.checksum)
            self.etag = answer.etag
            self._take(system, answer.body)
        finally:
            fsspec.asyn.sync(system.loop, _closed, answer.body)
        self.check()

    def _take(self, system: Any, body: Any) -> None:
        from botocore.exceptions import IncompleteReadError

        with suppress(IncompleteReadError):  # the size shows this for every client
            while piece := fsspec.asyn.sync(system.loop, body.read, _PIECE):
                self.write(piece)
        if self.size < self.file.size:
            raise ConnectionError(f"broke off after {self.size} of {self.file.size} bytes")

    def _check(self, answer: _Answer) -> None:
        """Refuse an answer that is not the file of the listing, before its bytes come.

        Raises:
            StorageError: it is another file.
            ConnectionError: the answer is too short, or starts at another byte than expected.
        """
        if answer.start not in (0, self.size):
            raise ConnectionError(
                f"got the bytes from {answer.start} on, expected those from {self.size} on"
            )
        listed = self.file.version.strip('"')
        found = answer.etag.removeprefix("W/").strip('"')
        if listed and found and listed.removeprefix("W/").strip('"') != found:
            raise self._changed(f"found ETag {found[:40]}, expected {listed[:40]}")
        if answer.size is not None and self.file.size and answer.size != self.file.size:
            text = f"found {answer.size} bytes, expected {self.file.size}"
            if found and listed:
                raise self._changed(text)
            raise ConnectionError(text)

    def _changed(self, text: str) -> StorageError:
        return StorageError(
            self.file.location,
            f"is not what the archive listed: {text}; plan again, or copy it again",
        )

    def write(self, piece: bytes) -> None:
        """Add bytes that have arrived."""
        with self._written():
            self.out.write(piece)
        self.size += len(piece)
        self.sha256.update(piece)
        if self.sum is not None:
            self.sum.update(piece)
        if self.file.size and self.size > self.file.size:
            raise self._changed(f"found more than {self.file.size} bytes")
        if self.size < self.file.size and time.monotonic() > self.until:
            raise TimeoutError(f"arrives at less than {_SLOWEST / 1000:g} kB a second")

    def check(self) -> None:
        """Compare size and checksum of the whole file with those of the archive.

        Raises:
            ConnectionError: the checksum differs for the first time.
            StorageError: it is another file.
        """
        if self.file.size and self.size != self.file.size:
            raise self._changed(f"found {self.size} bytes, expected {self.file.size}")
        if self.sum is None or checksums.same(self.checksum, self.sum):
            return
        name, _, expected = self.checksum.partition(":")
        text = f"found {name} {self.sum.hexdigest()[:12]}..., expected {expected[:12]}..."
        if self.damaged or not is_url(self.file.location):
            raise self._changed(text)
        self.damaged = True
        self.begin("")
        raise ConnectionError(text)

    def finished(self) -> str:
        """Flush the file to the disk; return its SHA-256."""
        with self._written():
            self.out.flush()
            os.fsync(self.out.fileno())
        return self.sha256.hexdigest()

    def close(self) -> None:
        """Close the file; an error here means that it was not `finished`."""
        try:
            self.out.close()
        except OSError:
            return  # the disk is full; this was already reported

    @contextmanager
    def _written(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = f"cannot be written: {why_not_written(error, self.path, self.file.size)}"
            raise StorageError(str(self.path), reason) from error


async def _ask_s3(system: Any, path: str, start: int, etag: str) -> _Answer:
    bucket, key, _ = system.split_path(path)
    more = {"Range": f"bytes={start}-", "IfMatch": etag} if etag else {}
    got = await system._call_s3("get_object", Bucket=bucket, Key=key, **more)
    own_key = str(got.get("ServerSideEncryption", "")).startswith("aws:kms")
    own_key = own_key or "SSECustomerAlgorithm" in got
    first, total = _range(str(got.get("ContentRange", "")))
    found = str(got.get("ETag", ""))
    return _Answer(
        got["Body"],
        found,
        "" if own_key else checksums.from_etag(found),
        first,
        total if total is not None else got.get("ContentLength"),
    )


async def _ask_http(system: Any, path: str, start: int, etag: str) -> _Answer:
    import aiohttp

    session = await system.set_session()
    headers = {"Accept-Encoding": "identity"}
    if etag and not etag.startswith("W/"):
        headers |= {"Range": f"bytes={start}-", "If-Range": etag}
    patience = aiohttp.ClientTimeout(
        total=None, sock_connect=min(10, object_store.STALL), sock_read=object_store.STALL
    )
    got = await session.get(system.encode_url(path), headers=headers, timeout=patience)
    try:
        system._raise_not_found_for_status(got, masked(path))
        if got.status not in (_WHOLE, _PARTIAL):
            raise ValueError(f"the server answers {got.status}, expected the file")
        first, total = _range(got.headers.get("Content-Range", ""))
        length = got.headers.get("Content-Length", "")
        if total is None and got.status == _WHOLE and length.isdecimal():
            total = int(length)
    except BaseException:
        got.close()
        raise
    return _Answer(_HttpBody(got), got.headers.get("ETag", ""), "", first, total)


class _HttpBody:
    """The body of an answer, with the methods that the body of s3fs has."""

    def __init__(self, response: Any) -> None:
        self._response = response

    async def read(self, size: int) -> bytes:
        """Read at most so many bytes; the result is empty at the end."""
        return bytes(await self._response.content.read(size))

    def close(self) -> None:
        """Release the connection."""
        self._response.close()


async def _closed(body: Any) -> None:
    body.close()


_ASK = {"s3": _ask_s3, "https": _ask_http, "http": _ask_http}
"""How to ask for the rest of a file, by scheme; for other schemes, the whole file is read."""


def _range(text: str) -> tuple[int, int | None]:
    """First byte and size of the whole file in a `Content-Range`: `bytes 10-99/100`."""
    unit, _, rest = text.partition(" ")
    span, _, total = rest.partition("/")
    first = span.partition("-")[0]
    if unit != "bytes" or not first.isdecimal():
        return 0, None
    return int(first), int(total) if total.isdecimal() else None
