"""The clients of object storage: one policy for what is tried again, errors of one line.

`call` is the one place that tries again what a storage does not give. GDAL tries nothing again by
itself where `gdal_access.read_again` reads: that asks here whether the storage answers. A block is
not begun anew for what failed here (`transforms.work.losses`).
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
"""Seconds at most before a next try, where no server asks for others."""
LONGEST_WAIT = 30.0
"""Seconds that a server may ask us to wait before the next try; asked for more, we wait this."""
STALL = 20
"""Seconds without a byte after which a request is given up, and tried again."""


class Policy(NamedTuple):
    """How an operation is tried again that the storage does not answer.

    `tries` counts the first; `first_wait` are the seconds before the second, which double from try
    to try; `seconds` are those within which the operation ends.
    """

    tries: int = 5
    first_wait: float = 0.2
    seconds: float = 180.0

    def timeout(self) -> float:
        """Seconds within which a try has to fail for another to follow.

        The next one begins after the longest wait that a server may ask for, and may stall.
        """
        return max(0.001, self.seconds - LONGEST_WAIT - STALL)


POLICY = Policy()
_NO_LONGER_SO = 412
# 409: two conditional writes met.
_TRANSIENT = frozenset({408, 409, 429, 500, 502, 503, 504})
T = TypeVar("T")


def endpoint() -> str | None:
    """Address of the S3 service where it is not Amazon's, as the AWS tools are told it."""
    told = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    return told or _configured(os.environ.get("AWS_CONFIG_FILE"), os.environ.get("AWS_PROFILE"))


@lru_cache(maxsize=4)
def _configured(file: str | None, profile: str | None) -> str | None:
    """The address in the file of the AWS tools; the arguments are those that it depends on."""
    import botocore.exceptions
    import botocore.session

    session = botocore.session.get_session()
    try:
        scoped = session.get_scoped_config()
    except botocore.exceptions.ProfileNotFound:
        return None  # whoever connects says so
    services = session.full_config.get("services", {}).get(scoped.get("services"), {})
    return services.get("s3", {}).get("endpoint_url") or scoped.get("endpoint_url")


def credentials() -> dict[str, str]:
    """Keys and region that s3fs finds with the same environment, as options of GDAL.

    GDAL itself looks in fewer places. Keys that expire are asked for anew when their time comes.
    """
    from botocore.exceptions import BotoCoreError

    told = (item for item in os.environ.items() if item[0].startswith("AWS_") or item[0] == "HOME")
    try:
        keys, region = _keys(tuple(sorted(told)))
        found = keys.get_frozen_credentials() if keys else None
    except BotoCoreError:
        return {}  # whoever connects says so
    options = {"AWS_REGION": region or ""}
    if found:
        options |= {
            "AWS_ACCESS_KEY_ID": found.access_key,
            "AWS_SECRET_ACCESS_KEY": found.secret_key,
            "AWS_SESSION_TOKEN": found.token or "",
        }
    return {name: value for name, value in options.items() if value}


@lru_cache(maxsize=4)
def _keys(told: tuple[tuple[str, str], ...]) -> tuple[Any, str | None]:
    """Keys, and the region, that belong to an environment."""
    import botocore.session

    session = botocore.session.get_session()
    return session.get_credentials(), session.get_config_variable("region")


def _system(location: str) -> tuple[Any, str]:
    """The file system of a URL, and the path in it; nothing it lists or finds is remembered."""
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
    system.retries = 1  # `call` decides what is tried again, and when
    return system, str(system._strip_protocol(location))


def answers(location: str, seconds: float) -> bool:
    """Whether the storage gives a byte of a file; otherwise it refuses, or there is no such file.

    Raises:
        StorageError: it gives no answer at three tries, or for so many seconds.
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
    """Do something with the file system of a URL and the path in it, again if it fails in passing.

    Args:
        location: the URL.
        action: what to do; it is begun anew at each try.
        policy: how it is tried again.

    Raises:
        StorageError: it failed for good.
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
        raise StorageError(location, f"not there: {masked(str(error))}", absent=True) from error
    except _errors() as error:
        reason = masked(str(error)) or type(error).__name__
        raise StorageError(location, reason, passing=bool(_again(error))) from error
    raise AssertionError("stamina ends with a result or an error")


@cache
def _errors() -> tuple[type[Exception], ...]:
    """What the clients of the storages raise; they are imported when first needed."""
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
    """Whether an error may be gone at the next try, and how long its server asks to wait."""
    import aiohttp
    import botocore.exceptions

    status, headers = _answer(error)
    if status is None:
        lost = (ConnectionError, TimeoutError)
        theirs = (botocore.exceptions.HTTPClientError, botocore.exceptions.ConnectionError)
        cut = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError)
        return isinstance(error, (*lost, *theirs, *cut))
    if status == _NO_LONGER_SO and isinstance(error, OSError) and error.errno == errno.EBUSY:
        return True  # the object was written anew between two requests of one reading
    if status not in _TRANSIENT:
        return False
    wait = str(headers.get("retry-after") or headers.get("Retry-After") or "")
    return min(float(wait), LONGEST_WAIT) if wait.isdigit() else True


def status_of(error: Exception) -> int | None:
    """The HTTP status that an error of a client is about; None where no answer came."""
    return _answer(error)[0]


def _answer(error: Exception) -> tuple[int | None, Mapping[str, str]]:
    """Status and headers of the answer that an error is about."""
    cause: BaseException = error
    while not (hasattr(cause, "response") or hasattr(cause, "status")):
        # s3fs raises an OSError of its own in the place of what the service answered.
        before = cause.__cause__ or cause.__context__
        if before is None:
            break
        cause = before
    response = getattr(cause, "response", None)
    if isinstance(response, dict):
        about = response.get("ResponseMetadata", {})
        return about.get("HTTPStatusCode"), about.get("HTTPHeaders", {})
    return getattr(cause, "status", None), getattr(cause, "headers", None) or {}
