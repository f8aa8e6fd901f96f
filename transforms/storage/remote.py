"""Reads files at a URL: in pieces, within limits of size and time, with retries.

http and https use requests, for ranges, validators and Retry-After; other URLs use fsspec.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import requests
import stamina
import urllib3
from fsspec.core import url_to_fs

from transforms.storage.locations import masked
from transforms.storage.object_store import one_try, storage_error
from transforms.storage.services import KeysError

_PIECE = 1 << 16
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses of a server that may answer another request."""
_MISSING = frozenset({404, 410})
_RANGED = frozenset({206, 416})
"""Answers of a server that understood a request for the rest of a file."""
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits for reading one file, or one answer of a service; times in seconds.

    Attributes:
        size: Largest size in bytes. The files of the JRC have 17.4 MB, with the optimizer's state.
        stall: Time limit without a byte.
        total: Time limit of one attempt.
        attempts: Largest number of times that one request is made.
        pause: Wait before the second attempt; it doubles each time.
        longest_wait: If a server asks for a longer wait (Retry-After), the request fails.
    """

    size: int = 64 * 2**20
    stall: float = 30.0
    total: float = 1800.0
    attempts: int = 5
    pause: float = 1.0
    longest_wait: float = 120.0


class Unavailable(Exception):  # noqa: N818 - the state of the file, not the error
    """A URL did not give its file; the text is the reason, without the URL.

    Attributes:
        again: Whether another attempt may help; as a number, after how many seconds.
        missing: Whether the server says that there is no such file.
    """

    def __init__(self, reason: str, *, again: bool | float = False, missing: bool = False) -> None:
        super().__init__(reason)
        self.again = again
        self.missing = missing


class TooLarge(Unavailable):
    """The file is larger than the limit."""


@dataclass(frozen=True, slots=True)
class Part:
    """The rest of a file, while it arrives.

    Attributes:
        start: Bytes of the file before the first piece; 0 if it starts from the beginning.
        total: Bytes of the whole file; None if the server does not say.
        mark: The server's identifier of this version (ETag, else Last-Modified); "" if it has none.
        pieces: The bytes; iteration raises `Unavailable` if they break off.
    """

    start: int
    total: int | None
    mark: str
    pieces: Iterator[bytes]


def is_http(location: str) -> bool:
    """Whether a location is read over HTTP."""
    return location.lower().startswith(("http://", "https://"))


def retrying(limits: Limits) -> Iterator[AbstractContextManager[object]]:
    """Attempts, with waits that the error asks for or that grow; other errors are raised."""
    return iter(
        stamina.retry_context(
            on=lambda error: error.again if isinstance(error, Unavailable) else False,
            attempts=limits.attempts,
            timeout=None,
            wait_initial=limits.pause,
            wait_jitter=limits.pause,
            wait_max=limits.longest_wait,
        )
    )


def read_url(url: str, limits: Limits = Limits()) -> bytes:
    """Read a whole file.

    Raises:
        Unavailable: the URL gives no file, or one that is larger than the limit.
    """
    for attempt in retrying(limits):
        with attempt, open_part(url, limits) as part:
            return b"".join(bounded(part.pieces, limits.size))
    raise AssertionError("stamina ends with a result or an error")


def url_exists(url: str, limits: Limits = Limits()) -> bool:
    """Whether a URL gives a file.

    Raises:
        Unavailable: the server does not say.
    """
    try:
        for attempt in retrying(limits):
            with attempt, open_part(url, limits):
                return True
    except Unavailable as error:
        if not error.missing:
            raise
    return False


def bounded(pieces: Iterator[bytes], size: int, start: int = 0) -> Iterator[bytes]:
    """The pieces, while their total size stays within a limit.

    Args:
        pieces: the bytes that arrive.
        size: the limit in bytes.
        start: bytes that came before the pieces.

    Raises:
        TooLarge: there are more bytes.
    """
    for piece in pieces:
        start += len(piece)
        if start > size:
            raise TooLarge(f"the file has more than {size} bytes, no model is that large")
        yield piece


@contextmanager
def open_part(
    url: str, limits: Limits, start: int = 0, mark: str = "", total: int | None = None
) -> Iterator[Part]:
    """Open the file of a URL, if possible at the place where an earlier attempt broke off.

    Args:
        url: http, https, or another URL that fsspec reads; the last kind starts from the beginning.
        limits: the limits.
        start: number of bytes that are already here.
        mark: the mark of the version that these bytes are from.
        total: the size of that version.

    Raises:
        Unavailable: the URL gives no file.
    """
    if not is_http(url):
        with _open_fsspec(url, limits) as part:
            yield part
        return
    response = _get(url, limits, start, mark)
    try:
        if response.status_code == HTTPStatus.OK:
            start = 0
        elif response.status_code in _RANGED and not _continues(response, start, mark, total):
            response.close()
            response, start = _get(url, limits, 0, ""), 0
        _check(response, limits)
        length = response.headers.get("Content-Length", "")
        size = start + int(length) if length.isdecimal() else None
        if size is not None and size > limits.size:
            raise TooLarge(f"the server states {size} bytes, expected at most {limits.size}")
        yield Part(start, size, _mark(response), _pieces(response, size, start, limits))
    finally:
        response.close()


def _get(url: str, limits: Limits, start: int, mark: str) -> requests.Response:
    headers = {"Accept-Encoding": "identity"}
    if start and mark:
        headers["Range"] = f"bytes={start}-"
        if not mark.startswith("W/"):  # If-Range takes no weak mark; _continues compares it
            headers["If-Range"] = mark
    try:
        return requests.get(url, headers=headers, stream=True, timeout=limits.stall)
    except (requests.ConnectionError, requests.Timeout) as error:
        raise Unavailable(f"no answer from the server: {cause_of(error)}", again=True) from error
    except (requests.RequestException, ValueError) as error:
        raise Unavailable(f"is not a URL that can be read: {cause_of(error)}") from error


def _continues(response: requests.Response, start: int, mark: str, total: int | None) -> bool:
    """Whether a partial answer continues the same version that an earlier attempt began."""
    content_range = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    return (
        response.status_code == HTTPStatus.PARTIAL_CONTENT
        and content_range is not None
        and int(content_range[1]) == start
        and (total is None or int(content_range[2]) == total)
        and _mark(response) == mark
    )


def _check(response: requests.Response, limits: Limits) -> None:
    status = response.status_code
    if status in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
        return
    reason = f"the server answers {status} {response.reason or ''}".rstrip()
    again: bool | float = status in PASSING
    wait = seconds_asked(response.headers.get("Retry-After", "")) if again else None
    if wait is not None and wait > limits.longest_wait:
        reason += f" and asks to wait {wait:.0f} s, more than {limits.longest_wait:g} s"
        again = False
    elif wait is not None:
        again = wait
    raise Unavailable(reason, again=again, missing=status in _MISSING)


def seconds_asked(value: str) -> float | None:
    """Seconds that a Retry-After header asks for, as a number or as a date."""
    if value.strip().isdecimal():
        return float(value)
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (date - datetime.now(UTC)).total_seconds())


def _mark(response: requests.Response) -> str:
    return response.headers.get("ETag") or response.headers.get("Last-Modified") or ""


def _pieces(
    response: requests.Response, size: int | None, done: int, limits: Limits
) -> Iterator[bytes]:
    end = time.monotonic() + limits.total
    while True:
        try:
            piece = response.raw.read1(_PIECE)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Unavailable(
                f"the transfer broke off after {done} bytes: {cause_of(error)}", again=True
            ) from error
        if not piece:
            break
        done += len(piece)
        yield piece
        if time.monotonic() > end:
            reason = f"the transfer took longer than {limits.total:g} s, after {done} bytes"
            raise Unavailable(reason, again=True)
    if size is not None and done < size:
        raise Unavailable(f"the transfer broke off after {done} of {size} bytes", again=True)


@contextmanager
def _open_fsspec(url: str, limits: Limits) -> Iterator[Part]:
    with ExitStack() as held:
        with faults(url):
            # Any file system of fsspec may hold models; only S3 has services with keys and limits.
            of_service = url.startswith("s3://")
            system, path = held.enter_context(one_try(url)) if of_service else url_to_fs(url)
            stream = held.enter_context(closing(system.open(path, "rb")))
        size = getattr(stream, "size", None)
        if size is not None and size > limits.size:
            raise TooLarge(f"the file has {size} bytes, expected at most {limits.size}")
        yield Part(0, size, "", _read(stream, url))


def _read(stream: Any, url: str) -> Iterator[bytes]:
    while True:
        with faults(url):
            piece = stream.read(_PIECE * 16)
        if not piece:
            return
        yield piece


@contextmanager
def faults(url: str) -> Iterator[None]:
    """Turn the errors of fsspec's file systems into `Unavailable`."""
    kinds: tuple[type[Exception], ...] = (OSError, ValueError, ImportError)
    if url.startswith("s3"):
        from botocore.exceptions import BotoCoreError

        kinds += (BotoCoreError,)
    try:
        yield
    except KeysError as error:
        raise Unavailable(error.reason) from error
    except FileNotFoundError as error:
        raise Unavailable("there is no such file", missing=True) from error
    except kinds as error:
        if url.startswith("s3://") and isinstance(found := storage_error(url, error), KeysError):
            raise Unavailable(found.reason) from found
        again = isinstance(error, (ConnectionError, TimeoutError))
        raise Unavailable(f"cannot be read: {cause_of(error)}", again=again) from error


def cause_of(error: BaseException) -> str:
    """The innermost reason, on one line, without secrets."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return masked(text)[:200]
