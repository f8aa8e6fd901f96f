"""The composite of a block from its scenes: mask first, then bands, radiometry and percentile."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from transforms.elements import PIXEL, Scene, SceneError, extent_of, window_in

from .composite import Composite
from .masks import read_mask
from .products.passes import passes
from .radiometry import to_composite_dn
from .reading import read_band


@dataclass(frozen=True, slots=True, eq=False)
class Assembled:
    """The composite of a block.

    Attributes:
        composite: uint16 (4, h, w): red, green, blue, near infrared; reflectance x 10 000,
            nodata 0.
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
) -> Assembled:
    """Make the composite of scenes over a grid, which is a part of a tile's 10 m grid.

    Each scene is read alone: first its mask, then its bands while any pixel is left. A pass gives a
    pixel at most one observation, even if it has several scenes. The first scene with data at the
    pixel, in the order of `passes`, gives it; if this scene masks the pixel, the pass gives none. A
    scene that cannot be used is left out completely and reported; the others are used.

    Args:
        scenes: scenes of the tile.
        grid: the wanted pixels.
        percentile: 0 to 100.

    Raises:
        ValueError: the percentile is out of its range.
    """
    failures: list[tuple[Scene, SceneError]] = []
    with Composite(grid.shape, percentile) as composite:
        for one in passes(scenes):
            observed = _observed(one, grid, failures)
            if observed is not None:
                composite.add(*observed)
        values, count = composite.result()
    return Assembled(values, count, failures)


def _observed(
    one: Sequence[Scene],
    grid: GeoBox,
    failures: list[tuple[Scene, SceneError]],
) -> tuple[NDArray[np.uint16], NDArray[np.bool_]] | None:
    """Composite numbers (4, h, w) and mask (h, w) of a pass; None if it has no pixel here.

    Scenes that cannot be used are added to `failures`.
    """
    made: tuple[NDArray[np.uint16], NDArray[np.bool_]] | None = None
    taken: NDArray[np.bool_] = np.zeros(grid.shape, np.bool_)
    for number, scene in enumerate(one, start=1):
        try:
            observed = _observations(scene, grid, taken, last=number == len(one))
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
    scene: Scene, grid: GeoBox, taken: NDArray[np.bool_], last: bool
) -> tuple[NDArray[np.uint16], NDArray[np.bool_]] | None:
    """Composite numbers (4, h, w) and mask (h, w) of a scene; None if it adds no pixel.

    It adds none if earlier scenes of its pass have `taken`, (h, w), all pixels. The `last` scene of
    a pass is not decoded for pixels that it masks, because no later scene could use them.
    """
    _check_grid(scene, grid)
    own = scene.grid
    if window_in(grid, own).intersect(extent_of(own)) is None or taken.all():
        return None
    masked = read_mask(scene, grid)
    dn = np.empty((len(scene.bands), *grid.shape), np.uint16)
    left = ~(taken | masked) if last else ~taken
    for band, path in zip(dn, scene.bands, strict=True):
        if not left.any():
            return None
        band[...] = read_band(path, grid, own)
        left &= band > 0
    return to_composite_dn(dn, scene.offsets, scene.quantification), masked


def _check_grid(scene: Scene, grid: GeoBox) -> None:
    """Raise SceneError if the pixels of a scene are not those of the grid."""
    if scene.epsg != grid.crs.epsg:
        raise SceneError(scene.path, f"has EPSG:{scene.epsg}, expected {grid.crs} of the tile")
    down, right = (scene.uly - grid.affine.f) / PIXEL, (grid.affine.c - scene.ulx) / PIXEL
    if down != int(down) or right != int(right):
        raise SceneError(scene.path, "has a grid that is not aligned with the tile's 10 m grid")
