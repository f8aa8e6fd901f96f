"""The composite of a block from its scenes: mask first, then bands, radiometry and percentile."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from transforms.elements import BANDS, PIXEL, Scene, SceneError, extent_of, window_in
from transforms.storage.caching import DIRECT, Access

from .composite import Composite
from .masks.product import read_mask
from .products.passes import passes
from .radiometry import to_composite_dn
from .reading import read_band


@dataclass(frozen=True, slots=True, eq=False)
class Assembled:
    """The composite of a block.

    Attributes:
        composite: uint16 (bands, h, w): red, green, blue, near infrared, and the further bands
            if they were asked for; reflectance x 10 000, nodata 0.
        count: uint16 (h, w), number of observations of each pixel.
        failures: The scenes that were left out, each with its error.
    """

    composite: NDArray[np.uint16]
    count: NDArray[np.uint16]
    failures: list[tuple[Scene, SceneError]] = field(default_factory=list)


def assemble_block(
    scenes: Iterable[Scene],
    grid: GeoBox,
    percentile: float = 30.0,
    access: Access = DIRECT,
    bands: Sequence[str] = BANDS,
) -> Assembled:
    """Make the composite of scenes over a grid, which is a part of a tile's 10 m grid.

    Each scene is read alone: first its mask, then its bands while any pixel is left. A pass gives a
    pixel at most one observation, even if it has several scenes. The first scene with data at the
    pixel, in the order of `passes`, gives it; if this scene masks the pixel, the pass gives none. A
    scene that cannot be used is left out completely and reported; the others are used.

    An observation counts where all its bands have data. A pixel has the value of the 20 m pixel
    around it.

    Args:
        scenes: scenes of the tile.
        grid: the wanted pixels.
        percentile: 0 to 100.
        access: how the files are reached.
        bands: the bands of the scenes, `BANDS` or `TEN_BANDS`.

    Raises:
        ValueError: the percentile is out of its range.
    """
    failures: list[tuple[Scene, SceneError]] = []
    with Composite(grid.shape, percentile, bands=len(bands)) as composite:
        for one in passes(scenes):
            observed = _observed(one, grid, access, failures)
            if observed is not None:
                composite.add(*observed)
        values, count = composite.result()
    return Assembled(values, count, failures)


def needs_bands(
    scene: Scene, grids: Iterable[GeoBox], access: Access = DIRECT, last: bool = True
) -> bool:
    """Whether `assemble_block` may read the bands of a scene over any of some grids.

    The bands of the `last` scene of a pass are not read if its mask has no clear pixel. The bands
    of the other scenes are always read, because they show where the next scene fills a gap.

    Raises:
        SceneError: the mask cannot be used.
        StorageError: its storage does not answer.
    """
    for grid in grids:
        _check_grid(scene, grid)
        own = scene.grid
        if window_in(grid, own).intersect(extent_of(own)) is None:
            continue
        if not last or not read_mask(scene, grid, access).all():
            return True
    return False


def _observed(
    one: Sequence[Scene],
    grid: GeoBox,
    access: Access,
    failures: list[tuple[Scene, SceneError]],
) -> tuple[NDArray[np.uint16], NDArray[np.bool_]] | None:
    """Composite numbers (bands, h, w) and mask (h, w) of a pass; None if it has no pixel here.

    Scenes that cannot be used are added to `failures`.
    """
    made: tuple[NDArray[np.uint16], NDArray[np.bool_]] | None = None
    taken: NDArray[np.bool_] = np.zeros(grid.shape, np.bool_)
    for number, scene in enumerate(one, start=1):
        try:
            observed = _observations(scene, grid, taken, access, last=number == len(one))
        except SceneError as error:
            failures.append((scene, error))
            continue
        if observed is None:
            continue
        if made is None:
            made = observed
            np.copyto(taken, observed[0].all(axis=0))
            continue
        new = observed[0].all(axis=0) & ~taken
        for into, values in zip(made, observed, strict=True):
            np.copyto(into, values, where=new)
        np.logical_or(taken, new, out=taken)
    return made


def _observations(
    scene: Scene, grid: GeoBox, taken: NDArray[np.bool_], access: Access, last: bool
) -> tuple[NDArray[np.uint16], NDArray[np.bool_]] | None:
    """Composite numbers (bands, h, w) and mask (h, w) of a scene; None if it adds no pixel.

    It adds none if earlier scenes of its pass have `taken`, (h, w), all pixels. The `last` scene of
    a pass is not decoded for pixels that it masks, because no later scene could use them.
    """
    _check_grid(scene, grid)
    own = scene.grid
    if window_in(grid, own).intersect(extent_of(own)) is None or taken.all():
        return None
    masked = read_mask(scene, grid, access)
    dn = np.empty((len(scene.bands), *grid.shape), np.uint16)
    left = ~(taken | masked) if last else ~taken
    files = scene.band_files or (None,) * len(scene.bands)
    for band, path, file in zip(dn, scene.bands, files, strict=True):
        if not left.any():
            return None
        band[...] = access.read(path, file, lambda here: read_band(here, grid, own))
        left &= band > 0
    return to_composite_dn(dn, scene.offsets, scene.quantification), masked


def _check_grid(scene: Scene, grid: GeoBox) -> None:
    """Raise SceneError if the pixels of a scene are not those of the grid."""
    if scene.epsg != grid.crs.epsg:
        raise SceneError(scene.path, f"has EPSG:{scene.epsg}, expected {grid.crs} of the tile")
    down, right = (scene.uly - grid.affine.f) / PIXEL, (grid.affine.c - scene.ulx) / PIXEL
    if down != int(down) or right != int(right):
        raise SceneError(scene.path, "has a grid that is not aligned with the tile's 10 m grid")
