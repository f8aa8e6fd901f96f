"""Grows clouds and cloud shadows by a distance: their edges are thin and not detected."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from .classes import MaskClass


def halo(cloud_m: float, shadow_m: float, cell_m: float) -> int:
    """The cells around a window on which its grown classes depend."""
    return math.ceil(max(cloud_m, shadow_m) / cell_m)


def dilated(
    classes: NDArray[np.uint8], cloud_m: float, shadow_m: float, cell_m: float
) -> NDArray[np.uint8]:
    """Grow clouds and cloud shadows.

    Args:
        classes: uint8 (h, w), `MaskClass`.
        cloud_m: distance in metres between the centres of a cloud's cell and a cell that becomes
            cloud.
        shadow_m: the same for cloud shadows; where both reach, it is cloud.
        cell_m: side of a cell in metres.

    Returns:
        uint8 (h, w). Cells without data stay so, and nothing grows from them.
    """
    out = classes.copy()
    for kind, metres in ((MaskClass.SHADOW, shadow_m), (MaskClass.CLOUD, cloud_m)):
        found = classes == kind
        if metres > 0 and found.any():
            found = distance_transform_edt(~found) * cell_m <= metres
        out[found & (classes != MaskClass.NODATA)] = kind
    return out
