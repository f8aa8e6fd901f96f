"""The composite of a block from its scenes: masks first, then bands, radiometry and percentile."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from transforms.elements import (
    BANDS,
    Scene,
    SceneError,
    Window,
    extent_of,
    part_of,
    window_in,
)
from transforms.storage.caching import DIRECT, Access

from .composite import Composite
from .decoders import Decoder
from .masks.block_masks import BlockMasks, ProductMasks, Seen
from .masks.classes import MaskClass
from .masks.product import read_mask
from .products.passes import passes
from .radiometry import to_composite_dn
from .reading import read_band
from .scene_grid import check_grid
from .temporal import Temporal


class Quality(IntEnum):
    """The rule by which a pixel of the composite came, in the layer S2_QUALITY."""

    CLEAR = 0
    """From clear observations alone."""
    BRIGHT = 1
    """A bright target: its mask is a false alarm where the ground around it is clear."""
    MASKED = 2
    """There is no clear observation, so masked ones are used."""
    NONE = 255
    """No observation."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Which observations a pixel uses.

    Attributes:
        enough: a pixel uses its first so many observations, in the order of the scenes; None uses
            all.
        fill: whether a pixel without a clear observation uses its masked ones.
    """

    enough: int | None = None
    fill: bool = False


ALL = Rules()
"""Every clear observation counts, and no other."""


@dataclass(frozen=True, slots=True, eq=False)
class Assembled:
    """The composite of a block.

    Attributes:
        composite: uint16 (bands, h, w): red, green, blue, near infrared, and the further bands
            if they were asked for; reflectance x 10 000, nodata 0.
        count: uint16 (h, w), number of clear observations that each pixel uses.
        quality: uint8 (h, w), `Quality`.
        failures: The scenes that were left out, each with its error.
        temporal: The temporal layers that were asked for.
    """

    composite: NDArray[np.uint16]
    count: NDArray[np.uint16]
    quality: NDArray[np.uint8]
    failures: list[tuple[Scene, SceneError]] = field(default_factory=list)
    temporal: dict[Temporal, NDArray[Any]] = field(default_factory=dict)


def assemble_block(
    scenes: Iterable[Scene],
    grid: GeoBox,
    percentile: float = 30.0,
    access: Access = DIRECT,
    bands: Sequence[str] = BANDS,
    *,
    rules: Rules = ALL,
    masks: BlockMasks | None = None,
    wanted: NDArray[np.bool_] | None = None,
    temporal: Sequence[Temporal] = (),
) -> Assembled:
    """Make the composite of scenes over a grid, which is a part of a tile's 10 m grid.

    All masks are read first. Then each pass is read in the order of the scenes, and only the part
    of a band that holds pixels which need it. A pass gives a pixel at most one observation, even if
    it has several scenes. The first scene with data at the pixel, in the order of `passes`, gives
    it; if this scene masks the pixel, the pass gives none. A scene that cannot be used is left out
    completely and reported; the others are used.

    An observation counts where all its bands have data. A pixel has the value of the 20 m pixel
    around it. Each rule looks at one pixel alone, so the size of a block has no influence.

    Args:
        scenes: scenes of the tile; passes are used in the order of their first scene.
        grid: the wanted pixels.
        percentile: 0 to 100.
        access: how the files are reached.
        bands: the bands of the scenes, `BANDS` or `TEN_BANDS`.
        rules: the number of observations of a pixel, and what to do without a clear one.
        masks: gives the masks; by default those in the products.
        wanted: bool (h, w), the pixels to make; None makes all.
        temporal: the temporal layers to make.

    Raises:
        ValueError: the percentile is out of its range.
        RasterError: a storage does not answer, or observations cannot be stored.
    """
    block = _Block(
        grid,
        rules,
        access,
        masks or ProductMasks(grid, access),
        np.ones(grid.shape, np.bool_) if wanted is None else wanted,
    )
    scenes = list(scenes)
    groups = block.with_masks(_in_order(scenes))
    with Composite(grid.shape, percentile, bands=len(bands)) as composite:
        without = block.wanted & ~block.usable if rules.fill else np.zeros_like(block.wanted)
        block.add(composite, groups, block.wanted, without)
        if rules.fill:
            # A mask may call a pixel clear that has no data.
            left = block.wanted & ~without & block.masked & (block.used == 0)
            if left.any():
                block.add(composite, groups, left, left)
                without |= left
        values, used, made = composite.result(*temporal)
    quality = np.where(block.bright, Quality.BRIGHT, Quality.CLEAR).astype(np.uint8)
    quality[without] = Quality.MASKED
    quality[used == 0] = Quality.NONE
    failures = sorted(block.failures, key=lambda failure: scenes.index(failure[0]))
    return Assembled(values, block.clear, quality, failures, made)


def needs_bands(
    scene: Scene, grids: Iterable[GeoBox], access: Access = DIRECT, last: bool = True
) -> bool:
    """Whether `assemble_block` may read the bands of a scene over any of some grids.

    It is so for the masks in the products. The bands of the `last` scene of a pass are not read if
    its mask has no clear pixel. The bands of the other scenes are always read, because they show
    where the next scene fills a gap.

    Raises:
        SceneError: the mask cannot be used.
        StorageError: its storage does not answer.
    """
    for grid in grids:
        check_grid(scene, grid)
        if not _reaches(scene, grid):
            continue
        if not last or not read_mask(scene, grid, access).all():
            return True
    return False


def _in_order(scenes: Sequence[Scene]) -> list[list[Scene]]:
    """The passes of scenes, in the order of their first scenes."""
    place = {scene: number for number, scene in reversed(list(enumerate(scenes)))}
    return sorted(passes(scenes), key=lambda one: min(place[scene] for scene in one))


def _reaches(scene: Scene, grid: GeoBox) -> bool:
    own = scene.grid
    return window_in(grid, own).intersect(extent_of(own)) is not None


class _Block:
    """The observations of a block while its scenes are read."""

    def __init__(
        self,
        grid: GeoBox,
        rules: Rules,
        access: Access,
        masks: BlockMasks,
        wanted: NDArray[np.bool_],
    ) -> None:
        self.grid, self.rules, self.access, self.masks = grid, rules, access, masks
        self.wanted = wanted
        self.usable, self.masked, self.bright = (np.zeros(grid.shape, np.bool_) for _ in range(3))
        self.used, self.clear = (np.zeros(grid.shape, np.uint16) for _ in range(2))
        self.failures: list[tuple[Scene, SceneError]] = []

    def with_masks(self, groups: Iterable[Sequence[Scene]]) -> list[list[Scene]]:
        """The passes with the scenes whose masks can be read, and that reach the block."""
        read = []
        for one in groups:
            kept = []
            for scene in one:
                try:
                    check_grid(scene, self.grid)
                    if not _reaches(scene, self.grid):
                        continue
                    seen = self.masks.of(scene)
                except SceneError as error:
                    self.failures.append((scene, error))
                    continue
                self.usable |= seen.usable
                self.masked |= seen.masked
                kept.append(scene)
            if kept:
                read.append(kept)
        return read

    def add(
        self,
        composite: Composite,
        groups: Iterable[list[Scene]],
        wanted: NDArray[np.bool_],
        any_class: NDArray[np.bool_],
    ) -> None:
        """Add the observations of passes to a composite, each to the pixels that need it.

        Args:
            composite: receives them.
            groups: the passes; a scene that cannot be used is removed.
            wanted: bool (h, w), pixels that take observations.
            any_class: bool (h, w), pixels that take masked observations too.
        """
        for one in groups:
            need = wanted
            if self.rules.enough is not None:
                need = wanted & (self.used < self.rules.enough)
            if not need.any():
                return
            taken = np.zeros(self.grid.shape, np.bool_)
            dn: NDArray[np.uint16] | None = None
            for scene in list(one):
                last = scene is one[-1]
                try:
                    seen = self.masks.of(scene)  # again: all masks at once are too large
                    takes = seen.usable | (any_class & seen.masked)
                    left = need & ~taken & (takes if last else seen.classes != MaskClass.NODATA)
                    found = self._read(scene, left)
                except SceneError as error:
                    self.failures.append((scene, error))
                    one.remove(scene)
                    continue
                if found is None:
                    continue
                there = left & (found.min(axis=0) > 0)
                taken |= there
                self._note(seen, there & takes)
                found *= (there & takes).astype(np.uint16)
                dn = found if dn is None else dn | found  # no pixel has both
            if dn is not None:
                day = one[0].sensing.timetuple().tm_yday
                composite.add(dn, np.zeros(self.grid.shape, np.bool_), day)

    def _note(self, seen: Seen, now: NDArray[np.bool_]) -> None:
        """Count the observations that a scene gives."""
        self.used += now
        self.clear += now & (seen.classes == MaskClass.CLEAR)
        if seen.lifted is not None:
            self.bright |= now & seen.lifted

    def _read(self, scene: Scene, left: NDArray[np.bool_]) -> NDArray[np.uint16] | None:
        """Composite numbers (bands, h, w) where pixels are left, 0 elsewhere; None without any."""
        dn = np.zeros((len(scene.bands), *self.grid.shape), np.uint16)
        left = left.copy()
        files = scene.band_files or (None,) * len(scene.bands)
        decoder = Decoder(self.access.decoder)
        for band, path, file in zip(dn, scene.bands, files, strict=True):
            window = _around(left)
            if window is None:
                return None
            part = part_of(self.grid, window)

            def read(here: str, part: GeoBox = part) -> NDArray[np.uint16]:
                return read_band(here, part, scene.grid, decoder=decoder)

            band[window.slices_in(extent_of(self.grid))] = self.access.read(path, file, read)
            left &= band > 0
        return to_composite_dn(dn, scene.offsets, scene.quantification)


def _around(pixels: NDArray[np.bool_]) -> Window | None:
    """The smallest window around the True pixels; None if there is none."""
    rows, cols = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    if rows.size == 0:
        return None
    row, col = int(rows[0]), int(cols[0])
    return Window(row, col, int(rows[-1]) - row + 1, int(cols[-1]) - col + 1)
