"""A raster of built-up for a comparison: its unit, and which of its pixels have data."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.windows import Window

from ghsl_beam.tools.area_mean import Grid, mean_pixel_area
from transforms.elements import LAYERS, RequestError
from transforms.rasters.geotiff import FINGERPRINT_TAG
from transforms.storage import storage

Floats = NDArray[np.float64]

UNITS = {
    "fraction": (0.0, 1.0, "built-up part of a pixel, 0 to 1"),
    "percent": (0.0, 100.0, "percent of a pixel, 0 to 100"),
    "per-10000": (0.0, 10_000.0, "a pixel's part, or a probability, x 10 000"),
    "m2": (0.0, math.inf, "m² of built-up in a pixel, 0 to its area"),
    "mask": (0.0, 1.0, "0 not built-up, 1 built-up"),
    "mask255": (0.0, 255.0, "0 not built-up, 255 built-up"),
}
"""Possible meanings of a reference's values: lowest, highest, in words."""
CLASSES = "classes"
"""The unit of a raster of classes; `built` names the values that are built-up."""
_OF_LAYER = {name: spec.measure for name, spec in LAYERS.items() if spec.measure}
_NO_MEASURE = {*LAYERS, "BUILT_C_MSZ", "LAND"}.difference(_OF_LAYER)
"""Layers of GHSL that do not measure everything that is built-up."""
_NAMED = re.compile(r"(?:GHS_)?([A-Z0-9_]+?)_E\d{4}_", re.IGNORECASE)
"""The file name of a layer, of this program or of a GHSL release."""
_OF_TAG = {
    "%": "percent",
    "percent": "percent",
    "1": "fraction",
    "fraction": "fraction",
    "m2": "m2",
    "m^2": "m2",
    "m²": "m2",
}
"""Units that a GeoTIFF may state, in lower case."""
_SLACK = 1e-4
"""Tolerance for rounding beyond the range, as a share of the largest value."""
_M2_SLACK = 0.02
_SMALL = {"percent": 1.0, "per-10000": 100.0, "mask255": 1.0, "m2": 1.0}
"""If the largest value is at most this, another unit is more likely."""
_LOOKED, _LOOK_SIDE = 64, 1024
"""A raster without a unit is read at this number of places, each with this number of pixels along
a side."""
_SHOWN = 12
"""Largest number of class values that are named."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """How one band of a raster is interpreted.

    `proof` is the source of the unit. `nodata` is valid in addition to NaN, a mask and an alpha
    band.
    """

    unit: str
    proof: str
    band: int
    nodata: float | None
    scale: float
    offset: float
    built: frozenset[float] = frozenset()
    certain: bool = True
    """False if no unit is stated; then all values must be 0 or 1."""
    coloured: bool = False
    """Whether it has a colour table, as rasters of classes have."""


@dataclass(slots=True)
class Seen:
    """Statistics of the values that were read."""

    count: int = 0
    outside: int = 0
    example: float | None = None
    lowest: float = math.inf
    highest: float = -math.inf
    built: bool = False
    """Whether a raster of classes had a built-up value."""
    classes: set[float] = field(default_factory=set)
    """The smallest of its classes, until a built-up value was read."""


def choices() -> str:
    """The units, in one line."""
    return ", ".join(f"{name} ({words})" for name, (_, _, words) in UNITS.items())


def meaning(
    source: Any,
    location: str,
    *,
    unit: str | None = None,
    nodata: str | None = None,
    built: str | None = None,
    band: int | None = None,
) -> Meaning:
    """Find out how an opened raster must be interpreted.

    Args:
        source: the raster.
        location: its name in messages.
        unit: a name of `UNITS`; without it the file must prove its unit.
        nodata: a number or `none`, which replaces the file's nodata.
        built: the built-up values of a raster of classes, separated by commas.
        band: number of the band, from 1; needed if there are several.

    Raises:
        RequestError: it has no CRS, several bands or complex numbers, is another layer of this
            program, its unit is neither stated nor proven, or its nodata is also a value.
    """
    where = storage.masked(location)
    if source.crs is None:
        raise RequestError(f"{where}: has no CRS; assign one and save it again")
    if source.transform.is_degenerate or source.transform.is_identity:
        raise RequestError(f"{where}: has no place (no geotransform); georeference it")
    try:
        CRS.from_user_input(source.crs.to_wkt())
        Transformer.from_crs(source.crs.to_wkt(), "EPSG:4326")
    except ProjError as error:
        raise RequestError(
            f"{where}: has a CRS without a known place on the Earth; assign another CRS"
        ) from error
    band = _band(source, where, band)
    if np.dtype(source.dtypes[band - 1]).kind == "c":
        raise RequestError(f"{where}: has complex numbers, expected a raster of built-up")
    scale, offset = source.scales[band - 1], source.offsets[band - 1]
    if not (math.isfinite(scale) and math.isfinite(offset) and scale):
        raise RequestError(f"{where}: has scale {scale} and offset {offset}, which cannot be used")
    declared = source.nodatavals[band - 1]
    chosen = declared if nodata is None else _number(where, nodata)
    values = _values(where, built, np.dtype(source.dtypes[band - 1]))
    own = _own_layer(source, where, bool(values))
    if values and (unit or own):
        raise RequestError(f"{where}: --built names classes; leave out --unit for it")
    if values:
        result = Meaning(CLASSES, "--built", band, chosen, 1.0, 0.0, values)
    else:
        name, proof = _unit(source, where, band, unit, own)
        if own:  # the unit of a layer of this program is that of its stored values
            scale, offset = 1.0, 0.0
        result = Meaning(
            name or "mask",
            proof,
            band,
            chosen,
            scale,
            offset,
            certain=name is not None,
            coloured=source.colorinterp[band - 1] is ColorInterp.palette,
        )
    if nodata is None and declared is not None and own is None:
        _check_nodata(source, where, result)
    return result


def _band(source: Any, where: str, band: int | None) -> int:
    """The wanted band; the only one if none is wanted."""
    kinds = source.colorinterp
    bands = [n for n, kind in enumerate(kinds, 1) if kind is not ColorInterp.alpha]
    if band is None and len(bands) != 1:
        names = [text or f"band {n}" for n, text in enumerate(source.descriptions, 1)]
        shown = ", ".join(names[:6])
        raise RequestError(
            f"{where}: has {source.count} bands ({shown}), expected one of built-up; "
            "name it with --band"
        )
    if band is not None and band not in bands:
        raise RequestError(f"{where}: has no band {band}; it has {len(bands)}")
    return band or bands[0]


def _own_layer(source: Any, where: str, classes: bool) -> str | None:
    """The layer, if a raster is a product of this program.

    Raises:
        RequestError: it is a layer that does not measure built-up; or its name is that of such a
            layer, if it has none of this program's tags and is not read by its `classes`.
    """
    tags = source.tags()
    name = storage.name(where)
    if FINGERPRINT_TAG not in tags:
        named = _NAMED.match(name)
        if named and named[1].upper() in _NO_MEASURE and not classes:
            raise RequestError(
                f"{where}: its name is that of {named[1].upper()}, which does not measure all "
                "built-up; give another layer, give --built with its built-up values, or rename "
                "it if it is something else"
            )
        return None
    layer = tags.get("LAYER") or name.partition("_E")[0]
    if layer in _NO_MEASURE:
        raise RequestError(
            f"{where}: is {layer}, which does not measure all built-up; give one of "
            f"{', '.join(sorted(_OF_LAYER))}"
        )
    return layer if layer in _OF_LAYER else None


def _unit(
    source: Any, where: str, band: int, stated: str | None, own: str | None
) -> tuple[str | None, str]:
    """The unit and its source; None if neither is known but it may be a mask."""
    tag = (source.units[band - 1] or "").strip()
    if stated is not None and stated not in UNITS:
        raise RequestError(f"--unit {stated!r}: expected one of {choices()}")
    if own is not None:
        if stated not in (None, _OF_LAYER[own]):
            raise RequestError(f"{where}: is {own} in {_OF_LAYER[own]}, but --unit says {stated}")
        return _OF_LAYER[own], f"its layer, {own}"
    if stated is not None:
        return stated, "--unit"
    if tag.lower() in _OF_TAG:
        return _OF_TAG[tag.lower()], f"its unit, {tag!r}"
    plain = (source.scales[band - 1], source.offsets[band - 1]) == (1.0, 0.0)
    if np.dtype(source.dtypes[band - 1]).kind in "iub" and plain and not tag:
        return None, "its values, 0 and 1 alone"
    raise no_unit(where, f" that is known (found {tag!r})" if tag else "")


def no_unit(where: str, found: str) -> RequestError:
    """The error for a raster whose unit is not known."""
    return RequestError(
        f"{where}: has no unit{found}; give --unit, one of {choices()}; "
        "for a raster of classes give --built with the built-up values"
    )


def _check_nodata(source: Any, where: str, result: Meaning) -> None:
    """Refuse a nodata value that is also a value of the unit."""
    declared = result.nodata
    if declared is None or math.isnan(declared) or result.unit == CLASSES:
        return
    low, high, words = UNITS[result.unit]
    high = mean_pixel_area(Grid.of(source)) if result.unit == "m2" else high
    value = declared * result.scale + result.offset
    if value in (low, high) or (low < value < high and not result.unit.startswith("mask")):
        if not result.certain:
            raise no_unit(where, f" (and its nodata is {declared:g})")
        raise RequestError(
            f"{where}: its nodata {declared:g} is also a value of {result.unit} ({words}); "
            f"give --nodata none if it is a value there, or --nodata {declared:g} if it means that "
            "nothing is known"
        )


def _number(where: str, text: str) -> float | None:
    if text.strip().lower() == "none":
        return None
    try:
        return float(text)
    except ValueError as error:
        raise RequestError(f"{where}: --nodata {text!r}: expected a number or none") from error


def _values(where: str, text: str | None, kind: np.dtype[Any]) -> frozenset[float]:
    """The values of `--built`; the raster's type must be able to store all of them."""
    if text is None:
        return frozenset()
    try:
        values = frozenset(float(part) for part in text.split(","))
    except ValueError as error:
        raise RequestError(f"{where}: --built {text!r}: expected numbers such as 50,60") from error
    for value in values:
        whole = kind.kind not in "iu" or value in range(np.iinfo(kind).min, np.iinfo(kind).max + 1)
        if not (math.isfinite(value) and whole):
            raise RequestError(f"{where}: --built {value:.12g}: a raster of {kind} cannot hold it")
    return values


def _listed(values: list[float]) -> str:
    return ", ".join(f"{value:.12g}" for value in values)


def fractions(source: Any, window: Window, how: Meaning, seen: Seen) -> Floats:
    """Built-up fraction of a window, 0..1, NaN if unknown; updates the statistics `seen`.

    A value outside the unit's range becomes NaN, and is counted.
    """
    stored = source.read(how.band, window=window)
    known = _known(source, window, how, stored)
    values = stored.astype(np.float64) * how.scale + how.offset
    some = values[known]
    if some.size:
        seen.count += some.size
        seen.lowest, seen.highest = min(seen.lowest, some.min()), max(seen.highest, some.max())
    if how.unit == CLASSES:
        expected = np.isin(values, list(how.built))
        seen.built = seen.built or bool((expected & known).any())
        if not seen.built:
            seen.classes.update(np.unique(some)[: _SHOWN + 1].tolist())
        return np.where(known, expected, np.nan)
    high = UNITS[how.unit][1]
    if how.unit in ("mask", "mask255"):
        good = (values == 0) | (values == high)
    elif how.unit == "m2":
        areas = Grid.of(source).part(window).pixel_areas()
        good = (values >= 0) & (values <= areas * (1 + _M2_SLACK))
        values = values / areas
        high = 1.0
    else:
        slack = _SLACK * high if stored.dtype.kind == "f" else 0
        good = (values >= -slack) & (values <= high + slack)
    bad = known & ~good
    if bad.any():
        seen.outside += int(bad.sum())
        first = float(stored[bad][0]) * how.scale + how.offset
        seen.example = first if seen.example is None else seen.example
    return np.where(known & good, np.clip(values / high, 0, 1), np.nan)


def look_around(source: Any, how: Meaning, seen: Seen) -> None:
    """Add values from all parts of a raster without a unit to `seen`, not only the compared part.

    In the country, all values of percent may be 0 and 1; in the next town they are larger.
    """
    rows, cols = source.shape
    across = -(-cols // _LOOK_SIDE)
    number = across * -(-rows // _LOOK_SIDE)
    places = range(number)
    if number > _LOOKED:
        places = np.unique(np.random.default_rng(0).integers(0, number, _LOOKED)).tolist()
    for place in places:
        row, col = (part * _LOOK_SIDE for part in divmod(place, across))
        size = min(_LOOK_SIDE, cols - col), min(_LOOK_SIDE, rows - row)
        fractions(source, Window(col, row, *size), how, seen)


def _known(source: Any, window: Window, how: Meaning, stored: NDArray[Any]) -> NDArray[np.bool_]:
    """Pixels with data: by NaN, nodata, mask and alpha band."""
    known = ~np.isnan(stored) if stored.dtype.kind == "f" else np.ones(stored.shape, bool)
    if how.nodata is not None:
        # Compared in the raster's own type, if it can store the value: -9999 is not a byte.
        as_stored = stored.dtype.type(how.nodata) if stored.dtype.kind == "f" else how.nodata
        known &= stored.astype(np.float64) != np.float64(as_stored)
    flags = source.mask_flag_enums[how.band - 1]
    if MaskFlags.nodata not in flags and MaskFlags.all_valid not in flags:
        known &= source.read_masks(how.band, window=window) > 0
    return np.asarray(known)


def check_seen(location: str, how: Meaning, seen: Seen) -> list[str]:
    """Warnings about the values that were compared.

    Raises:
        RequestError: some are outside the unit's range, or no unit is stated and they are not only
            0 and 1.
    """
    where = storage.masked(location)
    if not seen.count:
        return []
    if how.unit == CLASSES and not seen.built:
        values = _listed(sorted(seen.classes)[:_SHOWN])
        more = ", ..." if len(seen.classes) > _SHOWN else ""
        return [
            f"in the compared part, the reference has no value {_listed(sorted(how.built))} of "
            f"--built, only {values}{more}"
        ]
    if not how.certain and (seen.outside or seen.lowest != 0):
        raise no_unit(where, f" (its values are {seen.lowest:g} to {seen.highest:g})")
    if seen.outside:
        words = UNITS[how.unit][2]
        raise RequestError(
            f"{where}: {seen.outside} values are not {how.unit} ({words}), the first "
            f"{seen.example:g}; give another --unit, or --nodata if this value means no data"
        )
    if not how.certain:
        return ["the reference has no unit: it is read as a mask, because it holds only 0 and 1"]
    if 0 < seen.highest <= _SMALL.get(how.unit, 0):
        return [f"the reference's highest value is {seen.highest:g}: is its unit {how.unit}?"]
    if how.coloured and not how.unit.startswith("mask"):
        return ["the reference has a colour table: if its values are classes, give --built"]
    return []
