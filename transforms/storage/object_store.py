"""Access to object storage: one policy for retries, and errors of one line.

`call` is the only place that repeats an operation of a storage. GDAL repeats nothing itself where
`gdal_access.read_again` reads; that function asks here whether the storage answers. A block is not
computed again because of an error that `call` raised (`transforms.work.losses`).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import Any, NamedTuple, TypeVar

import fsspec
import stamina

from transforms.elements import StorageError

from .locations import masked, parts

WAIT = 10.0
"""The longest wait before the next try, in seconds, if the server does not ask for another."""
LONGEST_WAIT = 30.0
"""The longest wait that a server may ask for, in seconds; a longer one is cut to this."""
STALL = 20
"""A request that receives no byte for so many seconds is given up and repeated."""


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
# 409: two conditional writes at the same time.
_TRANSIENT = frozenset({408, 409, 429, 500, 502, 503, 504})
T = TypeVar("T")


def endpoint() -> str | None:
    """Address of the S3 service if it is not Amazon's; it is set as for the AWS tools."""
    address = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    return address or _configured(os.environ.get("AWS_CONFIG_FILE"), os.environ.get("AWS_PROFILE"))


@lru_cache(maxsize=4)
def _configured(file: str | None, profile: str | None) -> str | None:
    """The address in the configuration file of the AWS tools; the arguments are the cache key."""
    import botocore.exceptions
    import botocore.session

    session = botocore.session.get_session()
    try:
        scoped = session.get_scoped_config()
    except botocore.exceptions.ProfileNotFound:
        return None  # the connection itself reports this error
    services = session.full_config.get("services", {}).get(scoped.get("services"), {})
    return services.get("s3", {}).get("endpoint_url") or scoped.get("endpoint_url")


def credentials() -> dict[str, str]:
    """Keys and region that s3fs finds with the same environment, as GDAL options.

    GDAL itself looks in fewer places. Keys that expire are renewed in time.
    """
    from botocore.exceptions import BotoCoreError

    relevant = (
        item for item in os.environ.items() if item[0].startswith("AWS_") or item[0] == "HOME"
    )
    try:
        keys, region = _keys(tuple(sorted(relevant)))
        frozen = keys.get_frozen_credentials() if keys else None
    except BotoCoreError:
        return {}  # the connection itself reports this error
    options = {"AWS_REGION": region or ""}
    if frozen:
        options |= {
            "AWS_ACCESS_KEY_ID": frozen.access_key,
            "AWS_SECRET_ACCESS_KEY": frozen.secret_key,
            "AWS_SESSION_TOKEN": frozen.token or "",
        }
    return {name: value for name, value in options.items() if value}


@lru_cache(maxsize=4)
def _keys(environment: tuple[tuple[str, str], ...]) -> tuple[Any, str | None]:
    """The keys and the region that belong to an environment."""
    import botocore.session

    session = botocore.session.get_session()
    return session.get_credentials(), session.get_config_variable("region")


def _system(location: str) -> tuple[Any, str]:
    """The file system of a URL, and the path in it; it caches no listings."""
    scheme, _ = parts(location)
    options: dict[str, Any] = {"use_listings_cache": False}
    if scheme == "s3":
        config: dict[str, Any] = {
            "retries": {"mode": "standard", "total_max_attempts": 1},
            "connect_timeout": min(10, STALL),
            "read_timeout": STALL,
        }
        if endpoint():
            config["s3"] = {"addressing_style": "path"}
        options |= {"endpoint_url": endpoint(), "config_kwargs": config, "max_concurrency": 4}
    system = fsspec.filesystem(scheme, **options)
    system.retries = 1  # `call` decides which errors are retried, and when
    return system, str(system._strip_protocol(location))


def answers(location: str, seconds: float) -> bool:
    """Whether the storage gives one byte of a file; if not, it refuses or has no such file.

    Raises:
        StorageError: it does not answer three tries, or not within `seconds`.
    """
    policy = Policy(tries=3, first_wait=1.0, seconds=seconds)
    try:
        call(location, lambda system, path: system.cat_file(path, start=0, end=1), policy)
    except StorageError as error:
        if error.passing:
            raise
        return False
    return True


def call(location: str, action: Callable[[Any, str], T], policy: Policy = POLICY) -> T:
    """Run an action on the file system of a URL; repeat it after errors that may pass.

    Args:
        location: the URL.
        action: takes the file system and the path in it; it starts anew at each try.
        policy: how often and how long to try.

    Returns:
        The result of the action.

    Raises:
        StorageError: the last try failed, or the error cannot pass.
    """
    try:
        system, path = _system(location)
        for attempt in stamina.retry_context(
            on=_again,
            attempts=policy.tries,
            timeout=policy.timeout(),
            wait_initial=policy.first_wait,
            wait_max=WAIT,
        ):
            with attempt:
                return action(system, path)
    except FileNotFoundError as error:
        raise StorageError(
            location, f"does not exist: {masked(str(error))}", absent=True
        ) from error
    except _errors() as error:
        reason = masked(str(error)) or type(error).__name__
        raise StorageError(location, reason, passing=bool(_again(error))) from error
    raise AssertionError("stamina ends with a result or an error")


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
