"""Fits a calibration: reads a run and a reference, and writes a curve for each network."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from rasterio.errors import RasterioError

from ghsl_beam.models.calibration import (
    CALIBRATION_TAGS,
    CalibrationFile,
    Entry,
    ModelCurve,
    Setting,
    cleaning_of,
    plain_text,
)
from ghsl_beam.outputs.stored_record import stored_record
from ghsl_beam.tools.area_mean import Floats, Grid, place
from ghsl_beam.tools.calibration.fit import fit, rises
from ghsl_beam.tools.calibration.references import VECTORS, Reference, ValueOptions, opened
from ghsl_beam.tools.calibration.sums import Ground
from ghsl_beam.tools.layer_files import LayerFiles
from ghsl_beam.tools.plain_rasters import (
    absence,
    opened_product,
    read_part,
    unreadable_reference,
)
from transforms.cleaning.calibration import ONE, shares
from transforms.elements import NODATA, Layer, RequestError, Window, package_version
from transforms.storage import storage

_SHA256 = re.compile(r"[0-9a-f]{64}")
_RAW_NODATA = NODATA[Layer.BUFRAC_RAW]


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A calibration and the warnings about it."""

    content: CalibrationFile
    warnings: tuple[str, ...]


def calibrate(
    output: str,
    reference: str,
    *,
    product: str | None = None,
    options: ValueOptions | None = None,
    omitted: bool = True,
) -> Calibrated:
    """Fit the calibration of each network of a run.

    Args:
        output: the run's folder, a location. It has BUFRAC_RAW, and a BUFRAC without a calibration.
        reference: polygons of built-up, or a raster of it with pixels of at most 10 m.
        product: epoch and name, as E2017_berlin; None if the output has only one.
        options: what the values of a raster mean, if the file does not say it.
        omitted: whether the curves make up for the built-up in pixels that the cleaning removes.

    Raises:
        RequestError: the output or the reference cannot be used, or they share too little ground
            for any network. A network with too little has no curve, but a warning.
        RasterError: a raster of the output is damaged.
    """
    file = reference.partition("|")[0] if _is_vector(reference) else reference
    if not storage.is_file(file):
        raise RequestError(f"{reference}: {absence(file)}; give a raster or polygons of built-up")
    files = LayerFiles.find(output, str(Layer.BUFRAC), product, None)
    settings = _settings(output, files.product)
    grounds: dict[str, Ground] = {}
    names: dict[str, str] = {}
    try:
        with opened(reference, options or ValueOptions()) as known:
            for number in range(len(files.paths)):
                _add(files, number, known, grounds, names)
            warnings, unit = known.warnings(), known.unit
    except (OSError, RasterioError) as error:  # files of the output raise errors of their own
        raise unreadable_reference(reference, error) from error
    if not grounds:
        raise RequestError(
            f"{reference}: does not overlap BUFRAC of {output} where both have data: nothing to "
            "fit; give a reference of the same ground"
        )
    models, few = _fitted(grounds, names, omitted=omitted)
    warnings += few
    try:
        about = {
            "made_by": f"ghsl-beam {package_version('ghsl-beam')}",
            "reference": plain_text(storage.name(reference)),
            "unit": unit,
            "product": plain_text(files.product),
            "cleaning": settings,
        }
        entries = {key: Entry(**curve.model_dump(), **about) for key, curve in models.items()}
        content = CalibrationFile(models=entries)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False)[0]
        key = ".".join(map(str, fault["loc"]))[:100]
        raise RequestError(
            f"{output}: run.json: {key}: {fault['msg']}; run the job again"
        ) from error
    return Calibrated(content, tuple(warnings))


def _settings(output: str, product: str) -> dict[str, Setting]:
    """The settings of the cleaning of a product, from the record of the last run."""
    record = stored_record(output)
    last = f"E{record.get('epoch')}_{record.get('name')}"
    if {"epoch", "name"} <= record.keys() and last != product:
        raise RequestError(
            f"{output}: run.json is of {last}, so it does not say how {product} was cleaned; run "
            f"the job of {product} again, which takes what exists"
        )
    return cleaning_of(record.get("configuration") or {})


def _fitted(
    grounds: Mapping[str, Ground], names: Mapping[str, str], *, omitted: bool
) -> tuple[dict[str, ModelCurve], list[str]]:
    """The curves of the networks that can be fitted, and warnings about the others.

    Raises:
        RequestError: none can be fitted.
    """
    models: dict[str, ModelCurve] = {}
    failed = []
    for sha256, ground in sorted(grounds.items()):
        try:
            models[sha256] = fit(ground, names[sha256], omitted=omitted)
        except RequestError as error:
            failed.append(error)
    if not models:
        raise failed[0]
    level = [
        f"network {model.file}: the built-up of the reference does not rise with the probability, "
        "so the curve is nearly level; check the place and the epoch of the reference"
        for model in models.values()
        if not rises(model.parts)
    ]
    return models, [*(f"without a curve: {error}" for error in failed), *level]


def _is_vector(reference: str) -> bool:
    return any(reference.partition("|")[0].lower().endswith(suffix) for suffix in VECTORS)


def _add(
    files: LayerFiles,
    number: int,
    known: Reference,
    grounds: dict[str, Ground],
    names: dict[str, str],
) -> None:
    """Add the pixels of one tile to the sums of its network."""
    path, ours = files.paths[number], files.grids[number]
    with files.opened(number) as layer, _raw(files, number, ours) as (raw_source, raw_path):
        tags = raw_source.tags()
        if any(tag in layer.tags() for tag in CALIBRATION_TAGS):
            raise RequestError(
                f"{path}: is calibrated already, expected the probability of the network; run the "
                "job without models.calibration first"
            )
        sha256 = tags.get("MODEL_SHA256")
        if not sha256 or not _SHA256.fullmatch(sha256):
            raise RequestError(f"{raw_path}: does not name its network; make it again")
        names[sha256] = plain_text(tags.get("MODEL") or "unknown")
        for window, expected in known.windows(ours):
            part = Window(window.row_off, window.col_off, window.height, window.width)
            fraction = files.fractions(layer, number, window)
            raw = read_part(raw_source, part, raw_path)[0]
            use = np.isfinite(fraction) & np.isfinite(expected) & (raw != _RAW_NODATA)
            if use.any():
                zone = int(layer.crs.to_epsg() or 0)
                east, north = _places(ours.part(window), use)
                kept, halved = _kept(raw[use], fraction[use], path)
                ground = grounds.setdefault(sha256, Ground())
                ground.add(zone, (east, north), raw[use], kept, halved, expected[use])


@contextmanager
def _raw(files: LayerFiles, number: int, ours: Grid) -> Iterator[tuple[Any, str]]:
    """BUFRAC_RAW of the same tile, on the same grid."""
    path = files.paths[number].replace(f"/{Layer.BUFRAC}_E", f"/{Layer.BUFRAC_RAW}_E")
    location = storage.join(files.output, path)
    if not storage.is_file(location):
        raise RequestError(f"{path}: no such file beside BUFRAC; run the job again")
    with opened_product(location, files.output) as source:
        if source.crs is None or Grid.of(source) != ours:
            raise RequestError(f"{path}: has another grid than BUFRAC; run the job again")
        yield source, location


def _places(grid: Grid, use: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Metres east and north of the chosen pixels in the CRS of the grid."""
    rows, cols = np.nonzero(use)
    return place(grid.transform, cols + 0.5, rows + 0.5)


def _kept(
    raw: NDArray[np.integer[Any]], fraction: Floats, path: str
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which pixels the cleaning keeps, and which of them a street halves."""
    percent = np.rint(100 * fraction).astype(np.int64)
    kept = percent > 0
    whole, halved = shares(raw, percent)
    wrong = (kept & ~whole & ~halved) | (raw > ONE)
    if wrong.any():
        raise RequestError(
            f"{path}: {int(wrong.sum())} pixels do not follow from BUFRAC_RAW beside it, expected "
            "both of one run without a calibration; run the job again"
        )
    return kept, halved
