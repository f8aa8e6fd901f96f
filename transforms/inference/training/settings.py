"""How a network is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """How long to train, on how many pixels, and how the pixels are varied.

    Attributes:
        samples: Pixels drawn from each group of pixels with equal weight, separately for built-up
            (a fraction of at least 0.5) and the rest.
        built_share: Share of the weight of the built-up pixels in the loss, which is the prior of
            the probabilities; None keeps the share of the drawn pixels.
        epochs: Passes over these pixels; in each, every patch is mirrored and turned at random.
        patience: Epochs without a lower loss of the validation after which the training stops.
        batch: Patches in one step.
        learning_rate: Initial rate of Adam; it falls to 0 along a cosine.
        dropout: Share of activations that are dropped in training.
        gain: Each patch is multiplied by a random factor between 1 / (1 + gain) and 1 + gain: the
            sun is low or high.
        recolour: Share of the patches that get the mean colour of another random patch, so that the
            texture has to decide; see `recoloured`.
        haze: A random reflectance of at most haze is added: the air is clear or hazy, or a thin
            cloud covers the ground.
        seed: Seed of every random choice.
    """

    samples: int = 20000
    built_share: float | None = None
    epochs: int = 8
    patience: int = 3
    batch: int = 256
    learning_rate: float = 5e-4
    dropout: float = 0.1
    gain: float = 0.0
    recolour: float = 0.0
    haze: float = 0.0
    seed: int = 2017


@dataclass(frozen=True, slots=True)
class Epoch:
    """One finished pass over the drawn pixels.

    Attributes:
        number: Its number, from 1.
        of: The most passes that there may be.
        loss: Mean loss of the training pixels.
        validation_loss: Mean loss of the validation pixels; None without validation.
        best: Whether no earlier pass had as low a loss of the validation.
    """

    number: int
    of: int
    loss: float
    validation_loss: float | None
    best: bool


Progress = Callable[[Epoch], None]
