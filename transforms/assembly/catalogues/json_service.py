"""JSON from a catalogue over HTTP: with limits of size, time and rate, and with retries."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from transforms.elements import StorageError
from transforms.storage.locations import masked
from transforms.storage.remote import (
    PASSING,
    Limits,
    Unavailable,
    cause_of,
    retrying,
    seconds_asked,
)

from .time_limit import within

_MOVED = frozenset({301, 302, 303, 307, 308})
_PIECE = 1 << 16
_SHOWN = 120
"""Characters of an answer that an error shows."""


@dataclass(frozen=True, slots=True)
class Bounds(Limits):
    """Limits of the requests to one catalogue, see `Limits`; times in seconds.

    A page of 1000 products of Copernicus has about 8 MB.

    Attributes:
        per_second: largest number of requests that begin within a second.
        connect: time limit to connect.
        redirects: largest number of redirects that are followed within the host.
    """

    total: float = 120.0
    attempts: int = 6
    longest_wait: float = 60.0
    per_second: float = 4.0
    connect: float = 10.0
    redirects: int = 3


class _RefusedError(Unavailable):
    """The answer to a request was not JSON.

    `again` as in `Unavailable`; `later`: another launch may have an answer, but no other attempt.
    """

    def __init__(self, reason: str, again: bool | float = False, later: bool = False) -> None:
        super().__init__(reason, again=again)
        self.passing = bool(again) or later


class JsonService:
    """Makes requests to one catalogue, one at a time.

    Args:
        address: address of the catalogue, for messages; requests to another host are refused.
        bounds: limits of all requests.
    """

    def __init__(self, address: str, bounds: Bounds = Bounds()) -> None:
        self.address = address.rstrip("/")
        self._bounds = bounds
        self._session = requests.Session()
        self._lock = threading.Lock()
        self._next = 0.0

    def get(self, url: str, parameters: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Return the JSON object of a GET.

        Raises:
            StorageError: there is none; `passing` if the catalogue may give it later.
        """
        return self._json("GET", url, parameters, None)

    def post(self, url: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the JSON object of a POST of a JSON object.

        Raises:
            StorageError: there is none; `passing` if the catalogue may give it later.
        """
        return self._json("POST", url, None, body)

    def _json(
        self,
        method: str,
        url: str,
        parameters: Mapping[str, str] | None,
        body: Mapping[str, Any] | None,
    ) -> dict[str, Any]:
        bounds = self._bounds
        try:
            for attempt in retrying(bounds):
                with attempt:
                    return _object(self._answer(method, url, parameters, body))
        except _RefusedError as error:
            reason = str(error)
            if error.again:
                reason += f", {bounds.attempts} times in a row"
            raise StorageError(self.address, reason, passing=error.passing) from error
        raise AssertionError("stamina ends with a result or an error")

    def _answer(
        self,
        method: str,
        url: str,
        parameters: Mapping[str, str] | None,
        body: Mapping[str, Any] | None,
    ) -> bytes:
        """The bytes of an answer with status 200; redirects within the host are followed."""
        for _ in range(self._bounds.redirects + 1):
            self._check_host(url)
            with self._lock:
                self._keep_pace()
                try:
                    answer = self._in_time(method, url, parameters, body)
                except (requests.ConnectionError, requests.Timeout) as error:
                    raise _RefusedError(f"no answer: {cause_of(error)}", again=True) from error
                except (requests.RequestException, ValueError) as error:
                    raise _RefusedError(f"not a usable address: {cause_of(error)}") from error
            if isinstance(answer, bytes):
                return answer
            url, parameters = answer, None
        raise _RefusedError(f"redirected more than {self._bounds.redirects} times")

    def _in_time(self, *asked: Any) -> bytes | str:
        """The result of `_once`, within the time limit of an answer."""
        try:
            return within(self._bounds.total, lambda: self._once(*asked))
        except TimeoutError as error:
            self._session = requests.Session()  # the request that has not ended has the other one
            raise self._too_long() from error

    def _once(
        self,
        method: str,
        url: str,
        parameters: Mapping[str, str] | None,
        body: Mapping[str, Any] | None,
    ) -> bytes | str:
        """The bytes of one answer, or the address to which it redirects."""
        with self._session.request(
            method,
            url,
            params=parameters,
            json=body,
            stream=True,
            allow_redirects=False,
            timeout=(self._bounds.connect, self._bounds.stall),
            headers={"Accept": "application/json, application/geo+json"},
        ) as response:
            if response.status_code not in _MOVED:
                return self._body(response)
            return urljoin(url, response.headers.get("Location", ""))

    def _too_long(self) -> _RefusedError:
        text = f"an answer that takes longer than {self._bounds.total:g} s"
        return _RefusedError(text, again=True)

    def _check_host(self, url: str) -> None:
        try:
            ours, theirs = urlsplit(self.address), urlsplit(url)
        except ValueError as error:
            raise _RefusedError(f"not a usable address: {cause_of(error)}") from error
        secured = ours.scheme == "http" and theirs.scheme == "https"
        if theirs.hostname != ours.hostname or not (theirs.scheme == ours.scheme or secured):
            place = masked(f"{theirs.scheme}://{theirs.netloc}")[:_SHOWN]
            raise _RefusedError(f"refers to another host, {place}: check the address")

    def _keep_pace(self) -> None:
        wait = self._next - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        self._next = time.monotonic() + 1 / self._bounds.per_second

    def _body(self, response: requests.Response) -> bytes:
        status = response.status_code
        until = time.monotonic() + self._bounds.total
        pieces, size = [], 0
        try:
            # `read1` returns the bytes so far, so a server that sends very slowly is noticed.
            while piece := response.raw.read1(_PIECE, decode_content=True):
                size += len(piece)
                pieces.append(piece)
                if size > self._bounds.size:
                    raise _RefusedError(
                        f"an answer of more than {self._bounds.size >> 20} MB: ask for less, a "
                        "shorter period or fewer tiles"
                    )
                if time.monotonic() > until:
                    raise self._too_long()
                if status != HTTPStatus.OK:
                    break
        except (urllib3.exceptions.HTTPError, OSError) as error:
            text = f"its answer ended early, after {size} bytes: {cause_of(error)}"
            raise _RefusedError(text, again=True) from error
        content = b"".join(pieces)
        if status != HTTPStatus.OK:
            raise self._refused(response, content)
        return content

    def _refused(self, response: requests.Response, content: bytes) -> _RefusedError:
        status = response.status_code
        text = f"answers {status} {response.reason or ''}".rstrip()
        if message := _text(content):
            text += f": {message}"
        again: bool | float = status in PASSING
        wait = seconds_asked(response.headers.get("Retry-After", "")) if again else None
        if wait is not None and wait > self._bounds.longest_wait:
            longest = f"more than {self._bounds.longest_wait:g} s"
            reason = f"{text}; it asks to wait {wait:.0f} s, {longest}: run again then"
            return _RefusedError(reason, later=True)
        return _RefusedError(text, again=again if wait is None else max(wait, 0.001))


def _object(content: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError) as error:
        what = "HTML" if content.lstrip()[:1] == b"<" else "incomplete JSON"
        text = f"gave {what} where JSON is expected: {_text(content) or 'an empty answer'}"
        raise _RefusedError(text, again=True) from error
    if not isinstance(answer, dict):
        raise _RefusedError(f"gave a JSON {type(answer).__name__}, expected an object")
    return answer


def _text(content: bytes) -> str:
    """The beginning of an answer, on one line, without control characters and secrets."""
    text = masked(content[: 4 * _SHOWN].decode("utf-8", "replace"))
    return "".join(c if c.isprintable() else " " for c in text)[:_SHOWN].strip()
