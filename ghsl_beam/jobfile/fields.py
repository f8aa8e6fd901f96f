"""The parts of the sections of a job file: locations, numbers, and the common base class."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from transforms.elements import RequestError
from transforms.storage import storage


class LocationText(str):
    """Marks texts that are locations: a relative path starts at the job file's folder."""


def _location(text: str) -> LocationText:
    reason = storage.problem(text)
    if reason:
        raise ValueError(reason)
    return LocationText(text)


Location = Annotated[str, AfterValidator(_location)]
"""A local path, or a URL of object storage."""


def _not_bool(value: object) -> object:
    """Refuse YAML's yes and no, which Python would take as the numbers 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("expected a number")
    return value


NUMBER = BeforeValidator(_not_bool)
Float = Annotated[float, NUMBER]
Int = Annotated[int, NUMBER]


class Section(BaseModel):
    """A section: it allows no other keys, and no changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def absolute_location(location: str, folder: Path, key: str) -> str:
    """The location of a key as an absolute one; a relative path counts from a folder.

    Raises:
        RequestError: it has no target: there is no such home folder, or links in a circle.
    """
    try:
        absolute = storage.absolute(location, folder)
        if not storage.is_url(absolute):
            _check_links(absolute)
        return absolute
    except (OSError, RuntimeError) as error:  # no such home folder, or links in a circle
        reason = str(error).rstrip(".")
        raise RequestError(f"{key}: {reason}, given {location!r}") from error


def _check_links(path: str) -> None:
    """Raise OSError for links in a circle; whatever else is wrong shows where the path is used."""
    try:
        os.stat(path)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError("links in a circle") from error
