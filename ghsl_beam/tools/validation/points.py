"""Labelled points as a reference: each is compared with the pixel of the layer that it lies in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import dataclass

import numpy as np
import pyogrio
import pyproj
from numpy.typing import NDArray
from rasterio.windows import Window

from ghsl_beam.tools.area_mean import place
from ghsl_beam.tools.label_file import found_values, read_points
from ghsl_beam.tools.layer_files import LayerFiles
from ghsl_beam.tools.reference import CLASSES, UNITS
from ghsl_beam.tools.validation.scores import Floats
from transforms.elements import RequestError, StorageError
from transforms.storage.vectors import UNREADABLE, on_this_machine

_SIDE = 512
"""Rows and columns of a window that is read for the points in it."""


@dataclass(frozen=True, slots=True)
class Points:
    """Points with the built-up fraction that they state: longitude, latitude, 0..1, each (n,)."""

    lon: Floats
    lat: Floats
    fraction: Floats
    unit: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PointPiece:
    """Points in a file; `x` and `y` are in its CRS, all arrays are (n,)."""

    product: Floats
    reference: Floats
    x: Floats
    y: Floats
    crs: str
    file: str

    @property
    def area(self) -> Floats:
        """Points have no area."""
        return np.zeros(1)

    def places(self) -> tuple[Floats, Floats]:
        """Coordinates of the points."""
        return self.x, self.y


def has_points(file: str) -> bool:
    """Whether a vector file that cannot be used as polygons has points."""
    location, _, layer = file.partition("|")
    try:
        layers = pyogrio.list_layers(on_this_machine(location))
    except (*UNREADABLE, StorageError):
        return False
    kinds = [str(kind) for name, kind in layers if not layer or name == layer]
    return any("Point" in kind for kind in kinds)


def labelled_points(file: str, field: str, unit: str | None, built: str | None) -> Points:
    """Read points whose field states whether, or how much, the ground is built-up.

    Args:
        file: location of the file; with a layer as `file.gpkg|layer`.
        field: name of the field.
        unit: unit of a field of numbers, a name of `reference.UNITS` without `m2`.
        built: values of a field of classes that are built-up, separated by commas; all others are
            not.

    Raises:
        RequestError: the file cannot be used, neither unit nor built is given, or both are; a value
            is not of the unit; no point has a value that is built-up.
    """
    if (unit is None) == (built is None):
        raise RequestError(
            f"{file}: give either --unit, if the field {field} has numbers ({_units()}), or "
            "--built with its values that are built-up"
        )
    if unit is not None and unit not in _UNITS:
        raise RequestError(f"--unit {unit!r}: expected one of {_units()} for points")
    found = read_points(file, field)
    warnings = []
    if found.no_geometry:
        warnings.append(f"{found.no_geometry} features without geometry are left out")
    known = np.array([value is not None for value in found.values], bool)
    values = [value for value in found.values if value is not None]
    if not values:
        raise RequestError(f"{file}: the field {field} has no value; fill it in")
    if not known.all():
        warnings.append(f"{int((~known).sum())} points without a value of {field} are left out")
    if built is None:
        fraction = _of_numbers(file, unit, values)
    else:
        fraction = _of_classes(file, field, values, built)
    return Points(found.lon[known], found.lat[known], fraction, unit or CLASSES, tuple(warnings))


_UNITS = tuple(name for name in UNITS if name != "m2")


def _units() -> str:
    return ", ".join(_UNITS)


def _of_classes(file: str, field: str, values: list[str], built: str) -> Floats:
    names = {name.strip() for name in built.split(",")}
    if missing := sorted(names.difference(values)):
        raise RequestError(
            f"{file}: --built {', '.join(missing) or repr('')}: no point has this value of "
            f"{field}; its values are {found_values(list(values))}"
        )
    return np.array([value in names for value in values], np.float64)


def _of_numbers(file: str, unit: str | None, values: list[str]) -> Floats:
    low, high, words = UNITS[str(unit)]
    fractions = np.empty(len(values))
    odd: Counter[str] = Counter()
    for place_of, value in enumerate(values):
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        fits = number in (low, high) if str(unit).startswith("mask") else low <= number <= high
        if not fits:
            odd[value] += 1
        fractions[place_of] = number / high
    if odd:
        raise RequestError(
            f"{file}: {sum(odd.values())} of {len(values)} values are not {unit} ({words}), as "
            f"{next(iter(odd))!r}; give another --unit, or --built for classes"
        )
    return fractions


def on_points(files: LayerFiles, points: Points) -> Generator[PointPiece, None, None]:
    """The points that lie on each file, with the layer's fraction there; NaN without data.

    A point in several files counts once, for the tile with data whose centre is nearest to it.
    """
    chosen = np.full(len(points.lon), -1)
    nearest = np.full(len(points.lon), np.inf)
    product = np.full(len(points.lon), np.nan)
    for number in range(len(files.paths)):
        grid = files.grids[number]
        x, y = _in_crs(points, grid.crs)
        finite = np.isfinite(x) & np.isfinite(y)
        cols, rows = place(~grid.transform, np.where(finite, x, 0), np.where(finite, y, 0))
        cols, rows = np.floor(cols), np.floor(rows)
        inside = finite & (rows >= 0) & (rows < grid.shape[0])
        inside &= (cols >= 0) & (cols < grid.shape[1])
        away = files.distances(number, points.lon, points.lat)
        with files.opened(number) as layer:
            for window, here in by_window(rows, cols, inside & (away < nearest), grid.shape):
                values = files.fractions(layer, number, window, shared=True)
                found = values[
                    rows[here].astype(int) - int(window.row_off),
                    cols[here].astype(int) - int(window.col_off),
                ]
                known = np.isfinite(found)
                here, found = here[known], found[known]
                chosen[here], nearest[here], product[here] = number, away[here], found
    for number, file in enumerate(files.paths):
        here = np.flatnonzero(chosen == number)
        if len(here):
            crs = files.grids[number].crs
            x, y = _in_crs(points, crs)
            yield PointPiece(product[here], points.fraction[here], x[here], y[here], crs, file)


def _in_crs(points: Points, crs: str) -> tuple[Floats, Floats]:
    into = pyproj.Transformer.from_crs("OGC:CRS84", crs, always_xy=True)
    x, y = into.transform(points.lon, points.lat)
    return np.asarray(x, np.float64), np.asarray(y, np.float64)


def by_window(
    rows: Floats, cols: Floats, inside: NDArray[np.bool_], shape: tuple[int, int]
) -> Iterator[tuple[Window, NDArray[np.intp]]]:
    """Windows of a raster that have points, each with the numbers of its points.

    Args:
        rows: the row of each point, (n,).
        cols: its column, (n,).
        inside: whether it lies on the raster, (n,).
        shape: rows and columns of the raster.
    """
    numbers = np.flatnonzero(inside)
    if not len(numbers):
        return
    across = -(-shape[1] // _SIDE)
    windows = (rows[numbers] // _SIDE * across + cols[numbers] // _SIDE).astype(np.int64)
    order = np.argsort(windows, kind="stable")
    found, starts = np.unique(windows[order], return_index=True)
    for window, here in zip(found, np.split(numbers[order], starts[1:]), strict=True):
        row, col = (int(part) * _SIDE for part in divmod(int(window), across))
        yield (
            Window(col, row, min(_SIDE, shape[1] - col), min(_SIDE, shape[0] - row)),
            here,
        )
