"""The parameters of the mask stage."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Method(StrEnum):
    """What finds clouds and cloud shadows."""

    PRODUCT = "product"
    """The mask in the product: polygons or classes of L1C, the scene classification of L2A."""
    CSMASK = "csmask"
    """The network of ukis-csmask, which sees red, green, blue and near infrared."""
    S2CLOUDLESS = "s2cloudless"
    """The classifier of s2cloudless, which sees ten bands of L1C and finds no shadows."""
    FILE = "file"
    """A raster for each scene that the user brings."""


CLOUD_M, SHADOW_M = 60.0, 60.0
"""Distances in metres by which clouds and shadows of csmask grow."""
CELLS = {Method.PRODUCT: 1, Method.CSMASK: 3, Method.S2CLOUDLESS: 6, Method.FILE: 1}
"""Side of a cell of the masks of a method, in pixels of 10 m."""


@dataclass(frozen=True, slots=True)
class MaskParameters:
    """How the masks of scenes are made.

    Attributes:
        method: what finds clouds and cloud shadows.
        cloud_m: distance in metres by which clouds grow.
        shadow_m: distance in metres by which cloud shadows grow.
        folder: folder or URL of the masks that the user brings, for `Method.FILE`.
        network: the version of the network or classifier, for csmask and s2cloudless.
        files: a mark of each of these masks that changes with its content, by
            scene and tile (`SCENE_TILE`).
    """

    method: Method = Method.PRODUCT
    cloud_m: float = 0.0
    shadow_m: float = 0.0
    folder: str = ""
    network: str = ""
    files: tuple[tuple[str, str], ...] = ()

    def file_mark(self, scene: str, tile: str) -> str:
        """The mark of the mask that the user brings for a scene; empty if there is none."""
        return dict(self.files).get(f"{scene}_{tile}", "")

    @property
    def cell(self) -> int:
        """Side of a cell of the masks, in pixels of 10 m."""
        return CELLS[self.method]
