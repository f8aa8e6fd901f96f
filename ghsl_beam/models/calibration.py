"""The calibration of a job: a file with a curve for each network, by the SHA-256 of its weights."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ghsl_beam.jobfile.configuration import Job
from ghsl_beam.jobfile.sections import Cleaning
from ghsl_beam.models.chosen import Model
from transforms.cleaning.calibration import ONE, Curve, Knot
from transforms.elements import RequestError, StorageError, request_error
from transforms.storage import storage

MAX_BYTES = 8 << 20
"""Largest calibration file; one with the curves of all published networks is smaller."""
_MAX_MODELS = 1000
_LITTLE = 1.0
"""Percent of built-up that is left out without a warning."""
CALIBRATION_TAGS = ("CALIBRATION", "CALIBRATION_SHA256")
"""Tags of a product with the file name and the SHA-256 of the calibration."""
_STRICT = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

_LONGEST = 500
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
Text = Annotated[str, Field(max_length=_LONGEST, pattern=r"^[^\x00-\x1f\x7f]*$")]
Setting = bool | int | float | Text | None
_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Part(BaseModel):
    """A range of probability (x 10 000, both included), and how far the curve is wrong in it.

    All numbers but those of the range are of held-out pixels; errors are curve minus reference, as
    fractions.
    """

    model_config = _STRICT
    lowest: int
    highest: int
    pixels: int
    fraction: float
    reference: float
    error: float
    sd: float


class HeldOut(BaseModel):
    """How far the built-up of held-out blocks is wrong; fractions, and areas in pixels."""

    model_config = _STRICT
    block_m: float
    blocks: int
    bias_percent: float
    bias_percent_lowest: float
    bias_percent_highest: float
    bias_percent_kept: float
    mae: float
    rmse: float
    predicted: float
    reference: float
    reference_kept: float


class ModelCurve(BaseModel):
    """The curve of one network, and what it was fitted on."""

    model_config = _STRICT
    file: Text
    form: Literal["isotonic", "logistic"]
    why: Text
    pixels: int
    omitted_percent: Annotated[float, Field(ge=0, le=100)]
    omitted: Literal["included", "left out"]
    knots: Annotated[list[Knot], Field(min_length=2, max_length=ONE + 1)]
    held_out: HeldOut
    parts: Annotated[list[Part], Field(max_length=ONE + 1)]


class Entry(ModelCurve):
    """The curve of one network in a file, and where it was fitted.

    `cleaning` has the settings that decide which pixels are kept.
    """

    made_by: Text
    reference: Text
    unit: Text
    product: Text
    cleaning: Annotated[dict[Text, Setting], Field(max_length=50)]


class CalibrationFile(BaseModel):
    """The content of a calibration file; its entries may be from several runs."""

    model_config = _STRICT
    format: Literal["ghsl-beam calibration"] = "ghsl-beam calibration"
    version: Literal[1] = 1
    models: Annotated[dict[_Sha256, Entry], Field(min_length=1, max_length=_MAX_MODELS)]


@dataclass(frozen=True)
class ChosenCalibration:
    """The calibration of a job: the curve of each of its networks, by SHA-256.

    `reference`: the names of the references of these curves. `cleanings`: the different settings of
    the cleaning that they were fitted for. `left_out`: the largest percent of built-up in removed
    pixels that a curve does not make up for.
    """

    file: str
    sha256: str
    reference: str
    curves: Mapping[str, Curve]
    cleanings: tuple[Mapping[str, Setting], ...] = ()
    left_out: float = 0.0

    @property
    def tags(self) -> dict[str, str]:
        """The tags about the calibration in the layers that are made with it."""
        return dict(zip(CALIBRATION_TAGS, (self.file, self.sha256), strict=True))

    @property
    def credit(self) -> str:
        """The credit of products that are made with it."""
        return (
            f"calibration {_plain(self.file)} (SHA-256 {self.sha256[:12]}), "
            f"fitted by ghsl-beam on {_plain(self.reference)}"
        )


def parse(content: bytes, where: str) -> CalibrationFile:
    """Read the content of a calibration file, which may come from anybody.

    Raises:
        RequestError: it is no calibration; one line names the first mistake.
    """
    try:
        made = CalibrationFile.model_validate_json(content)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False)[0]
        key = ascii(".".join(map(str, fault["loc"])))[1:-1][:100] or "content"
        found = "is missing" if fault["type"] == "missing" else f"is {ascii(fault['input'])[:60]}"
        raise RequestError(
            f"{where}: is no calibration of ghsl-beam: {key} {found} ({fault['msg']}); "
            "make one with ghsl-beam calibrate"
        ) from error
    for sha256, model in made.models.items():
        try:
            Curve(tuple(model.knots))
        except ValueError as error:
            raise RequestError(f"{where}: models.{sha256[:12]}: {error}") from error
    return made


def chosen_calibration(job: Job, models: Iterable[Model]) -> ChosenCalibration | None:
    """Read and check the calibration of a job; None if the job has none.

    Raises:
        RequestError: it cannot be read, is no calibration, or lacks the curve of a network.
        UnavailableError: its storage does not answer now.
    """
    path = job.models.calibration
    if path is None:
        return None
    try:
        content = storage.read_bytes(path, MAX_BYTES)
    except StorageError as error:
        raise request_error(f"models.calibration: {error}", error) from error
    made = parse(content, f"models.calibration: {storage.masked(path)}")
    for model in models:
        if model.sha256 not in made.models:
            known = ", ".join(
                f"{curve.file} ({sha256[:12]})" for sha256, curve in list(made.models.items())[:5]
            )
            raise RequestError(
                f"models.calibration: {storage.name(path)} has no curve for {model.file} "
                f"({model.sha256[:12]}) of zone {model.zone}, only for {known}; run ghsl-beam "
                "calibrate on an output that this network made, or leave the key out"
            )
    used = {sha256: made.models[sha256] for sha256 in sorted({model.sha256 for model in models})}
    cleanings = {repr(sorted(entry.cleaning.items())): entry.cleaning for entry in used.values()}
    return ChosenCalibration(
        storage.name(path),
        hashlib.sha256(content).hexdigest(),
        plain_text(", ".join(dict.fromkeys(entry.reference for entry in used.values()))),
        {key: Curve(tuple(entry.knots)) for key, entry in used.items()},
        tuple(cleanings.values()),
        max(
            entry.omitted_percent if entry.omitted == "left out" else 0.0 for entry in used.values()
        ),
    )


def cleaning_of(job: Mapping[str, Any]) -> dict[str, Setting]:
    """The settings of the cleaning that decide which pixels it keeps, for a calibration file.

    Args:
        job: the configuration of a job in the form of the record, which may come from anybody.
    """
    given = job.get("cleaning")
    settings = given if isinstance(given, Mapping) else {}
    kept: dict[str, Setting] = {"roads": settings.get("roads") is not None}
    for key in sorted(set(Cleaning.model_fields) - {"roads", "road_width_field"}):
        value = settings.get(key, _default(key))
        kept[key] = value if isinstance(value, bool | int | float) else None
    return kept


def _default(key: str) -> Setting:
    """The value of a key that did not exist when a record or a file was written."""
    field = Cleaning.model_fields.get(key)
    return field.default if field else None


def plain_text(text: str) -> str:
    """A text as a calibration file may hold it: one line of at most 500 characters."""
    return _CONTROL.sub(" ", text)[:_LONGEST]


def calibration_warnings(calibration: ChosenCalibration | None, job: Job) -> list[str]:
    """Warnings about a calibration and the job's other settings."""
    if calibration is None:
        return []
    warnings = []
    if calibration.left_out >= _LITTLE:
        warnings.append(
            f"calibration {calibration.file}: leaves out built-up in pixels that the cleaning "
            f"removes, {calibration.left_out:.1f} % of its reference: BUILT_S is too small by it"
        )
    ours = cleaning_of(job.model_dump(mode="json"))
    for theirs in calibration.cleanings:
        fitted = {key: theirs.get(key, _default(key)) for key in {*ours, *theirs}}
        unlike = sorted(key for key in fitted if ours.get(key) != fitted[key])
        differences = ", ".join(
            f"cleaning.{key} is {ours.get(key)!r}, fitted with {fitted[key]!r}" for key in unlike
        )
        if unlike:
            warnings.append(
                f"calibration {calibration.file}: was fitted for another cleaning "
                f"({differences[:_LONGEST]}), so its areas may be too large or too small; "
                "calibrate an output with this cleaning"
            )
    return warnings


def _plain(text: str) -> str:
    """A text without the sign that separates credits."""
    return text.replace(";", ",")
