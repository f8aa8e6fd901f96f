"""Draws training pixels from labelled images, with the window that the network sees of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from transforms.inference.architecture import PATCH
from transforms.inference.predict import HALO, prepare

Float32 = NDArray[np.float32]

BUILT_UP = 0.5
"""A pixel with at least this fraction counts as built-up where only two classes are possible."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelledImage:
    """An image and what is known about each of its pixels.

    Attributes:
        s2: axes (band, row, column), uint16, red, green, blue, near infrared; reflectance x 10 000.
        built_up: axes (row, column), float32, fraction that is built-up, 0..1.
        weights: axes (row, column), float32, weight of a pixel; 0 if it is not used.
    """

    s2: NDArray[np.uint16]
    built_up: Float32
    weights: Float32

    def __post_init__(self) -> None:
        """Check that the arrays describe the same pixels.

        Raises:
            ValueError: they do not.
        """
        if self.s2.shape[1:] != self.built_up.shape or self.weights.shape != self.built_up.shape:
            raise ValueError(
                f"shapes do not match: s2 {self.s2.shape}, built_up {self.built_up.shape}, "
                f"weights {self.weights.shape}"
            )


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Drawn pixels.

    Attributes:
        patches: (n, 5, 5, 4), float32, reflectance 0..1.
        built_up: (n,), float32, fraction 0..1.
        weights: (n,), float32.
    """

    patches: Float32
    built_up: Float32
    weights: Float32


def draw_samples(
    images: Sequence[LabelledImage], samples: int, seed: int, built_share: float | None = None
) -> Samples:
    """Draw pixels: `samples` from each group of equal weight, or all it has, in random order.

    Built-up pixels (a fraction of at least 0.5) and the others are separate groups.

    Args:
        images: labelled images.
        samples: pixels from each group.
        seed: seed of the choice.
        built_share: the weights are scaled so that built-up pixels have this share of them, with a
            mean of 1; None leaves them.

    Raises:
        ValueError: all pixels are built-up, or none is.
    """
    random = np.random.default_rng(seed)
    weights = np.concatenate([image.weights.ravel() for image in images])
    built = np.concatenate([image.built_up.ravel() for image in images]) >= BUILT_UP
    drawn, sides = [], set()
    for weight in np.unique(weights[weights > 0]):
        for side in (False, True):
            places = np.flatnonzero((weights == weight) & (built == side))
            if places.size:
                sides.add(side)
                drawn.append(random.choice(places, min(samples, places.size), replace=False))
    if len(sides) != 2:
        raise ValueError("all pixels have one label, expected built-up and not built-up")
    chosen = np.concatenate(drawn)
    ends = np.cumsum([image.weights.size for image in images])
    owner = np.searchsorted(ends, chosen, side="right")
    parts = [
        _taken(image, chosen[owner == number] - (ends[number] - image.weights.size))
        for number, image in enumerate(images)
        if (owner == number).any()
    ]
    patches, fractions, weight_of = (np.concatenate(part) for part in zip(*parts, strict=True))
    shuffled = random.permutation(len(chosen))
    if built_share is not None:
        weight_of = _balanced(weight_of, fractions >= BUILT_UP, built_share)
    return Samples(patches[shuffled], fractions[shuffled], weight_of[shuffled])


def _taken(image: LabelledImage, flat: NDArray[np.intp]) -> tuple[Float32, Float32, Float32]:
    places = np.stack(np.unravel_index(flat, image.weights.shape), axis=1)
    return (
        take_patches(image.s2, places),
        image.built_up.ravel()[flat].astype(np.float32),
        image.weights.ravel()[flat].astype(np.float32),
    )


def _balanced(weights: Float32, built: NDArray[np.bool_], share: float) -> Float32:
    wide = weights.astype(np.float64)
    for side, wanted in ((built, share), (~built, 1 - share)):
        wide[side] *= wanted * len(weights) / wide[side].sum()
    return wide.astype(np.float32)


def take_patches(s2: NDArray[np.uint16], places: NDArray[np.intp]) -> Float32:
    """5 x 5 windows around pixels, mirrored at the edge of the image, as the network gets them.

    Args:
        s2: axes (band, row, column), uint16.
        places: (n, 2) rows and columns.

    Returns:
        (n, 5, 5, bands), float32, reflectance 0..1.
    """
    padded = np.pad(s2, ((0, 0), (HALO, HALO), (HALO, HALO)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (PATCH, PATCH), axis=(1, 2))
    taken = windows[:, places[:, 0], places[:, 1]]  # (bands, n, 5, 5)
    flat = taken.reshape(len(s2), -1, PATCH)
    return prepare(flat).reshape(len(places), PATCH, PATCH, len(s2))


def band_statistics(x: Float32) -> tuple[Float32, Float32]:
    """Mean and standard deviation of each band; the last axis of `x` is the band.

    Raises:
        ValueError: there are no pixels.
    """
    pixels = x.reshape(-1, x.shape[-1]).astype(np.float64)
    if not len(pixels):
        raise ValueError("no pixel can be used for training")
    spread = np.maximum(pixels.std(axis=0), 1e-6)
    return pixels.mean(axis=0).astype(np.float32), spread.astype(np.float32)
