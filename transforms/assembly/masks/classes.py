"""The classes of a mask, the same for every method that makes one."""

from __future__ import annotations

from enum import IntEnum


class MaskClass(IntEnum):
    """The class of a pixel in the mask of a scene, uint8."""

    CLEAR = 0
    CLOUD = 1
    SHADOW = 2
    NODATA = 3
    """The scene has no data here: outside the swath, or a defect."""
