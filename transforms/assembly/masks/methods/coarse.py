"""Reads bands of a scene on cells of several pixels of 10 m, for masks that need no finer view."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from scipy.ndimage import binary_dilation

from transforms.elements import (
    BANDS,
    PIXEL,
    S2CLOUDLESS_BANDS,
    TEN_BANDS,
    Scene,
    SceneError,
    SourceFile,
    Window,
)
from transforms.storage.caching import DIRECT, Access

from ...decoders import Decoder
from ...radiometry import to_composite_dn
from ...raster_file import RasterFile, raise_if_zeroed
from ...reading import MAX_PIXELS, decode, open_raster, with_raster

COARSEST = 20.0
"""Bands are decoded at the coarsest of their resolutions up to this, in metres."""
_ROWS = 512
"""Least number of rows that are decoded at once."""
_NEAR = 0.01
"""Pixels that share less with a cell, in metres, only touch it."""


def read_coarse(
    scene: Scene,
    window: Window,
    cell: int,
    access: Access = DIRECT,
    bands: Sequence[str] = BANDS,
) -> NDArray[np.uint16]:
    """Mean digital numbers of bands over cells.

    A cell is the mean of the pixels in it, each weighted by the area that it shares with the cell;
    pixels beyond the scene's grid do not count. If the file of a band has a coarser resolution
    (JPEG 2000 and overviews), up to 20 m, that is decoded, which costs much less. There, a pixel
    beside one without data may be a mixture of both, so it has no data either.

    Args:
        scene: the scene.
        window: the wanted cells, counted from the upper left corner of the scene's 10 m grid.
        cell: side of a cell in pixels of 10 m.
        access: how the files are reached.
        bands: names of bands that the scene has.

    Returns:
        uint16 (bands, h, w): reflectance x 10 000; 0 where any pixel of the cell has no data, and
        in cells beyond the scene's grid. The value of a cell does not depend on the window.

    Raises:
        SceneError: the scene lacks a band, or the file of a band cannot be used.
        StorageError: its storage does not answer.
    """
    there = _bands_of(scene)
    lacking = [band for band in bands if band not in there]
    if lacking:
        raise SceneError(scene.path, f"has no {', '.join(lacking)}, only {', '.join(there)}")
    dn = np.empty((len(bands), *window.shape), np.uint16)
    decoder = Decoder(access.decoder)
    for out, band in zip(dn, bands, strict=True):
        path, file, _ = there[band]
        out[...] = access.read(
            path, file, lambda here: _means_of_band(here, scene, window, cell, decoder)
        )
    return to_composite_dn(dn, [there[band][2] for band in bands], scene.quantification)


def _bands_of(scene: Scene) -> dict[str, tuple[str, SourceFile | None, float]]:
    """Path, file and offset of each band of a scene, by its name."""
    return {
        name: (path, file, offset)
        for names, paths, files, offsets in (
            (TEN_BANDS, scene.bands, scene.band_files, scene.offsets),
            (S2CLOUDLESS_BANDS, scene.mask_bands, scene.mask_band_files, scene.mask_offsets),
        )
        for name, path, file, offset in zip(
            names, paths, files or (None,) * len(paths), offsets, strict=False
        )
    }


@dataclass(frozen=True, slots=True)
class _Taps:
    """The pixels that share area with each cell along one axis.

    `pixels` int64 (cells, n); `weights` float32 (cells, n), their sum is 1. A cell with fewer than
    n pixels repeats its first with weight 0. A cell without pixels has weights that are nan.
    """

    pixels: NDArray[np.int64]
    weights: NDArray[np.float32]

    def part(self, cells: slice) -> _Taps:
        return _Taps(self.pixels[cells], self.weights[cells])

    def inside(self) -> tuple[_Taps, slice]:
        """The cells that have pixels, and their place among all."""
        cells = np.flatnonzero(~np.isnan(self.weights[:, 0]))
        place = slice(int(cells[0]), int(cells[-1]) + 1) if cells.size else slice(0)
        return self.part(place), place

    def span(self, margin: int, size: int) -> tuple[int, int]:
        """First pixel and end of the pixels that are needed, with a margin, cut at the raster."""
        return max(int(self.pixels.min()) - margin, 0), min(
            int(self.pixels.max()) + 1 + margin, size
        )

    def mean(self, values: NDArray[np.float32], first: int) -> NDArray[np.float32]:
        """Means over the first axis of `values`, which begins at the pixel `first`."""
        pixels = self.pixels - first
        weights = self.weights.reshape(*self.weights.shape, *[1] * (values.ndim - 1))
        out = values[pixels[:, 0]] * weights[:, 0]
        for tap in range(1, pixels.shape[1]):
            out += values[pixels[:, tap]] * weights[:, tap]
        return out


def _taps(
    start: int, count: int, cell: float, ends: tuple[float, float], pixel: float, size: int
) -> _Taps:
    """Taps of `count` cells from cell `start` on.

    `ends` are the distances from the raster's origin to the beginning and the end of the grid. The
    raster has `size` pixels of `pixel`. All lengths are in metres.

    Examples:
        Cells of 30 m over pixels of 20 m.

        >>> taps = _taps(0, 2, 30.0, (0.0, 60.0), 20.0, 3)
        >>> taps.pixels.tolist(), (30 * taps.weights).round().tolist()
        ([[0, 1], [1, 2]], [[20.0, 10.0], [10.0, 20.0]])
    """
    near = ends[0] + np.arange(start, start + count)[:, np.newaxis] * cell
    far = np.minimum(near + cell, ends[1])
    near = np.maximum(near, ends[0])
    first = np.floor((near + _NEAR) / pixel).astype(np.int64)
    pixels = first + np.arange(int(np.ceil(cell / pixel)) + 1)
    shared = np.minimum(far, (pixels + 1) * pixel) - np.maximum(near, pixels * pixel)
    shared[(shared < _NEAR) | (pixels < 0) | (pixels >= size)] = 0
    used = shared > 0
    leading = np.take_along_axis(pixels, used.argmax(axis=1)[:, np.newaxis], axis=1)
    with np.errstate(invalid="ignore"):
        weights = (shared / shared.sum(axis=1, keepdims=True)).astype(np.float32)
    columns = used.any(axis=0)
    columns[0] |= not columns.any()
    return _Taps(
        np.where(used, pixels, np.clip(leading, 0, size - 1))[:, columns], weights[:, columns]
    )


def _means_of_band(
    path: str, scene: Scene, window: Window, cell: int, decoder: Decoder
) -> NDArray[np.uint16]:
    """Means of a band's own digital numbers over cells, rounded, uint16 (h, w)."""

    def use(source: Any, found: RasterFile) -> NDArray[np.uint16]:
        number, factor = _overview(source)
        reduced = (
            nullcontext(source)
            if number is None
            else open_raster(path, source.driver, overview=number)
        )
        with reduced as opened:
            # GDAL rounds the position of an overview.
            place = source.transform * Affine.scale(factor)
            band = _Band(opened, path, found, number, factor, place)
            return band.means(scene.grid, window, cell)

    return with_raster(path, scene.epsg, use, scene.grid, decoder=decoder)


def _overview(source: Any) -> tuple[int | None, int]:
    """The overview to read, and its factor; None and 1 for the raster itself."""
    usable = [
        (factor, number)
        for number, factor in enumerate(source.overviews(1))
        if factor * source.transform.a <= COARSEST
    ]
    factor, number = max(usable, default=(1, None))
    return number, factor


@dataclass(frozen=True, slots=True)
class _Band:
    """An open raster, or an overview of it with its number and its factor."""

    source: Any
    path: str
    file: RasterFile
    overview: int | None
    factor: int
    place: Affine
    """Position and size of the pixels that are read."""

    @property
    def margin(self) -> int:
        """How many pixels further data and no data are mixed by the filter of an overview."""
        return 0 if self.overview is None else 1

    def means(self, grid: GeoBox, window: Window, cell: int) -> NDArray[np.uint16]:
        """Means over cells of a 10 m grid, uint16 (h, w); 0 without data and outside the raster."""
        out = np.zeros(window.shape, np.uint16)
        own, side = self.place, cell * PIXEL
        box, (height, width) = grid.boundingbox, self.source.shape
        north, west = (own.f - box.top, own.f - box.bottom), (box.left - own.c, box.right - own.c)
        rows, inner_rows = _taps(window.row, window.height, side, north, -own.e, height).inside()
        cols, inner_cols = _taps(window.col, window.width, side, west, own.a, width).inside()
        part = out[inner_rows, inner_cols]
        if part.size == 0:
            return out
        top, bottom = rows.span(self.margin, height)
        left, right = cols.span(self.margin, width)
        needed = Window(top, left, bottom - top, right - left)
        self._check(needed)
        # Rows wait in `kept`, from row `top` of the raster on, until a cell has all of its rows.
        kept, done = np.empty((0, needed.width), np.uint16), 0
        for strip in self._strips(needed):
            kept = np.concatenate(
                [kept, decode(self.source, self.path, strip, (1,), self.overview)[0]]
            )
            complete = rows.pixels.max(axis=1) + 1 + self.margin <= strip.bottom
            ready = len(part) if strip.bottom == bottom else int(complete.sum())
            if ready > done:
                values = self._with_nan(kept)
                values = rows.part(slice(done, ready)).mean(values, top)
                values = cols.mean(np.ascontiguousarray(values.T), left).T
                part[done:ready] = np.where(np.isnan(values), 0, np.maximum(np.rint(values), 1))
                done = ready
            if done < len(part):
                following = max(int(rows.pixels[done].min()) - self.margin, top)
                kept, top = kept[following - top :], following
        return out

    def _check(self, needed: Window) -> None:
        if needed.height * needed.width > MAX_PIXELS:
            raise SceneError(self.path, "has pixels that are too fine for such a window")
        raise_if_zeroed(
            self.path,
            self.file,
            Window(*(self.factor * n for n in (needed.row, needed.col, *needed.shape))),
        )

    def _strips(self, needed: Window) -> Iterator[Window]:
        """Parts of some hundred rows that end with the blocks of the file."""
        height = self.source.block_shapes[0][0]
        height *= -(-_ROWS // height)
        for row in range(needed.row // height * height, needed.bottom, height):
            part = Window(row, needed.col, height, needed.width).intersect(needed)
            if part is not None:
                yield part

    def _with_nan(self, values: NDArray[np.uint16]) -> NDArray[np.float32]:
        empty = values == 0
        if self.margin and empty.any():
            empty = binary_dilation(empty, np.ones((3, 3), np.bool_))
        return np.where(empty, np.float32(np.nan), values.astype(np.float32))
