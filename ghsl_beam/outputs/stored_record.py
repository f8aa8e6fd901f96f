"""Reads run.json from storage, where anybody may have written it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from ghsl_beam.outputs.record_schema import RECORD
from transforms.elements import RequestError, StorageError
from transforms.storage import storage

MAX_RECORD_BYTES = 128 << 20
"""Largest record; that of a continent has about 80 MB."""
_MAY_DIFFER = {"missing", "extra_forbidden"}


def stored_record(output: str) -> dict[str, Any]:
    """The record of a run on storage; each of its keys has the type that the schema says.

    A record of another version may lack keys, or have more.

    Raises:
        RequestError: there is none, it is too large or too deep, or a key has a wrong type.
    """
    path = storage.join(output, "run.json")
    try:
        record = json.loads(storage.read_bytes(path, MAX_RECORD_BYTES))
    except (StorageError, ValueError, RecursionError) as error:
        reason = storage.masked(error.reason if isinstance(error, StorageError) else str(error))
        raise RequestError(f"{path}: cannot be read ({reason}); is it a run's output?") from error
    if not isinstance(record, dict):
        raise RequestError(f"{path}: is not the record of a run")
    wrong = first_wrong(record)
    if wrong:
        raise RequestError(f"{path}: is not the record of a run: {wrong}")
    return record


def first_wrong(record: Mapping[str, Any], *, whole: bool = False) -> str | None:
    """The first key with a wrong type, and the expected type; None if there is none.

    `whole`: keys that are missing or unknown are wrong too.
    """
    try:
        RECORD.validate_python(record, strict=True)
    except ValidationError as error:
        for fault in error.errors(include_url=False, include_context=False):
            if whole or fault["type"] not in _MAY_DIFFER:
                key = ".".join(map(str, fault["loc"]))[:200]
                return (
                    f"{key}: found {ascii(fault['input'])[:60]}, expected another type: "
                    + (fault["msg"])
                )
    return None
