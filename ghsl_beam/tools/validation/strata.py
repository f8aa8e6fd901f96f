"""Strata: parts of the ground, such as classes of density, that have scores of their own."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import PurePath
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.enums import MaskFlags
from rasterio.windows import Window

from ghsl_beam.area.antimeridian import unwrapped, within_180
from ghsl_beam.area.area_of_interest import Area
from ghsl_beam.tools import area_mean
from ghsl_beam.tools.area_mean import Grid, place, source_windows
from ghsl_beam.tools.burnt_polygons import burnt, parts_near
from ghsl_beam.tools.label_file import read_polygons
from ghsl_beam.tools.plain_rasters import absence, named_if_unreadable, opened_reference
from ghsl_beam.tools.validation.pieces import Piece
from ghsl_beam.tools.validation.points import PointPiece, by_window
from ghsl_beam.tools.validation.scores import Floats
from transforms.elements import RequestError
from transforms.storage import storage

VECTORS = {".gpkg", ".geojson", ".json", ".shp", ".fgb", ".wkt"}
MOST = 50
"""Largest number of strata."""
NONE = "no stratum"
"""The name of the ground that lies in no stratum."""

_NUMBER = re.compile(r"-?\d+(\.\d+)?")


@dataclass(slots=True)
class Strata:
    """What is read of strata. `codes` of a piece become names by `name`."""

    file: str
    breaks: tuple[float, ...]
    source: Any = None
    polygons: dict[str, Area] = field(default_factory=dict)
    _near: dict[str, list[Any]] = field(default_factory=dict)
    _seen: set[float] = field(default_factory=set)

    def codes(self, piece: Piece | PointPiece) -> Floats:
        """The stratum of each pixel or point as a number, NaN where there is none.

        Raises:
            RequestError: there are more than `MOST` strata, or a raster cannot be read.
        """
        with named_if_unreadable(self.file):
            if self.source is None:
                found = self._of_polygons(piece)
            elif isinstance(piece, Piece):
                found = _nearest(self.source, piece.grid)
            else:
                found = _at_points(self.source, piece)
        if self.breaks and self.source is not None:
            found = np.where(np.isfinite(found), np.digitize(found, self.breaks), np.nan)
        self._seen.update(np.unique(found[np.isfinite(found)]).tolist())
        if len(self._seen) > MOST:
            raise RequestError(
                f"{storage.masked(self.file)}: has more than {MOST} different values; give "
                "--strata-breaks, such as 300,1500, or a raster of classes"
            )
        return found

    def name(self, code: float) -> str:
        """The name of a stratum."""
        if self.source is None:
            return list(self.polygons)[int(code)]
        return _between(int(code), self.breaks) if self.breaks else f"{code:.12g}"

    def ordered(self, names: Iterable[str]) -> list[str]:
        """Names in the order of the strata: of classes and breaks by number, `NONE` last."""
        order = {self.name(code): code for code in sorted(self._seen)}
        return sorted(names, key=lambda name: order.get(name, math.inf))

    def _of_polygons(self, piece: Piece | PointPiece) -> Floats:
        if isinstance(piece, PointPiece):
            points = shapely.points(*_degrees(piece))
            found = np.full(len(points), np.nan)
            for code, area in enumerate(self.polygons.values()):
                tree = shapely.STRtree(shapely.get_parts(area.geometry))
                inside = np.zeros(len(points), bool)
                inside[tree.query(points, predicate="intersects")[0]] = True
                found[inside & np.isnan(found)] = code
            return found
        shapes = self._near.get(piece.canvas.name)
        if shapes is None:
            shapes = [parts_near(area, piece.canvas.grid) for area in self.polygons.values()]
            self._near = {piece.canvas.name: shapes}  # those of one file at a time
        found = np.full(piece.grid.shape, np.nan)
        for code, near in enumerate(shapes):
            found[(burnt(piece.grid, near, 1) > 0) & np.isnan(found)] = code
        return found


@contextmanager
def opened_strata(
    file: str | None, field_name: str | None, breaks: str | None
) -> Iterator[Strata | None]:
    """Open the strata of a raster, or of polygons with a field; None if no file is given.

    Args:
        file: location of the file; with a layer as `file.gpkg|layer`.
        field_name: field of the polygons with the stratum.
        breaks: numbers that divide values into strata, rising, separated by commas.

    Raises:
        RequestError: the file cannot be used; the field or the breaks do not fit to it.
    """
    if file is None:
        for option, value in (("--strata-field", field_name), ("--strata-breaks", breaks)):
            if value is not None:
                raise RequestError(f"{option} {value}: is for strata; give --strata too")
        yield None
        return
    edges = _edges(breaks)
    if PurePath(file.partition("|")[0]).suffix.lower() in VECTORS:
        if field_name is None:
            raise RequestError(f"{file}: has polygons; name their field with --strata-field")
        yield Strata(file, edges, None, _polygons(file, field_name, edges))
        return
    if field_name is not None:
        raise RequestError(f"{file}: is a raster; leave out --strata-field, which is for polygons")
    if not storage.is_file(file):
        raise RequestError(f"{file}: {absence(file)}; give a raster, or polygons with a field")
    with ExitStack() as stack:
        with named_if_unreadable(file):
            source = stack.enter_context(opened_reference(file))
        where = storage.masked(file)
        if source.crs is None:
            raise RequestError(f"{where}: has no CRS; assign one and save it again")
        if source.count != 1:
            raise RequestError(f"{where}: has {source.count} bands, expected one of strata")
        if np.dtype(source.dtypes[0]).kind not in "iufb":
            raise RequestError(f"{where}: has pixels of {source.dtypes[0]}, expected numbers")
        if np.dtype(source.dtypes[0]).kind == "f" and not edges:
            raise RequestError(
                f"{where}: has pixels of {source.dtypes[0]}; give --strata-breaks, such as "
                "300,1500, which make classes of them"
            )
        yield Strata(file, edges, source)


def _edges(breaks: str | None) -> tuple[float, ...]:
    if breaks is None:
        return ()
    try:
        edges = tuple(float(part) for part in breaks.split(","))
    except ValueError:
        edges = ()
    rising = all(a < b for a, b in pairwise(edges))
    if not edges or not rising or not all(math.isfinite(edge) for edge in edges):
        raise RequestError(
            f"--strata-breaks {breaks!r}: expected rising numbers separated by commas, such as "
            "300,1500"
        )
    return edges


def _between(number: int, edges: tuple[float, ...]) -> str:
    if number == 0:
        return f"below {edges[0]:.12g}"
    if number == len(edges):
        return f"{edges[-1]:.12g} and more"
    return f"{edges[number - 1]:.12g} to {edges[number]:.12g}"


def _polygons(file: str, name: str, edges: tuple[float, ...]) -> dict[str, Area]:
    """The polygons of each stratum; in the order of their numbers, or by name."""
    labels = read_polygons(file, name, "--strata-field")
    groups: dict[tuple[float, str], list[Any]] = {}
    words = not all(_NUMBER.fullmatch(value) for value in labels.values if value is not None)
    for polygon, value in zip(labels.polygons, labels.values, strict=True):
        if value is None:
            continue
        key = (0.0 if words else float(value), value)
        if edges:
            number = int(np.digitize(_number(file, name, value), edges))
            key = (float(number), _between(number, edges))
        groups.setdefault(key, []).append(polygon)
    if not groups:
        raise RequestError(f"{file}: the field {name} has no value; fill it in")
    if len(groups) > MOST:
        raise RequestError(
            f"{file}: {name} has {len(groups)} different values, expected at most {MOST}; give "
            "another field, or --strata-breaks for numbers"
        )
    return {key[1]: _joined(file, groups[key]) for key in sorted(groups)}


def _number(file: str, name: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if math.isnan(number):
        raise RequestError(
            f"{file}: {name} has the value {value!r}, expected numbers for --strata-breaks"
        )
    return number


def _joined(file: str, polygons: list[Any]) -> Area:
    """Polygons as one; one that crosses the antimeridian seems to go around the Earth."""
    parts = shapely.get_parts(polygons)
    west, _, east, _ = shapely.bounds(parts).T
    whole = [
        unwrapped(file, part) if wide else part
        for part, wide in zip(parts, east - west > 180, strict=True)
    ]
    return Area(within_180(shapely.union_all(whole)))


def _degrees(piece: PointPiece) -> tuple[Any, Any]:
    into = Transformer.from_crs(piece.crs, "OGC:CRS84", always_xy=True)
    lon, lat = into.transform(piece.x, piece.y)
    return lon, lat


def _nearest(source: Any, target: Grid) -> Floats:
    """The value of the raster's pixel at the centre of each pixel of a target; NaN if unknown."""
    theirs = Grid.of(source)
    found = np.full(target.shape, np.nan)
    for inner in target.windows(min(1024, area_mean.side(theirs, target))):
        part = target.part(inner)
        values = np.full(part.shape, np.nan)
        for window in source_windows(theirs, part):
            near = theirs.part(window)
            there = area_mean.nearest(_known_values(source, window), near, part)
            values = np.where(np.isfinite(there), there, values)
        row, col = int(inner.row_off), int(inner.col_off)
        found[row : row + part.shape[0], col : col + part.shape[1]] = values
    return found


def _known_values(source: Any, window: Window) -> Floats:
    values = source.read(1, window=window).astype(np.float64)
    values = values * source.scales[0] + source.offsets[0]
    if MaskFlags.all_valid not in source.mask_flag_enums[0]:
        values[source.read_masks(1, window=window) == 0] = np.nan
    return np.asarray(values)


def _at_points(source: Any, piece: PointPiece) -> Floats:
    into = Transformer.from_crs(piece.crs, source.crs.to_wkt(), always_xy=True)
    places: NDArray[np.float64] = np.stack(into.transform(piece.x, piece.y), axis=1)
    finite = np.isfinite(places[:, 0]) & np.isfinite(places[:, 1])
    if source.crs.is_geographic:  # its first column may have any longitude, such as 0
        west = min(source.bounds.left, source.bounds.right)
        places[:, 0] = west + (places[:, 0] - west) % 360
    cols, rows = place(~source.transform, *np.where(finite[:, np.newaxis], places, 0).T)
    inside = finite & (cols >= 0) & (cols < source.width) & (rows >= 0) & (rows < source.height)
    found = np.full(len(places), np.nan)
    rows, cols = np.floor(rows), np.floor(cols)
    for window, here in by_window(rows, cols, inside, source.shape):
        values = _known_values(source, window)
        found[here] = values[
            rows[here].astype(int) - int(window.row_off),
            cols[here].astype(int) - int(window.col_off),
        ]
    return found
