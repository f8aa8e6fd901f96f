"""The composite: a percentile of the unmasked observations of each pixel and band.

Source: the GHS composite of Sentinel-2 2017-2018 (JRC) is a percentile composite; its file names
contain the 30th percentile. The percentile is numpy's default definition (linear interpolation,
Hyndman and Fan 1996, type 7).
"""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from transforms.elements import DTYPE, NODATA, Layer, StorageError

from .percentile import percentile_of_stack
from .temporal import Temporal, temporal_layer

SPOOL_BYTES = 128 * 2**20
STRIP_BYTES = 192 * 2**20
MAX_OBSERVATIONS = 65_534
"""The greatest count; 65535 is nodata in the layer of counts."""


@contextmanager
def _in_temporary_folder() -> Iterator[None]:
    """Turn errors of the temporary folder into StorageError."""
    try:
        yield
    except OSError as error:
        reason = f"cannot store observations in the temporary folder: {error.strerror}"
        raise StorageError(tempfile.gettempdir(), reason) from error


class Composed(NamedTuple):
    """The result of a composite.

    Attributes:
        values: uint16 (bands, h, w), 0 where the count is 0.
        counts: uint16 (h, w), number of observations.
        temporal: the temporal layers that were asked for.
    """

    values: NDArray[np.uint16]
    counts: NDArray[np.uint16]
    temporal: dict[Temporal, NDArray[Any]]


class Composite:
    """The composite of a block; scenes are added one by one, in any order.

    Observations are kept in a temporary file, so that memory does not grow with their number. The
    percentile is computed in strips of rows. Use it as a context, or close it.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        percentile: float = 30.0,
        strip_bytes: int = STRIP_BYTES,
        bands: int = 4,
    ) -> None:
        if not 0 <= percentile <= 100:
            raise ValueError(f"percentile is {percentile}, expected 0 to 100")
        self.shape = shape
        self.percentile = percentile
        self.bands = bands
        self._strip_bytes = strip_bytes
        self._scenes = 0
        self._days: list[int] = []
        self._spool = tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES)  # noqa: SIM115

    def __enter__(self) -> Composite:
        """The composite itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the composite."""
        self.close()

    def close(self) -> None:
        """Remove the temporary file."""
        with suppress(OSError):  # data that is not written yet is no longer needed
            self._spool.close()

    def add(self, dn: NDArray[np.uint16], masked: NDArray[np.bool_], day: int = 1) -> None:
        """Add the observations of a scene.

        An observation counts where it is not masked and is above 0 in all bands.

        Args:
            dn: uint16 (bands, h, w), composite digital numbers, nodata 0.
            masked: bool (h, w), True where the scene must not be used.
            day: day of the year of the scene, 1 to 366.

        Raises:
            ValueError: shape or dtype do not fit.
            StorageError: the temporary folder cannot store the observations.
        """
        height, width = self.shape
        if dn.shape != (self.bands, height, width) or masked.shape != self.shape:
            raise ValueError(f"shapes are {dn.shape} and {masked.shape}, expected {self.shape}")
        if dn.dtype != np.uint16:
            raise ValueError(f"digital numbers have dtype {dn.dtype}, expected uint16")
        valid = (dn.min(axis=0) > 0) & ~masked
        if not valid.any():
            return
        if self._scenes == MAX_OBSERVATIONS:
            raise ValueError(f"more than {MAX_OBSERVATIONS} scenes in one composite")
        rows = np.empty((height, self.bands, width), np.uint16)  # row by row: a strip is one read
        np.multiply(dn.transpose(1, 0, 2), valid[:, np.newaxis].astype(np.uint16), out=rows)
        with _in_temporary_folder():
            self._spool.seek(self._scenes * rows.nbytes)
            self._spool.write(rows.data)
        self._scenes += 1
        self._days.append(day)

    def result(self, *kinds: Temporal) -> Composed:
        """Composite, count and temporal layers.

        Args:
            kinds: the temporal layers to make.

        Raises:
            StorageError: the temporary folder does not return the observations.
        """
        height, width = self.shape
        composite = np.zeros((self.bands, height, width), np.uint16)
        count = np.zeros(self.shape, np.uint16)
        temporal = {kind: _without_data(kind.layer, self.shape) for kind in kinds}
        if self._scenes == 0:
            return Composed(composite, count, temporal)
        days = np.array(self._days, np.int64)
        row_bytes = self.bands * width * 2
        step = max(1, self._strip_bytes // (3 * self._scenes * row_bytes))
        for top in range(0, height, step):
            rows = min(step, height - top)
            stack = np.empty((self._scenes, rows, self.bands, width), np.uint16)
            for scene in range(self._scenes):
                with _in_temporary_folder():
                    self._spool.seek((scene * height + top) * row_bytes)
                    piece = self._spool.read(rows * row_bytes)
                    if len(piece) != rows * row_bytes:
                        raise OSError(
                            errno.EIO, "the temporary file returns fewer bytes than written"
                        )
                stack[scene] = np.frombuffer(piece, np.uint16).reshape(rows, self.bands, width)
            valid = stack[:, :, 0] > 0
            part = slice(top, top + rows)
            stack = stack.transpose(0, 2, 1, 3)
            composite[:, part] = percentile_of_stack(stack, valid, self.percentile)
            count[part] = np.count_nonzero(valid, axis=0)
            for kind, layer in temporal.items():
                layer[..., part, :] = temporal_layer(kind, stack, valid, days, composite[:, part])
        return Composed(composite, count, temporal)


def _without_data(layer: Layer, shape: tuple[int, int]) -> NDArray[Any]:
    bands = len(layer.spec.bands)
    full = (bands, *shape) if bands > 1 else shape
    return np.full(full, NODATA[layer], DTYPE[layer])
