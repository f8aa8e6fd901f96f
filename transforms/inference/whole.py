"""Prediction of a whole composite without Beam, for example in a notebook."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from transforms.elements import Window

from .engines import EXACT, Engine, choose
from .network import collapse
from .predict import CONTEXT, encode, pad_block, prepare, valid
from .weights import load_weights


def load_engine(path: str | Path, precision: str = EXACT) -> Engine:
    """The network of a weight file (`MODEL_CNN_<zone>.h5`), ready to predict on this machine.

    Raises:
        ModelError: the file cannot be used.
    """
    return choose(precision).make(collapse(load_weights(path)))


def predict(s2: NDArray[np.uint16], engine: Engine) -> NDArray[np.uint16]:
    """Probability that each pixel of a composite is built-up; mirrored at the edge of the array.

    Args:
        s2: (4, rows, columns), uint16, red, green, blue, near infrared, reflectance x 10 000,
            nodata 0.
        engine: see `load_engine`.

    Returns:
        (rows, columns), uint16, BUFRAC_RAW, 0..10 000, nodata 65535.

    Raises:
        ValueError: there are not four bands.
    """
    inside = valid(s2)
    return encode(probabilities(s2, engine, inside), inside)


def probabilities(
    s2: NDArray[np.uint16], engine: Engine, wanted: NDArray[np.bool_] | None = None
) -> NDArray[np.float32]:
    """Probability that each pixel of a composite is built-up, with or without data.

    Args:
        s2: see `predict`.
        engine: see `load_engine`.
        wanted: (rows, columns), bool, pixels that are needed; the others may be 0. None: all.

    Returns:
        (rows, columns), float32, 0..1.

    Raises:
        ValueError: there are not four bands.
    """
    whole = Window(0, 0, *s2.shape[1:])
    x = prepare(pad_block(s2, whole, whole.expand(CONTEXT), whole))
    return engine.probabilities(x, valid=wanted, halo=CONTEXT)
