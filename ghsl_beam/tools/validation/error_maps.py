"""Maps of the signed error as cloud-optimised GeoTIFFs, one for each file of the layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from affine import Affine
from rasterio.enums import Resampling
from rasterio.windows import Window as Part

from ghsl_beam.planning.products import read_product
from ghsl_beam.tools.validation.pieces import Canvas, Piece
from ghsl_beam.tools.validation.scores import Floats
from transforms.elements import LayerSpec, Overviews, Picture, Window
from transforms.rasters.cog import cog_writer
from transforms.storage import storage

NODATA = -32768
SCALE = 10_000
"""Stored values are the error of the fraction times this."""
SPEC = LayerSpec(
    "ERROR",
    title="Error of the built-up fraction",
    values="Built-up fraction of the layer minus that of the reference, x 10000",
    line="",
    stage="validate",
    dtype="int16",
    nodata=NODATA,
    scale=1 / SCALE,
    overviews=Overviews.MEAN,
    # Blue: the layer is below the reference. Red: it is above.
    picture=Picture(("#2166ac", "#92c5de", "#f7f7f7", "#f4a582", "#b2182b"), -SCALE, SCALE),
)
_SHOWN = 900
_DETAIL = 4


@dataclass(slots=True)
class ErrorMap:
    """A finished map: its location, and the rectangle of its pixels with data."""

    location: str
    top: int
    left: int
    bottom: int
    right: int


@dataclass(slots=True)
class ErrorMaps:
    """Writes the error of each piece; without a folder it writes nothing."""

    folder: str | None
    made: list[ErrorMap] = field(default_factory=list)
    _canvas: Canvas | None = None
    _open: ExitStack = field(default_factory=ExitStack)
    """The map that is being written."""
    _whole: ExitStack = field(default_factory=ExitStack)
    """All maps; they get their final names when it ends without error."""
    _write: Callable[[Window, Any], None] | None = None

    @classmethod
    @contextmanager
    def into(cls, folder: str | None) -> Iterator[ErrorMaps]:
        """Maps in a folder. They appear when the body ends; if it fails, older ones stay."""
        maps = cls(folder)
        with maps._whole, maps._open:
            yield maps

    def add(self, piece: Piece) -> None:
        """Write a piece; pieces of a canvas come one after the other.

        Raises:
            RasterError: a map cannot be written.
        """
        error = piece.product - piece.reference
        valid = np.isfinite(error)
        if self.folder is None or not valid.any():
            return
        if self._canvas != piece.canvas or self._write is None:
            self._begin(piece.canvas)
        stored = np.where(valid, np.rint(np.nan_to_num(error) * SCALE), NODATA).astype(np.int16)
        row, col = int(piece.window.row_off), int(piece.window.col_off)
        if self._write is not None:
            self._write(Window(row, col, *stored.shape), stored)
        rows, cols = np.flatnonzero(valid.any(axis=1)), np.flatnonzero(valid.any(axis=0))
        made = self.made[-1]
        made.top, made.left = min(made.top, row + int(rows[0])), min(made.left, col + int(cols[0]))
        made.bottom = max(made.bottom, row + int(rows[-1]) + 1)
        made.right = max(made.right, col + int(cols[-1]) + 1)

    def finish(self) -> None:
        """Finish the last map."""
        self._open.close()
        self._canvas = self._write = None

    def _begin(self, canvas: Canvas) -> None:
        self.finish()
        location = storage.join(str(self.folder), f"ERROR_{canvas.name}.tif")
        beside = self._whole.enter_context(storage.published(location))
        rows, cols = canvas.grid.shape
        georeference = {
            "crs": canvas.grid.crs,
            "transform": canvas.grid.transform,
            "height": rows,
            "width": cols,
        }
        self._write = self._open.enter_context(
            cog_writer(
                str(beside),
                georeference,
                bands=1,
                dtype=SPEC.dtype,
                nodata=NODATA,
                tags=SPEC.tags,
                spec=SPEC,
            )
        )
        self._canvas = canvas
        self.made.append(ErrorMap(location, rows, cols, 0, 0))


def quicklook(made: ErrorMap) -> Floats:
    """The error of a finished map for a picture, at most 900 pixels a side, NaN without data.

    A pixel is the error of the largest size among several means of the pixels below it, so that a
    house is visible. North is up also if the rows of the map go from south to north.

    Raises:
        RasterError: the map cannot be read.
    """
    height, width = made.bottom - made.top, made.right - made.left
    shrink = max(1, -(-max(height, width) // _SHOWN))
    detail = min(shrink, _DETAIL)
    size = (-(-height // shrink), -(-width // shrink))
    shown = read_product(
        made.location,
        lambda source: _north_up(
            source.read(
                1,
                window=Part(made.left, made.top, width, height),
                out_shape=(size[0] * detail, size[1] * detail),
                masked=True,
                resampling=Resampling.average,
            ),
            source.transform,
        ),
    )
    squares = np.ma.filled(shown.astype(np.float64), np.nan) / SCALE
    squares = squares.reshape(size[0], detail, size[1], detail).transpose(0, 2, 1, 3)
    squares = squares.reshape(*size, detail**2)
    place = np.argmax(np.nan_to_num(np.abs(squares), nan=-1.0), axis=-1)
    return np.take_along_axis(squares, place[..., np.newaxis], axis=-1)[..., 0]


def _north_up(pixels: Any, transform: Affine) -> Any:
    pixels = pixels[::-1] if transform.e > 0 else pixels
    return pixels[:, ::-1] if transform.a < 0 else pixels
