"""The files of one layer of a run; ground in several files counts once."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from ghsl_beam.area import mgrs_tiles
from ghsl_beam.tools.area_mean import Grid, source_windows
from ghsl_beam.tools.plain_rasters import opened_product, read_part, unreadable
from transforms.aggregation.source import TileSource
from transforms.elements import RequestError
from transforms.elements import Window as Part
from transforms.storage import storage

_PATTERNS = {
    "BUFRAC": "utm/*/BUFRAC_E*.tif",
    "BUFRAC_RAW": "utm/*/BUFRAC_RAW_E*.tif",
    "BUILT_S": "grid/*/BUILT_S_E*.tif",
}
_WHOLES = {"BUFRAC": 100.0, "BUFRAC_RAW": 10_000.0}
"""Values of the layers in UTM for a fraction of 1."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LayerFiles:
    """The files of a layer; `tiles` are their MGRS tiles, empty on an output grid.

    `values` says what the values are, such as an uncalibrated probability; empty if no file does.
    """

    output: str
    layer: str
    product: str
    paths: tuple[str, ...]
    grids: tuple[Grid, ...]
    tiles: tuple[str, ...]
    values: str = ""

    @classmethod
    def find(cls, output: str, layer: str, product: str | None, grid: str | None) -> LayerFiles:
        """Find the files of one product of a layer.

        Args:
            output: the run's folder.
            layer: BUFRAC, BUFRAC_RAW or BUILT_S.
            product: epoch and name, `E2017_berlin`; None if there is only one.
            grid: output grid, `54009_100`; None if there is only one.

        Raises:
            RequestError: there is none, or there are several and none is named.
            RasterError: one cannot be read, or is not a GeoTIFF inside the output.
        """
        pattern = _PATTERNS.get(layer)
        if pattern is None:
            raise RequestError(f"layer {layer!r}: expected one of {', '.join(_PATTERNS)}")
        files: dict[str, list[str]] = {}
        for file in storage.glob(output, pattern):
            parts = storage.name(file).removesuffix(".tif").removeprefix(f"{layer}_").split("_")
            files.setdefault("_".join(parts[:2]), []).append(file)
        if not files:
            raise RequestError(
                f"{output}: has no {layer}; give the folder of a run with BUFRAC or BUILT_S"
            )
        product = _one(output, layer, product, sorted(files), "--product")
        chosen = sorted(files[product])
        if layer == "BUILT_S":
            if grid is not None or len({_folder(path) for path in chosen}) > 1:
                grids_here = sorted({_folder(path) for path in chosen})
                grid = _one(output, layer, grid, grids_here, "--grid")
                chosen = [path for path in chosen if _folder(path) == grid]
        elif grid is not None:
            raise RequestError(
                f"--grid {grid}: {layer} is not a layer of an output grid; leave --grid out"
            )
        grids, meanings = [], set()
        for path in chosen:
            with opened_product(storage.join(output, path), output) as source:
                if source.crs is None:
                    raise RequestError(f"{path}: has no CRS; make it again")
                grids.append(Grid.of(source))
                meanings.add(source.tags().get("VALUES", ""))
        tiles = tuple(_folder(path) for path in chosen) if layer in _WHOLES else ()
        values = "; in others: ".join(sorted(meanings - {""}))
        return cls(output, layer, product, tuple(chosen), tuple(grids), tiles, values)

    @property
    def several_crs(self) -> bool:
        """Whether the files have different CRSs, as tiles of two grid zones have."""
        return len({grid.crs for grid in self.grids}) > 1

    def opened(self, number: int) -> AbstractContextManager[Any]:
        """A file, opened for reading."""
        return opened_product(self._location(number), self.output)

    def _location(self, number: int) -> str:
        return storage.join(self.output, self.paths[number])

    def fractions(
        self, source: Any, number: int, window: Window, *, shared: bool = False
    ) -> Floats:
        """Built-up fraction of a window of a file; NaN without data, and where another tile owns.

        Shared ground belongs to the tile with the nearest centre, of those with data there. If two
        are equally near, it belongs to the first by name. With `shared`, all tiles have it.

        Raises:
            RasterError: a file is damaged.
        """
        place = Part(window.row_off, window.col_off, window.height, window.width)
        stored = read_part(source, place, self._location(number))[0]
        values = _of_fraction(stored, source.nodata, self.grids[number].part(window), self.layer)
        if self.tiles and not shared and np.isfinite(values).any():
            values[~self._owned(number, window)] = np.nan
        return values

    def distances(self, number: int, lon: Floats, lat: Floats) -> Floats:
        """Order of nearness of positions to the tile of a file; 0 on an output grid."""
        if not self.tiles:
            return np.zeros(np.shape(lon))
        return _distance2(_vectors(lon, lat), self.tiles[number])

    def _owned(self, number: int, window: Window) -> NDArray[np.bool_]:
        """Pixels to which no other tile with data is nearer."""
        grid = self.grids[number].part(window)
        owned = np.ones(grid.shape, bool)
        others = [
            other
            for other, theirs in enumerate(self.grids)
            if other != number and _may_meet(theirs, grid) and source_windows(theirs, grid)
        ]
        if not others:
            return owned
        vectors = _vectors(*grid.centres())
        own = _distance2(vectors, self.tiles[number])
        for other in others:
            away = _distance2(vectors, self.tiles[other])
            first = self.tiles[other] < self.tiles[number]
            nearer = (away < own) | ((away == own) & first)
            if (nearer & owned).any():
                owned &= ~(nearer & self._has_data(other, grid))
        return owned

    def _has_data(self, number: int, grid: Grid) -> NDArray[np.bool_]:
        """Pixels of another grid at which a file has data."""
        with (
            self.opened(number) as source,
            WarpedVRT(
                source,
                crs=grid.crs,
                transform=grid.transform,
                width=grid.shape[1],
                height=grid.shape[0],
                resampling=Resampling.nearest,
            ) as there,
        ):
            try:
                return np.asarray(there.read(1) != source.nodata)
            except RasterioError as error:
                raise unreadable(self._location(number), error) from error


def _of_fraction(stored: NDArray[Any], nodata: float, grid: Grid, layer: str) -> Floats:
    values = stored.astype(np.float64)
    values[values == nodata] = np.nan
    whole = _WHOLES[layer] if layer in _WHOLES else grid.pixel_areas()
    return np.asarray(values / whole)


def _may_meet(one: Grid, other: Grid) -> bool:
    """Whether two grids may touch; False only if they are clearly apart in one CRS."""
    if one.crs != other.crs:
        return True
    (left, top), (right, bottom) = (one.transform * at for at in ((0, 0), one.shape[::-1]))
    (west, north), (east, south) = (other.transform * at for at in ((0, 0), other.shape[::-1]))
    return bool(left < east and west < right and bottom < north and south < top)


def _folder(path: str) -> str:
    return path.split("/")[1]


def _one(output: str, layer: str, wanted: str | None, present: list[str], option: str) -> str:
    """The wanted one, or the only one."""
    if wanted is None and len(present) > 1:
        raise RequestError(
            f"{output}: has {layer} of {', '.join(present)}; name one with {option}, "
            f"as {option} {present[0]}"
        )
    wanted = wanted or present[0]
    if wanted not in present:
        raise RequestError(f"{output}: has no {layer} of {wanted}; it has {', '.join(present)}")
    return wanted


def _vectors(lon: Floats, lat: Floats) -> Floats:
    lon, lat = np.radians(lon), np.radians(lat)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], -1)


def _distance2(vectors: Floats, tile: str) -> Floats:
    """Squared chord to a tile's centre, as in the aggregation."""
    return np.asarray(((vectors - np.array(_centre(tile))) ** 2).sum(axis=-1))


@lru_cache(maxsize=4096)
def _centre(name: str) -> tuple[float, float, float]:
    tile = mgrs_tiles.tile(name)
    return TileSource(tile.id, tile.grid, tile.center_lon, tile.center_lat).center
