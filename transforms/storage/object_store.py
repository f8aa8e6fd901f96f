"""Access to object storage: one policy for retries, and errors of one line.

`call` is the only place that repeats an operation of a storage. GDAL repeats nothing itself where
`gdal_access.read_again` reads; that function asks here whether the storage answers. A block is not
computed again because of an error that `call` raised (`transforms.work.losses`).
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple, TypeVar

import fsspec
import stamina

from transforms.elements import StorageError

from . import services
from .locations import masked, parts
from .signing import signed

WAIT = 10.0
"""The longest wait before the next try, in seconds, if the server does not ask for another."""
LONGEST_WAIT = 30.0
"""The longest wait that a server may ask for, in seconds; a longer one is cut to this."""
STALL = 20
"""Seconds without a byte after which a request is given up and repeated."""


class Policy(NamedTuple):
    """How often and how long an operation is tried that the storage does not answer.

    Attributes:
        tries: Number of tries, with the first.
        first_wait: Seconds before the second try; they double from try to try.
        seconds: Time limit of the whole operation.
    """

    tries: int = 5
    first_wait: float = 0.2
    seconds: float = 180.0

    def timeout(self) -> float:
        """Seconds within which a try must fail for another to follow.

        The next try begins after the longest wait that a server may ask for, and may then stall.
        """
        return max(0.001, self.seconds - LONGEST_WAIT - STALL)


POLICY = Policy()
_NO_LONGER_SO = 412
_BARE_REFUSAL = "403"
# 409: two conditional writes at the same time.
_TRANSIENT = frozenset({408, 409, 429, 500, 502, 503, 504})
T = TypeVar("T")


def _system(location: str) -> tuple[Any, str]:
    """The file system of a URL, and the path in it; it caches no listings.

    Raises:
        StorageError: the location cannot be used, or there is no token to read it.
    """
    scheme, _ = parts(location)
    options: dict[str, Any] = {"use_listings_cache": False}
    if service := services.of(location):
        config = {
            "retries": {"mode": "standard", "total_max_attempts": 1},
            "connect_timeout": min(10, STALL),
            "read_timeout": STALL,
        }
        options |= services.client_options(service, location, config)
    system = fsspec.filesystem(scheme, **options)
    system.retries = 1  # `call` decides which errors are retried, and when
    return system, signed(str(system._strip_protocol(location)))


def answers(location: str, seconds: float) -> bool:
    """Whether the storage gives one byte of a file; if not, it refuses or has no such file.

    Raises:
        StorageError: it does not answer three tries, or not within `seconds`.
    """
    policy = Policy(tries=3, first_wait=1.0, seconds=seconds)
    try:
        call(location, lambda system, path: system.cat_file(path, start=0, end=1), policy)
    except StorageError as error:
        if error.passing or services.refused(error):
            raise
        return False
    return True


def call(location: str, action: Callable[[Any, str], T], policy: Policy = POLICY) -> T:
    """Run an action on the file system of a URL; repeat it after errors that may pass.

    Args:
        location: the URL.
        action: takes the file system and the path in it; it starts again at each try.
        policy: how often and how long to try.

    Returns:
        The result of the action.

    Raises:
        StorageError: the last try failed, or the error cannot pass.
    """
    begun, queued = time.monotonic(), 0.0

    def again(error: Exception) -> bool | float:
        # Waiting for a free connection takes nothing of the time to try again in.
        late = time.monotonic() - begun - queued > policy.timeout()
        return False if late else _again(error)

    try:
        system, path = _system(location)
        for attempt in stamina.retry_context(
            on=again,
            attempts=policy.tries,
            timeout=None,
            wait_initial=policy.first_wait,
            wait_max=WAIT,
        ):
            with attempt, services.slot(services.of(location)) as seconds:
                queued += seconds
                return action(system, path)
    except FileNotFoundError as error:
        raise StorageError(
            location, f"does not exist: {masked(str(error))}", absent=True
        ) from error
    except _errors() as error:
        raise storage_error(location, error) from error
    raise AssertionError("stamina ends with a result or an error")


@contextmanager
def one_try(location: str) -> Iterator[tuple[Any, str]]:
    """The file system of a URL and the path in it, for callers with their own retries.

    Inside the context, a connection of the service is held.

    Raises:
        KeysError: the service has no keys here.
    """
    system, path = _system(location)
    with services.slot(services.of(location)):
        yield system, path


def storage_error(location: str, error: Exception) -> StorageError:
    """Turn an error of a client into an error about a location, on one line.

    It is a KeysError if the service has no keys here, or refuses them.
    """
    service = services.of(location)
    if service and (reason := _refusal(service, location, error)):
        return services.KeysError(location, reason)
    reason = masked(str(error)) or type(error).__name__
    return StorageError(location, reason, passing=bool(_again(error)))


def _refusal(service: services.Service, location: str, error: Exception) -> str | None:
    """The reason why a service refuses its keys; None for any other error."""
    from botocore.exceptions import NoCredentialsError, PartialCredentialsError

    if isinstance(error, (NoCredentialsError, PartialCredentialsError)):
        return services.missing_reason(service)
    code = _code(error)
    if code == _BARE_REFUSAL:  # of a request whose answer has no body
        system, path = _system(location)
        bucket, key, _ = system.split_path(path)
        try:
            with services.slot(service):
                system.call_s3("list_objects_v2", Bucket=bucket, Prefix=key, MaxKeys=1)
        except _errors() as answer:
            code = _code(answer)
    return services.refused_reason(service, code)


def _code(error: BaseException | None) -> str:
    """The code in the answer of a service, such as `ExpiredToken`; "" if it has none."""
    while error is not None:
        response = getattr(error, "response", None)
        if isinstance(response, dict):
            return str(response.get("Error", {}).get("Code", ""))
        error = error.__cause__ or error.__context__
    return ""


@cache
def _errors() -> tuple[type[Exception], ...]:
    """The errors that the storage clients raise; the clients are imported when first needed."""
    import aiohttp
    import botocore.exceptions

    return (
        OSError,
        ImportError,
        ValueError,
        aiohttp.ClientError,
        botocore.exceptions.BotoCoreError,
        botocore.exceptions.ClientError,
    )


def _again(error: Exception) -> bool | float:
    """Whether an error may pass; as a number, the seconds that the server asks to wait."""
    import aiohttp
    import botocore.exceptions

    status, headers = _answer(error)
    if status is None:
        lost = (ConnectionError, TimeoutError)
        theirs = (botocore.exceptions.HTTPClientError, botocore.exceptions.ConnectionError)
        cut = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError)
        return isinstance(error, (*lost, *theirs, *cut))
    if status == _NO_LONGER_SO and isinstance(error, OSError) and error.errno == errno.EBUSY:
        return True  # the object was rewritten between two requests of one read
    if status not in _TRANSIENT:
        return False
    wait = str(headers.get("retry-after") or headers.get("Retry-After") or "")
    return min(float(wait), LONGEST_WAIT) if wait.isdigit() else True


def status_of(error: Exception) -> int | None:
    """The HTTP status behind an error of a client; None if no answer came."""
    return _answer(error)[0]


def _answer(error: Exception) -> tuple[int | None, Mapping[str, str]]:
    """Status and headers of the answer behind an error."""
    cause: BaseException = error
    while not (hasattr(cause, "response") or hasattr(cause, "status")):
        # s3fs raises its own OSError in place of the answer of the service.
        before = cause.__cause__ or cause.__context__
        if before is None:
            break
        cause = before
    response = getattr(cause, "response", None)
    if isinstance(response, dict):
        about = response.get("ResponseMetadata", {})
        return about.get("HTTPStatusCode"), about.get("HTTPHeaders", {})
    return getattr(cause, "status", None), getattr(cause, "headers", None) or {}
