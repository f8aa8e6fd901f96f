"""Tokens for the containers of a host: fetched when needed, kept until shortly before they expire.

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
"""A token is not used in its last seconds, so that a read that has begun can finish."""
_SIGNATURE = "sig"
"""The secret part of a token; the other parts are times and permissions."""


@dataclass(frozen=True, slots=True)
class Signer:
    """A service that gives tokens for the files of a host.

    Attributes:
        host: name of the host, with the port if a URL has one; the container is the first part of
            the path.
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
    """The signers of a job. A process that unpickles them uses them from then on.

    So a worker of any runner has them as soon as it gets a step of the job. They have no token.
    """

    known: tuple[Signer, ...] = SHIPPED

    def with_more(self, *signers: Signer) -> Signers:
        """These and further signers; a further signer replaces that of the same host."""
        hosts = {signer.host for signer in signers}
        return Signers((*signers, *(one for one in self.known if one.host not in hosts)))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle them as a call that makes the process use them."""
        return _arrived, (self.known,)


@dataclass(frozen=True, slots=True)
class _Token:
    query: str
    ends: float


NO_OTHERS = Signers()
"""Only the shipped signers."""
_KNOWN = NO_OTHERS
_TOKENS: dict[str, _Token] = {}
_LOCK = threading.Lock()


def use(signers: Signers) -> None:
    """Make these the signers of this process, and forget the earlier ones."""
    global _KNOWN  # a location is a text, so it cannot bring its signer along
    if signers != _KNOWN:
        _KNOWN = signers
        forget()


def current() -> Signers:
    """The signers of this process; until `use` or `add` is called, the shipped ones."""
    return _KNOWN


def add(*signers: Signer) -> None:
    """Add signers to those of this process; a new signer replaces that of the same host."""
    use(_KNOWN.with_more(*signers))


def _arrived(known: tuple[Signer, ...]) -> Signers:
    signers = Signers(known)
    use(signers)
    return signers


def forget() -> None:
    """Forget all tokens; each is fetched again when it is needed."""
    with _LOCK:
        _TOKENS.clear()


def signed(url: str) -> str:
    """The URL under which a file is read now; it has a token if its host has a signer.

    Never store or show the result; `redact` masks its signature.

    Args:
        url: any location; if it is not an http(s) URL of a known host, it is returned unchanged.

    Raises:
        StorageError: there is no token; `passing` if there may be one later.
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
        reason = f"gives no token: {error}"
        raise StorageError(address, reason, passing=bool(error.again)) from error
    try:
        answer = json.loads(content)
        query, end = answer["token"], datetime.fromisoformat(answer["msft:expiry"])
        secrets = parse_qs(query, strict_parsing=True)[_SIGNATURE]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        reason = "gives no token, expected JSON with `token` and `msft:expiry`"
        raise StorageError(address, reason) from error
    for secret in secrets:
        learn(secret, "secret")
    if not query.isprintable() or "#" in query or " " in query:
        raise StorageError(address, "gives a token that cannot be part of a URL")
    ends = (end if end.tzinfo else end.replace(tzinfo=UTC)).timestamp()
    if ends - EARLY <= time.time():
        reason = (
            f"gives a token that ends at {end:%Y-%m-%dT%H:%M:%S}, too soon to read a file with it"
        )
        raise StorageError(address, f"{reason}: check the clock of this machine", passing=True)
    return _Token(query, ends)
