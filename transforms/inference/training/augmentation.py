"""Varies training patches at random: their direction, the light and the air."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

HAZE = np.array([0.4, 0.6, 1.0, 0.15], np.float32)
"""What haze adds to red, green, blue and near infrared, relative to blue."""


def turned(patches: Float32, random: np.random.Generator) -> Float32:
    """Each square patch in one of its eight directions: turned by quarters, and mirrored or not.

    Args:
        patches: (n, side, side, bands), float32.
        random: source of the choice.
    """
    directions = random.integers(8, size=len(patches))
    result = np.empty_like(patches)
    for direction in range(8):
        chosen = directions == direction
        part = np.rot90(patches[chosen], direction % 4, axes=(1, 2))
        result[chosen] = part[:, ::-1] if direction >= 4 else part
    return result


def recoloured(patches: Float32, random: np.random.Generator, share: float) -> Float32:
    """Some patches with the mean colour of another patch; their relative contrast stays.

    The colour of a field in winter may be that of a roof in the training data. A network that sees
    every texture in every colour learns both.

    Args:
        patches: (n, side, side, bands), float32, reflectance 0..1.
        random: source of the choice.
        share: share of the patches that change, 0..1.
    """
    if not share:
        return patches
    means = np.maximum(patches.mean(axis=(1, 2), keepdims=True), np.float32(1e-4))
    others = means[random.permutation(len(patches))]
    changes = random.random((len(patches), 1, 1, 1)) < share
    return np.where(changes, np.clip(patches * (others / means), 0, 1), patches)


def relit(patches: Float32, random: np.random.Generator, gain: float, haze: float) -> Float32:
    """Each patch with more or less light, and with more or less haze.

    A pixel without data (0) stays 0.

    Args:
        patches: (n, side, side, 4), float32, reflectance 0..1.
        random: source of the choice.
        gain: a patch is multiplied by a factor between 1 / (1 + gain) and 1 + gain.
        haze: between -haze / 4 (cleaner air) and haze is added to the reflectance of blue. The
            other bands get from less (`HAZE`: haze) to as much (thin cloud, glint on water).
    """
    if not (gain or haze):
        return patches
    one = (len(patches), 1, 1, 1)
    factor = np.exp(random.uniform(-1, 1, one) * np.log1p(gain)).astype(np.float32)
    white = random.random(one)
    added = random.uniform(-haze / 4, haze, one) * (white + (1 - white) * HAZE)
    changed = np.clip(patches * factor + added.astype(np.float32), 1e-4, 1)
    return np.where(patches > 0, changed, np.float32(0))
