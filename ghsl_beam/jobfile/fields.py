"""The parts of the sections of a job file: locations, numbers, and the common base class."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

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
