"""The classification stage: divides built-up into residential and non-residential."""

from typing import TYPE_CHECKING

from transforms.elements import lazily

from .classifier import ResidentialClassifier
from .classify import classification_halo, classify, predict_classes
from .features import FEATURE_SETS, bands_of, feature_halo, feature_table, valid_pixels
from .holding_out import choose_blocks
from .linear import LinearClassifier, LinearFit
from .majority import (
    MAJORITY_HALO,
    NON_RESIDENTIAL,
    NOT_BUILT,
    RESIDENTIAL,
    majority,
)
from .objects import OBJECT_REACH, object_majority
from .smoothing import DEFAULT_SMOOTHING, Smoothing, smooth, smoothing_halo

if TYPE_CHECKING:
    from .training import Scores, default_estimator, held_out_scores, train
    from .transform import ClassifyResidential
    from .trees import ESTIMATORS

METHOD_VERSION = "2"
"""Part of the fingerprint of RES_NRES; increase it when the same inputs give other pixels."""

__all__ = [
    "DEFAULT_SMOOTHING",
    "ESTIMATORS",
    "FEATURE_SETS",
    "MAJORITY_HALO",
    "METHOD_VERSION",
    "NON_RESIDENTIAL",
    "NOT_BUILT",
    "OBJECT_REACH",
    "RESIDENTIAL",
    "ClassifyResidential",
    "LinearClassifier",
    "LinearFit",
    "ResidentialClassifier",
    "Scores",
    "Smoothing",
    "bands_of",
    "choose_blocks",
    "classification_halo",
    "classify",
    "default_estimator",
    "feature_halo",
    "feature_table",
    "held_out_scores",
    "majority",
    "object_majority",
    "predict_classes",
    "smooth",
    "smoothing_halo",
    "train",
    "valid_pixels",
]

__getattr__ = lazily(
    __name__,
    {
        "ClassifyResidential": ".transform",
        "ESTIMATORS": ".trees",
        **dict.fromkeys(("Scores", "default_estimator", "held_out_scores", "train"), ".training"),
    },
)
