"""Conditional writes of object storage: an object is written only where it is as it was.

The service compares and writes in one step, so of two that write at the same moment one is refused.
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

import fsspec.asyn

from transforms.elements import StorageError

from .object_store import call, status_of

_REFUSED, _UNKNOWN = 412, 501


class UnsupportedError(StorageError):
    """The service says that it knows no conditional writes."""


class Found(NamedTuple):
    """A small object: its text, what identifies this writing of it, and its age.

    `age` are seconds by the service's own clock, to a second; None where it does not tell.
    """

    text: str
    etag: str
    age: float | None


def can(location: str) -> bool:
    """Whether there are conditional writes at a location at all: s3fs alone passes them on."""
    return location.startswith("s3://")


def read(location: str, limit: int) -> Found | None:
    """An object, or as much of it as the limit allows; None where there is none.

    Raises:
        StorageError: the storage does not answer, or refuses.
    """

    def get(system: Any, path: str) -> Found:
        async def ask() -> Found:
            got = await system._call_s3("get_object", **_place(system, path))
            async with got["Body"] as body:
                text = (await body.read()).decode(errors="replace")[:limit]
            told = got["ResponseMetadata"]["HTTPHeaders"].get("date")
            age = (parsedate_to_datetime(told) - got["LastModified"]).total_seconds() if told else 0
            return Found(text, got["ETag"], age if told else None)

        found: Found = fsspec.asyn.sync(system.loop, ask)
        return found

    try:
        return call(location, get)
    except StorageError as error:
        if error.absent:
            return None
        raise


def write(location: str, data: bytes, etag: str | None) -> str | None:
    """Write an object that is not there, or in the place of the one with an ETag.

    A write whose answer is lost is tried again, and may then be refused for its own sake.

    Returns:
        The new ETag; None where the condition does not hold.

    Raises:
        UnsupportedError: the service knows no conditions.
        StorageError: the storage does not answer, or refuses.
    """
    condition = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}

    def put(system: Any, path: str) -> str | None:
        place = _place(system, path)
        try:
            answer = system.call_s3("put_object", Body=data, **place, **condition)
        except OSError as error:
            if status_of(error) == _REFUSED:
                return None
            if status_of(error) == _UNKNOWN:
                raise UnsupportedError(location, "knows no conditional writes") from error
            raise
        return str(answer["ETag"])

    try:
        return call(location, put)
    except StorageError as error:
        if error.absent and etag is not None:
            return None
        raise


def honoured(location: str, data: bytes) -> bool:
    """Whether the service refuses to write an object that is there, and is this one.

    A service that does not know conditions may ignore them.

    Raises:
        StorageError: the storage does not answer, or refuses.
    """
    return write(location, data, None) is None and write(location, data, '"none"') is None


def _place(system: Any, path: str) -> dict[str, str]:
    bucket, key, _ = system.split_path(path)
    return {"Bucket": bucket, "Key": key}
