"""The elements that travel between stages: references, never pixels."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import Cause
from .layers import Layer
from .window import Window


@dataclass(frozen=True, slots=True, order=True)
class Block:
    """A window of a tile: the unit of work."""

    tile: str
    window: Window

    @property
    def zone(self) -> str:
        """The grid zone, with which the tile's name begins: `33U` of `33UUU`."""
        return self.tile[:-2]


@dataclass(frozen=True, slots=True, order=True)
class RasterRef:
    """A stored raster that holds one layer over a window of a tile.

    `path` is empty for a block file, whose path follows from the other fields
    (`BlockFiles.located`): a task has many references, and they are sent between workers. `whole`
    is False if an input of the raster was lost.
    """

    tile: str
    layer: Layer
    window: Window
    path: str = ""
    whole: bool = True


@dataclass(frozen=True, slots=True)
class StoredTile:
    """A tile and the rasters that have been made of it so far.

    `scenes` are the numbers of the plan's scenes to use, in this order; None uses all. `whole` is
    False if a scene was lost before.
    """

    tile: str
    references: tuple[RasterRef, ...] = ()
    scenes: tuple[int, ...] | None = None
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Loss:
    """Something that could not be made, and the reason; it ends in the run record."""

    stage: str
    tile: str
    reason: str
    scene: str = ""
    file: str = ""
    window: Window | None = None
    cause: str = Cause.UNKNOWN

    @property
    def summary(self) -> str:
        """Tile, scene, file and reason, on one line."""
        named = " ".join(part for part in (self.tile, self.scene, self.file) if part)
        return f"{named}: {self.reason}"
