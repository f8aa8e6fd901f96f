"""The built-up fraction of a reference on the pixels of a run."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Protocol

import numpy as np
import shapely
from pyproj import Transformer
from rasterio.windows import Window

from ghsl_beam.area.area_of_interest import Area, read_area
from ghsl_beam.models.calibration import CALIBRATION_TAGS
from ghsl_beam.tools import area_mean
from ghsl_beam.tools.area_mean import Floats, Grid, area_sums, place, source_windows
from ghsl_beam.tools.burnt_polygons import FINE, burnt, parts_near, samples_of
from ghsl_beam.tools.plain_rasters import opened_reference
from ghsl_beam.tools.reference import (
    Meaning,
    Seen,
    check_seen,
    fractions,
    look_around,
    meaning,
)
from transforms.elements import RequestError
from transforms.rasters.geotiff import FINGERPRINT_TAG
from transforms.storage import storage

VECTORS = {".gpkg", ".geojson", ".json", ".shp", ".fgb", ".wkt"}
_BLOCK = 1024
_COARSER = 1.02
"""A reference is coarser if its pixel has more than this many times the area of ours."""
_LONGER = 2.0
"""It is also coarser if the longer side of its pixel has more than this many times our side."""
_SAMPLES = 10
"""Smallest number of samples along a side of a pixel into which polygons are burnt."""
_WHOLE = 0.999
"""A pixel has a reference if at least this share of it is known."""


class Reference(Protocol):
    """A reference that gives the fraction of pixels of 10 m."""

    unit: str

    def windows(self, ours: Grid) -> Iterator[tuple[Window, Floats]]:
        """The windows of a raster of the run, and the fraction in each; NaN if unknown."""

    def warnings(self) -> list[str]:
        """Warnings about the values that were read."""


@dataclass(frozen=True, slots=True)
class ValueOptions:
    """What a person says about the values of a raster; each as in `reference.meaning`."""

    unit: str | None = None
    nodata: str | None = None
    built: str | None = None
    band: int | None = None

    def given(self) -> list[str]:
        """The options that are given, by their names on the command line."""
        return [f"--{name}" for name in self.__slots__ if getattr(self, name) is not None]


@contextmanager
def opened(location: str, options: ValueOptions) -> Iterator[Reference]:
    """Open a reference: polygons of built-up, or a raster.

    Raises:
        RequestError: it cannot be used.
    """
    if PurePath(location.partition("|")[0]).suffix.lower() in VECTORS:
        if odd := options.given():
            raise RequestError(
                f"{location}: has polygons; leave out {', '.join(odd)}, which is for rasters"
            )
        yield _Polygons(read_area(location, "."))
        return
    with opened_reference(location) as source:
        how = meaning(
            source,
            location,
            unit=options.unit,
            nodata=options.nodata,
            built=options.built,
            band=options.band,
        )
        tags = source.tags()
        if FINGERPRINT_TAG in tags and not any(tag in tags for tag in CALIBRATION_TAGS):
            raise RequestError(
                f"{storage.masked(location)}: is an uncalibrated {tags.get('LAYER', 'layer')} of "
                "this program, a probability; expected the known fraction, from another source"
            )
        yield _Raster(source, location, how)


def _longest_side(grid: Grid, metric: str) -> float:
    """The longer side of a pixel in the middle of a grid, in the units of another CRS."""
    rows, cols = grid.shape
    across, down = cols / 2 + np.array([0, 1, 0]), rows / 2 + np.array([0, 0, 1])
    transformer = Transformer.from_crs(grid.crs, metric, always_xy=True)
    x, y = transformer.transform(*place(grid.transform, across, down))
    return float(np.hypot(x[1:] - x[0], y[1:] - y[0]).max())


class _Polygons:
    """Polygons of built-up; all built-up in the box around them counts as known."""

    unit = "polygons"

    def __init__(self, polygons: Area) -> None:
        self._polygons = polygons
        self._around = Area(shapely.MultiPolygon([shapely.box(*polygons.bounds)]))

    def windows(self, ours: Grid) -> Iterator[tuple[Window, Floats]]:
        shapes, reach = (parts_near(area, ours) for area in (self._polygons, self._around))
        times = max(_SAMPLES, samples_of(ours))
        for window in ours.windows(max(1, _BLOCK * FINE[0] // times)):
            part = ours.part(window)
            inside = burnt(part, reach, 1) > 0
            if inside.any():
                yield window, np.where(inside, burnt(part, shapes, times), np.nan)

    def warnings(self) -> list[str]:
        return list(self._polygons.warnings)


class _Raster:
    """A raster with pixels of about the size of ours, or smaller."""

    def __init__(self, source: Any, location: str, how: Meaning) -> None:
        self.unit = how.unit
        self._source, self._location, self._how = source, location, how
        self._grid, self._seen = Grid.of(source), Seen()

    def windows(self, ours: Grid) -> Iterator[tuple[Window, Floats]]:
        near = source_windows(self._grid, ours)
        if not near:
            return
        theirs = area_mean.mean_pixel_area(self._grid.part(near[0]))
        own = area_mean.mean_pixel_area(ours)
        if theirs > _COARSER * own:
            raise RequestError(
                f"{storage.masked(self._location)}: its pixels have {theirs:.0f} m², expected at "
                f"most the {own:.0f} m² of the run; give a finer reference"
            )
        longest = _longest_side(self._grid.part(near[0]), ours.crs)
        if longest > _LONGER * math.sqrt(own):
            raise RequestError(
                f"{storage.masked(self._location)}: its pixels are {longest:.0f} m long, expected "
                f"about {math.sqrt(own):.0f} m as in the run; give a finer reference"
            )
        for window in ours.windows(min(_BLOCK, area_mean.side(self._grid, ours))):
            yield window, self._means(ours.part(window))

    def _means(self, target: Grid) -> Floats:
        """The mean on each pixel of a target that the raster covers; NaN elsewhere."""
        total, share = np.zeros(target.shape), np.zeros(target.shape)
        for window in source_windows(self._grid, target):
            values = fractions(self._source, window, self._how, self._seen)
            sums = area_sums(values, self._grid.part(window), target)
            total, share = total + sums[0], share + sums[1]
        whole = share >= _WHOLE
        return np.where(whole, total / np.where(whole, share, 1), np.nan)

    def warnings(self) -> list[str]:
        if not self._how.certain:
            look_around(self._source, self._how, self._seen)
        return check_seen(self._location, self._how, self._seen)
