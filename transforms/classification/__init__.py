"""The classification stage: divides built-up into residential and non-residential."""

from typing import TYPE_CHECKING

from transforms.elements import lazily

from .classifier import ESTIMATORS, ResidentialClassifier
from .classify import classify, predict_classes
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
from .training import Scores, default_estimator, held_out_scores, train

if TYPE_CHECKING:
    from .transform import ClassifyResidential

METHOD_VERSION = "1"
"""Part of the fingerprint of RES_NRES; increase it when the same inputs give other pixels."""

__all__ = [
    "ESTIMATORS",
    "FEATURE_SETS",
    "MAJORITY_HALO",
    "METHOD_VERSION",
    "NON_RESIDENTIAL",
    "NOT_BUILT",
    "RESIDENTIAL",
    "ClassifyResidential",
    "LinearClassifier",
    "LinearFit",
    "ResidentialClassifier",
    "Scores",
    "bands_of",
    "choose_blocks",
    "classify",
    "default_estimator",
    "feature_halo",
    "feature_table",
    "held_out_scores",
    "majority",
    "predict_classes",
    "train",
    "valid_pixels",
]

__getattr__ = lazily(__name__, {"ClassifyResidential": ".transform"})
