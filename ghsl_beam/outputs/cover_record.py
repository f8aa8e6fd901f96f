"""The structure of `cover` in run.json."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict


@with_config(ConfigDict(extra="forbid"))
class CoverRecord(TypedDict):
    """How much of the area has scenes, and how much has data."""

    area_km2: Annotated[float, Field(description="the job's area, km²")]
    scenes_percent: Annotated[
        float,
        Field(description="percent of it that is on the ground of a scene, by their footprints"),
    ]
    data_percent: Annotated[
        float | None,
        Field(
            description="percent of it with data in BUFRAC; null until a run reaches its end, or "
            "if a product is damaged"
        ),
    ]
