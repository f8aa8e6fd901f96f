"""The job file: a schema with units and defaults; it is validated completely before a run."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from copy import deepcopy
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from ghsl_beam.area.bounding_box import checked_box
from ghsl_beam.area.wkt import is_no_location, looks_like_wkt, mistake
from ghsl_beam.jobfile.fields import (
    Float,
    Int,
    Location,
    LocationText,
    Section,
    absolute_location,
)
from ghsl_beam.jobfile.mistakes import first_mistake
from ghsl_beam.jobfile.period import FORMS, days_of, label
from ghsl_beam.jobfile.plain_yaml import parse_yaml, shown, text_of
from ghsl_beam.jobfile.sections import (
    STARTER_MINIMUM,
    Cleaning,
    Composite,
    Districts,
    Greenness,
    Grid,
    Masks,
    Models,
    Residential,
    Scenes,
    Tiles,
)
from ghsl_beam.jobfile.sources import Input
from ghsl_beam.jobfile.storage_services import (
    StorageService,
    services_of,
    with_those_of_environment,
)
from transforms.assembly.masks.parameters import Method
from transforms.elements import Level, RequestError
from transforms.storage.services import Services, use

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.A)


def _a_day(value: object) -> object:
    """Accept a date or its text, but no number, which could be taken as seconds."""
    if isinstance(value, date) or (isinstance(value, str) and _DAY.fullmatch(value)):
        return value
    raise ValueError("expected a day, YYYY-MM-DD")


_Box = Annotated[tuple[Float, Float, Float, Float], AfterValidator(checked_box)]
_Day = Annotated[date, BeforeValidator(_a_day)]


class Area(Section):
    """The area of interest: exactly one of file, wkt, bbox."""

    file: Location | None = Field(
        None, description="file of polygons: GeoPackage, GeoJSON, Shapefile, FlatGeobuf or WKT"
    )
    wkt: str | None = Field(
        None,
        description="polygons as WKT, longitude and latitude in degrees; an edge of more than 180 "
        "degrees, from above 90 to below -90, crosses the antimeridian",
    )
    bbox: _Box | None = Field(
        None, description="west, south, east, north in degrees; west > east crosses 180 degrees"
    )

    @model_validator(mode="after")
    def _one_of(self) -> Area:
        given = [key for key in ("file", "wkt", "bbox") if getattr(self, key) is not None]
        if len(given) != 1:
            raise ValueError(
                f"give exactly one of file, wkt, bbox; found {' and '.join(given) or 'none'}; "
                "to replace that of the job file: --set 'area={bbox: [12.5, 52.4, 12.7, 52.5]}'"
            )
        return self

    @field_validator("file")
    @classmethod
    def _is_location(cls, text: str | None) -> str | None:
        if text is not None and is_no_location(text):
            raise ValueError('this is WKT, not a file: write area: {wkt: "POLYGON (...)"}')
        return text

    @field_validator("wkt")
    @classmethod
    def _is_wkt(cls, text: str | None) -> str | None:
        if text is not None and not looks_like_wkt(text):
            raise ValueError(
                f"not WKT such as POLYGON ((12 52, 13 52, 13 53, 12 52)): {mistake(text)}"
            )
        return text


class Period(Section):
    """Days of acquisition, both included."""

    start: _Day = Field(description="first day, YYYY-MM-DD")
    end: _Day = Field(description="last day, YYYY-MM-DD")

    @model_validator(mode="after")
    def _forward(self) -> Period:
        if self.end < self.start:
            raise ValueError(f"end {self.end} is before start {self.start}: swap them")
        return self


def _days(value: object, info: ValidationInfo) -> object:
    """Turn a period given as text into its days, relative to the day of the launch."""
    if isinstance(value, Mapping | Period):
        return value
    first, last = days_of(str(value), (info.context or {})["today"])
    return {"start": first, "end": last}


_PeriodText = Annotated[str | int, Field(description=f"one of: {FORMS}")]


class Job(Section):
    """A job file."""

    # First, because the fields below use it.
    period: Annotated[Period, BeforeValidator(_days, json_schema_input_type=_PeriodText | Period)]
    epoch: Int = Field(
        default_factory=lambda job: job["period"].end.year,
        ge=2015,
        le=2100,
        validate_default=True,
        description="year of the layers; by default the year of the last day of the period",
    )
    name: str = Field(
        json_schema_extra={"pattern": r"^([A-Za-z0-9-]|\{period\}|\{epoch\})+$"},
        description="short name, part of file names; may hold {period} and {epoch}, as output may",
    )
    area: Area
    districts: Districts | None = Field(
        None, description="polygons with totals of their own; they have no effect on the layers"
    )
    input: Input
    masks: Masks = Masks()
    scenes: Scenes = Scenes()
    composite: Composite = Composite()
    models: Models = Models()
    cleaning: Cleaning = Field(Cleaning(), validate_default=True)
    residential: Annotated[Residential, Field(validate_default=True)] = Residential()
    greenness: Greenness = Greenness()
    grids: tuple[Grid, ...] = (Grid(),)
    output: Location = Field(
        description="folder or URL of the products; {period} becomes 2025, 2025-Q1, 2025-06 or "
        "20250115-20250331, {epoch} becomes the epoch"
    )
    block_size: Int = Field(
        1024,
        ge=64,
        le=4096,
        description="side of a block, pixels of 10 m; has no effect on results",
    )
    tiles: Tiles = Field(
        Tiles.OWNED,
        description="owned: where MGRS tiles overlap, each pixel is computed by the tile with the "
        "nearest centre; whole: by every tile; the output grids are the same",
    )
    strict: bool = Field(False, description="stop at the first loss")
    storage: dict[str, StorageService] = Field(
        {}, description="storage services by name, over the shipped ones: copernicus and google"
    )

    @field_validator("storage")
    @classmethod
    def _fit_together(cls, given: dict[str, StorageService]) -> dict[str, StorageService]:
        services_of(given)
        return given

    @property
    def services(self) -> Services:
        """The storage services of the job."""
        return services_of(self.storage)

    @field_validator("masks")
    @classmethod
    def _of_level(cls, given: Masks, info: ValidationInfo) -> Masks:
        """Refuse the method s2cloudless for L2A, which has no B10."""
        settings = info.data.get("input")
        l2a = settings is not None and settings.level is Level.L2A
        if given.method is Method.S2CLOUDLESS and l2a:
            raise ValueError(
                "method: s2cloudless needs input.level: L1C, this job has L2A; leave method out, "
                "or use product or csmask"
            )
        return given

    @field_validator("residential")
    @classmethod
    def _with_classifier(cls, given: Residential, info: ValidationInfo) -> Residential:
        """Refuse a job without a classifier: the starter classifier is never chosen silently."""
        models = info.data.get("models")
        asked = given.model is not None or given.starter
        if not asked and models is not None and not models.starter:
            raise ValueError(
                "no model is given; give the file of a classifier (residential: {model: "
                "own.skops}), take the starter classifier (residential: {starter: true}), or ask "
                "for the starter models (models: {starter: true})"
            )
        return given

    @field_validator("name", "output", mode="before")
    @classmethod
    def _filled(cls, value: object, info: ValidationInfo) -> object:
        """The text with its placeholders replaced."""
        if not isinstance(value, str):
            return value
        # If the period or the epoch is wrong, only that is reported.
        period, epoch = info.data.get("period"), info.data.get("epoch")
        filled = value.replace("{period}", label(period.start, period.end) if period else "period")
        filled = filled.replace("{epoch}", str(epoch))
        if "{" in filled or "}" in filled:
            raise ValueError("only {period} and {epoch} are allowed in braces")
        return filled

    @field_validator("name")
    @classmethod
    def _a_name(cls, text: str) -> str:
        """Check the name, a part of file names that other tools split at `_`."""
        wrong = next(
            (n for n, c in enumerate(text) if not (c.isascii() and c.isalnum()) and c != "-"), None
        )
        if wrong is not None:
            like = re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")[:41] or "havelland"
            raise ValueError(
                f"{text[wrong]!r} at character {wrong + 1} is not allowed; use letters A to Z, "
                f"digits and -, such as {like}"
            )
        if not 1 <= len(text) <= 41 or text[0] == "-":
            raise ValueError("give 1 to 41 letters, digits and -; the first must not be -")
        return text

    @field_validator("cleaning")
    @classmethod
    def _for_the_network(cls, cleaning: Cleaning, info: ValidationInfo) -> Cleaning:
        """The cleaning with the default minimum of the network, if no other is given."""
        models = info.data.get("models")
        if models and models.starter and "minimum" not in cleaning.model_fields_set:
            return cleaning.model_copy(update={"minimum": STARTER_MINIMUM})
        return cleaning

    @field_validator("grids")
    @classmethod
    def _distinct(cls, grids: tuple[Grid, ...]) -> tuple[Grid, ...]:
        labels = [grid.label() for grid in grids]
        if len(set(labels)) != len(labels):
            crs = ", ".join(grid.crs for grid in grids)
            raise ValueError(
                f"the same CRS is given twice ({crs}): give it once, with all resolutions"
            )
        return grids

    def resolved(self, folder: Path) -> Job:
        """The job with absolute locations; relative ones count from the job file's folder.

        Raises:
            RequestError: a location has no target: there is no such home folder, or links in a
                circle.
        """

        def absolute(value: Any, key: str) -> Any:
            if isinstance(value, LocationText):
                return LocationText(absolute_location(value, folder, key))
            if isinstance(value, BaseModel):
                changed = {
                    name: absolute(getattr(value, name), f"{key}.{name}".lstrip("."))
                    for name in type(value).model_fields
                }
                # Only the keys of the job file count as given.
                return type(value).model_construct(value.model_fields_set, **changed)
            return value

        return absolute(self, "")


def load_job(
    file: Path,
    settings: tuple[str, ...] = (),
    output: str | None = None,
    today: date | None = None,
) -> Job:
    """Read and validate a job file.

    Args:
        file: YAML file.
        settings: `key.path=value` each; they replace the file's values; the value is YAML.
        output: replaces the file's `output`; it counts from the current folder.
        today: the day of the launch, from which relative periods count; by default today in UTC.

    Raises:
        RequestError: one line that names the key, what was given, and what is allowed.
    """
    content = _content(file)
    for setting in settings:
        _apply(content, setting)
    return _validated(content, str(file), file.absolute().parent, output, today)


def make_job(given: str | os.PathLike[str] | Mapping[str, Any], changes: Mapping[str, Any]) -> Job:
    """Validate a job that Python code gives.

    Args:
        given: a job file or its content; relative locations count from the file's folder, or from
            the current folder.
        changes: new value of each `key.path`, which replaces the given one; `output` counts from
            the current folder.

    Raises:
        RequestError: as in `load_job`.
    """
    if isinstance(given, Mapping):
        content, source, folder = deepcopy(dict(given)), "job", Path.cwd()
    else:
        file = Path(given)
        content, source, folder = _content(file), str(file), file.absolute().parent
    output = None
    for path, value in changes.items():
        plain = os.fspath(value) if isinstance(value, os.PathLike) else deepcopy(value)
        if path == "output" and isinstance(plain, str):
            output = plain
        else:
            _put(content, path.split("."), plain, path)
    return _validated(content, source, folder, output)


def _content(file: Path) -> dict[str, Any]:
    content = parse_yaml(text_of(file), str(file))
    if not isinstance(content, dict):
        found = "nothing" if content is None else shown(content)
        raise RequestError(f"{file}: expected keys with values, found {found}")
    return content


def _validated(
    content: dict[str, Any],
    source: str,
    folder: Path,
    output: str | None,
    today: date | None = None,
) -> Job:
    if output is not None:
        content["output"] = absolute_location(output, Path.cwd(), "output")
    section = content.get("storage", {})
    if isinstance(section, Mapping) and (merged := with_those_of_environment(section)):
        content["storage"] = merged
    try:
        context = {"today": today or datetime.now(UTC).date()}
        job = Job.model_validate(content, context=context).resolved(folder)
        use(job.services)
        return job
    except ValidationError as error:
        raise RequestError(f"{source}: {first_mistake(error, Job)}") from error


def _apply(content: dict[str, Any], setting: str) -> None:
    path, equals, value = setting.partition("=")
    keys = path.split(".")
    if not equals or not all(keys):
        raise RequestError(f"--set {setting}: expected key.path=value")
    _put(content, keys, parse_yaml(value, f"--set {path}"), f"--set {shown(setting)}")


def _put(content: dict[str, Any], keys: list[str], value: Any, source: str) -> None:
    """Change one key of a job; the other keys name the sections around it."""
    for key in keys[:-1]:
        inner = content.setdefault(key, {})
        if not isinstance(inner, dict):
            raise RequestError(f"{source}: {key} has no keys below it")
        content = inner
    content[keys[-1]] = value


def schema() -> dict[str, Any]:
    """JSON schema of the job file, with descriptions, units, defaults and bounds."""
    return Job.model_json_schema()
