"""Tokens for the containers of a host: fetched when needed, kept until shortly before their end.

Source: the data access API of the Planetary Computer, `GET /api/sas/v1/token/ACCOUNT/CONTAINER`,
which answers with `token` (the query of a signed URL) and `msft:expiry`.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from transforms.elements import StorageError

from ..redaction import learn

EARLY = 60.0
"""Seconds before its end at which a token is no longer used: a read that begins then may go on."""
_SIGNATURE = "sig"
"""Of a token's parts, the one that is secret; the others are times and permissions."""


@dataclass(frozen=True, slots=True)
class Signer:
    """Who gives the tokens for the files of a host.

    Attributes:
        host: with its port where a URL has one; the container is the first part of the path.
        tokens: address of the tokens; the name of the container follows it.
    """

    host: str
    tokens: str


SHIPPED = (
    Signer(
        "sentinel2l2a01.blob.core.windows.net",
        "https://planetarycomputer.microsoft.com/api/sas/v1/token/sentinel2l2a01",
    ),
)
"""The signers that every process knows."""


@dataclass(frozen=True)
class Signers:
    """The signers of a job. Whoever unpickles them knows them from then on.

    So a worker knows them on every runner, as soon as a step of the job reaches it. They hold no
    token.
    """

    known: tuple[Signer, ...] = SHIPPED

    def __reduce__(self) -> tuple[Any, ...]:
        """How they are pickled: as what makes the process know them."""
        return _arrived, (self.known,)


@dataclass(frozen=True, slots=True)
class _Token:
    query: str
    ends: float


NO_OTHERS = Signers()
"""The shipped signers alone."""
_KNOWN = NO_OTHERS
_TOKENS: dict[str, _Token] = {}
_LOCK = threading.Lock()


def use(signers: Signers) -> None:
    """Make these the signers of this process, in place of those that it knew."""
    global _KNOWN  # a location is a text, which cannot carry its signer
    if signers != _KNOWN:
        _KNOWN = signers
        forget()


def current() -> Signers:
    """The signers of this process: those shipped until `use` or `add` is called."""
    return _KNOWN


def add(*signers: Signer) -> None:
    """Make the process know these too; of two for a host the new one counts."""
    hosts = {signer.host for signer in signers}
    use(Signers((*signers, *(one for one in _KNOWN.known if one.host not in hosts))))


def _arrived(known: tuple[Signer, ...]) -> Signers:
    signers = Signers(known)
    use(signers)
    return signers


def forget() -> None:
    """Fetch each token anew when it is needed next."""
    with _LOCK:
        _TOKENS.clear()


def signed(url: str) -> str:
    """The URL under which a file is read now: with a token where its host has a signer.

    The result is not to be stored or shown; `redact` masks its signature.

    Args:
        url: any location; what is no http(s) URL of a known host comes back as it is.

    Raises:
        StorageError: no token can be had; `passing` where one may be had later.
    """
    if not url.startswith(("http://", "https://")):
        return url
    parts = urlsplit(url)
    signer = next((one for one in _KNOWN.known if one.host == parts.netloc.lower()), None)
    if signer is None:
        return url
    container = parts.path.lstrip("/").partition("/")[0]
    address = f"{signer.tokens.rstrip('/')}/{container}"
    with _LOCK:  # one request for all threads that wait for the same token
        token = _TOKENS.get(address)
        if token is None or token.ends - EARLY <= time.time():
            token = _TOKENS[address] = _fetch(address)
    return f"{url}?{token.query}"


def _fetch(address: str) -> _Token:
    from ..remote import Limits, Unavailable, read_url  # which itself reads signed files

    try:
        content = read_url(address, Limits(size=1 << 16, stall=20.0, total=60.0, attempts=4))
    except Unavailable as error:
        reason = f"gives no token to read with: {error}"
        raise StorageError(address, reason, passing=bool(error.again)) from error
    try:
        answer = json.loads(content)
        query, end = answer["token"], datetime.fromisoformat(answer["msft:expiry"])
        secrets = parse_qs(query, strict_parsing=True)[_SIGNATURE]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        reason = "gives no token to read with, expected JSON with `token` and `msft:expiry`"
        raise StorageError(address, reason) from error
    for secret in secrets:
        learn(secret, "secret")
    if not query.isprintable() or "#" in query or " " in query:
        raise StorageError(address, "gives a token that no URL can hold")
    ends = (end if end.tzinfo else end.replace(tzinfo=UTC)).timestamp()
    if ends - EARLY <= time.time():
        reason = f"gives a token that ends at {end:%Y-%m-%dT%H:%M:%S}, too soon to read with"
        raise StorageError(address, f"{reason}: check the clock of this machine", passing=True)
    return _Token(query, ends)
