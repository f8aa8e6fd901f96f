"""Trains GHS-S2Net: draws labelled pixels, varies them, fits the network, keeps the file layout.

TensorFlow is imported when a training begins.
"""

from .augmentation import recoloured, relit, turned
from .fitting import Trained, train
from .layout import fold_standardisation, split_convolution
from .samples import (
    BUILT_UP,
    LabelledImage,
    Samples,
    band_statistics,
    draw_samples,
    take_patches,
)
from .settings import Epoch, Progress, TrainingSettings

__all__ = [
    "BUILT_UP",
    "Epoch",
    "LabelledImage",
    "Progress",
    "Samples",
    "Trained",
    "TrainingSettings",
    "band_statistics",
    "draw_samples",
    "fold_standardisation",
    "recoloured",
    "relit",
    "split_convolution",
    "take_patches",
    "train",
    "turned",
]
