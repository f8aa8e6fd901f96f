"""Divides built-up into residential and non-residential."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from transforms.elements import NODATA, Layer

from .classifier import ResidentialClassifier
from .features import feature_table, valid_pixels
from .smoothing import DEFAULT_SMOOTHING, Smoothing, smooth, smoothing_halo

CHUNK_PIXELS = 1 << 18
"""About how many pixels have their features in memory at a time."""


def classify(
    bufrac: NDArray[np.uint8],
    s2: NDArray[np.uint16],
    classifier: ResidentialClassifier,
    smoothing: Smoothing = DEFAULT_SMOOTHING,
) -> NDArray[np.uint8]:
    """Class of every pixel, after the smoothing.

    Valid except in the outer `classification_halo(classifier, smoothing)` pixels of the array.

    Args:
        bufrac: (rows, columns), uint8, BUFRAC, percent 0..100, nodata 255.
        s2: (4 or 10, rows, columns), uint16, the bands of S2, or those of S2 and S2_20M,
            reflectance x 10 000, nodata 0; a pixel counts where all bands are above 0. At least
            `classifier.bands`.
        classifier: decides on the classes, and names the set of features.
        smoothing: how neighbours change the class of a pixel; see `smooth`.

    Returns:
        (rows, columns), uint8, RES_NRES, 0 not built, 1 residential, 2 non-residential,
        nodata 255 where bufrac or s2 is nodata.

    Raises:
        ValueError: shapes or dtypes do not fit, or there is no such smoothing.
    """
    return smooth(predict_classes(bufrac, s2, classifier), bufrac, smoothing)


def classification_halo(classifier: ResidentialClassifier, smoothing: Smoothing) -> int:
    """Pixels around a window that its classes depend on: those of features and smoothing."""
    return classifier.halo + smoothing_halo(smoothing)


def predict_classes(
    bufrac: NDArray[np.uint8],
    s2: NDArray[np.uint16],
    classifier: ResidentialClassifier,
    chunk_pixels: int = CHUNK_PIXELS,
) -> NDArray[np.uint8]:
    """Class of every pixel before the smoothing; see `classify`.

    The classifier predicts only built pixels, in strips of rows.

    Args:
        bufrac: as in `classify`.
        s2: as in `classify`.
        classifier: as in `classify`.
        chunk_pixels: about how many pixels have their features in memory at a time.

    Returns:
        As `classify`.

    Raises:
        ValueError: shapes or dtypes do not fit.
    """
    valid = valid_pixels(bufrac, s2)
    built = valid & (bufrac > 0)
    classes = np.where(valid, 0, NODATA[Layer.RES_NRES]).astype(np.uint8)
    halo = classifier.halo
    rows, cols = bufrac.shape
    strip = max(1, chunk_pixels // max(1, cols))
    for top in range(0, rows, strip):
        bottom = min(top + strip, rows)
        if not built[top:bottom].any():
            continue
        first, last = max(0, top - halo), min(rows, bottom + halo)
        where = built[first:last].copy()
        where[: top - first] = False
        where[bottom - first :] = False
        table = feature_table(bufrac[first:last], s2[:, first:last], where, classifier.feature_set)
        classes[first:last][where] = classifier.predict(table)
    return classes
