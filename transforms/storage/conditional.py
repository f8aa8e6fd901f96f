"""Conditional writes of object storage: write an object only if nobody else has changed it.

The service compares and writes in one step. If two processes write at the same moment, the service
refuses one of them.
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

import fsspec.asyn

from transforms.elements import StorageError

from .object_store import call, status_of

_REFUSED, _UNKNOWN = 412, 501


class UnsupportedError(StorageError):
    """The service does not support conditional writes."""


class StoredText(NamedTuple):
    """A small object: its text, the ETag of this version, and its age.

    `age` is in seconds, to one second, by the clock of the service. It is None if the service does
    not give it.
    """

    text: str
    etag: str
    age: float | None


def available(location: str) -> bool:
    """Whether conditional writes are possible at a location: only s3fs passes them on."""
    return location.startswith("s3://")


def read(location: str, limit: int) -> StoredText | None:
    """Read an object, at most `limit` characters of it; None if there is no such object.

    Raises:
        StorageError: the storage does not answer, or refuses.
    """

    def get(system: Any, path: str) -> StoredText:
        async def ask() -> StoredText:
            answer = await system._call_s3("get_object", **_place(system, path))
            async with answer["Body"] as body:
                text = (await body.read()).decode(errors="replace")[:limit]
            date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
            if not date:
                return StoredText(text, answer["ETag"], None)
            age = (parsedate_to_datetime(date) - answer["LastModified"]).total_seconds()
            return StoredText(text, answer["ETag"], age)

        stored: StoredText = fsspec.asyn.sync(system.loop, ask)
        return stored

    try:
        return call(location, get)
    except StorageError as error:
        if error.absent:
            return None
        raise


def write(location: str, data: bytes, etag: str | None) -> str | None:
    """Create an object, or replace the version of it that has this ETag.

    If the answer to a write is lost, the write is repeated. The service may then refuse the second
    write because the first one succeeded.

    Args:
        location: URL of the object.
        data: its new content.
        etag: ETag of the version to replace; None to create the object.

    Returns:
        The new ETag; None if the condition does not hold.

    Raises:
        UnsupportedError: the service does not support conditional writes.
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
                raise UnsupportedError(
                    location, "the service does not support conditional writes"
                ) from error
            raise
        return str(answer["ETag"])

    try:
        return call(location, put)
    except StorageError as error:
        if error.absent and etag is not None:
            return None
        raise


def enforced(location: str, data: bytes) -> bool:
    """Whether the service checks the conditions; a service that does not know them may ignore them.

    The test tries two writes to an object that exists. Both must be refused.

    Args:
        location: URL of the object.
        data: its present content.

    Raises:
        StorageError: the storage does not answer, or refuses.
    """
    return write(location, data, None) is None and write(location, data, '"none"') is None


def _place(system: Any, path: str) -> dict[str, str]:
    bucket, key, _ = system.split_path(path)
    return {"Bucket": bucket, "Key": key}
